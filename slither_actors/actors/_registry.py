"""The registry: actors under keys, each with a value, until they end.

Registering, unregistering and the end of an owner change the table under the
lock that also decides who is alive. So an owner's entries go at the moment at
which it dies, before anybody is told of that, and a dead actor never gets
any. Readers take no lock and send no message.

An owner is linked to the registry: a registry that crashes takes its owners
with it, because their entries are lost and only a restart brings them back.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import attrs

from slither_actors.actors import _life, _runtime
from slither_actors.actors._cell import Cell, Monitor
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._names import whereis
from slither_actors.actors._reasons import NOPROC, Down, Exit, without_frames
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import NO_REPLY, Failure, Request
from slither_actors.actors._server import Server
from slither_actors.config import has_hash, one_of, shown
from slither_actors.core import LockQueue, Registration, Registrations
from slither_actors.errors import (
    ActorError,
    ActorExitError,
    MailboxFullError,
    NameTakenError,
    NotRegisteredError,
    OptionError,
)

__all__ = ["Registered", "Registry", "RegistryRef", "Unregistered"]

T = TypeVar("T")
Row = Registration[Cell]


@attrs.frozen
class Registered:
    """An actor was registered; arrives in the ``handle_info`` of a registry's listeners.

    Elixir: Registry, "Listeners".
    """

    registry: Ref
    key: Any
    ref: Ref
    value: Any


@attrs.frozen
class Unregistered:
    """An actor was unregistered or has ended; arrives in the ``handle_info`` of a registry's listeners.

    Elixir: Registry, "Listeners".
    """

    registry: Ref
    key: Any
    ref: Ref


class RegistryRef(Ref):
    """The reference to a `Registry`. Every method but `lock` works in the caller's thread, without waiting.

    All of them raise `ActorExitError` once the registry has ended. Elixir: Registry.
    """

    # -- for the actors that register ---------------------------------------------

    def register(self, key: Any, value: Any = None) -> None:
        """Register the calling actor under `key`, until it unregisters or ends.

        Under duplicate keys an actor may register any number of times.

        Raises:
            NameTakenError: the key is unique and somebody has it, perhaps the caller itself.
        """
        self._registry.add(_caller("register"), key, value)

    def register_actor(self, ref: Ref, key: Any, value: Any = None) -> None:
        """As `register`, for another actor; from any thread.

        Raises:
            NameTakenError: the key is unique and somebody has it.
            ActorExitError: the actor has ended.
        """
        _runtime.refuse_zombie()
        self._registry.add(ref._cell, key, value)

    def unregister(self, key: Any) -> None:
        """Remove what the calling actor has under `key`; nothing is fine."""
        self._registry.withdraw(_caller("unregister"), key, None)

    def unregister_match(self, key: Any, predicate: Callable[[Any], object]) -> None:
        """Remove what the calling actor has under `key` with a value for which `predicate` holds."""
        self._registry.withdraw(_caller("unregister_match"), key, predicate)

    def unregister_actor(self, ref: Ref, key: Any) -> None:
        """As `unregister`, for another actor; from any thread."""
        _runtime.refuse_zombie()
        self._registry.withdraw(ref._cell, key, None)

    def update_value(self, key: Any, function: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Replace the calling actor's value by ``function(value)``; return the new one and the old one.

        Raises:
            NotRegisteredError: the calling actor does not have the key.
            OptionError: the keys are not unique.
        """
        return self._registry.update(_caller("update_value"), key, function)

    # -- for everybody ---------------------------------------------------------------

    def whereis(self, key: Any) -> Ref | None:
        """Return the actor that has a unique key, or None.

        Raises:
            OptionError: the keys are not unique.
        """
        registry = self._registry
        registry.must_be_unique("whereis")
        return next((row.owner.ref for row in registry.under(key)), None)

    def lookup(self, key: Any) -> list[tuple[Ref, Any]]:
        """Return each live actor under `key` with its value, in the order in which they registered."""
        return [(row.owner.ref, row.value) for row in self._registry.under(key)]

    @calls_out
    def match(self, key: Any, predicate: Callable[[Any], object]) -> list[tuple[Ref, Any]]:
        """Return what `lookup` does, where ``predicate(value)`` holds."""
        return [(ref, value) for ref, value in self.lookup(key) if predicate(value)]

    @calls_out
    def dispatch(self, key: Any, function: Callable[[list[tuple[Ref, Any]]], object]) -> None:
        """Run `function` in the caller with what `lookup` returns, unless that is empty."""
        entries = self.lookup(key)
        if entries:
            function(entries)

    def keys(self, ref: Ref) -> list[Any]:
        """Return the keys of an actor, each as often as it is registered under it."""
        return [row.key for row in self._registry.of(ref._cell)]

    def values(self, key: Any, ref: Ref) -> list[Any]:
        """Return the values that an actor has under `key`."""
        return [row.value for row in self._registry.of(ref._cell) if row.key == key]

    @calls_out
    def select(
        self, predicate: Callable[[Any, Ref, Any], object] = lambda _key, _ref, _value: True
    ) -> list[tuple[Any, Ref, Any]]:
        """Return ``(key, ref, value)`` of every entry for which ``predicate(key, ref, value)`` holds."""
        rows = ((row.key, row.owner.ref, row.value) for row in self._registry.all())
        return [row for row in rows if predicate(*row)]

    def count(self) -> int:
        """Return how many entries there are."""
        return self._registry.count()

    def count_match(self, key: Any, predicate: Callable[[Any], object] = lambda _value: True) -> int:
        """Return how many entries `match` finds."""
        return len(self.match(key, predicate))

    def count_select(self, predicate: Callable[[Any, Ref, Any], object]) -> int:
        """Return how many entries `select` finds."""
        return len(self.select(predicate))

    @calls_out
    def lock(self, key: Any, function: Callable[[], T]) -> T:
        """Run `function` in the caller while nobody else does so under `key`; return its result.

        Lock keys are apart from the keys of entries; who comes first is first.
        An actor that is abandoned inside `function` loses the lock.

        Raises:
            ActorError: the caller holds this lock already and would wait for itself.
        """
        cell = _runtime.current_cell()
        claim = _Claim(key, threading.current_thread() if cell is None else cell)
        try:
            self.call(("lock", claim), None)
            return function()
        finally:
            self.send(_unlock, claim)

    @property
    def _registry(self) -> Registry:
        registry = self._cell.actor
        assert isinstance(registry, Registry)
        if self._cell.dead:
            raise ActorExitError(str(self), NOPROC)
        return registry


