"""The order of an ordered table's keys, where they have none."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.store._ordered_rows import OrderedRows


class Key:
    """Compares until it is told not to."""

    fails = False

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number

    def __lt__(self, other: Key) -> bool:
        if Key.fails:
            raise ZeroDivisionError
        return self.number < other.number


def test_a_key_that_fails_to_compare_is_not_half_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row stays, and there is one of it once it is put again."""
    rows = OrderedRows({Key(number): number for number in range(3)})
    monkeypatch.setattr(Key, "fails", True)
    with pytest.raises(ZeroDivisionError):
        rows.remove(Key(1))
    monkeypatch.setattr(Key, "fails", False)
    assert rows.get(Key(1)) == 1
    rows.put(Key(1), 7)
    assert [value for _, value in rows.range(Key(0), Key(9), (True, True), False, None)] == [0, 7, 2]


@pytest.mark.parametrize(
    "keys",
    [
        [frozenset(part) for part in ("a", "b", "ab", "c", "bc", "abc", "")],
        [(float("nan"), 1), (2.0, 1), (1.0, 1), (0.5, 1), (float("nan"), 0)],
    ],
    ids=["sets", "NaN in a tuple"],
)
def test_keys_without_one_order_do_not_remove_each_other(keys: list[Any]) -> None:
    """Their order means nothing, but each row that is there is found."""
    for gone in keys:
        rows = OrderedRows(dict.fromkeys(keys, 1))
        rows.remove(gone)
        assert set(rows.snapshot()) == set(rows.live) == set(keys) - {gone}
