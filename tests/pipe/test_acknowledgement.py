"""A source is told once of each item what became of all that came of it."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slither_actors import (
    Fail,
    InlineExecutor,
    Item,
    Many,
    Pipe,
    PipeError,
    Route,
    RouteTo,
    Skip,
    dispatch,
    run_pipe,
    stage,
    stream_pipe,
    workers,
)
from slither_actors.errors import NotRunningError, OptionError
from slither_actors.pipe import Ack, AckSource, Delivery, RateLimit
from tests.pipe.ack_sources import ListSource
from tests.pipe.test_every_item_once import WAITING, Model, Plan, inputs, pipe_of, plans, relaxed
from tests.pipe.test_random_graphs import (
    ACTIONS,
    POLICIES,
    demands,
    graph_of,
    little,
    run_or_halt,
)
from tests.pipe.test_random_graphs import plans as graph_plans

few = settings(relaxed, max_examples=60)

DEEP = [
    Plan("item", ("two",), "go on", 1),
    Plan("item", ("two",), "go on", 1),
    Plan("item", ("fail",), "halt", 1),
]
"""The failure is that of a child of a child, while another child is on its way."""


@attrs.define
class AckModel(Model):
    """Knows also which of the input failed and was skipped."""

    failed: set = attrs.field(factory=set)

    def handle(self, plan: Any, batch: Any) -> Any:
        failed = plan.kind != "router" and any(plan.fails(payload) for _, payload in batch)
        if failed and plan.policy.removeprefix("retry, ") == "skip":
            self.failed |= {origin for origin, _ in batch}
        return super().handle(plan, batch)


def failures(source: ListSource, *, early: bool = False) -> set[int]:
    """Places of what failed; if the run did not end early, none of them for that reason."""
    failed = {place: error for place, error in source.errors.items() if error is not None}
    assert early or not any(isinstance(error, NotRunningError) for error in failed.values())
    return set(failed)


@given(plans, inputs)
@example(WAITING, [0, 0])
@example(DEEP, [0])
@few
def test_each_item_is_acknowledged_once_with_its_failure_if_it_had_one(found: Any, numbers: Any) -> None:
    """Whatever the pipe; a run that halts acknowledges what it has not finished as failed."""
    model = AckModel(list(enumerate(numbers))).run(found)
    source = ListSource(numbers)
    if model.halted_in is None:
        run_pipe(pipe_of(found), source)
        assert source.read == len(numbers)
        assert failures(source) == model.failed
    else:
        with pytest.raises(PipeError):
            run_pipe(pipe_of(found), source)
        failed = {ack.token for ack in source.acks if ack.error is not None and not ack.interrupted}
        assert model.halted_at in failed
        _ = source.errors
    assert source.closed == 1


@given(plans, inputs, st.integers(0, 30))
@few
def test_a_stream_that_is_closed_early_acknowledges_each_item_once(
    found: Any, numbers: Any, count: Any
) -> None:
    """What was not finished, or not consumed, as failed."""
    source = ListSource(numbers)
    with stream_pipe(pipe_of(found), source) as stream:
        try:
            for _ in itertools.islice(stream, count):
                pass
        except PipeError:
            pass
    _ = source.errors


@given(graph_plans(ACTIONS, POLICIES), inputs, demands)
@few
def test_each_item_is_acknowledged_once_whatever_the_graph(found: Any, numbers: Any, demand: Any) -> None:
    """Also where stages fork and join, and all ways are full."""
    source = ListSource(numbers)
    with little(demand):
        _, halted_in = run_or_halt(graph_of(found).pipe, source)
    failures(source, early=halted_in is not None)


class Fans(Pipe):
    """Makes items, also by a route, and drops some."""

    @stage(on_error="skip")
    def first(item: Any) -> Any:  # noqa: N805
        return Many(item.spawn(each) for each in item.payload) if item.payload else Skip("nothing in it")

    @stage(on_error="skip", routes="side")
    def second(item: Any) -> Any:  # noqa: N805
        if item.payload < 0:
            return Fail(ValueError(item.payload))
        return RouteTo("side", item.payload) if item.payload % 2 else item.payload


def test_an_item_that_became_many_is_acknowledged_after_the_last_of_them() -> None:
    """By whatever output they leave; a failure of one is a failure of the item."""
    source = ListSource([[1, 2, 3], [], [4, -5, 6], [-7]])
    outputs = run_pipe(Fans, source)
    assert len(outputs["default"]) == 3
    assert len(outputs["side"]) == 2
    assert {place: str(error) for place, error in source.errors.items() if error} == {2: "-5", 3: "-7"}


def test_what_a_stream_gave_is_acknowledged_when_its_reader_asks_for_the_next() -> None:
    """Until then the reader is at it; what it was at when it left counts as failed."""

    class P(Pipe):
        @stage
        def each(item: Any) -> Any:  # noqa: N805
            return Many([item.payload, -item.payload])

    source = ListSource([1, 2, 3])
    with stream_pipe(P, source) as stream:
        assert next(stream).payload == 1
        assert next(stream).payload == -1
        assert source.acks == []
        assert next(stream).payload == 2
        assert source.wait_for(1) == [Ack(0)]
    assert failures(source, early=True) == {1, 2}


def test_a_stream_that_is_dropped_acknowledges_what_is_left_as_failed() -> None:
    """Nobody is to wait for what nobody reads."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    source = ListSource(range(50))
    stream = stream_pipe(P, source)
    next(stream)
    del stream
    gc.collect()
    source.wait_until_closed()
    assert failures(source, early=True) == set(range(source.read))


