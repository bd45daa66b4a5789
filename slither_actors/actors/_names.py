"""Names of actors: who has one now, and being told when somebody takes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from slither_actors.actors import _life, _runtime
from slither_actors.actors._cell import Cell
from slither_actors.actors._child_spec import checked_name
from slither_actors.actors._monitor import Monitor
from slither_actors.actors._name_table import claim_name, find_name
from slither_actors.actors._reasons import KILLED
from slither_actors.actors._ref import Ref
from slither_actors.actors._timers import Timer
from slither_actors.config import Rule, a_function, delay_seconds, shown
from slither_actors.core import Registration, Registrations
from slither_actors.errors import ActorExitError, NameTakenError, NotRegisteredError, OptionError

__all__ = ["KeyHolder", "take_name", "via", "when_named", "whereis"]

_REF = Rule("allowed is the ref of an actor", lambda value: isinstance(value, Ref))


@runtime_checkable
class KeyHolder(Protocol):
    """What a name ``(registry, key)`` needs of its registry: a `RegistryRef`, or a `Named` one, has it."""

    def register_actor(self, ref: Ref, key: Any, value: Any = None) -> None:
        """Register an actor; `NameTakenError` if the key is taken."""

    def whereis(self, key: Any) -> Ref | None:
        """Return who has the key."""


def via(name: object) -> tuple[KeyHolder, Any] | None:
    """Return registry and key if the name is one in a registry, as Elixir's ``{:via, Registry, …}``."""
    if isinstance(name, tuple) and len(name) == 2:
        holder = name[0]
        # Not by isinstance, which takes longer for a protocol than all the rest up to Python 3.11.
        if not isinstance(holder, str) and hasattr(holder, "register_actor") and hasattr(holder, "whereis"):
            return name
    return None


def take_name(name: object, cell: Cell) -> None:
    """Give a new actor its name, before anybody can know it.

    Raises:
        NameTakenError: a live actor has it.
        NotRegisteredError: the registry that is named does not run.
        ActorExitError: the registry has ended.
        OptionError: its keys are not unique, or the name has no hash.
    """
    checked_name(name, type(cell.actor).__name__)
    try:
        _take(name, cell)
    except BaseException:
        # Whatever it has got by now goes with it: nobody will ever run under the name.
        cell.die(KILLED, begun=False)
        raise


def _take(name: object, cell: Cell) -> None:
    entry = via(name)
    if entry is not None:
        registry, key = entry
        registry.whereis(key)  # which refuses where keys are not unique
        cell.name = key
        registry.register_actor(cell.ref, key)
        return
    holder = claim_name(name, cell)
    if holder is not cell:
        raise NameTakenError(name, holder.describe(), holder.ref)
    _tell_who_waits(name)


def whereis(name: object) -> Ref | None:
    """Return the live actor that was started under `name`, or None. From any thread, without waiting.

    A name ``(registry, key)`` is looked up in that registry, a `RegistryRef` or the `named` one.

    Raises:
        OptionError: it has no hash, so that it can be nobody's name.

    OTP: erlang, ``whereis/1``.
    """
    entry = via(name)
    if entry is not None:
        try:
            return entry[0].whereis(entry[1])
        except (ActorExitError, NotRegisteredError):  # there is no such registry now
            return None
    try:
        cell = find_name(name)
    except Exception:
        checked_name(name, "whereis")
        raise
    return None if cell is None else cell.ref


_waits: Registrations[Cell] = Registrations(unique=False)
"""Who waits for which name; the value is the `_Wait`."""


class _Wait(Monitor):
    """One wait for a name; the name and the clock race, the first one counts.

    It is among what its waiter watches, and so goes with it.
    """

    __slots__ = ("argument", "done", "function", "row", "timer", "waiter")

    def __init__(self, waiter: Cell, function: Callable[[Any, Any], object], argument: Any) -> None:
        super().__init__(waiter, waiter)
        self.waiter = waiter
        self.function = function
        self.argument = argument
        self.done = False
        self.row: Registration[Cell] | None = None
        self.timer: Timer | None = None

    def add(self, name: object) -> bool:
        """Wait from now on; False if that is over already, or the waiter has ended."""
        place, waiter = None, self.waiter
        while self.row is None:
            place = _waits.place(name, place)
            with _life.lock:
                if self.done or waiter.dead:
                    return False
                self.row = _waits.register(place, waiter, self)
                if self.row is not None:
                    if waiter.watching is None:
                        waiter.watching = set()
                    waiter.watching.add(self)
        return True

    def leave(self) -> bool:
        """Wait no more; False if that was so. The lock is held."""
        waited = self.row is not None and bool(_waits.remove([self.row]))
        self.forget()
        return waited

    def abolish(self) -> None:
        """The waiter has ended. The lock is held."""
        self.done = True
        self.leave()


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

    Raises:
        OptionError: the name is one in a registry; these have listeners. Or it has no hash, `timeout` is no
            finite number, `waiter` no ref, or `function` cannot be called.
    """
    _runtime.refuse_zombie()
    checked_name(name, "when_named")
    delay_seconds.check("timeout", timeout, "when_named")
    _REF.check("waiter", waiter, "when_named")
    a_function.check("function", function, "when_named")
    if via(name) is not None:
        raise OptionError("name", f"is {shown(name)}; in a registry listen to its events", where="when_named")
    cell = waiter._cell
    wait = _Wait(cell, function, argument)
    wait.timer = _runtime.timers.start(cell, timeout, (_arrived, wait))
    try:
        waits = wait.add(name)
        # Who takes a name looks for waits then, and who waits looks for the name: one of them sees the other.
        if waits and whereis(name) is not None:
            _send([wait])
    except BaseException:  # a comparison raised
        with _life.lock:
            wait.abolish()
        wait.timer.cancel()
        raise
    if not waits:
        wait.timer.cancel()


def _tell_who_waits(name: object) -> None:
    if len(_waits):
        _send([row.value for row in _waits.under(name)])


def _send(waits: list[_Wait]) -> None:
    """Have each waiter run its function, once, also if the name goes and comes while it is busy."""
    with _life.lock:
        told = [wait for wait in waits if wait.leave()]
    for wait in told:
        wait.waiter.put((_arrived, wait))


def _arrived(actor: Any, wait: _Wait) -> None:
    with _life.lock:
        if wait.done:
            return
        wait.done = True
        wait.leave()
    if wait.timer is not None:
        wait.timer.cancel()
    wait.function(actor, wait.argument)
