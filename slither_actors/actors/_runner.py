"""One thread of a scheduler, and what runs actors in the thread that asks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.actors._awaited import Awaited
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._threads import Threads

__all__ = ["Runner", "current_runner"]

local = threading.local()
"""``runner`` is the `Runner` of this thread, or the frame of an actor that runs in it inline."""


def current_runner() -> Any:
    """Return what runs actors in this thread, or None in a plain thread."""
    return getattr(local, "runner", None)


class Runner:
    """One scheduler thread. Everything but `cell` is written under the scheduler's lock."""

    __slots__ = (
        "attached",
        "awaits",
        "cell",
        "detached",
        "park",
        "runner",
        "scheduler",
        "seen",
        "slices",
        "stalled_since",
        "thread",
    )

    def __init__(self, scheduler: Threads) -> None:
        self.scheduler = scheduler
        self.runner = self
        """As on an inline frame: the thread that would have to hand over."""
        self.cell: Cell | None = None
        """The actor whose slice runs now."""
        self.slices = 0
        self.seen = -1
        """`slices` at the monitor's last look: the same number again is a stall."""
        self.attached = False
        self.detached = False
        """Set when the run queue was taken away; read by the thread at the end of its slice."""
        self.stalled_since = 0.0
        self.awaits: Awaited | None = None
        """What its handler waits for in another actor, or waited for last."""
        self.park = threading.Lock()
        self.park.acquire()
        self.thread: threading.Thread | None = None

    @property
    def waits(self) -> bool:
        """Whether its handler waits for another actor, and that has not come yet."""
        return self.awaits is not None and not self.awaits.answered

    @property
    def wakes(self) -> bool:
        """Whether what its handler waited for has just come."""
        cell, awaits = self.cell, self.awaits
        if cell is None or awaits is None or not awaits.answered:
            return False
        return cell.waiting_on is awaits or cell.wake is not None  # else it was an earlier wait
