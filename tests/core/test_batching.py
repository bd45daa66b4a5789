"""Batchers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import Batcher, BatchingError, FixedBatcher, KeyBatcher, WeightedBatcher
from slither_actors.errors import OptionError


def batches_of(batcher: Batcher[Any], items: Sequence[Any]) -> list[list[Any]]:
    return batcher.add(items) + batcher.flush()


# -- fixed ---------------------------------------------------------------------


def test_fixed_batches_are_of_one_size_but_the_last() -> None:
    """Whatever the lists in which the items come."""
    batcher: FixedBatcher[int] = FixedBatcher(3)
    assert batcher.add([1, 2]) == []
    assert batcher.add([3, 4, 5, 6, 7]) == [[1, 2, 3], [4, 5, 6]]
    assert batcher.pending == 1
    assert batcher.flush() == [[7]]
    assert batcher.flush() == []


def test_fixed_batches_are_lists_of_their_own() -> None:
    """A tuple or a range is made a list, and what is held is not the caller's list."""
    batcher: FixedBatcher[int] = FixedBatcher(2)
    mine = [1]
    batcher.add(mine)
    mine.clear()
    assert batcher.add(range(2, 5)) == [[1, 2], [3, 4]]
    assert batcher.add((5, 6)) == [[5, 6]]


def test_fixed_wants_just_what_is_missing() -> None:
    """The input is never read further than the room for batches."""
    batcher: FixedBatcher[int] = FixedBatcher(10)
    batcher.add([1, 2, 3])
    assert [batcher.wanted(room) for room in (-1, 0, 1, 3)] == [0, 0, 7, 27]


@given(st.integers(1, 7), st.lists(st.lists(st.integers(), max_size=20)))
def test_fixed_is_cutting_the_whole(size: int, lists: list[list[int]]) -> None:
    """The same batches as if all items had been there at once."""
    batcher: FixedBatcher[int] = FixedBatcher(size)
    batches = [batch for items in lists for batch in batcher.add(items)] + batcher.flush()
    whole = [item for items in lists for item in items]
    assert batches == [whole[at : at + size] for at in range(0, len(whole), size)]


# -- weighted ------------------------------------------------------------------


def test_a_batch_never_weighs_more_than_allowed() -> None:
    """The item that would be too much begins the next batch."""
    batcher = WeightedBatcher(10, len)
    assert batches_of(batcher, ["a" * 4, "b" * 6, "c" * 5, "d" * 6]) == [
        ["a" * 4, "b" * 6],
        ["c" * 5],
        ["d" * 6],
    ]


def test_an_item_above_the_limit_goes_alone() -> None:
    """The batch before it is complete then, and so is its own."""
    batcher = WeightedBatcher(10, len)
    assert batcher.add(["a", "b" * 11]) == [["a"], ["b" * 11]]
    assert batcher.add(["c" * 30]) == [["c" * 30]]
    assert batcher.pending == 0


def test_a_batch_that_weighs_just_the_limit_goes_at_once() -> None:
    """It does not wait for an item that could only begin the next one."""
    assert WeightedBatcher(2, len).add(["a", "b"]) == [["a", "b"]]


def test_items_that_weigh_nothing_are_bounded_in_number() -> None:
    """Else one batch would hold the whole stream."""
    batcher: WeightedBatcher[int] = WeightedBatcher(1, lambda item: 0, max_items=3)
    assert batcher.add([1, 2, 3, 4]) == [[1, 2, 3]]


@pytest.mark.parametrize("weight", [-1, math.nan, "heavy", None])
def test_a_weight_that_is_none_names_the_item(weight: Any) -> None:
    """Negative, not a number, not even one."""
    batcher: WeightedBatcher[str] = WeightedBatcher(10, lambda item: weight)
    with pytest.raises(BatchingError, match="weight function failed: (Value|Type)Error") as caught:
        batcher.add(["only"])
    assert caught.value.item == "only"


