"""What a handler returns by mistake is a failure, and no payload."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import (
    Fail,
    Item,
    Many,
    Ok,
    Pipe,
    PipeError,
    RouteTo,
    Skip,
    router,
    run_pipe,
    stage,
    workers,
)
from slither_actors.dispatch import InlineExecutor
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


def _payloads_in_place(items: list[Any]) -> Any:
    for at, item in enumerate(items):
        items[at] = item.payload * 2
    return items


def _others_in_place(items: list[Item]) -> Any:
    items[0] = items[1]
    return [item.payload for item in items]


@pytest.mark.parametrize("change", [_payloads_in_place, _others_in_place])
def test_results_that_belong_to_something_else_in_the_list_are_a_failure(change: Any) -> None:
    """Nobody knows whose they are: the policy decides, and the error says what to do."""

    class P(Pipe):
        work = stage(change, batch=True)

    with pytest.raises(PipeError, match=r"P\.work changed items in its list of 3, .*in a new list"):
        run_pipe(P, [1, 2, 3])

    class Skipping(Pipe):
        work = stage(change, batch=True, on_error="skip")

    found = run_pipe(Skipping, [1, 2, 3])
    assert (found.statistics["work"].skipped, found.record.unfinished) == (3, 0)


def test_items_that_a_batch_handler_puts_into_its_list_and_returns_are_taken() -> None:
    """They say themselves whose they are."""

    def work(items: list[Item]) -> Any:
        for at, item in enumerate(items):
            items[at] = item.update_payload(item.payload * 2)
        return items

    class P(Pipe):
        work_ = stage(work, batch=True)

    assert [item.payload for item in run_pipe(P, [1, 2, 3])["default"]] == [2, 4, 6]


@pytest.mark.parametrize("kind", [set, frozenset, bytearray])
def test_what_has_no_order_or_is_one_value_is_no_list_of_results(kind: Any) -> None:
    """As in worker functions: a set of as many results has them in any order."""

    class P(Pipe):
        work = stage(lambda items: kind(item.payload for item in items), batch=True)

    with pytest.raises(PipeError, match=r"P\.work returned .* for 3 items; allowed are a list"):
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


@pytest.mark.parametrize("made", [lambda n: n, Ok, lambda n: None, lambda n: dict, lambda n: Many([n])])
@pytest.mark.parametrize("batch", [False, True])
def test_no_payload_takes_such_a_route(made: Any, batch: Any) -> None:
    """Neither bare nor in a record, nor among results of which some are records."""

    def work(found: Any) -> Any:
        for item in found if batch else [found]:
            item.route = "side"
        if batch:
            return [Skip("first"), *(made(item.payload) for item in found[1:])]
        return made(found.payload)

    class P(Pipe):
        outputs = ("side",)
        work_ = stage(work, batch=batch)

    found = run_pipe(P, [1, 2])
    assert (len(found["default"]), found["side"]) == (1 if batch else 2, [])


@pytest.mark.parametrize(
    "before", [[], [workers(InlineExecutor(list))], [stage(lambda i: [1, 2], batch=True)]]
)
def test_a_predicate_that_sets_a_route_on_the_item_sends_it_nowhere(before: Any) -> None:
    """It says whether the item has its route, and that is all."""

    def changes(item: Item) -> bool:
        item.route = "nowhere"
        return False

    body = {f"before{at}": each for at, each in enumerate(before)}
    pipe = type(Pipe)("P", (Pipe,), {**body, "sort": router(never=changes)})
    assert [item.route for item in run_pipe(pipe, [1, 2])["default"]] == ["default", "default"]


def test_items_have_no_subclasses() -> None:
    """What a stage made of one would be a plain item: it is told where the class is made."""
    with pytest.raises(TypeError, match="Order is a subclass of Item, which has none"):
        type("Order", (Item,), {})
