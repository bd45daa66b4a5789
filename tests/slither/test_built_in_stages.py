"""`Slither.Stage.Beam`, `Python` and `Router`: functions, worker functions, and routes."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors import (
    Application,
    Context,
    Fail,
    InlineExecutor,
    Item,
    Many,
    Ok,
    Pipe,
    RouteTo,
    Skip,
    router,
    run_pipe,
    stage,
    workers,
)
from slither_actors.pipe import FunctionStage, RouterStage, WorkerStage
from tests.slither import work
from tests.slither.one_step import through
from tests.slither.reading import in_outputs, payloads


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


# -- Slither.Stage.Beam -------------------------------------------------------------------------


def test_a_function_is_a_stage() -> None:
    """`Slither.Stage.Beam`, ``handler:``: of item and context; what it returns is the new payload."""

    def upcase(item: Item, ctx: Context) -> Any:
        return f"{item.payload.upper()} in {ctx.stage}"

    assert isinstance(stage(upcase), FunctionStage)
    assert through(stage(upcase), ["a"]) == {"default": ["A in only"]}


def test_a_function_returns_bare_values_or_outcomes() -> None:
    """`Slither.Stage.Beam`: the five kinds of results of Slither's guide, in one function."""

    def handle(item: Item) -> Any:
        match item.payload:
            case "bare":
                return "a bare value"
            case "ok":
                return Ok("a tagged one")
            case "skip":
                return Skip("too_small")
            case "error":
                return Fail("invalid_input")
            case _:
                return RouteTo("special", "routed")

    found = through(stage(handle), ["bare", "ok", "skip", "error", "route"], on_error="skip")
    assert found == {"default": ["a bare value", "a tagged one"], "special": ["routed"]}


def test_a_list_is_a_payload_and_many_are_many() -> None:
    """`Slither.Stage.Beam`, ``cardinality: :many``: said by `Many`, where it is returned."""

    def extract_claims(item: Item) -> list[str]:
        found: list[str] = item.payload.split(";")
        return found

    assert through(stage(extract_claims), ["c1;c2"]) == {"default": [["c1", "c2"]]}
    assert through(stage(lambda item: Many(extract_claims(item))), ["c1;c2"]) == {"default": ["c1", "c2"]}


def test_a_batch_handler_passes_by_the_function_of_one_item() -> None:
    """`Slither.Stage.Beam`, ``batch_handler:``: it gets the items and the context, and returns items."""

    def vectorized(items: Sequence[Item], ctx: Context) -> Any:
        return [item.update_payload(item.payload * 100) for item in items]

    step = stage(batch_handler=vectorized)(lambda item: item.payload)
    assert through(step, [1, 2, 3]) == {"default": [100, 200, 300]}


def test_a_function_stage_is_linear_in_its_input() -> None:
    """`Slither.Stage.Beam`: eight times the items take about eight times as long. Slither's is quadratic."""

    class Increment(Pipe):
        increment = stage(lambda item: item.payload + 1)

    def seconds(count: int) -> float:
        began = time.process_time()
        run_pipe(Increment, range(count))
        return time.process_time() - began

    seconds(1000)
    few, many = min(seconds(2_500) for _ in range(3)), min(seconds(20_000) for _ in range(3))
    assert many < 24 * few


# -- Slither.Stage.Python -----------------------------------------------------------------------


def test_a_worker_stage_always_works_on_batches() -> None:
    """`Slither.Stage.Python`: of ``batch_size:`` payloads, also where one is left over."""
    step = workers(work.sizes, batch_size=2)
    assert isinstance(step, WorkerStage)
    assert through(step, [1, 2, 3]) == {"default": [(1, 2), (2, 2), (3, 1)]}


def test_a_worker_stage_keeps_the_order() -> None:
    """`Slither.Stage.Python`: results in the order of the payloads, whichever worker was faster."""
    assert through(workers(work.double, batch_size=7), range(300)) == {
        "default": [2 * number for number in range(300)]
    }


def test_a_worker_stage_passes_its_options_to_dispatch() -> None:
    """`Slither.Stage.Python`: all of them; they are in its definition."""

    class Predicting(Pipe):
        predict = workers(
            "tests.slither.work:double",
            pool="default",
            batch_size=32,
            max_in_flight=4,
            timeout=60.0,
            ordering="as_completed",
            affinity="strict_queue",
        )

    options = Predicting.definition.stage("predict").options
    assert options == {
        "pool": "default",
        "batch_size": 32,
        "max_in_flight": 4,
        "timeout": 60.0,
        "ordering": "as_completed",
        "affinity": "strict_queue",
    }
    assert sorted(payloads(run_pipe(Predicting, range(5))["default"])) == [0, 2, 4, 6, 8]


