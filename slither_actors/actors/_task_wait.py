"""Waiting for tasks, and the end of waiting for them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _runtime
from slither_actors.actors._awaited import Arrival
from slither_actors.actors._interrupts import waits
from slither_actors.actors._scheduler import lock_timeout
from slither_actors.actors._zombie import bury

if TYPE_CHECKING:
    from slither_actors.actors._task import Task

__all__ = ["await_outcomes", "kill_tasks"]


@waits
def await_outcomes(
    tasks: Iterable[Task[Any]], timeout: float | None, enough: Callable[[Task[Any]], object]
) -> None:
    """Wait in this thread until all tasks have their outcomes, or `enough` says so of one, or it is time."""
    waiting = set(tasks)
    done: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
    wakes = {task: partial(done.put, task) for task in waiting}
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        for task, wake in wakes.items():
            task.subscribe(wake)
        with _runtime.interruptible(partial(done.put, None)) as refuse:
            while waiting:
                if done.empty():
                    _runtime.hand_over(Arrival(done, next(iter(waiting)).ref._cell))
                left = None if deadline is None else lock_timeout(deadline - time.monotonic())
                ended = done.get(timeout=left)
                if ended is None:
                    refuse()
                    continue
                waiting.discard(ended)
                if enough(ended):
                    return
    except queue.Empty:
        return
    finally:
        for task, wake in wakes.items():
            task.unsubscribe(wake)


def kill_tasks(tasks: Iterable[Task[Any]]) -> None:
    """End tasks at once. One whose function runs on is abandoned."""
    cells = [task.ref._cell for task in tasks]
    for cell in cells:
        cell.kill()
    bury(*cells)
