"""The runtime of this process: the default scheduler, the timers, the end, a fork."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _cell, _scheduler
from slither_actors.actors._reasons import SHUTDOWN
from slither_actors.actors._scheduler import Scheduler
from slither_actors.actors._timers import TimerThread

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["blocking", "current_cell", "scheduler", "timers"]

_EXIT_SECONDS = 5.0
"""How long the exit of the program waits for the actors that are still alive."""

scheduler = Scheduler(target=_scheduler.default_target())
"""Runs every actor that has no thread of its own."""

timers = TimerThread()

_local = _scheduler._local


class InlineFrame:
    """An actor that runs in a thread which is not (or already) running another one."""

    __slots__ = ("cell", "runner")

    def __init__(self, cell: Cell, outer: Any) -> None:
        self.cell = cell
        self.runner = None if outer is None else outer.runner


def current_cell() -> Cell | None:
    """Return the actor whose callback runs in this thread."""
    frame = getattr(_local, "runner", None)
    return None if frame is None else frame.cell


@contextlib.contextmanager
def inline(cell: Cell) -> Iterator[None]:
    """Run what follows as `cell`, whose token the caller holds."""
    outer = getattr(_local, "runner", None)
    _local.runner = InlineFrame(cell, outer)
    try:
        yield
    finally:
        _local.runner = outer


def blocking() -> None:
    """Let the other actors go on in another thread; call it before a wait that may last."""
    frame = getattr(_local, "runner", None)
    if frame is not None and frame.runner is not None:
        frame.runner.scheduler.hand_over(frame.runner)


def shut_down(timeout: float = _EXIT_SECONDS) -> None:
    """Stop what is alive, youngest first, then the threads. Runs at exit."""
    deadline = time.monotonic() + timeout
    for cell in reversed(_cell.live_cells()):
        if not cell.dead and cell.parent is None:
            cell.signal_ahead(None, SHUTDOWN)
            cell.join(max(0.0, deadline - time.monotonic()))
    for cell in _cell.live_cells():
        cell.kill()
    timers.close(max(0.0, deadline - time.monotonic()))
    scheduler.close(max(0.1, deadline - time.monotonic()))


def _after_fork_in_child() -> None:
    _cell.after_fork_in_child()
    scheduler.after_fork_in_child()
    _local.__dict__.clear()
    atexit.unregister(shut_down)


atexit.register(shut_down)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def own_scheduler(name: str) -> Scheduler:
    """Make a scheduler of one thread for an actor that asks for its own."""
    return Scheduler(name=name, target=1, thread_limit=1)


def main_thread() -> bool:
    """Whether this is the thread that gets the signals."""
    return threading.current_thread() is threading.main_thread()
