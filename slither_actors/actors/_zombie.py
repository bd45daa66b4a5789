"""Zombies: actors that were declared dead while their handler ran, and it runs on.

A thread cannot be killed. A zombie is listed until its handler returns, and
fenced as long: it may start, call or register nobody, and its casts and other
messages are dropped.
"""

from __future__ import annotations

import sys
import time
import traceback
from typing import TYPE_CHECKING

import attrs

from slither_actors.actors._cell import Cell, zombie_cells
from slither_actors.actors._reasons import KILLED
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref

__all__ = ["ZombieInfo", "abandon", "is_zombie", "zombies", "zombies_below"]

logger = GuardedLog("slither_actors.actors")


@attrs.frozen(kw_only=True)
class ZombieInfo:
    """An actor that was abandoned and whose handler still runs. Returned by `zombies`."""

    actor: Ref
    """The actor; dead to all others, with the reason ``"killed"``."""

    age: float
    """Seconds since it was abandoned."""

    stack: str
    """Where its handler is now, as text; a remark in brackets if that cannot be seen."""


def zombies() -> list[ZombieInfo]:
    """Return the abandoned actors whose handlers still run, the oldest first. From any thread."""
    now = time.monotonic()
    return [
        ZombieInfo(actor=cell.ref, age=now - since, stack=_stack(thread))
        for cell, since, thread in tuple(zombie_cells.values())
        if is_zombie(cell.id)
    ]


def is_zombie(number: int | None) -> bool:
    """Whether the actor of that number was abandoned and its handler still runs."""
    entry = None if number is None else zombie_cells.get(number)
    return entry is not None and not _has_returned(entry[0])


def zombies_below(parent: Cell) -> int:
    """How many children of an actor are zombies."""
    return sum(entry[0].parent is parent and is_zombie(entry[0].id) for entry in tuple(zombie_cells.values()))


def abandon(cell: Cell) -> None:
    """Declare an actor dead whose handler does not return.

    Its monitors and its supervisor go on with the reason ``"killed"``; the
    thread is left to itself and ends when the handler returns.
    """
    thread = cell.scheduler.thread_of(cell)
    # Fenced first: what the handler does between the two is not to be seen.
    zombie_cells[cell.id] = (cell, time.monotonic(), thread)
    cell.die(KILLED)
    if _has_returned(cell):
        return
    logger.critical(
        "%s did not end and is abandoned: its handler still runs. Work that must be killable belongs "
        "in a worker process.\n%s",
        cell.describe(),
        _stack(thread),
    )


def _has_returned(cell: Cell) -> bool:
    """Whether no handler of the dead cell runs: it holds the token while one does."""
    if not cell.acquire(False):
        return False
    zombie_cells.pop(cell.id, None)
    cell.release()
    return True


def _stack(thread: int | None) -> str:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not gil or thread is None:
        return "(its stack is not available)"
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame is not None else "(its thread is gone)"