def test_a_beat_comes_as_often_as_it_is_wanted() -> None:
    """While the run lasts, also while nothing else happens; one that raises does no harm."""
    beats, enough = [], threading.Event()

    class Beating(ListSource):
        beat_seconds = 0.01

        def beat(self) -> None:
            beats.append(1)
            if len(beats) == 5:
                enough.set()
            raise ValueError("missed")

    class P(Pipe):
        @stage
        def wait(item: Any) -> Any:  # noqa: N805
            assert enough.wait(10)
            return item.payload

    source = Beating([1])
    run_pipe(P, source)
    assert failures(source) == set()


def test_what_a_batch_handler_makes_anew_belongs_to_all_items_of_the_batch() -> None:
    """A failure of it later is one of each of them."""

    class P(Pipe):
        @stage(batch=True)
        def total(items: Any) -> Any:  # noqa: N805
            return [Item.wrap(sum(item.payload for item in items))]

        @stage(on_error="skip")
        def check(item: Any) -> Any:  # noqa: N805
            raise ValueError(item.payload)

    source = ListSource([1, 2, 3])
    run_pipe(P, source)
    assert failures(source) == {0, 1, 2}


def test_an_item_that_a_policy_routes_has_not_failed() -> None:
    """The policy took care of it, also where its function made a new item."""

    class P(Pipe):
        outputs = ["broken"]

        @stage(on_error=Route(lambda item, _: item.spawn(0).put_route("broken")))
        def parse(item: Any) -> Any:  # noqa: N805
            return int(item.payload)

        inverse = workers(
            InlineExecutor(lambda numbers: [1 / number for number in numbers]),
            batch_size=1,
            on_error=Route(lambda item, _: item.spawn(0).put_route("broken")),
        )

    source = ListSource(["1", "x", "0"])
    assert len(run_pipe(P, source)["broken"]) == 2
    assert failures(source) == set()


