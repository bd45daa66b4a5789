"""What a stage may return, and what becomes of it."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

from collections.abc import Iterator
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
    Stage,
    router,
    run_pipe,
    stage,
)
from slither_actors.errors import ItemError, ResultError
from slither_actors.pipe import PER_ITEM


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


def outputs_of(function: Any, inputs: Any, *, batch: Any = False, on_error: Any = "halt") -> Any:
    """Run one function stage; return the payloads by output, and the stage's statistics.

    For a batch stage the inputs arrive as one batch.
    """

    class P(Pipe):
        outputs = ("side",)
        gather = stage(lambda item: Many(item.payload))
        work = stage(batch=batch, on_error=on_error)(function)

    found = run_pipe(P, [inputs] if batch else [[each] for each in inputs])
    return {name: payloads(items) for name, items in found.items()}, found.statistics["work"]


# -- one item --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "default", "side"),
    [
        ("bare", ["bare"], []),
        (None, [None], []),
        (Ok("a"), ["a"], []),
        (Ok(None), [None], []),
        (Skip("no"), [], []),
        (Many(["a", "b"]), ["a", "b"], []),
        (Many([]), [], []),
        (Many([Item.wrap("a"), Item.wrap("b").put_route("side")]), ["a"], ["b"]),
        (RouteTo("side", "a"), [], ["a"]),
        (RouteTo("default", "a"), ["a"], []),
        (RouteTo("side", Item.wrap("a")), [], ["a"]),
        (Item.wrap("a"), ["a"], []),
        (Item.wrap("a").put_route("side"), [], ["a"]),
        ((1, 2), [(1, 2)], []),
        ([1, 2], [[1, 2]], []),
    ],
    ids=repr,
)
@pytest.mark.parametrize("batch", [False, True], ids=["item", "batch"])
def test_a_result_of_each_kind(result: Any, default: Any, side: Any, batch: Any) -> None:
    """A bare value is the new payload; the records say more. Batch handlers return one per item."""
    if batch and type(result) is Item:
        pytest.skip("a list of items is taken as it is, see below")
    handler = (lambda items: [result for _ in items]) if batch else (lambda item: result)
    found, _ = outputs_of(handler, [1], batch=batch)
    assert (found["default"], found["side"]) == (default, side)


def test_a_bare_payload_keeps_id_and_metadata() -> None:
    """An item is itself from end to end."""
    item = Item.wrap(1).put_meta({"line": 7})

    class P(Pipe):
        double = stage(lambda item: item.payload * 2)

    (found,) = run_pipe(P, [item])["default"]
    assert (found.id, found.payload, found.meta) == (item.id, 2, {"line": 7})


def test_the_items_of_many_have_their_own_ids() -> None:
    """They inherit the metadata."""
    item = Item.wrap(1).put_meta({"line": 7})

    class P(Pipe):
        split = stage(lambda item: Many("ab"))

    first, second = run_pipe(P, [item])["default"]
    assert len({item.id, first.id, second.id}) == 3
    assert first.meta == second.meta == {"line": 7}


def test_a_failing_generator_in_many_leaves_nothing_of_the_item() -> None:
    """A result is taken whole or not at all."""

    def broken() -> Iterator[Any]:
        yield 1
        raise ValueError("x")

    found, statistics = outputs_of(lambda item: Many(broken()), [1, 2], on_error="skip")
    assert found["default"] == []
    assert (statistics.skipped, statistics.made) == (2, 0)


def test_fail_with_a_text_is_an_item_error_that_names_the_item() -> None:
    """The reason is kept as it was given."""
    with pytest.raises(PipeError) as caught:
        outputs_of(lambda item: Fail("too short"), [Item(77, "x")])
    reason = caught.value.reason
    assert isinstance(reason, ItemError)
    assert str(reason) == "item 77 of P.work failed: too short"
    assert reason.reason == "too short"


def test_fail_with_an_exception_is_that_exception() -> None:
    """As if it had been raised."""
    error = ValueError("x")
    with pytest.raises(PipeError) as caught:
        outputs_of(lambda item: Fail(error), [1])
    assert caught.value.reason is error


@pytest.mark.parametrize("result", [RouteTo("nowhere", 1), Item.wrap(1).put_route("nowhere")], ids=repr)
def test_an_undeclared_output_is_a_failure_that_names_the_outputs(result: Any) -> None:
    """A typing error must not make an output of its own."""
    with pytest.raises(
        PipeError, match="'nowhere', which is no output of the pipe; known are 'default', 'side'"
    ):
        outputs_of(lambda item: result, [1])


def test_a_function_without_a_context_parameter_gets_none() -> None:
    """With one it gets the run's; a default does not make a context parameter."""
    seen = []

    class P(Pipe):
        bare = stage(lambda item: item.payload)
        default = stage(lambda item, factor=2: item.payload * factor)

        @stage
        def full(item: Any, ctx: Any) -> Any:
            seen.append((ctx.pipe, ctx.stage, ctx.session_id, ctx.metadata))
            return item.payload

    assert payloads(run_pipe(P, [3], session_id="s", metadata={"a": 1})["default"]) == [6]
    assert seen == [("P", "full", "s", {"a": 1})]


