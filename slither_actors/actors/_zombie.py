"""Zombies: actors that were declared dead while their handler ran, and it runs on.

A thread cannot be killed. A zombie is listed and logged again and again until
its handler returns, and fenced as long: what it sends, starts, answers,
registers or writes to a store has no effect.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from slither_actors import telemetry
from slither_actors.actors import _runtime
from slither_actors.actors._async_kill import force_return
from slither_actors.actors._cell import Cell, zombie_cells
from slither_actors.actors._reasons import KILLED
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref

__all__ = [
    "ZombieInfo",
    "abandon",
    "abandon_work",
    "any_zombies",
    "bury",
    "is_zombie",
    "zombies",
    "zombies_below",
]

logger = GuardedLog("slither_actors.actors")

clock = time.monotonic
"""Seconds, for the ages of zombies; a test puts a clock of its own here."""

_GRACE = 0.1
"""Seconds between a kill and giving an actor up: enough for one that is idle or returns."""

_FIRST_REMINDER = 10.0
"""Seconds until a zombie is logged again; then twice as many each time, up to the following."""

_LAST_REMINDER = 3600.0


_working: dict[int, tuple[Cell, float, Callable[[], str]]] = {}
"""The actors of which something runs on outside of their handlers, since when, and where it is: the text
is empty when it has ended. What a dead actor has sent is dropped, so there is nothing to fence."""


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
    infos = (_info(number) for number in (*zombie_cells, *_working) if is_zombie(number))
    return [info for info in infos if info is not None]


def _info(number: int) -> ZombieInfo | None:
    """Look at one; None if its handler has returned just now, in its own thread."""
    work = _working.get(number)
    if work is not None:
        cell, since, stacks = work
        return ZombieInfo(actor=cell.ref, age=clock() - since, stack=stacks())
    entry = zombie_cells.get(number)
    if entry is None:
        return None
    cell, since, thread = entry
    return ZombieInfo(actor=cell.ref, age=clock() - since, stack=_stack(thread))


def is_zombie(number: int | None) -> bool:
    """Whether the actor of that number was abandoned and its handler still runs."""
    if number is None:
        return False
    entry = zombie_cells.get(number)
    return (entry is not None and not _has_returned(entry[0])) or _works(number)


def any_zombies() -> bool:
    """Whether there may be any; a quick look."""
    return bool(zombie_cells or _working)


def _works(number: int) -> bool:
    work = _working.get(number)
    if work is not None and not work[2]():
        _working.pop(number, None)
    return number in _working


def zombies_below(parent: Cell) -> int:
    """How many children of an actor are zombies."""
    cells = {number: entry[0] for number, entry in (*zombie_cells.items(), *_working.items())}
    return sum(cell.parent is parent and is_zombie(number) for number, cell in cells.items())


def bury(*cells: Cell, force: bool = False, since: float | None = None) -> None:
    """Wait for the end of actors that were killed, now or `since`, and abandon those that do not return.

    With `force` an exception is put into their threads as well: see `ChildSpec.async_kill`.
    """
    deadline = (time.monotonic() if since is None else since) + _GRACE
    for cell in cells:
        if not _runtime.join(cell, deadline - time.monotonic()):
            abandon(cell, force=force)


def abandon(cell: Cell, *, force: bool = False) -> None:
    """Declare an actor dead whose handler does not return.

    Its monitors and its supervisor go on with the reason ``"killed"``; the
    thread is left to itself and ends when the handler returns.
    """
    thread = cell.scheduler.thread_of(cell)
    # Fenced first: what the handler does between the two is not to be seen.
    zombie_cells[cell.id] = (cell, clock(), thread)
    cell.die(KILLED)
    if _has_returned(cell):
        return
    if (
        force
        and thread is not None
        and force_return(cell, thread, zombie_cells, partial(_has_returned, cell))
    ):
        logger.warning("%s did not end, and its handler was broken off (async_kill)", cell.describe())
        return
    _tell(
        cell.id,
        "%s did not end and is abandoned: its handler still runs. Work that must be killable belongs "
        "in a worker process.\n%s",
    )
    _remind_in(_FIRST_REMINDER, cell.id)


def abandon_work(cell: Cell, stacks: Callable[[], str], *, patience: float = 0.0) -> None:
    """List an actor of which something runs on that it has started and cannot end: its coroutines.

    Args:
        cell: the actor, which is dead or about to be.
        stacks: where that is now, as text; empty when it has ended. Called from any thread.
        patience: seconds after which it is logged, if it still runs then.
    """
    _working[cell.id] = (cell, clock(), stacks)
    if patience:
        _runtime.timers.call_after(patience, partial(_tell_of_work, cell.id))
    else:
        _tell_of_work(cell.id)


def _tell_of_work(number: int) -> None:
    if _works(number):
        _tell(
            number,
            "%s has ended and something that it had started has not, which is abandoned. A coroutine has "
            "to end when it is cancelled.\n%s",
        )
        _remind_in(_FIRST_REMINDER, number)


def _remind_in(seconds: float, number: int) -> None:
    # The number: a reminder that is due in an hour must not keep the actor in memory until then.
    _runtime.timers.call_after(seconds, partial(_remind, seconds, number))


def _remind(waited: float, number: int) -> None:
    if is_zombie(number):
        what = "what it had started" if number in _working else "its handler"
        _tell(number, f"%s was abandoned {{age:.0f}} s ago, and {what} still runs.\n%s")
        _remind_in(min(2 * waited, _LAST_REMINDER), number)


def _tell(number: int, text: str) -> None:
    """Log a zombie with its stack, and emit the event."""
    info = _info(number)
    if info is None:
        return
    cell = info.actor._cell
    logger.critical(text.format(age=info.age), cell.describe(), info.stack)
    if telemetry.ACTOR_ZOMBIE.receivers:
        measurements = {"system_time": time.time(), "age": info.age}
        metadata = {"actor": cell.describe(), "name": cell.name, "ref": info.actor, "stack": info.stack}
        telemetry.emit(telemetry.ACTOR_ZOMBIE, info.actor, measurements=measurements, metadata=metadata)


def _has_returned(cell: Cell) -> bool:
    """Whether no handler of the dead cell runs: it holds the token while one does, or while it is queued."""
    free = cell.acquire(False)
    if not free and not cell.scheduler.is_queued(cell):
        return False
    zombie_cells.pop(cell.id, None)
    if free:
        cell.release()
    return True


def _stack(thread: int | None) -> str:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if not gil or thread is None:
        return "(its stack is not available)"
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame is not None else "(its thread is gone)"