def test_acknowledgements_come_in_lots_by_size_and_by_time() -> None:
    """At most `ack_size` at a time, and none waits longer than `ack_seconds`."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    source = ListSource(range(1000))
    source.ack_size, source.ack_seconds = 100, 60.0
    run_pipe(P, source)
    assert [len(lot) for lot in source.lots] == [100] * 10
    may_end = threading.Event()

    def slow() -> Iterator[int]:
        yield from range(3)
        may_end.wait(10)

    source = ListSource(slow())
    running = threading.Thread(target=run_pipe, args=(P, source))
    running.start()
    try:
        assert len(source.wait_for(3)) == 3
    finally:
        may_end.set()
        running.join(10)


def test_a_source_that_raises_is_logged_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """What it did not take will come again."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    class Broken(ListSource):
        def acknowledge(self, acks: Sequence[Ack]) -> None:
            raise ConnectionError("gone")

    with caplog.at_level(logging.ERROR, "slither_actors.pipe"):
        assert len(run_pipe(P, Broken([1, 2]))["default"]) == 2
    assert "acknowledge of its source raised" in caplog.text


def test_a_source_that_takes_acknowledgements_slowly_is_read_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits to be told is bounded, also where the input is endless."""
    monkeypatch.setattr("slither_actors.pipe._ack_keeper._BEHIND", 50)
    may_go_on = threading.Event()

    class Slow(ListSource):
        def acknowledge(self, acks: Sequence[Ack]) -> None:
            may_go_on.wait(20)
            super().acknowledge(acks)

    class P(Pipe):
        drop = stage(lambda _: Skip())

    def endless() -> Iterator[int]:
        while not may_go_on.is_set():
            yield 1

    source = Slow(endless())
    source.ack_size = 10
    running = threading.Thread(target=run_pipe, args=(P, source))
    running.start()
    try:
        before = -1
        while before != source.read or not before:
            before = source.read
            time.sleep(0.1)
        assert source.read < 5_000
    finally:
        may_go_on.set()
        running.join(30)
    assert not running.is_alive()


def test_dispatch_refuses_a_source_that_wants_acknowledgements() -> None:
    """It has none to give."""
    with pytest.raises(OptionError, match="allowed is an iterable of payloads"):
        dispatch.run(ListSource([1]), executor=InlineExecutor(list))  # type: ignore[arg-type]


def test_a_run_takes_its_input_no_faster_than_it_may() -> None:
    """Whatever the input: a list, or a source with a limit of its own."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    began = time.monotonic()
    assert len(run_pipe(P, range(25), rate_limit=RateLimit(10, 0.1))["default"]) == 25
    assert time.monotonic() - began >= 0.2
    source = ListSource(range(25))
    source.rate_limit = RateLimit(10, 0.1)
    began = time.monotonic()
    assert len(run_pipe(P, source)["default"]) == 25
    assert time.monotonic() - began >= 0.2
    assert failures(source) == set()


def test_a_run_that_waits_for_its_rate_ends_at_once() -> None:
    """The end of a run does not wait for the next item."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    with stream_pipe(P, range(10), rate_limit=RateLimit(1, 60)) as stream:
        next(stream)
        began = time.monotonic()
    assert time.monotonic() - began < 1


def test_a_rate_limit_that_is_none_is_refused() -> None:
    """At the edge."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    with pytest.raises(OptionError, match="rate_limit"):
        run_pipe(P, [], rate_limit=10)
    with pytest.raises(OptionError, match="count"):
        RateLimit(0)
    with pytest.raises(OptionError, match="per_seconds"):
        RateLimit(1, 0)


class _Same(AckSource):
    def __init__(self) -> None:
        self.acks: list[Ack] = []

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        item = Item.wrap("x")
        yield Delivery(item, 1)
        yield Delivery(item, 2)

    def acknowledge(self, acks: Sequence[Ack]) -> None:
        self.acks += acks


def test_one_item_that_is_delivered_twice_is_two_items() -> None:
    """Each has its own acknowledgement."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    source = _Same()
    run_pipe(P, source)
    assert sorted(ack.token for ack in source.acks) == [1, 2]
