"""A run whose stages fork and join: items go where the definition says, each once, in bounded memory."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Fail,
    InlineExecutor,
    Many,
    Pipe,
    PipeError,
    Retry,
    Route,
    RouteTo,
    Skip,
    Stage,
    Store,
    router,
    run_pipe,
    stage,
    stream_pipe,
    view,
    workers,
)
from slither_actors.dispatch.executor import ThreadExecutor
from slither_actors.errors import ItemError
from slither_actors.pipe import PER_ITEM


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


def _same(item: Any) -> Any:
    return item.payload


def _odd(item: Any) -> Any:
    return item.payload % 2


def _third(item: Any) -> Any:
    return item.payload % 3 == 0


# -- where items go ---------------------------------------------------------------


class Diamond(Pipe):
    classify = router(odd=_odd, third=_third)

    @stage(after="odd", routes=["one"])
    def fix(item: Any) -> Any:
        return RouteTo("one", 1) if item.payload == 1 else -item.payload

    save = workers(InlineExecutor(list), batch_size=4, after=["classify", "fix"])


def test_a_route_goes_on_to_the_stage_that_takes_it() -> None:
    """And what no stage takes leaves by its output; each item comes out once."""
    out = run_pipe(Diamond, range(20))
    assert payloads(out["one"]) == [1]
    assert payloads(out["third"]) == [0, 6, 12, 18]
    assert sorted(payloads(out["default"])) == [
        *(-number for number in range(19, 1, -2)),
        *(number for number in range(20) if number % 2 == 0 and number % 3),
    ]
    assert all(item.route == name for name, items in out.items() for item in items)


def test_the_counts_say_how_many_went_where() -> None:
    """What a stage routes is counted as that, also if it leads to a stage."""
    statistics = run_pipe(Diamond, range(20)).statistics
    classify, fix, save = statistics["classify"], statistics["fix"], statistics["save"]
    assert (classify.items_in, classify.emitted, classify.routed) == (20, 6, 14)
    assert (fix.items_in, fix.emitted, fix.routed) == (10, 9, 1)
    assert (save.items_in, save.emitted) == (15, 15)


def test_order_is_kept_on_each_way() -> None:
    """Items that take the same way keep their order, whatever passes them on another."""
    out = run_pipe(Diamond, range(5000))["default"]
    fixed = [item.payload for item in out if item.payload < 0]
    assert fixed == sorted(fixed, reverse=True)
    straight = [item.payload for item in out if item.payload >= 0]
    assert straight == sorted(straight)


def test_order_is_kept_between_stages_that_are_joined_directly() -> None:
    """Items of one stage that go to the next one by several routes stay in their order."""

    class P(Pipe):
        classify = router(odd=_odd, third=_third)
        save = stage(_same, after=["classify", "odd", "third"])

    assert payloads(run_pipe(P, range(5000))["default"]) == list(range(5000))


def test_an_item_has_the_default_route_in_the_stage_that_a_route_leads_to() -> None:
    """So it can be returned as it is."""

    class P(Pipe):
        classify = router(odd=_odd)

        @stage(after="odd")
        def look(item: Any) -> Any:
            return item.put_meta({"route": item.route})

    out = run_pipe(P, [1])
    assert [(item.payload, item.route, item.meta) for item in out["default"]] == [
        (1, "default", {"route": "default"})
    ]


def test_all_kinds_of_results_can_take_a_route_to_a_stage() -> None:
    """`RouteTo`, an item with a route, many of them, a mapping of a batch, and a `Route` policy."""

    class Batches(Stage):
        def handle_batch(self, items: Any, ctx: Any) -> Any:
            return {"away": items}

    def broken(batch: Any) -> Any:
        raise ValueError(batch)

    away = Route(lambda item, error: item.put_route("away"))

    class P(Pipe):
        outputs = ("away",)
        classify = router(
            one=lambda item: item.payload == 1, two=lambda item: item.payload == 2,
            three=lambda item: item.payload == 3, four=lambda item: item.payload == 4,
        )  # fmt: skip
        one = stage(lambda item: RouteTo("away", item.payload), after="one")
        two = stage(lambda item: Many([item.put_route("away"), item.payload * 10]), after="two")
        three = stage(Batches, after="three")
        four = workers(InlineExecutor(broken), after="four", on_error=away)
        five = stage(lambda item: Fail("no"), after="classify", on_error=away)
        gather = stage(lambda item: item.payload + 0.5, after="away")

    out = run_pipe(P, [1, 2, 3, 4, 5])
    assert sorted(payloads(out["default"])) == [1.5, 2.5, 3.5, 4.5, 5.5, 20]
    assert out["away"] == []


def test_a_route_that_leads_nowhere_is_an_error_of_the_item() -> None:
    """It names the routes that there are."""

    class P(Pipe):
        @stage(routes=["bad"])
        def check(item: Any) -> Any:
            return RouteTo("baad", item.payload)

        fix = stage(_same, after="bad")

    with pytest.raises(PipeError) as caught:
        run_pipe(P, [1])
    assert isinstance(caught.value.reason, ItemError)
    assert "routed to 'baad', which is no output of the pipe and leads to no stage; known are 'bad'" in str(
        caught.value
    )


# -- ends ----------------------------------------------------------------------------


def test_a_join_ends_with_the_last_of_its_stages() -> None:
    """A branch that is slower than the others loses nothing."""
    gate = threading.Event()

    class P(Pipe):
        classify = router(odd=_odd)

        @stage(after="odd")
        def slow(item: Any) -> Any:
            gate.wait(10)
            return item.payload

        save = stage(_same, after=["classify", "slow"])

    with stream_pipe(P, range(10)) as stream:
        first = [next(stream).payload for _ in range(5)]
        gate.set()
        rest = payloads(stream)
    assert (first, rest) == ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9])


def test_a_branch_that_gets_nothing_holds_nothing_up() -> None:
    """A join that waits for it goes on with the others; a batch that is not full goes at the end."""

    class P(Pipe):
        classify = router(never=lambda item: False)
        empty = workers(InlineExecutor(list), batch_size=64, after="never")
        save = workers(InlineExecutor(list), batch_size=64, after=["empty", "classify"])

    assert payloads(run_pipe(P, range(10_000))["default"]) == list(range(10_000))


def test_a_halt_in_a_branch_ends_the_run() -> None:
    """With its reason and stage, though the input and the other ways have no end."""

    class P(Pipe):
        classify = router(odd=_odd)

        @stage(after="odd")
        def fix(item: Any) -> Any:
            return Fail("too odd") if item.payload == 1001 else item.payload

        save = stage(_same, after=["classify", "fix"])

    with pytest.raises(PipeError, match="too odd") as caught:
        for _ in stream_pipe(P, itertools.count()):
            pass
    assert caught.value.stage == "fix"


def test_a_policy_in_a_branch_is_that_of_its_stage() -> None:
    """What is tried again holds up its own way, and then goes on."""
    tries: list[int] = []

    class P(Pipe):
        on_error = {"fix": Retry(max_attempts=3, backoff=0.001), "drop": "skip"}
        classify = router(odd=_odd, third=_third)

        @stage(after="odd")
        def fix(item: Any) -> Any:
            tries.append(item.payload)
            if tries.count(item.payload) < 3:
                raise ConnectionError
            return item.payload

        @stage(after="third")
        def drop(item: Any) -> Any:
            raise ValueError(item)

        save = stage(_same, after=["classify", "fix", "drop"])

    out = run_pipe(P, range(10))
    assert sorted(payloads(out["default"])) == [1, 2, 3, 4, 5, 7, 8, 9]
    assert out.statistics["drop"].skipped == 2
    assert out.statistics["fix"].retries == 10


# -- bounded --------------------------------------------------------------------------


def counting(taken: list[int]) -> Iterator[int]:
    for number in itertools.count():
        taken[0] = number
        yield number


def test_a_branch_that_stands_still_holds_the_input() -> None:
    """What waits for it is bounded; what needs no place in it was not held up before."""
    gate, taken = threading.Event(), [0]

    class P(Pipe):
        classify = router(odd=_odd)

        @stage(after="odd")
        def slow(item: Any) -> Any:
            gate.wait(20)
            return item.payload

        save = stage(_same, after=["classify", "slow"])

    stream = stream_pipe(P, counting(taken))
    try:
        even = [next(stream).payload for _ in range(500)]
        assert even == list(range(0, 1000, 2))
        before = -1
        while before != taken[0]:
            before = taken[0]
            threading.Event().wait(0.1)
        assert before < 20_000
    finally:
        gate.set()
        stream.close()


def test_a_reader_that_stands_still_holds_the_input() -> None:
    """Demand goes from the reader through all ways to the input."""
    taken = [0]
    with stream_pipe(Diamond, counting(taken)) as stream:
        next(stream)
        before = -1
        while before != taken[0]:
            before = taken[0]
            threading.Event().wait(0.1)
        assert before < 30_000
        assert len(list(itertools.islice(stream, 50_000))) == 50_000


def test_an_early_close_says_nothing_of_what_it_drops(caplog: Any) -> None:
    """Items on their way between stages are part of it."""
    with stream_pipe(Diamond, itertools.count()) as stream:
        next(stream)
    assert not caplog.records


# -- a pipe within a pipe ------------------------------------------------------------


class Prices(Store):
    @view
    def price_of(self, key: Any) -> Any:
        return key * 2


class Checked(Pipe):
    stores = (Prices,)
    outputs = ("bad",)
    on_error = Route(lambda item, error: item.put_route("bad"))

    @stage
    def parse(item: Any, ctx: Any) -> Any:
        assert ctx.stage.endswith(".parse")
        assert "Prices" in ctx.stores
        return int(item.payload)

    sort = router(odd=_odd)
    halve = stage(lambda item: RouteTo("default", item.payload // 2), after="odd")

    @stage(after="sort")
    def even(item: Any) -> Any:
        return Skip("too much") if item.payload > 100 else item.payload


def test_a_pipe_runs_as_a_stage_of_another() -> None:
    """Its outputs are routes, its "default" is what goes on; its stores and policies are there."""

    class P(Pipe):
        check = stage(Checked)
        report = stage(lambda item: f"bad {item.payload}", after="bad")
        save = stage(lambda item: f"saved {item.payload}", after=["check", "report"])

    out = run_pipe(P, ["2", "x", "7", "200"])
    assert sorted(payloads(out["default"])) == ["saved 2", "saved 3", "saved bad x"]
    assert set(out.statistics) == {
        "source", "check.parse", "check.sort", "check.halve", "check.even", "report", "save",
    }  # fmt: skip
    assert out.statistics["check.even"].skipped == 1


def test_a_halt_names_the_inner_stage() -> None:
    """As `inner.stage`."""

    class P(Pipe):
        on_error = {"check.parse": "halt"}
        check = stage(Checked)

    with pytest.raises(PipeError) as caught:
        run_pipe(P, ["x"])
    assert caught.value.stage == "check.parse"


def test_a_pipe_can_stand_in_another_twice() -> None:
    """Its stages run once for each."""

    class Add(Pipe):
        add = stage(lambda item: item.payload + 1)

    class P(Pipe):
        one = stage(Add)
        two = stage(Add)

    assert payloads(run_pipe(P, [1, 2])["default"]) == [3, 4]


# -- batches ------------------------------------------------------------------------------


def test_a_function_of_one_item_may_have_a_batch_handler() -> None:
    """It gets the items that arrived together, and may leave them to the function."""
    batches: list[int] = []

    def together(items: Any) -> Any:
        batches.append(len(items))
        return [item.payload * 10 for item in items] if items[0].payload else PER_ITEM

    class P(Pipe):
        @stage(batch_handler=together, on_error="skip")
        def each(item: Any) -> Any:
            return 1 // item.payload

    assert payloads(run_pipe(P, [1, 2])["default"]) == [10, 20]
    assert payloads(run_pipe(P, [0, 1])["default"]) == [1]
    assert batches == [2, 2]


def test_a_batch_function_without_one_cannot_leave_items_to_it() -> None:
    """The error says what to write."""

    class P(Pipe):
        @stage(batch=True)
        def each(items: Any) -> Any:
            return PER_ITEM

    with pytest.raises(PipeError, match=r"put @stage\(batch_handler=…\) over the function of one item"):
        run_pipe(P, [1])


def test_a_batch_fails_as_a_whole_with_fail() -> None:
    """Its policy is asked for each item of it."""

    class P(Pipe):
        outputs = ("bad",)

        @stage(batch=True, on_error=Route(lambda item, error: item.put_route("bad")))
        def each(items: Any) -> Any:
            return Fail("not today")

    out = run_pipe(P, [1, 2])
    assert payloads(out["bad"]) == [1, 2]
    assert "not today" in out.statistics["each"].last_error


# -- stages that take their time to start --------------------------------------------------


class SlowToStart(Stage):
    def init(self) -> None:
        threading.Event().wait(0.2)

    def handle_item(self, item: Any, ctx: Any) -> Any:
        return item.payload


@pytest.mark.parametrize("numbers", [[], [1], [2], [3], [1, 2, 3, 4]], ids=str)
def test_a_stage_may_end_before_those_below_it_have_started(numbers: Any) -> None:
    """They take what it has left for them, and end as it did."""

    class P(Pipe):
        classify = router(odd=_odd, third=_third)
        left = stage(SlowToStart, after="odd")
        right = stage(SlowToStart, after="third")
        more = workers(InlineExecutor(list), after="right")
        save = stage(SlowToStart, after=["left", "more", "classify"])

    class Row(Pipe):
        first = stage(_same)
        last = stage(SlowToStart)

    assert payloads(run_pipe(Row, numbers)["default"]) == numbers
    assert sorted(payloads(run_pipe(P, numbers)["default"])) == sorted(numbers)


def test_a_halt_in_front_of_a_join_of_workers_is_the_end_of_the_run() -> None:
    """However the other stages in front of it end, which they may do while its last batch runs."""
    halted, over = threading.Event(), threading.Event()
    soon = threading.Event().wait

    class Divide(Stage):
        def init(self, ended: threading.Event) -> None:
            self.ended = ended

        def handle_item(self, item: Any, ctx: Any) -> Any:
            return 1 // item.payload

        def shutdown(self) -> None:
            self.ended.set()

    def numbers() -> Iterator[int]:
        yield from (1, 0)
        halted.wait(10)
        soon(0.05)  # that it halted is on its way

    def wait(payloads: list[Any]) -> list[Any]:
        over.wait(10)
        soon(0.05)
        return payloads

    class P(Pipe):
        outputs = ("bad",)
        classify = router(bad=lambda item: True)
        fail = stage(Divide, ended=halted, after="bad")
        same = stage(Divide, ended=over, after="classify")
        join = workers(ThreadExecutor(wait), batch_size=1, after=["fail", "same"])
        more = stage(lambda item: item.payload)

    with pytest.raises(PipeError, match=r"P\.fail halted: ZeroDivisionError") as caught:
        run_pipe(P, numbers())
    assert caught.value.partial_results.record.ended == "halted"
