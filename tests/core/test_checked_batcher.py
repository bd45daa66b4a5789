"""Batchers of a user's own that break the contract."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from slither_actors.core import (
    BatchingError,
    CheckedBatcher,
    FixedBatcher,
    WaitingBatcher,
    checked_batcher,
    missing_in_batcher,
)
from slither_actors.errors import StrategyError


class Own(FixedBatcher[str]):
    """A good one, of which the tests make bad ones. As a subclass it is not the library's."""


def checked(**methods: Any) -> CheckedBatcher[str]:
    kind = type("Bad", (Own,), methods)
    found = checked_batcher(kind(2), "Mine")
    assert isinstance(found, CheckedBatcher)
    return found


def test_the_librarys_own_run_as_they_are() -> None:
    """They are trusted, and cost nothing more."""
    batcher: FixedBatcher[int] = FixedBatcher(2)
    assert checked_batcher(batcher, "FixedBatch") is batcher


def test_a_good_one_is_not_disturbed() -> None:
    """The same item may come twice."""
    batcher = checked()
    assert batcher.add(["a", "a", "a"]) == [["a", "a"]]
    assert (batcher.pending, batcher.wanted(1)) == (1, 1)
    assert batcher.flush() == [["a"]]


def _lose(self: Any, items: Sequence[str]) -> Any:
    return FixedBatcher.add(self, items[1:])


def _double(self: Any, items: Sequence[str]) -> Any:
    return [list(items), list(items)]


def _invent(self: Any, items: Sequence[str]) -> Any:
    return [["made up"]]


@pytest.mark.parametrize(
    ("methods", "problem"),
    [
        ({"add": _lose}, r"pending is 1 after add\(\), but 2 items have not come back"),
        ({"add": _double}, r"add\(\) gave out 'one', which it was not given, or twice"),
        ({"add": _invent}, r"add\(\) gave out 'made up', which it was not given"),
        ({"add": lambda self, items: None}, r"add\(\) returned None; a list of batches is due"),
        ({"add": lambda self, items: tuple(items)}, r"add\(\) returned \('one', 'two'\); a list of batches"),
        ({"add": lambda self, items: items}, r"add\(\) returned the batch 'one'; a batch is a list"),
        ({"add": lambda self, items: [[]]}, r"add\(\) returned the batch \[\]"),
    ],
)
def test_a_broken_add_is_told(methods: Any, problem: str) -> None:
    """With the strategy, the method and what was wrong."""
    with pytest.raises(StrategyError, match=f"strategy Mine: its batcher's {problem}"):
        checked(**methods).add(["one", "two"])


def test_a_flush_that_keeps_items_is_told() -> None:
    """At the end of the input they would be lost."""
    batcher = checked(flush=lambda self: [])
    batcher.add(["one"])
    with pytest.raises(StrategyError, match=r"pending is 1|kept 1 items back, such as 'one'"):
        batcher.flush()


@pytest.mark.parametrize("value", [-1, 1.5, None, True])
def test_a_number_of_wanted_items_that_is_none_is_told(value: Any) -> None:
    """Nor is it a run that stands still."""
    with pytest.raises(StrategyError, match="an integer of at least 0 is due"):
        checked(wanted=lambda self, room: value).wanted(1)
    with pytest.raises(StrategyError, match="would stand still"):
        checked(wanted=lambda self, room: 0).wanted(1)


def test_an_item_that_cannot_be_placed_is_accounted_for() -> None:
    """Its error gives back all that the batcher does not keep."""

    def refuse(self: Any, items: Sequence[str]) -> Any:
        raise BatchingError("key", "failed", items[0], [], items[1:])

    def refuse_and_lose(self: Any, items: Sequence[str]) -> Any:
        raise BatchingError("key", "failed", items[0], [], [])

    batcher = checked(add=refuse)
    with pytest.raises(BatchingError):
        batcher.add(["one", "two"])
    assert batcher.pending == 0
    with pytest.raises(StrategyError, match="1 items have not come back"):
        checked(add=refuse_and_lose).add(["one", "two"])


def test_one_that_waits_is_checked_as_such() -> None:
    """The time that it wants to be told is one, and what it lets go is what it has."""
    good = checked(due=None, tick=lambda self, now, room: [])
    assert isinstance(good, WaitingBatcher)
    assert good.due is None
    assert good.tick(1.0, 1) == []
    bad: Any = checked(due="soon", tick=lambda self, now, room: [["what"]])
    with pytest.raises(StrategyError, match="due is 'soon'"):
        _ = bad.due
    with pytest.raises(StrategyError, match=r"tick\(\) gave out 'what'"):
        bad.tick(1.0, 1)
    never: Any = checked(due=math.inf, tick=lambda self, now, room: [])
    with pytest.raises(StrategyError, match="due is inf"):
        _ = never.due
    late: Any = checked(due=0.5, tick=lambda self, now, room: [])
    assert late.tick(1.0, 0) == []
    assert late.tick(0.4, 1) == []
    with pytest.raises(StrategyError, match=r"tick\(1.0, 1\) returned no batch, but due is 0.5"):
        late.tick(1.0, 1)


def test_what_is_no_batcher_is_told_by_what_it_lacks() -> None:
    """The first thing that is missing."""
    assert missing_in_batcher(FixedBatcher(1)) == ""
    assert missing_in_batcher(None) == "method 'add'"
    assert missing_in_batcher(FixedBatcher) == "method 'add'"
