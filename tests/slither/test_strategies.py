"""`Slither.Dispatch.Strategy` and its three strategies: how items become batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from slither_actors import InlineExecutor, Item, dispatch
from slither_actors.dispatch import FixedBatch, KeyPartition, WeightedBatch
from slither_actors.errors import OptionError
from tests.slither.reading import Reads

pytestmark = pytest.mark.usefixtures("driver")


def batches(items: Any, **options: Any) -> list[list[Any]]:
    """Run; return the batches as the executor saw them."""
    seen: list[list[Any]] = []

    def note(batch: Sequence[Any]) -> list[Any]:
        seen.append(list(batch))
        return list(batch)

    dispatch.run(items, executor=InlineExecutor(note), **options)
    return seen


def test_the_default_is_fixed_batches_of_64() -> None:
    """`Slither.Dispatch.Strategies.FixedBatch`: if no strategy is given."""
    assert [len(batch) for batch in batches(range(130))] == [64, 64, 2]


def test_fixed_batches_are_chunks_in_order() -> None:
    """`Slither.Dispatch.Strategies.FixedBatch`: N items each, the last one may have less."""
    assert batches(range(7), strategy=FixedBatch(3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_an_input_without_items_makes_no_batch() -> None:
    """`Slither.Dispatch.Strategy`: of all strategies."""
    for strategy in (FixedBatch(3), WeightedBatch(max_weight=3, weight=len), KeyPartition(key=str)):
        assert batches([], strategy=strategy) == []


def test_weighted_batches_split_when_the_weight_goes_over() -> None:
    """`Slither.Dispatch.Strategies.WeightedBatch`: items are added up until the next one is too much."""
    strategy = WeightedBatch(max_weight=10, weight=lambda item: item.payload)
    assert batches([4, 4, 4, 10, 1, 1, 9], strategy=strategy) == [[4, 4], [4], [10], [1, 1], [9]]


def test_an_item_that_is_too_heavy_goes_alone() -> None:
    """`Slither.Dispatch.Strategies.WeightedBatch`: it is not lost, and no other one goes with it."""
    strategy = WeightedBatch(max_weight=10, weight=lambda item: item.payload)
    assert batches([1, 50, 1], strategy=strategy) == [[1], [50], [1]]


def test_the_weight_is_a_function_of_the_item() -> None:
    """`Slither.Dispatch.Strategies.WeightedBatch`, ``weight_fn:``: of its length, say, as in the read-me."""
    strategy = WeightedBatch(max_weight=6, weight=lambda item: len(item.payload["text"]))
    texts = [{"text": "abc"}, {"text": "def"}, {"text": "g"}]
    assert [len(batch) for batch in batches(texts, strategy=strategy)] == [2, 1]


def test_items_of_a_key_are_a_batch() -> None:
    """`Slither.Dispatch.Strategies.KeyPartition`: one batch per key, in input order within it."""
    strategy = KeyPartition(key=lambda item: item.payload[0])
    rows = ["a1", "b1", "a2", "c1", "b2", "a3"]
    assert batches(rows, strategy=strategy) == [["a1", "a2", "a3"], ["b1", "b2"], ["c1"]]


def test_the_batches_of_keys_are_bounded() -> None:
    """`Slither.Dispatch.Strategies.KeyPartition`, here with bounds: it works on an input without an end.

    Slither has to have read the whole input to make one batch of a key.
    """
    strategy = KeyPartition(key=lambda item: item.payload % 2, batch_size=4)
    source = Reads()
    with dispatch.stream(source, executor=InlineExecutor(list), strategy=strategy) as results:
        first = [next(results).payload for _ in range(8)]
    assert sorted(first) == list(range(8))


def test_results_come_batch_by_batch() -> None:
    """``ordering: :preserve`` keeps the order of the batches: items of a key stay together.

    Within a strategy that leaves neighbours together this is the order of the input; the ids have that
    order in any case.
    """
    strategy = KeyPartition(key=lambda item: item.payload[0])
    rows = Item.wrap_many(["a1", "b1", "a2"])
    results = dispatch.run(rows, executor=InlineExecutor(list), strategy=strategy)
    assert [item.payload for item in results] == ["a1", "a2", "b1"]
    assert sorted(results, key=lambda item: item.id) == rows


class Halves:
    """A strategy of one's own: pairs of the first and the last that are held."""

    def batcher(self) -> Any:
        return _Halves()


class _Halves:
    def __init__(self) -> None:
        self._held: deque[Item] = deque()

    @property
    def pending(self) -> int:
        return len(self._held)

    def add(self, items: Sequence[Item]) -> list[list[Item]]:
        self._held.extend(items)
        return [self._pair() for _ in range(max(0, len(self._held) - 4))]

    def flush(self) -> list[list[Item]]:
        found = []
        while len(self._held) > 1:
            found.append(self._pair())
        if self._held:
            found.append([self._held.pop()])
        return found

    def wanted(self, room: int) -> int:
        return 4 * room

    def _pair(self) -> list[Item]:
        return [self._held.popleft(), self._held.pop()]


def test_a_strategy_may_be_ones_own() -> None:
    """`Slither.Dispatch.Strategy`: a behaviour. Here it makes a batcher that is fed as the input comes."""
    found = batches([1, 2, 3, 4], strategy=Halves())
    assert found == [[1, 4], [2, 3]]


def test_a_strategy_that_is_none_is_an_error() -> None:
    """``:strategy``: an object that has a batcher, and says so before anything runs."""
    with pytest.raises(OptionError, match="'strategy' is 'fixed'"):
        dispatch.run([1], executor=InlineExecutor(list), strategy="fixed")
