"""Looking inside a running actor: its state, its numbers, holding it still.

Requests of this kind are answered in their turn, after the messages that were
sent before them; a suspended actor, which handles no others, answers them at
once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors import _call
from slither_actors.actors._cell import Cell, handled_while_suspended
from slither_actors.actors._request import Request
from slither_actors.config import shown, wait_seconds_or_none
from slither_actors.errors import OptionError

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref

__all__ = ["ActorStatistics"]


@attrs.frozen(kw_only=True)
class ActorStatistics:
    """What an actor held at one moment. Returned by `Ref.statistics`."""

    alive: bool
    """Whether it has not ended."""

    suspended: bool
    """Whether it is held by `Ref.suspend`."""

    uptime: float
    """Seconds since it was started, up to its end."""

    handled: int
    """Messages handled; those of a slice, up to 64, are counted when the slice is over."""

    mailbox: int
    """Messages that wait."""

    mailbox_size: int | None
    """The bound of the mailbox; None is any number."""

    dropped: int
    """Messages that the full mailbox dropped; always 0 without a bound."""

    answering: bool
    """Whether it is in the middle of a call."""

    deferred: int
    """Calls that it will answer later."""

    links: int
    """Actors that it is linked to."""

    monitors: int
    """Monitors that others have set on it."""

    monitoring: int
    """Monitors that it has set on others, and names that it waits for."""

    timers: int
    """Timers that it has running."""

    watches: int
    """File descriptors that it listens to."""


def statistics_of(cell: Cell) -> ActorStatistics:
    """Read the numbers, without asking the actor: one that is stuck has them too."""
    return ActorStatistics(
        alive=not cell.dead,
        suspended=cell.suspended,
        uptime=(cell.ended or time.monotonic()) - cell.began,
        handled=cell.handled,
        mailbox=len(cell.inbox),
        mailbox_size=type(cell.actor).mailbox_size,
        dropped=getattr(cell, "dropped", 0),
        answering=cell.answering is not None,
        deferred=len(cell.deferred or ()),
        links=len(cell.links or ()),
        monitors=len(cell.monitors or ()),
        monitoring=len(cell.watching or ()),
        timers=len(cell.timers or ()),
        watches=len(cell.watches or ()),
    )


def ask(ref: Ref, function: Callable[[Any, Any], Any], argument: Any = None, *, timeout: float | None) -> Any:
    """Have the actor run ``function(actor, argument)``, suspended or not; a raise is the caller's."""
    wait_seconds_or_none.check("timeout", timeout, ref)
    return _call.ask(ref, _on_system, (function, argument), timeout, system=True)


def state(actor: Any, _: Any = None) -> dict[str, Any]:
    """Return the actor's public attributes; the values are its own."""
    return actor._state()  # type: ignore[no-any-return]


def replace_state(actor: Any, function: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    """Give the actor the public attributes that `function` makes of those it has, all or none of them."""
    attributes = vars(actor)
    before, old = dict(attributes), state(actor)
    made = function(dict(old))
    if not (isinstance(made, Mapping) and all(isinstance(name, str) for name in made)):
        problem = f"returned {shown(made)}; allowed is a mapping of attribute names to values"
        raise OptionError("function", problem, where=f"replace_state of {actor._cell.describe()}")
    new = dict(made)
    try:
        for name in old.keys() - new.keys():
            delattr(actor, name)
        for name, value in new.items():
            setattr(actor, name, value)
    except BaseException:
        # One has no setter, say. Never empty in between: other threads look at the library's attributes.
        attributes.update(before)
        for name in attributes.keys() - before.keys():
            del attributes[name]
        raise
    return new


def suspend(actor: Any, _: Any) -> None:
    """Hold the actor."""
    actor._cell.suspend()


def resume(actor: Any, _: Any) -> None:
    """Let it go on."""
    actor._cell.suspended = False


def _on_system(actor: Any, request: Request) -> None:
    # A request that came while the actor was suspended is in the mailbox as well.
    if request.answered:
        return
    function, argument = request.message
    try:
        request.reply(function(actor, argument))
    except Exception as error:  # noqa: BLE001 - the caller's: looking must not end the actor
        request.fail(error)


handled_while_suspended.add(_on_system)
