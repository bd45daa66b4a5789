"""Who is registered under which key, in a registry of unique or of duplicate keys.

Writers take turns: the registry has a lock for them. Readers need none: what
they copy is one dict, and a registration never changes, it is replaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import attrs

__all__ = ["Registration", "Registrations"]

O = TypeVar("O")  # noqa: E741 - an owner


@attrs.frozen(eq=False)
class Registration(Generic[O]):
    """One owner under one key."""

    serial: int
    """Counts up in the order in which the registry registered."""

    key: Any
    owner: O
    value: Any


@attrs.define
class Registrations(Generic[O]):
    """The table of one registry, by key and by owner."""

    unique: bool
    """Whether a key has one owner at most, who has it once."""

    _all: dict[int, Registration[O]] = attrs.field(factory=dict, init=False)
    _by_key: dict[Any, dict[int, Registration[O]]] = attrs.field(factory=dict, init=False)
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
        found = self._by_key.get(key)
        return [] if found is None else list(found.values())

    def of(self, owner: O) -> list[Registration[O]]:
        """Return the registrations of an owner, the oldest first."""
        found = self._by_owner.get(owner)
        return [] if found is None else list(found.values())

    # -- writers -------------------------------------------------------------

    def register(self, key: Any, owner: O, value: Any) -> Registration[O]:
        """Add a registration and return it; or return the one that has the unique key."""
        taken = self._by_key.get(key)
        if taken and self.unique:
            return next(iter(taken.values()))
        new = Registration(self._next(), key, owner, value)
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
                _take(self._by_key, there.key, there.serial)
                _take(self._by_owner, there.owner, there.serial)
                removed.append(there)
        return removed

    def _put(self, registration: Registration[O]) -> None:
        serial = registration.serial
        self._all[serial] = registration
        self._by_key.setdefault(registration.key, {})[serial] = registration
        self._by_owner.setdefault(registration.owner, {})[serial] = registration


def _take(index: dict[Any, dict[int, Registration[O]]], place: Any, serial: int) -> None:
    entries = index[place]
    del entries[serial]
    if not entries:
        del index[place]
