"""What a handler returns by mistake is a failure, and no payload."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import Fail, Item, Many, Ok, Pipe, PipeError, RouteTo, Skip, router, run_pipe, stage
from slither_actors.errors import ResultError
from slither_actors.pipe import PER_ITEM


async def _later() -> None: ...


def pipe_of(result: Any, *, batch: bool = False) -> type[Pipe]:
    def handler(found: Any) -> Any:
        made = result()
        return [made for _ in found] if batch else made

    class P(Pipe):
        outputs = ("side",)
        work = stage(batch=batch)(handler)

    return P


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda: Skip, r"P\.work returned the class Skip; write Skip\(…\)"),
        (lambda: Many, r"P\.work returned the class Many; write Many\(…\)"),
        (lambda: PER_ITEM, r"P\.work returned PER_ITEM for one item; only a handler of a batch may"),
        (_later, r"P\.work returned a coroutine; for those there is workers\(AsyncExecutor"),
        (
            lambda: Many([1, Skip()]),
            r"has Skip\(reason=None\) within an outcome; allowed are payloads, and it",
        ),
        (lambda: Ok(Fail("no")), r"has Fail\(reason='no'\) within an outcome"),
        (lambda: RouteTo("side", Many([1])), r"has Many\(payloads=\[1\]\) within an outcome"),
    ],
    ids=["class", "class of many", "PER_ITEM", "coroutine", "in Many", "in Ok", "in RouteTo"],
)
@pytest.mark.parametrize("batch", [False, True], ids=["item", "batch"])
def test_it_is_said_what_it_is(result: Any, message: str, batch: bool) -> None:
    """Else it would go on as a payload, and nobody would see that the item was not skipped."""
    with pytest.raises(PipeError, match=message) as caught:
        run_pipe(pipe_of(result, batch=batch), [1])
    assert isinstance(caught.value.reason, ResultError)
    assert [*caught.value.partial_results["default"], *caught.value.partial_results["side"]] == []


@pytest.mark.parametrize("batch", [False, True], ids=["item", "batch"])
def test_other_classes_are_payloads(batch: bool) -> None:
    """Also within an outcome."""
    assert [each.payload for each in run_pipe(pipe_of(lambda: int, batch=batch), [1])["default"]] == [int]
    (found,) = run_pipe(pipe_of(lambda: Ok(int), batch=batch), [1])["default"]
    assert found.payload is int


# -- what a handler got ------------------------------------------------------------


def _take_one_out(items: list[Item]) -> Any:
    items.pop(0)
    return [item.payload for item in items]


def _empty_and_raise(items: list[Item]) -> Any:
    items.clear()
    raise ValueError("no")


def _empty_and_leave(items: list[Item]) -> Any:
    items.clear()
    return PER_ITEM


@pytest.mark.parametrize("change", [_take_one_out, _empty_and_raise, _empty_and_leave])
def test_a_list_that_a_batch_handler_empties_loses_no_item(change: Any) -> None:
    """All of the batch has failed then: nothing is lost that is not counted."""

    class P(Pipe):
        work = stage(change, batch=True, on_error="skip")

    found = run_pipe(P, [1, 2, 3])
    assert found["default"] == []
    assert (found.statistics["work"].skipped, found.record.unfinished) == (3, 0)


def test_the_error_says_what_to_do_instead() -> None:
    """It has the numbers."""

    class P(Pipe):
        work = stage(_take_one_out, batch=True)

    with pytest.raises(PipeError, match=r"P\.work changed its list of 3 items, which has 2 now; leave it"):
        run_pipe(P, [1, 2, 3])


def test_a_list_that_a_batch_handler_sorts_has_its_results_in_that_order() -> None:
    """Each item has its own result."""

    def work(items: list[Item]) -> Any:
        items.reverse()
        return [item.payload * 10 for item in items]

    class P(Pipe):
        work_ = stage(work, batch=True)

    given = Item.wrap_many([1, 2, 3])
    assert [(item.id, item.payload) for item in run_pipe(P, given)["default"]] == [
        (item.id, item.payload * 10) for item in reversed(given)
    ]


def test_a_route_that_is_set_on_the_item_itself_sends_its_payload_nowhere_else() -> None:
    """An item is a value. What is returned says where it goes."""

    def work(item: Item) -> Any:
        item.route = "nowhere"
        return item.payload

    class P(Pipe):
        first = stage(work)
        second = router(none=lambda item: False)

    assert [item.payload for item in run_pipe(P, [1])["default"]] == [1]