def test_an_infinite_weight_goes_alone() -> None:
    """As any weight above the limit; what follows is estimated all the same."""
    batcher: WeightedBatcher[float] = WeightedBatcher(10, lambda item: item)
    assert batcher.add([1, math.inf, 2]) == [[1], [math.inf]]
    assert batcher.wanted(4) == 8


def test_weights_may_be_of_any_number_type() -> None:
    """A decimal weighs what it says."""
    batcher: WeightedBatcher[Any] = WeightedBatcher(1.5, lambda item: item)
    assert batcher.add([Decimal("0.5"), 1, 1.0]) == [[Decimal("0.5"), 1]]


def test_a_failing_weight_loses_nothing() -> None:
    """What was complete, the item and the rest are on the error; the batcher goes on."""

    def weigh(item: int) -> int:
        if item == 4:
            raise ZeroDivisionError("no four")
        return 1

    batcher = WeightedBatcher(2, weigh)
    with pytest.raises(BatchingError, match="ZeroDivisionError: no four") as caught:
        batcher.add([1, 2, 3, 4, 5, 6])
    error = caught.value
    assert (error.batches, error.item, error.rest) == ([[1, 2]], 4, [5, 6])
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert batcher.add(error.rest) == [[3, 5]]
    assert batcher.flush() == [[6]]


def test_weighted_wants_what_fits_by_experience() -> None:
    """One item a batch before it knows better, then as many of the mean weight as there is room for."""
    batcher: WeightedBatcher[int] = WeightedBatcher(100, lambda item: item)
    assert batcher.wanted(4) == 4
    batcher.add([10] * 5)
    assert batcher.wanted(0) == 0
    assert batcher.wanted(1) == 5
    assert batcher.wanted(4) == 35
    batcher.add([99])
    assert batcher.wanted(1) == 1


@given(st.integers(1, 20), st.integers(1, 8), st.lists(st.lists(st.integers(0, 30), max_size=15)))
def test_weighted_is_greedy(limit: int, most: int, lists: list[list[int]]) -> None:
    """Every batch keeps the limits, and could not have taken the next item."""
    batcher: WeightedBatcher[int] = WeightedBatcher(limit, lambda item: item, max_items=most)
    batches = []
    for items in lists:
        batches += batcher.add(items)
        assert batcher.pending < most
        assert 1 <= batcher.wanted(1) <= most
    batches += batcher.flush()
    assert [item for batch in batches for item in batch] == [item for items in lists for item in items]
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or sum(batch) <= limit
    for batch, following in itertools.pairwise(batches):
        assert len(batch) == most or sum(batch) >= limit or sum(batch) + following[0] > limit


# -- by key --------------------------------------------------------------------


def test_a_batch_has_items_of_one_key() -> None:
    """Full groups go at once, the others at the end of the input, in the order in which they were begun."""
    batcher: KeyBatcher[int] = KeyBatcher(lambda item: item % 3, 2, 100)
    assert batcher.add([0, 1, 3, 2, 6, 9]) == [[0, 3], [6, 9]]
    assert batcher.pending == 2
    assert batcher.flush() == [[1], [2]]
    assert batcher.pending == 0


def test_at_the_bound_the_largest_group_goes_early() -> None:
    """So that memory is bounded however many keys there are."""
    batcher: KeyBatcher[str] = KeyBatcher(str.lower, 10, 10)
    assert batcher.add("abbcbd") == []
    assert batcher.add("efgh") == [["b", "b", "b"]]
    assert batcher.pending == 7


def test_of_equal_groups_the_one_begun_first_goes() -> None:
    """It has waited longest, whichever of them grew last."""
    batcher: KeyBatcher[str] = KeyBatcher(str.lower, 5, 5)
    assert batcher.add("abb") == []
    assert batcher.add("ac") == [["a", "a"]]


def test_a_failing_key_loses_nothing() -> None:
    """A key that cannot be hashed is a failing key too."""
    batcher: KeyBatcher[Any] = KeyBatcher(lambda item: item, 2, 10)
    with pytest.raises(BatchingError, match="key function failed: TypeError") as caught:
        batcher.add([1, 1, 2, [], 2])
    error = caught.value
    assert (error.batches, error.item, error.rest) == ([[1, 1]], [], [2])
    assert batcher.add(error.rest) == [[2, 2]]


