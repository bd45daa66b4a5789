"""What comes out of a run: which items, in which order, with which ids."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from slither_actors import Item, dispatch
from slither_actors.dispatch import InlineExecutor, ThreadExecutor, WeightedBatch
from tests.dispatch.manual import Manual, double, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")

inline = InlineExecutor(lambda batch: [2 * value for value in batch])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 100])
def test_every_payload_comes_back_as_an_item_with_its_result(count: int) -> None:
    """Also where the last batch is not full, and for an empty input."""
    found = dispatch.run(range(count), executor=inline, batch_size=3)
    assert payloads(found) == [2 * value for value in range(count)]
    assert all(type(item) is Item for item in found)


@pytest.mark.parametrize("strategy", [None, WeightedBatch(max_weight=4, weight=lambda item: 1)])
def test_ids_are_unique_and_in_input_order(strategy: Any) -> None:
    """Whether or not the strategy looks at items, and also where results come in another order."""
    options = {"batch_size": 4} if strategy is None else {"strategy": strategy}
    with (
        Manual() as manual,
        in_thread(dispatch.run, range(12), executor=manual, ordering="as_completed", **options) as result,
    ):
        for batch in reversed(manual.take(3)):
            double(batch)
        found = result.result()
    assert sorted(payloads(found)) == list(range(0, 24, 2))
    by_input = sorted(found, key=lambda item: item.payload)
    assert [item.id for item in by_input] == sorted({item.id for item in found})


def test_items_keep_their_id_meta_and_route() -> None:
    """An item that goes in is the same item with another payload; bare payloads may be among them."""
    item = Item.wrap(1).put_meta({"key": "value"}).put_route("there")
    found = dispatch.run([0, item, 2], executor=inline, batch_size=3)
    assert payloads(found) == [0, 2, 4]
    assert (found[1].id, found[1].meta, found[1].route) == (item.id, {"key": "value"}, "there")
    assert item.payload == 1


def test_results_are_in_input_order_by_default() -> None:
    """However the batches finish."""
    with Manual() as manual, in_thread(dispatch.run, range(6), executor=manual, batch_size=2) as result:
        for batch in reversed(manual.take(3)):
            double(batch)
        assert payloads(result.result()) == [0, 2, 4, 6, 8, 10]


def test_as_completed_gives_results_as_the_batches_finish() -> None:
    """Within a batch they are in input order."""
    with (
        Manual() as manual,
        in_thread(dispatch.run, range(6), executor=manual, batch_size=2, ordering="as_completed") as result,
    ):
        for batch in reversed(manual.take(3)):
            double(batch)
        assert payloads(result.result()) == [8, 10, 4, 6, 0, 2]


def test_call_batch_sends_what_it_gets_as_one_batch() -> None:
    """However many items there are."""
    with Manual() as manual, in_thread(dispatch.call_batch, range(1000), executor=manual) as result:
        batch = manual.next()
        assert batch.size == 1000
        double(batch)
        assert payloads(result.result()) == list(range(0, 2000, 2))


def test_call_batch_of_nothing_is_nothing() -> None:
    """No batch is sent."""
    assert dispatch.call_batch([], executor=Manual()) == []


def test_the_function_gets_a_list_of_its_own() -> None:
    """What it does to the list is seen neither by the caller nor by the next attempt."""

    def greedy(batch: list[int]) -> list[int]:
        found = sorted(batch)
        batch.clear()
        return found

    data = [3, 1, 2]
    assert payloads(dispatch.run(data, executor=InlineExecutor(greedy))) == [1, 2, 3]
    assert data == [3, 1, 2]


def test_the_function_gets_the_context_if_it_asks() -> None:
    """The one that was given, or a fresh one."""
    from slither_actors import Context

    context = Context(metadata={"factor": 3})

    def scaled(batch: list[int], ctx: Context) -> list[int]:
        return [ctx.metadata["factor"] * value for value in batch]

    assert payloads(dispatch.run([1, 2], executor=InlineExecutor(scaled), context=context)) == [3, 6]


def test_each_result_has_the_id_of_its_own_payload_as_completed() -> None:
    """However batches overtake each other, and however many are answered at one time; all ids differ."""

    def work(batch: list[int]) -> list[int]:
        threading.Event().wait(0.002 if batch[0] % 7 < 2 else 0)
        return batch

    found = dispatch.run(range(400), executor=ThreadExecutor(work), batch_size=2, ordering="as_completed")
    first = min(item.id for item in found)
    assert sorted(payloads(found)) == list(range(400))
    assert [item.id - first for item in found] == payloads(found)
