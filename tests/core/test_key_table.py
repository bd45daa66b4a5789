"""A table whose keys are compared before its lock is taken."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.core import KeyTable


class Key:
    """A key that counts what is asked of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hashed = 0
        self.compared: list[Any] = []

    def __hash__(self) -> int:
        self.hashed += 1
        return 1

    def __eq__(self, other: object) -> bool:
        self.compared.append(other)
        return isinstance(other, Key) and other.text == self.text


def test_writing_asks_the_key_nothing() -> None:
    """Its hash and its comparisons are over when the lock is taken."""
    table: KeyTable[int] = KeyTable()
    one, two = Key("one"), Key("two")
    table.insert(table.find(one), 1)
    place = table.find(two)
    asked = [(key.hashed, [*key.compared]) for key in (one, two)]
    assert table.is_valid(place)
    slot = table.insert(place, 2)
    table.remove(slot)
    assert [(key.hashed, key.compared) for key in (one, two)] == asked
    assert [slot.content for slot in table.slots()] == [1]


def test_a_place_is_looked_for_again_if_another_came() -> None:
    """And compared with the new one only, its hash being known."""
    table: KeyTable[int] = KeyTable()
    old, key, new = Key("old"), Key("key"), Key("new")
    table.insert(table.find(old), 0)
    place = table.find(key)
    table.insert(table.find(new), 1)
    assert not table.is_valid(place)
    old.compared.clear(), new.compared.clear()
    again = table.find(key, place)
    assert table.is_valid(again)
    assert (old.compared, new.compared, key.hashed) == ([], [key], 1)


def test_a_place_is_looked_for_again_if_the_key_has_gone() -> None:
    """What was found is not there any more."""
    table: KeyTable[int] = KeyTable()
    slot = table.insert(table.find("key"), 0)
    place = table.find("key")
    assert place.slot is slot
    table.remove(slot)
    assert not table.is_valid(place)
    assert table.find("key", place).slot is None
    assert len(table) == 0


@pytest.mark.parametrize(
    "pair", [(1, 1.0), (True, 1), ("a", type("Text", (str,), {})("a")), ((1, "x"), (1.0, "x"))]
)
def test_equal_keys_are_one(pair: tuple[Any, Any]) -> None:
    """As in a dict."""
    for one, other in (pair, pair[::-1]):
        table: KeyTable[int] = KeyTable()
        slot = table.insert(table.find(one), 0)
        assert table.get(other) is slot


def test_a_key_that_is_unequal_to_itself_is_found() -> None:
    """As in a dict: identity comes first."""
    table: KeyTable[int] = KeyTable()
    key = float("nan")
    slot = table.insert(table.find(key), 0)
    assert table.get(key) is slot