def test_a_worker_stage_drops_what_it_skips() -> None:
    """`Slither.Stage.Python` with ``on_error :stage, :skip``: the items of the batch are not in an output."""
    step = workers(work.reject_seven, batch_size=1, on_error="skip")
    assert through(step, [1, 7, 2]) == {"default": [1, 2]}


def test_a_worker_stage_takes_any_executor() -> None:
    """`Slither.Stage.Python`, ``executor:``."""
    assert through(workers(InlineExecutor(work.double)), [1]) == {"default": [2]}


# -- Slither.Stage.Router -----------------------------------------------------------------------


def test_a_router_asks_in_order_and_the_first_that_holds_decides() -> None:
    """`Slither.Stage.Router`, ``routes:``: the classification of the read-me."""

    class Classify(Pipe):
        classify = router(
            accept=lambda item: item.payload > 0.9,
            review=lambda item: item.payload > 0.5,
            reject=lambda item: True,
        )

    assert isinstance(Classify.classify, RouterStage)
    assert in_outputs(run_pipe(Classify, [0.95, 0.7, 0.1, 0.99])) == {
        "accept": [0.95, 0.99],
        "review": [0.7],
        "reject": [0.1],
        "default": [],
    }


def test_what_no_predicate_holds_for_goes_to_the_default_output() -> None:
    """`Slither.Stage.Router`: unmatched items are under ``default``."""
    assert through(router(special=lambda item: item.payload > 1), [1, 2]) == {"default": [1], "special": [2]}


def test_the_default_output_may_be_a_route() -> None:
    """`Slither.Stage.Router`: to ``default`` by name, before what comes behind it is asked."""
    step = router({"default": lambda item: item.payload == 1, "special": lambda item: True})
    assert through(step, [1, 2]) == {"default": [1], "special": [2]}


def test_an_output_may_have_several_predicates() -> None:
    """`Slither.Stage.Router`, ``routes:`` is a list there: here by a second router, with the same output."""

    class Twice(Pipe):
        first = router(accept=lambda item: item.payload > 0.9, review=lambda item: item.payload > 0.5)
        second = router(accept=lambda item: item.payload == 0.1)

    assert in_outputs(run_pipe(Twice, [0.95, 0.7, 0.1, 0.2])) == {
        "accept": [0.95, 0.1],
        "review": [0.7],
        "default": [0.2],
    }


def test_a_router_leaves_the_item_as_it_is() -> None:
    """`Slither.Stage.Router`: id, payload and metadata; the route says where it went."""

    class Only(Pipe):
        only = router(special=lambda item: True)

    item = Item.wrap("x").put_meta({"trace": 1})
    (found,) = run_pipe(Only, [item])["special"]
    assert (found.id, found.payload, dict(found.meta), found.route) == (item.id, "x", {"trace": 1}, "special")


def test_a_predicate_that_fails_is_the_policy_s() -> None:
    """`Slither.Stage.Router`: it is a stage as the others."""
    step = router(special=lambda item: item.payload["score"] > 1)
    assert through(step, [{}, {"score": 2}], on_error="skip") == {"special": [{"score": 2}]}


def test_a_router_does_not_end_the_pipe() -> None:
    """`Slither.Stage.Router`: what it does not route goes on to the next stage. Slither's ends it."""

    class GoesOn(Pipe):
        split = router(high=lambda item: item.payload >= 10)
        after = stage(lambda item: -item.payload)

    assert in_outputs(run_pipe(GoesOn, [1, 10, 2])) == {"high": [10], "default": [-1, -2]}


def test_a_routed_item_passes_no_later_stage() -> None:
    """Routing to a named output: the item leaves at once. In Slither it goes through all later stages."""
    seen: list[Any] = []

    class Leaves(Pipe):
        outputs = ["special"]

        @stage
        def split(item: Item) -> Any:
            return RouteTo("special", item.payload) if item.payload == 2 else item.payload

        @stage
        def look(item: Item) -> Any:
            seen.append(item.payload)
            return item.payload

    assert in_outputs(run_pipe(Leaves, [1, 2, 3])) == {"special": [2], "default": [1, 3]}
    assert seen == [1, 3]
