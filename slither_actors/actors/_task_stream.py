"""A stream of tasks: one for each item of a lazy input, so many at one time.

The generator runs in its reader: it reads the input, starts tasks and waits
for them when it is asked for the next outcome. It never reads more than
`max_concurrency` items ahead of what the reader has taken.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, Literal

from slither_actors.actors import _runtime
from slither_actors.actors._awaited import Arrival
from slither_actors.actors._interrupts import calls_out, waits
from slither_actors.actors._scheduler import lock_timeout
from slither_actors.actors._task import Task
from slither_actors.actors._task_outcome import TaskExit, TaskOutcome
from slither_actors.actors._task_wait import kill_tasks
from slither_actors.core import TaskWindow
from slither_actors.errors import CallTimeoutError

__all__ = ["TaskStream"]


_WOKEN = -1
"""Instead of a position: the reader is to end."""


class TaskStream:
    """One run over an input. Only its generator uses it, in whatever thread that is read."""

    def __init__(
        self,
        start: Callable[[Any], Task[Any]],
        window: TaskWindow[TaskOutcome[Any]],
        on_timeout: Literal["exit", "kill_task"],
    ) -> None:
        self._start = start
        self._window = window
        self._on_timeout = on_timeout
        self._running: dict[int, Task[Any]] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Positions whose outcome is there, in the order in which that happened; rarely one twice."""

    @calls_out
    def outcomes(self, source: Iterable[Any]) -> Generator[TaskOutcome[Any], None, None]:
        """Yield the outcomes. What still runs when the generator is closed or fails is killed."""
        ready: deque[TaskOutcome[Any]] = deque()
        window = self._window
        inputs = iter(source)
        more = True
        try:
            while True:
                while more and window.room > len(ready):
                    more = self._start_next(inputs)
                if ready:
                    yield ready.popleft()
                elif window.is_empty:
                    return
                else:
                    ready.extend(self._finished())
        finally:
            # Not waited for: a function that runs now may take long, and nobody wants its result.
            for task in self._running.values():
                task.release()
                task.ref._cell.kill()

    @calls_out
    def _start_next(self, inputs: Any) -> bool:
        """Start a task for the next item; False if there is none."""
        try:
            item = next(inputs)
        except StopIteration:
            return False
        task = self._start(item)
        position = self._window.start(time.monotonic())
        self._running[position] = task
        task.subscribe(partial(self._done.put, position))
        return True

    @waits
    def _finished(self) -> list[TaskOutcome[Any]]:
        """Wait for the next task that is done or late; return the outcomes that may leave now."""
        deadline = self._window.next_deadline
        try:
            with _runtime.interruptible(partial(self._done.put, _WOKEN)) as refuse:
                if self._done.empty():
                    _runtime.hand_over(self._arrival())
                position = self._done.get(
                    timeout=None if deadline is None else lock_timeout(deadline - time.monotonic())
                )
                if position == _WOKEN:
                    refuse()
        except queue.Empty:
            return self._late()
        return self._finish(position) + self._late()

    def _arrival(self) -> Arrival:
        task = next(iter(self._running.values()), None)
        return Arrival(self._done, None if task is None else task.ref._cell)

    def _finish(self, position: int) -> list[TaskOutcome[Any]]:
        if not self._window.runs(position):  # told twice, late before it was done, or nothing at all
            return []
        outcome = self._running.pop(position).take()
        assert outcome is not None
        return self._window.finish(position, outcome)

    def _late(self) -> list[TaskOutcome[Any]]:
        """Give up the tasks whose time is over. One that is done by now will be told of as such."""
        positions = [p for p in self._window.late(time.monotonic()) if not self._running[p].is_done()]
        if positions and self._on_timeout == "exit":
            raise CallTimeoutError(str(self._running[positions[0]].ref), self._window.timeout or 0.0)
        late = [self._running.pop(position) for position in positions]
        for task in late:
            task.release()
        kill_tasks(late)
        leaving: list[TaskOutcome[Any]] = []
        for position, task in zip(positions, late, strict=True):
            leaving += self._window.finish(position, TaskExit("timeout", str(task.ref)))
        return leaving