# -- batches ------------------------------------------------------------------------


def test_a_batch_handler_gets_all_that_arrived_together() -> None:
    """Its results are in the order of the items."""
    sizes = []

    def double(items: Any) -> Any:
        sizes.append(len(items))
        return [item.payload * 2 for item in items]

    found, _ = outputs_of(double, range(300), batch=True)
    assert found["default"] == [2 * n for n in range(300)]
    assert sizes == [300]


def test_a_batch_handler_may_return_any_number_of_items() -> None:
    """Those that it left out count as skipped, those that it made anew as made."""

    def keep_even(items: Any) -> Any:
        kept = [item for item in items if item.payload % 2 == 0]
        return [*kept, *(item.spawn(-item.payload) for item in kept)]

    found, statistics = outputs_of(keep_even, range(10), batch=True)
    assert sorted(found["default"]) == [-8, -6, -4, -2, 0, 0, 2, 4, 6, 8]
    assert (statistics.items_in, statistics.skipped, statistics.made, statistics.emitted) == (10, 5, 5, 10)


def test_a_batch_handler_may_leave_all_out() -> None:
    """An empty list is a list of items."""
    found, statistics = outputs_of(lambda items: [], range(10), batch=True)
    assert found["default"] == []
    assert statistics.skipped == 10


def test_a_mapping_routes_the_items_at_once() -> None:
    """Output to items; 'default' leaves by that name."""

    def split(items: Any) -> Any:
        return {"side": [i for i in items if i.payload < 3], "default": [i for i in items if i.payload >= 3]}

    found, statistics = outputs_of(split, range(6), batch=True)
    assert found == {"side": [0, 1, 2], "default": [3, 4, 5]}
    assert statistics.routed == 6


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("abc", "returned 'abc' for 3 items; allowed are a list"),
        (5, "returned 5 for 3 items"),
        (None, "returned None for 3 items"),
        ([1, 2], "returned 2 results for 3 items"),
        ({"side": [1]}, "returned 1 in a mapping; allowed are items"),
        ({"nowhere": [Item.wrap(1)]}, "'nowhere', which is no output"),
    ],
    ids=repr,
)
def test_a_wrong_result_of_a_batch_fails_the_batch(result: Any, message: Any) -> None:
    """All of its items, once each."""
    with pytest.raises(PipeError, match=message) as caught:
        outputs_of(lambda items: result, [Item(n, n) for n in (1, 2, 3)], batch=True)
    assert isinstance(caught.value.reason, (ResultError, ItemError))
    assert caught.value.partial_results.statistics["work"].failed == 3


def test_a_batch_of_which_one_result_is_wrong_is_not_taken_in_part() -> None:
    """Nothing comes out twice: not as a result and as a failure."""

    def half(items: Any) -> Any:
        return [*(item for item in items), Item.wrap(1).put_route("nowhere")]

    found, statistics = outputs_of(half, range(4), batch=True, on_error="skip")
    assert found["default"] == []
    assert statistics.skipped == 4


def test_per_item_hands_the_items_over_one_by_one() -> None:
    """So that the policy holds for each."""

    class Careful(Stage):
        def handle_batch(self, items: Any, ctx: Any) -> Any:
            return PER_ITEM if any(item.payload == 3 for item in items) else [i.payload * 10 for i in items]

        def handle_item(self, item: Any, ctx: Any) -> Any:
            return Fail("three") if item.payload == 3 else item.payload

    class P(Pipe):
        gather = stage(lambda item: Many(item.payload))
        work = stage(Careful, on_error="skip")

    assert payloads(run_pipe(P, [[1, 2]])["default"]) == [10, 20]
    found = run_pipe(P, [[3, 4]])
    assert payloads(found["default"]) == [4]
    assert found.statistics["work"].errors == {"ItemError": 1}


