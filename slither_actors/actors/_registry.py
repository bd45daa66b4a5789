"""The registry: actors under keys, each with a value, until they end.

Registering, unregistering and the end of an owner change the table under the
lock that also decides who is alive. So an owner's entries go at the moment at
which it dies, before anybody is told of that, and a dead actor never gets
any. Readers take no lock and send no message.

An owner is linked to the registry: a registry that crashes takes its owners
with it, because their entries are lost and only a restart brings them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from slither_actors.actors import _life
from slither_actors.actors._cell import Cell
from slither_actors.actors._listeners import Listeners, Registered, Unregistered
from slither_actors.actors._monitor import Monitor
from slither_actors.actors._reasons import NOPROC, Down, Exit
from slither_actors.actors._ref import Ref
from slither_actors.actors._registry_locks import Claim, RegistryLocks
from slither_actors.actors._registry_ref import RegistryRef
from slither_actors.actors._request import Failure, Request
from slither_actors.actors._typed_start import TypedStart
from slither_actors.config import one_of
from slither_actors.core import Registration, RegistrationPlace, Registrations
from slither_actors.errors import ActorExitError, NameTakenError, NotRegisteredError, OptionError

__all__ = ["Registry"]

Row = Registration[Cell]


_KEYS = one_of("unique", "duplicate")


class Registry(TypedStart):
    """Actors under keys, found by anybody; entries go with their owners.

    Source: https://hexdocs.pm/elixir/Registry.html . There are no partitions:
    a table that readers do not lock needs none.
    """

    trap_exit = True
    ref_class: ClassVar[type[RegistryRef]] = RegistryRef

    def init(
        self, *, keys: Literal["unique", "duplicate"] = "unique", listeners: Iterable[Ref | object] = ()
    ) -> None:
        """Start without entries.

        Args:
            keys: ``"unique"``, one actor a key, or ``"duplicate"``, any number.
            listeners: actors that get `Registered` and `Unregistered`; a name is looked up each time,
                so that it may be the one of a supervised actor. A full mailbox lets these messages in:
                nobody ever waits for a listener, and none misses any.
        """
        _KEYS.check("keys", keys)
        self._table: Registrations[Cell] = Registrations(keys == "unique")
        self._owners: dict[Cell, _Ownership] = {}
        self._listeners = Listeners(listeners)
        self._locks = RegistryLocks(self._cell)

    # -- writers: any thread ------------------------------------------------------

    def add(self, owner: Cell, key: Any, value: Any) -> None:
        """Register `owner`."""
        place, row, new = None, None, False
        while row is None:
            place = self._table.place(key, place)  # before the lock: code of the key runs
            with _life.lock:
                dead = self._cell if self._cell.dead else owner if owner.dead else None
                if dead is None:
                    row, new = self._enter(place, owner, value)
            if dead is not None:
                raise ActorExitError(dead.describe(), NOPROC)
        if not new:
            raise NameTakenError(key, row.owner.describe(), row.owner.ref)
        self._listeners.tell()

    def _enter(self, place: RegistrationPlace[Cell], owner: Cell, value: Any) -> tuple[Row | None, bool]:
        """Return the entry of a place, and whether it is new. The lock is held."""
        count = len(self._table)
        row = self._table.register(place, owner, value)
        new = len(self._table) > count
        if new:
            self._own(owner)
            self._listeners.note(Registered(self._cell.ref, place.key, owner.ref, value))
        return row, new

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
        rows = self._table.at(self._table.place(key), owner)
        if predicate is not None:
            rows = [row for row in rows if predicate(row.value)]
        with _life.lock:
            self._remove(rows)
            ownership = self._owners.get(owner)
            if ownership is not None and not self._table.of(owner):
                ownership.cancel()
                if ownership.linked:
                    owner.unlink(self._cell)
        self._listeners.tell()

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

    def owner_died(self, owner: Cell) -> list[Row]:
        """Remove the entries of an owner, in the moment of its death, and return them. The lock is held."""
        if self._owners.pop(owner, None) is None:
            return []
        rows = self._table.of(owner)
        self._remove(rows)
        return rows

    def _remove(self, rows: Iterable[Row]) -> None:
        for row in self._table.remove(rows):
            self._listeners.note(Unregistered(self._cell.ref, row.key, row.owner.ref))

    def tell_listeners(self) -> None:
        """Send the news that there are."""
        self._listeners.tell()

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
        # An owner is dead a moment before its entries are gone, both under the lock.
        with _life.lock:
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
            case ("lock", Claim() as claim):
                return self._locks.acquire(claim, sender)
        return Failure(ValueError(f"{self.ref} does not know the request {request!r:.200}"))

    def unlock(self, claim: Claim) -> None:
        """Give a lock back, or a place in its queue."""
        self._locks.release(claim)

    def handle_info(self, message: Any) -> None:
        """Free the locks of an actor that has ended; the exits of owners say nothing new."""
        if isinstance(message, Down):
            self._locks.release_of(message)
        elif not isinstance(message, Exit):
            super().handle_info(message)


class _Ownership(Monitor):
    """The registry's hold on one owner, for as long as it has entries."""

    __slots__ = ("_gone", "_owner", "_registry", "linked")

    def __init__(self, registry: Registry, owner: Cell, linked: bool) -> None:
        super().__init__(registry._cell, owner)
        self._registry = registry
        self._owner = owner
        self.linked = linked
        """Whether the link between the two was made for this."""

    def forget(self) -> None:
        """The owner has died, or has no entries any more. The lock is held."""
        super().forget()
        # Kept until the lock is free: the last reference to a value may run its finalizer.
        self._gone = self._registry.owner_died(self._owner)

    def deliver(self, ref: Ref, reason: Any) -> None:
        """The owner has died and the lock is free: the listeners may be told."""
        self._registry.tell_listeners()
