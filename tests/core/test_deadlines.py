"""When rows end."""

from __future__ import annotations

import math

from slither_actors.core import Deadlines


def due(deadlines: Deadlines, now: float, real: dict[str, float], most: int = 10) -> list[str]:
    return deadlines.due(now, lambda key: real.get(key, math.inf), most)


def test_keys_are_due_in_the_order_of_their_deadlines() -> None:
    """At most as many as asked for; the rest is due at once."""
    real = {"a": 3.0, "b": 1.0, "c": 2.0}
    deadlines = Deadlines()
    for key, at in real.items():
        deadlines.set(key, at)
    assert deadlines.earliest == 1.0
    assert due(deadlines, 0.5, real) == []
    assert due(deadlines, 3.0, real, most=2) == ["b", "c"]
    assert due(deadlines, 3.0, real) == ["a"]
    assert deadlines.earliest == math.inf


def test_a_row_that_is_written_all_the_time_has_one_entry() -> None:
    """Its deadline is looked up when the first one has come."""
    deadlines = Deadlines()
    for at in range(1, 10_000):
        deadlines.set("a", at)
    assert len(deadlines._heap) == 1
    assert due(deadlines, 5.0, {"a": 9999.0}) == []
    assert deadlines.earliest == 9999.0


def test_a_deadline_may_be_moved_forward() -> None:
    """The row is due then, and not once more later."""
    deadlines = Deadlines()
    deadlines.set("a", 100.0)
    deadlines.set("a", 1.0)
    assert due(deadlines, 1.0, {"a": 1.0}) == ["a"]
    assert due(deadlines, 100.0, {"a": 200.0}) == []


def test_discarded_rows_do_not_pile_up() -> None:
    """Rows that come and go before they end."""
    deadlines = Deadlines()
    for number in range(10_000):
        deadlines.set(number, 1e6 + number)
        deadlines.discard(number)
    assert len(deadlines._heap) <= 65
    assert deadlines.due(1e9, lambda _: 0.0, 100) == []


def test_keys_need_not_be_comparable() -> None:
    """Two that end at the same time."""
    deadlines = Deadlines()
    for key in ("a", 1, None):
        deadlines.set(key, 5.0)
    assert deadlines.due(5.0, lambda _: 5.0, 10) == ["a", 1, None]
