"""Strategies on streams: what goes together, and items that no strategy can place."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from slither_actors import Retry, Route, dispatch
from slither_actors.dispatch import InlineExecutor, KeyPartition, WeightedBatch
from slither_actors.errors import DispatchError, OptionError
from tests.dispatch.manual import Manual, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")

sizes = InlineExecutor(lambda batch: [(value, len(batch)) for value in batch])
by_size = WeightedBatch(max_weight=10, weight=lambda item: item.payload["size"])
"""Fails on payloads that are no mapping."""


def test_weights_add_up_to_at_most_the_limit() -> None:
    """A heavier item goes alone."""
    strategy = WeightedBatch(max_weight=10, weight=lambda item: item.payload)
    found = payloads(dispatch.run([5, 5, 1, 20, 9, 2], executor=sizes, strategy=strategy))
    assert found == [(5, 2), (5, 2), (1, 1), (20, 1), (9, 1), (2, 1)]


def test_items_of_a_key_go_together() -> None:
    """Batches are in the order in which their keys were met; within one, items are in input order."""
    strategy = KeyPartition(key=lambda item: item.payload % 3)
    found = payloads(dispatch.run(range(8), executor=sizes, strategy=strategy))
    assert found == [(0, 3), (3, 3), (6, 3), (1, 3), (4, 3), (7, 3), (2, 2), (5, 2)]


def test_an_endless_input_is_partitioned_in_bounded_memory() -> None:
    """At the bound the largest group goes, although more of its key may follow."""
    strategy = KeyPartition(key=lambda item: item.payload % 5, max_pending=20, batch_size=20)
    with dispatch.stream(itertools.count(), executor=sizes, strategy=strategy) as stream:
        found = payloads(itertools.islice(stream, 1000))
        seen = stream.statistics()["dispatch"]
    assert seen.pending <= 20 + 20 * 8
    for key in range(5):
        values = [value for value, _ in found if value % 5 == key]
        assert values == list(range(key, 5 * len(values), 5))


@pytest.mark.parametrize("policy", ["skip", Retry(then="skip", backoff=0)], ids=["skip", "retry, skip"])
def test_an_item_that_cannot_be_placed_is_a_failure_in_its_place(policy: Any) -> None:
    """It meets the policy between the batches around it, also while those still run. It is not retried."""
    items = [{"size": 10, "n": 0}, "odd", {"size": 10, "n": 2}]
    with (
        Manual() as manual,
        in_thread(dispatch.run, items, executor=manual, strategy=by_size, on_error=policy) as result,
    ):
        one, two = manual.take(2)
        assert (one.ref, two.ref) == (0, 2)
        two.succeed(["two"])
        one.succeed(["one"])
        found = result.result()
    assert payloads(found) == ["one", "odd", "two"]
    assert found[1].meta["skipped"]
    assert isinstance(found[1].meta["error"].__cause__, TypeError)


def test_an_item_that_cannot_be_placed_halts_after_what_precedes_it() -> None:
    """The error names it; what precedes it is done first."""
    items = [{"size": 6, "n": 0}, {"size": 6, "n": 1}, "odd", {"size": 10, "n": 2}]
    with Manual() as manual, in_thread(dispatch.run, items, executor=manual, strategy=by_size) as result:
        one = manual.next()
        assert not result.done()
        one.succeed(["one"])
        with pytest.raises(DispatchError, match="weight function failed: TypeError") as caught:
            result.result()
    # The second item was in an unfinished batch, which comes behind the failure.
    assert payloads(caught.value.partial_results) == ["one"]


def test_an_item_that_cannot_be_placed_may_be_routed() -> None:
    """The function of the policy gets the item and the error."""
    policy = Route(lambda item, error: item.update_payload(type(error).__name__))
    found = dispatch.run(["odd"], executor=Manual(), strategy=by_size, on_error=policy)
    assert payloads(found) == ["BatchingError"]


def test_contradictory_bounds_are_told_at_the_call() -> None:
    """Before anything starts."""
    with pytest.raises(OptionError, match="max_pending"):
        dispatch.run([], executor=sizes, strategy=KeyPartition(key=len, batch_size=10, max_pending=5))
    with pytest.raises(OptionError, match="max_weight"):
        dispatch.run([], executor=sizes, strategy=WeightedBatch(max_weight=0, weight=len))


def test_batches_come_with_the_slow_ones_last() -> None:
    """As completed: an item that cannot be placed does not wait for the batches before it."""
    items = [{"size": 10}, "odd"]
    stream = dispatch.stream(
        items, executor=(manual := Manual()), strategy=by_size, ordering="as_completed", on_error="skip"
    )
    with in_thread(next, stream) as first, manual:
        assert first.result().payload == "odd"
        batch = manual.next()
        batch.succeed([1])
        assert payloads(stream) == [1]