# -- class stages ---------------------------------------------------------------------


class Recording(Stage):
    def init(self, log: Any, factor: Any = 1) -> None:
        self.log = log
        self.factor = factor
        log.append("init")

    def handle_item(self, item: Any, ctx: Any) -> Any:
        if item.payload == "bad":
            raise ValueError("bad")
        return item.payload * self.factor

    def shutdown(self) -> None:
        self.log.append("shutdown")


def test_a_class_stage_is_made_anew_for_each_run() -> None:
    """It gets the options of its declaration."""
    log = []

    class P(Pipe):
        work = stage(Recording, log=log, factor=3)

    assert payloads(run_pipe(P, [1, 2])["default"]) == [3, 6]
    assert payloads(run_pipe(P, [1])["default"]) == [3]
    assert log == ["init", "shutdown"] * 2


def test_a_class_stage_is_shut_down_when_the_run_halts() -> None:
    """However the run ends."""
    log = []

    class P(Pipe):
        work = stage(Recording, log=log)

    with pytest.raises(PipeError):
        run_pipe(P, [1, "bad"])
    assert log == ["init", "shutdown"]


def test_a_stage_that_cannot_be_set_up_fails_the_run() -> None:
    """With the reason, and the stage's name."""

    class Broken(Stage):
        def init(self) -> None:
            raise OSError("no model")

        def handle_item(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        first = stage(lambda item: item.payload)
        model = stage(Broken)

    with pytest.raises(PipeError, match="pipe P.model halted: OSError: no model") as caught:
        run_pipe(P, [1])
    assert isinstance(caught.value.reason, OSError)
    assert caught.value.stage == "model"


def test_a_stage_whose_shutdown_raises_does_not_take_the_results_back(caplog: Any) -> None:
    """They are complete; the failure is logged."""

    class Broken(Stage):
        def handle_item(self, item: Any, ctx: Any) -> Any:
            return item.payload

        def shutdown(self) -> None:
            raise OSError("still open")

    class P(Pipe):
        work = stage(Broken)
        more = stage(lambda item: item.payload)

    assert payloads(run_pipe(P, range(3000))["default"]) == list(range(3000))
    assert "P.work: its shutdown raised" in caplog.text
    assert "still open" in caplog.text


# -- routing ----------------------------------------------------------------------------


def test_routed_items_do_not_pass_the_later_stages() -> None:
    """Those that no predicate holds for go on."""
    seen = []

    class P(Pipe):
        classify = router(small=lambda item: item.payload < 3, large=lambda item: item.payload > 6)

        @stage
        def later(item: Any) -> Any:
            seen.append(item.payload)
            return item.payload * 100

        again = router(five=lambda item: item.payload == 500)

    found = run_pipe(P, range(10))
    assert {name: payloads(items) for name, items in found.items()} == {
        "small": [0, 1, 2],
        "large": [7, 8, 9],
        "five": [500],
        "default": [300, 400, 600],
    }
    assert seen == [3, 4, 5, 6]


def test_the_first_predicate_that_holds_decides() -> None:
    """In the order in which they are written."""

    class P(Pipe):
        classify = router({"a": lambda item: True, "b": lambda item: True}, c=lambda item: True)

    found = run_pipe(P, [1])
    assert [name for name, items in found.items() if items] == ["a"]


def test_every_output_is_there() -> None:
    """Also those that nothing reached."""

    class P(Pipe):
        outputs = ("a", "b")
        work = stage(lambda item: item.payload)

    assert run_pipe(P, []) == {"a": [], "b": [], "default": []}


def test_a_failing_predicate_is_the_items_failure() -> None:
    """And the policy's business."""

    class P(Pipe):
        classify = router(small=lambda item: item.payload < 3, on_error="skip")

    found = run_pipe(P, [1, "x", 5])
    assert (payloads(found["small"]), payloads(found["default"])) == ([1], [5])
    assert found.statistics["classify"].errors == {"TypeError": 1}


def test_the_route_by_which_an_item_left_another_pipe_does_not_matter() -> None:
    """One pipe's output is another one's input."""

    class First(Pipe):
        classify = router(small=lambda item: item.payload < 3)

    class Second(Pipe):
        work = stage(lambda item: item.payload * 10)

    found = run_pipe(Second, run_pipe(First, range(5))["small"])
    assert payloads(found["default"]) == [0, 10, 20]
    assert [item.route for item in found["default"]] == ["default"] * 3