_KEYS = one_of("unique", "duplicate")


def _checked_listeners(listeners: Any) -> tuple[Ref | object, ...]:
    """Refs, and what can be names."""
    if isinstance(listeners, (str, bytes, Ref)) or not isinstance(listeners, Iterable):
        raise OptionError("listeners", f"is {shown(listeners)}; allowed is a list of refs and names")
    found = tuple(listeners)
    for listener in found:
        if not has_hash(listener):
            problem = f"has {shown(listener)}; allowed are refs and names, which have a hash"
            raise OptionError("listeners", problem)
    return found


class Registry(Server):
    """Actors under keys, found by anybody; entries go with their owners.

    Source: https://hexdocs.pm/elixir/Registry.html . There are no partitions:
    a table that readers do not lock needs none.
    """

    trap_exit = True
    ref_class = RegistryRef

    def init(
        self, *, keys: Literal["unique", "duplicate"] = "unique", listeners: Iterable[Ref | object] = ()
    ) -> None:
        """Start without entries.

        Args:
            keys: ``"unique"``, one actor a key, or ``"duplicate"``, any number.
            listeners: actors that get `Registered` and `Unregistered`; a name is looked up each time,
                so that it may be the one of a supervised actor.
        """
        _KEYS.check("keys", keys)
        self._table: Registrations[Cell] = Registrations(keys == "unique")
        self._owners: dict[Cell, _Ownership] = {}
        self._listeners = _checked_listeners(listeners)
        self._news: deque[Registered | Unregistered] = deque()
        # Reentrant: the collector may run a finalizer that uses actors at any place.
        self._news_lock = threading.RLock()
        self._locks: LockQueue[_Claim] = LockQueue()

    @classmethod
    def start(cls, *args: Any, name: object = None, **kwargs: Any) -> RegistryRef:
        """As `Server.start`, with the arguments of `init`."""
        ref = super().start(*args, name=name, **kwargs)
        assert isinstance(ref, RegistryRef)
        return ref

    @classmethod
    def start_link(cls, *args: Any, name: object = None, **kwargs: Any) -> RegistryRef:
        """As `Server.start_link`, with the arguments of `init`."""
        ref = super().start_link(*args, name=name, **kwargs)
        assert isinstance(ref, RegistryRef)
        return ref

    # -- writers: any thread ------------------------------------------------------

    def add(self, owner: Cell, key: Any, value: Any) -> None:
        """Register `owner`."""
        with _life.lock:
            for cell in (self._cell, owner):
                if cell.dead:
                    raise ActorExitError(cell.describe(), NOPROC)
            count = len(self._table)
            row = self._table.register(key, owner, value)
            new = len(self._table) > count
            if new:
                self._own(owner)
                self._note(Registered(self._cell.ref, key, owner.ref, value))
        if not new:
            raise NameTakenError(key, row.owner.describe(), row.owner.ref)
        self.announce()

    def _own(self, owner: Cell) -> None:
        """Hold on to an owner from its first entry on. The lock is held."""
        if owner in self._owners:
            return
        linked = owner is not self._cell and self._cell not in (owner.links or ())
        ownership = self._owners[owner] = _Ownership(self, owner, linked)
        if owner.monitors is None:
            owner.monitors = {}
        owner.monitors[ownership.id] = ownership
        if self._cell.watching is None:
            self._cell.watching = set()
        self._cell.watching.add(ownership)
        if linked:
            owner.link(self._cell)

    def withdraw(self, owner: Cell, key: Any, predicate: Callable[[Any], object] | None) -> None:
        """Unregister what `owner` has under `key`, or that of it for which `predicate` holds."""
        rows = [row for row in self._table.of(owner) if row.key == key]
        if predicate is not None:
            rows = [row for row in rows if predicate(row.value)]
        with _life.lock:
            self._remove(rows)
            ownership = self._owners.get(owner)
            if ownership is not None and not self._table.of(owner):
                ownership.cancel()
                if ownership.linked:
                    owner.unlink(self._cell)
        self.announce()

    def update(self, owner: Cell, key: Any, function: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Replace the value of a unique key."""
        self.must_be_unique("update_value")
        row = next((row for row in self._table.under(key) if row.owner is owner), None)
        value = None if row is None else function(row.value)
        with _life.lock:
            new = None if row is None else self._table.replace(row, value)
        if row is None or new is None:
            raise NotRegisteredError(key, owner.describe())
        return value, row.value

    def owner_died(self, owner: Cell) -> None:
        """Remove the entries of an owner, in the moment of its death. The lock is held."""
        if self._owners.pop(owner, None) is not None:
            self._remove(self._table.of(owner))

    def _remove(self, rows: Iterable[Row]) -> None:
        for row in self._table.remove(rows):
            self._note(Unregistered(self._cell.ref, row.key, row.owner.ref))

    def _note(self, event: Registered | Unregistered) -> None:
        if self._listeners:
            self._news.append(event)

    def announce(self) -> None:
        """Tell the listeners what has changed, in the order of the changes."""
        if not self._news:
            return
        with self._news_lock:
            while self._news:
                event = self._news.popleft()
                for listener in self._listeners:
                    ref = listener if isinstance(listener, Ref) else whereis(listener)
                    # A listener that is full misses the event; the registry must not pay for it.
                    with contextlib.suppress(MailboxFullError):
                        if ref is not None:
                            ref.info(event)

    # -- readers: any thread ------------------------------------------------------

    def under(self, key: Any) -> list[Row]:
        """Return the entries of live actors under a key."""
        return [row for row in self._table.under(key) if not row.owner.dead]

    def of(self, owner: Cell) -> list[Row]:
        """Return the entries of an actor, none if it is dead."""
        return [] if owner.dead else self._table.of(owner)

    def all(self) -> list[Row]:
        """Return the entries of all live actors."""
        return [row for row in self._table.all() if not row.owner.dead]

    def count(self) -> int:
        """Return how many entries there are."""
        return len(self._table)

    def must_be_unique(self, method: str) -> None:
        """Refuse what makes no sense with duplicate keys."""
        if not self._table.unique:
            raise OptionError(
                "keys", f"is 'duplicate'; {method} needs unique keys", where=self._cell.describe()
            )

    # -- the actor: locks -------------------------------------------------------------

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Serve `RegistryRef.lock`."""
        match request:
            case ("lock", _Claim() as claim):
                return self._lock(claim, sender)
        return Failure(ValueError(f"{self.ref} does not know the request {request!r:.200}"))

    def _lock(self, claim: _Claim, sender: Request) -> Any:
        try:
            hash(claim.key)
        except Exception as error:  # noqa: BLE001 - the caller's mistake, which costs the others nothing
            return Failure(without_frames(error))
        holder = self._locks.holder(claim.key)
        if holder is not None and holder.who is claim.who:
            return Failure(ActorError(f"the caller holds the lock {claim.key!r} of {self.ref} already"))
        if isinstance(claim.who, Cell):
            claim.monitor = claim.who.monitor(self._cell)
        claim.sender = sender
        return None if self._locks.acquire(claim.key, claim) else NO_REPLY

    def unlock(self, claim: _Claim) -> None:
        """Give a lock back, or a place in its queue."""
        if claim.monitor is not None:
            claim.monitor.cancel()
        following = self._locks.release(claim)
        if following is not None and following.sender is not None:
            following.sender.reply()

    def handle_info(self, message: Any) -> None:
        """Free the locks of an actor that has ended; the exits of owners say nothing new."""
        if isinstance(message, Down):
            for claim in self._locks.claims():
                if claim.monitor is message.monitor:
                    self.unlock(claim)
        elif not isinstance(message, Exit):
            super().handle_info(message)


class _Ownership(Monitor):
    """The registry's hold on one owner, for as long as it has entries."""

    __slots__ = ("_owner", "_registry", "linked")

    def __init__(self, registry: Registry, owner: Cell, linked: bool) -> None:
        super().__init__(registry._cell, owner)
        self._registry = registry
        self._owner = owner
        self.linked = linked
        """Whether the link between the two was made for this."""

    def forget(self) -> None:
        """The owner has died, or has no entries any more. The lock is held."""
        super().forget()
        self._registry.owner_died(self._owner)

    def deliver(self, ref: Ref, reason: Any) -> None:
        """The owner has died and the lock is free: the listeners may be told."""
        self._registry.announce()


class _Claim:
    """One call of `RegistryRef.lock`."""

    __slots__ = ("key", "monitor", "sender", "who")

    def __init__(self, key: Any, who: Cell | threading.Thread) -> None:
        self.key = key
        self.who = who
        self.sender: Request | None = None
        self.monitor: Monitor | None = None


def _unlock(registry: Registry, claim: _Claim) -> None:
    registry.unlock(claim)


def _caller(method: str) -> Cell:
    cell = _runtime.current_cell()
    if cell is None:
        msg = f"{method} is for the calling actor and this is a plain thread; say which one: register_actor"
        raise ActorError(msg)
    _runtime.refuse_zombie()
    return cell
