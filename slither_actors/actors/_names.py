"""Names of actors: who has one now, and being told when somebody takes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors.actors import _runtime
from slither_actors.actors._cell import await_name, find_name, stop_awaiting_name
from slither_actors.actors._ref import Ref
from slither_actors.actors._timers import Timer

__all__ = ["when_named", "whereis"]


def whereis(name: object) -> Ref | None:
    """Return the live actor that was started under `name`, or None. From any thread, without waiting.

    OTP: erlang, ``whereis/1``.
    """
    cell = find_name(name)
    return None if cell is None else cell.ref


class _Wait:
    """One wait for a name; the name and the clock race, the first one counts."""

    __slots__ = ("argument", "done", "function", "message", "name", "timer", "waiter")

    def __init__(
        self, name: object, waiter: Ref, function: Callable[[Any, Any], object], argument: Any
    ) -> None:
        self.name = name
        self.waiter = waiter
        self.function = function
        self.argument = argument
        self.done = False
        self.timer: Timer | None = None
        self.message = (_arrived, self)


def when_named(
    name: object,
    waiter: Ref,
    function: Callable[[Any, Any], object],
    argument: Any = None,
    *,
    timeout: float,
) -> None:
    """Run ``function(actor, argument)`` in `waiter` once somebody has the name, or after `timeout` seconds.

    For a caller that has lost a supervised server and waits for its successor;
    `function` finds out with `whereis` which of the two it was.

    Args:
        name: which may be taken already; `function` runs soon then.
        waiter: the actor in which `function` runs, as a message.
        function: called once.
        argument: its second argument.
        timeout: seconds.
    """
    wait = _Wait(name, waiter, function, argument)
    wait.timer = _runtime.timers.start(waiter._cell, timeout, (_arrived, wait))
    await_name(name, waiter._cell, wait.message)


def _arrived(actor: Any, wait: _Wait) -> None:
    if not wait.done:
        wait.done = True
        if wait.timer is not None:
            wait.timer.cancel()
        stop_awaiting_name(wait.name, wait.waiter._cell, wait.message)
        wait.function(actor, wait.argument)
