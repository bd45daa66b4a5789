"""Who is registered under which key, in a registry of unique or of duplicate keys.

Writers take turns: the registry has a lock for them, under which no code of
any key runs (see `KeyTable`). Readers need none: what they copy is one dict,
and a registration never changes, it is replaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import attrs

from slither_actors.core._key_table import KeyPlace, KeySlot, KeyTable

__all__ = ["Registration", "RegistrationPlace", "Registrations"]

O = TypeVar("O")  # noqa: E741 - an owner


@attrs.define(eq=False)  # frozen would double the time to make one
class Registration(Generic[O]):
    """One owner under one key. Never changed."""

    serial: int
    """Counts up in the order in which the registry registered."""

    key: Any
    owner: O
    value: Any
    slot: KeySlot[dict[int, Registration[O]]] = attrs.field(repr=False)
    """The place of the key, with all that is under it."""


RegistrationPlace = KeyPlace[dict[int, Registration[O]]]
"""Where a key is, or would be."""


@attrs.define
class Registrations(Generic[O]):
    """The table of one registry, by key and by owner."""

    unique: bool
    """Whether a key has one owner at most, who has it once."""

    _all: dict[int, Registration[O]] = attrs.field(factory=dict, init=False)
    _by_key: KeyTable[dict[int, Registration[O]]] = attrs.field(factory=KeyTable, init=False)
    _by_owner: dict[O, dict[int, Registration[O]]] = attrs.field(factory=dict, init=False)
    _next: Callable[[], int] = attrs.field(init=False)

    @_next.default
    def _count_from_zero(self) -> Callable[[], int]:
        return itertools.count().__next__

    # -- readers -------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._all)

    def all(self) -> list[Registration[O]]:
        """Return every registration, the oldest first."""
        return list(self._all.values())

    def under(self, key: Any) -> list[Registration[O]]:
        """Return the registrations of a key, the oldest first."""
        slot = self._by_key.get(key)
        return [] if slot is None else list(slot.content.values())

    def place(self, key: Any, before: RegistrationPlace[O] | None = None) -> RegistrationPlace[O]:
        """Look for a key that is to be registered: what follows under the lock runs no code of it.

        Args:
            key: raises what its hash or a comparison raises.
            before: the place that `register` has refused.
        """
        return self._by_key.find(key, before)

    def at(self, place: RegistrationPlace[O], owner: O) -> list[Registration[O]]:
        """Return the registrations of an owner at a place, the oldest first."""
        return [each for each in self.of(owner) if each.slot is place.slot]

    def of(self, owner: O) -> list[Registration[O]]:
        """Return the registrations of an owner, the oldest first."""
        found = self._by_owner.get(owner)
        return [] if found is None else list(found.values())

    # -- writers -------------------------------------------------------------

    def register(self, place: RegistrationPlace[O], owner: O, value: Any) -> Registration[O] | None:
        """Add a registration and return it; or return the one that has the unique key.

        None if the place is not valid any more, and has to be looked for again.
        """
        if not self._by_key.is_valid(place):
            return None
        slot = place.slot
        if slot is None:
            slot = self._by_key.insert(place, {})
        elif self.unique:
            return next(iter(slot.content.values()))
        new = Registration(self._next(), place.key, owner, value, slot)
        self._put(new)
        return new

    def replace(self, old: Registration[O], value: Any) -> Registration[O] | None:
        """Give a registration another value; None if it is gone or was replaced already."""
        if self._all.get(old.serial) is not old:
            return None
        new = attrs.evolve(old, value=value)
        self._put(new)
        return new

    def remove(self, registrations: Iterable[Registration[O]]) -> list[Registration[O]]:
        """Remove what is still there of these, and return it."""
        removed = []
        for each in registrations:
            there = self._all.pop(each.serial, None)
            if there is not None:
                self._take(there)
                removed.append(there)
        return removed

    def _put(self, registration: Registration[O]) -> None:
        serial = registration.serial
        self._all[serial] = registration
        registration.slot.content[serial] = registration
        self._by_owner.setdefault(registration.owner, {})[serial] = registration

    def _take(self, registration: Registration[O]) -> None:
        serial, slot, owned = registration.serial, registration.slot, self._by_owner[registration.owner]
        del slot.content[serial], owned[serial]
        if not slot.content:
            self._by_key.remove(slot)
        if not owned:
            del self._by_owner[registration.owner]
