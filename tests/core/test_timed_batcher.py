"""Batchers whose unfinished batches go after some time. Time is what the test says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import BatchingError, FixedBatcher, KeyBatcher, TimedBatcher, WeightedBatcher
from slither_actors.errors import OptionError


def timed(batch_timeout: float = 10.0, size: int = 3) -> TimedBatcher[int]:
    return TimedBatcher(FixedBatcher(size), batch_timeout)


def test_an_unfinished_batch_goes_when_its_first_item_has_waited_long_enough() -> None:
    """The second item does not prolong that."""
    batcher = timed()
    assert batcher.tick(100.0, 1) == []
    batcher.add([1])
    assert batcher.tick(105.0, 1) == []
    batcher.add([2])
    assert batcher.due == 110.0
    assert batcher.tick(109.9, 1) == []
    assert batcher.tick(110.0, 1) == [[1, 2]]
    assert batcher.due is None


def test_without_room_it_is_filled_further() -> None:
    """A batch that could not start anyway would better be full."""
    batcher = timed()
    batcher.tick(0.0, 1)
    batcher.add([1])
    assert batcher.tick(20.0, 0) == []
    assert batcher.add([2, 3, 4]) == [[1, 2, 3]]
    assert batcher.due == 30.0
    assert batcher.pending == 1


def test_what_is_left_of_a_full_batch_begins_to_wait_anew() -> None:
    """It came with the last items."""
    batcher = timed()
    batcher.tick(0.0, 1)
    batcher.add([1, 2])
    batcher.tick(5.0, 1)
    assert batcher.add([3, 4]) == [[1, 2, 3]]
    assert batcher.due == 15.0


def test_a_batch_that_is_just_full_leaves_no_time() -> None:
    """There is nothing to look for."""
    batcher = timed()
    batcher.add([1, 2, 3])
    assert batcher.due is None
    batcher.add([1])
    batcher.flush()
    assert batcher.due is None


def test_an_item_without_a_weight_does_not_stop_the_clock() -> None:
    """Of the others."""
    batcher: TimedBatcher[Any] = TimedBatcher(WeightedBatcher(10, len), 10.0)
    batcher.tick(3.0, 1)
    with pytest.raises(BatchingError):
        batcher.add(["a", None, "b"])
    assert batcher.due == 13.0
    assert batcher.pending == 1


def test_the_oldest_key_goes_first_and_no_more_than_there_is_room_for() -> None:
    """Each key has its own time."""
    batcher: KeyBatcher[str] = KeyBatcher(str.lower, 10, 100, batch_timeout=5.0)
    for now, items in [(0.0, "a"), (1.0, "ab"), (2.0, "c")]:
        batcher.tick(now, 0)
        batcher.add(items)
    assert batcher.due == 5.0
    assert batcher.tick(6.5, 1) == [["a", "a"]]
    assert batcher.due == 6.0
    assert batcher.tick(6.5, 5) == [["b"]]
    assert batcher.due == 7.0


def test_a_key_that_went_and_came_back_waits_from_then() -> None:
    """The time of the group before is forgotten."""
    batcher: KeyBatcher[str] = KeyBatcher(str.lower, 2, 100, batch_timeout=5.0)
    batcher.tick(0.0, 1)
    batcher.add("aa")
    assert batcher.due is None
    batcher.tick(3.0, 1)
    batcher.add("a")
    assert batcher.due == 8.0


def test_times_of_keys_that_are_gone_do_not_pile_up() -> None:
    """One old key holds the others' entries, up to a bound."""
    batcher: KeyBatcher[int] = KeyBatcher(lambda item: item, 1 << 20, 1 << 20, batch_timeout=5.0)
    batcher.max_pending = 20
    batcher.batch_size = 2
    batcher.add([-1])
    for key in range(1000):
        batcher.add([key, key])
    assert len(batcher._times) <= 2 * 20 + 1


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), True, "1"])
def test_a_wrong_timeout_is_refused(value: Any) -> None:
    """By its name."""
    for make in (lambda: timed(value), lambda: KeyBatcher(len, 1, 1, batch_timeout=value)):
        with pytest.raises(OptionError, match="batch_timeout"):
            make()


class _Clocked(RuleBasedStateMachine):
    """Items come and time passes, as it likes."""

    batcher: Any
    keys = 1

    def start(self) -> None:
        self.now = 0.0
        self.number = 0
        self.came: dict[int, float] = {}
        self.out: list[list[int]] = []

    def key(self, item: int) -> int:
        return item % self.keys

    @rule(seconds=st.floats(0, 4), room=st.integers(0, 3))
    def pass_time(self, seconds: float, room: int) -> None:
        self.now += seconds
        before = {item for item in self.came if not self.is_out(item)}
        batches = self.batcher.tick(self.now, room)
        assert len(batches) <= room
        for batch in batches:
            assert self.now - self.came[batch[0]] >= 10.0
        self.out += batches
        if len(batches) < room:  # nothing is left that has waited long enough
            left = [item for item in before if not self.is_out(item)]
            assert all(self.now - self.came[item] < 10.0 for item in left)

    def is_out(self, item: int) -> bool:
        return any(item in batch for batch in self.out)

    @rule(count=st.integers(0, 12))
    def add(self, count: int) -> None:
        items = list(range(self.number, self.number + count))
        self.number += count
        self.batcher.tick(self.now, 0)
        self.came |= dict.fromkeys(items, self.now)
        self.out += self.batcher.add(items)

    @rule()
    def flush(self) -> None:
        self.out += self.batcher.flush()
        assert self.batcher.pending == 0
        assert self.batcher.due is None

    @invariant()
    def nothing_is_lost_and_each_key_is_in_order(self) -> None:
        found = [item for batch in self.out for item in batch]
        assert len(found) + self.batcher.pending == self.number
        assert all(batch for batch in self.out)
        for key in range(self.keys):
            items = [item for item in found if self.key(item) == key]
            assert items == sorted(set(items))

    @invariant()
    def it_is_due_when_the_oldest_item_is(self) -> None:
        held = [self.came[item] for item in self.came if not self.is_out(item)]
        if held:
            assert self.batcher.due == min(held) + 10.0
            assert self.batcher.wanted(1) >= 1
        else:
            assert self.batcher.due is None


class TimedMachine(_Clocked):
    @initialize(size=st.integers(1, 8))
    def make(self, size: int) -> None:
        self.start()
        self.batcher = TimedBatcher(FixedBatcher(size), 10.0)


class TimedWeightMachine(_Clocked):
    @initialize(limit=st.integers(1, 20), most=st.integers(1, 8))
    def make(self, limit: int, most: int) -> None:
        self.start()
        weighted: WeightedBatcher[int] = WeightedBatcher(limit, lambda item: item % 7, max_items=most)
        self.batcher = TimedBatcher(weighted, 10.0)


class TimedKeyMachine(_Clocked):
    keys = 3

    @initialize(size=st.integers(1, 6), more=st.integers(0, 12))
    def make(self, size: int, more: int) -> None:
        self.start()
        self.batcher = KeyBatcher(self.key, size, size + more, batch_timeout=10.0)


TestTimedMachine = TimedMachine.TestCase
TestTimedWeightMachine = TimedWeightMachine.TestCase
TestTimedKeyMachine = TimedKeyMachine.TestCase
