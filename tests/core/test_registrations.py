"""The table of a registry."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import Registration, Registrations


def register(table: Registrations[int], key: Any, owner: int, value: Any) -> Registration[int]:
    """Look for the key and register there, as one does who is alone."""
    row = table.register(table.place(key), owner, value)
    assert row is not None
    return row


KEYS = st.sampled_from("abc")
OWNERS = st.integers(1, 3)


def test_a_unique_key_is_taken_once() -> None:
    """Who comes second is told who has the key, also if that is itself."""
    table: Registrations[int] = Registrations(unique=True)
    first = register(table, "a", 1, "x")
    assert register(table, "a", 2, "y") is first
    assert register(table, "a", 1, "z") is first
    assert [(r.owner, r.value) for r in table.under("a")] == [(1, "x")]


def test_a_registration_that_was_replaced_cannot_be_replaced_again() -> None:
    """Of two updates that began with the same value, one wins and the other one learns of it."""
    table: Registrations[int] = Registrations(unique=True)
    old = register(table, "a", 1, 0)
    assert table.replace(old, 1) is not None
    assert table.replace(old, 2) is None
    assert table.under("a")[0].value == 1


def test_a_removed_registration_is_not_replaced() -> None:
    """An update does not bring back what its owner has unregistered."""
    table: Registrations[int] = Registrations(unique=False)
    old = register(table, "a", 1, 0)
    table.remove([old])
    assert table.replace(old, 1) is None
    assert len(table) == 0


class RegistrationsMachine(RuleBasedStateMachine):
    """Any order of registrations, updates and removals, against a plain list."""

    @initialize(unique=st.booleans())
    def make(self, unique: bool) -> None:
        self.table: Registrations[int] = Registrations(unique)
        self.model: list[tuple[int, str, int, Any]] = []

    def known(self, registration: Registration[int]) -> tuple[int, str, int, Any]:
        return (registration.serial, registration.key, registration.owner, registration.value)

    @rule(key=KEYS, owner=OWNERS, value=st.integers())
    def register(self, key: str, owner: int, value: int) -> None:
        holder = next((row for row in self.model if row[1] == key), None)
        got = self.known(register(self.table, key, owner, value))
        if holder is not None and self.table.unique:
            assert got == holder
        else:
            assert got[1:] == (key, owner, value)
            self.model.append(got)

    @rule(key=KEYS, owner=OWNERS)
    def unregister(self, key: str, owner: int) -> None:
        mine = self.table.at(self.table.place(key), owner)
        removed = [self.known(r) for r in self.table.remove(mine)]
        assert removed == [row for row in self.model if row[1:3] == (key, owner)]
        self.model = [row for row in self.model if row[1:3] != (key, owner)]

    @rule(owner=OWNERS)
    def owner_ends(self, owner: int) -> None:
        self.table.remove(self.table.of(owner))
        self.model = [row for row in self.model if row[2] != owner]

    @rule(key=KEYS, value=st.integers())
    def update(self, key: str, value: int) -> None:
        for old in self.table.under(key)[:1]:
            new = self.table.replace(old, value)
            assert new is not None
            self.model[self.model.index(self.known(old))] = self.known(new)

    @invariant()
    def every_view_has_the_same_rows_in_the_same_order(self) -> None:
        rows = self.model
        assert [self.known(r) for r in self.table.all()] == rows
        assert len(self.table) == len(rows)
        for key in "abc":
            assert [self.known(r) for r in self.table.under(key)] == [row for row in rows if row[1] == key]
        for owner in (1, 2, 3):
            assert [self.known(r) for r in self.table.of(owner)] == [row for row in rows if row[2] == owner]

    @invariant()
    def nothing_is_kept_of_what_is_gone(self) -> None:
        assert {slot.key for slot in self.table._by_key.slots()} == {row[1] for row in self.model}
        assert set(self.table._by_owner) == {row[2] for row in self.model}

    @invariant()
    def a_unique_key_has_one_owner(self) -> None:
        if self.table.unique:
            assert len({row[1] for row in self.model}) == len(self.model)


TestRegistrationsMachine = RegistrationsMachine.TestCase
