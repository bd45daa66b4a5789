"""Who is alive, and the one lock over all lives."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["live_cells", "next_number", "zombie_cells"]

lock = threading.RLock()
"""Guards who is alive, linked, monitored and named. Held for a few assignments, never
while anything is called, so one lock for all actors is enough and cannot deadlock.
Reentrant, because the collector may run a finalizer that uses actors at any place.
Take it from the module each time: the child of a fork has another one."""

cells: dict[int, Cell] = {}
"""The cells that are alive, by number."""

zombie_cells: dict[int, tuple[Cell, float, int | None]] = {}
"""The cells that were abandoned and whose handlers still run, since when, and in which thread.
Empty as a rule, which is all that the hot paths look at."""

next_number = itertools.count(1).__next__
"""Numbers cells and monitors."""


def live_cells() -> list[Cell]:
    """Return the cells that are alive, oldest first."""
    with lock:
        return list(cells.values())


def after_fork_in_child() -> None:
    """Make the lock usable: a thread that is not here may have held it."""
    global lock  # noqa: PLW0603
    lock = threading.RLock()
    zombie_cells.clear()