def test_by_key_wants_whole_batches_up_to_the_bound() -> None:
    """Never more than can be held before a group would have to go early."""
    batcher: KeyBatcher[int] = KeyBatcher(lambda item: item, 10, 25)
    assert [batcher.wanted(room) for room in (0, 1, 2, 9)] == [0, 10, 20, 25]
    batcher.add(range(20))
    assert [batcher.wanted(room) for room in (1, 9)] == [5, 5]


def test_growing_groups_leave_no_trace() -> None:
    """The order of the groups is kept while the bound is near, and does not grow with the stream."""
    batcher: KeyBatcher[int] = KeyBatcher(lambda item: item % 40, 1000, 1000)
    for start in range(0, 50_000, 50):
        batcher.add(range(start, start + 50))
    assert batcher._heap is None or len(batcher._heap) <= 2001


def test_far_from_the_bound_no_order_is_kept() -> None:
    """A stream of few keys does not pay for the bound."""
    batcher: KeyBatcher[str] = KeyBatcher(str.lower, 10, 10)
    assert batcher.add("bbbbbbbbac") == [["b"] * 8]
    assert batcher._heap is None


class KeyMachine(RuleBasedStateMachine):
    """Against groups of which the largest, then oldest, is looked for from the start."""

    @initialize(size=st.integers(1, 6), more=st.integers(0, 12))
    def make(self, size: int, more: int) -> None:
        self.batcher: KeyBatcher[int] = KeyBatcher(lambda item: item % 10, size, size + more)
        self.groups: dict[int, list[int]] = {}
        self.number = 0
        self.out: list[int] = []

    def held(self) -> int:
        return sum(map(len, self.groups.values()))

    @rule(keys=st.lists(st.integers(0, 9), max_size=30))
    def add(self, keys: list[int]) -> None:
        items, expected = [], []
        for key in keys:
            self.number += 10
            items.append(self.number + key)
            self.groups.setdefault(key, []).append(items[-1])
            if len(self.groups[key]) == self.batcher.batch_size:
                expected.append(self.groups.pop(key))
            if self.held() == self.batcher.max_pending:
                # max returns the first of equals, and a dict is in order of insertion.
                largest = max(self.groups, key=lambda key: len(self.groups[key]))
                expected.append(self.groups.pop(largest))
        assert self.batcher.add(items) == expected
        self.out += [item for batch in expected for item in batch]

    @rule()
    def flush(self) -> None:
        expected = list(self.groups.values())
        self.groups.clear()
        assert self.batcher.flush() == expected
        self.out += [item for batch in expected for item in batch]

    @invariant()
    def the_bound_holds(self) -> None:
        assert self.batcher.pending == self.held() < self.batcher.max_pending
        assert 1 <= self.batcher.wanted(1) <= self.batcher.max_pending - self.batcher.pending

    @invariant()
    def the_order_within_a_key_is_that_of_the_input(self) -> None:
        for key in range(10):
            items = [item for item in self.out if item % 10 == key]
            assert items == sorted(set(items))


TestKeyMachine = KeyMachine.TestCase


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: FixedBatcher(0), "batch_size"),
        (lambda: FixedBatcher(True), "batch_size"),
        (lambda: WeightedBatcher(0, len), "max_weight"),
        (lambda: WeightedBatcher(math.nan, len), "max_weight"),
        (lambda: WeightedBatcher(10**400, len), "max_weight"),
        (lambda: WeightedBatcher(1, len, max_items=0), "max_items"),
        (lambda: KeyBatcher(len, 0, 10), "batch_size"),
        (lambda: KeyBatcher(len, 10, 9), "max_pending"),
    ],
)
def test_a_wrong_option_is_named(make: Any, option: str) -> None:
    """With what it allows."""
    with pytest.raises(OptionError, match="allowed is") as caught:
        make()
    assert caught.value.option == option
