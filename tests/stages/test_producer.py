"""What a producer is asked for, and what becomes of events that nobody has asked for."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.actors import Request
from slither_actors.errors import ActorExitError, OptionError, StartError
from slither_actors.stages import (
    DemandFanOut,
    PartitionFanOut,
    Producer,
    ProducerConsumer,
    Subscription,
    ask,
    sync_subscribe,
)
from tests.stages.probes import Middle, Silent, Sink, Source, ended, inside, seen, settle

# -- demand --------------------------------------------------------------------


def test_handle_demand_gets_what_the_buffer_could_not_serve() -> None:
    """Three are buffered, five are asked for: two."""
    source = Silent.start()
    inside(source, lambda stage: stage.emit([1, 2, 3]))
    sink = Sink.start()
    sync_subscribe(sink, to=source, max_demand=5)
    settle(source, sink)
    assert seen(source, "demands")[0] == 2
    assert seen(sink, "events") == [1, 2, 3]


def test_handle_demand_is_not_called_when_the_buffer_serves_all() -> None:
    """There is nothing left to make."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    inside(source, lambda stage: stage.emit([1, 2, 3]))
    ask(sync_subscribe(sink, to=source), 3)
    settle(source, sink)
    assert seen(source, "demands") == []
    assert seen(sink, "events") == [1, 2, 3]


def test_events_beyond_the_demand_are_buffered_and_come_first_next_time() -> None:
    """A handle_demand that returns more than was asked for loses nothing and keeps the order."""

    class Generous(Silent):
        def handle_demand(self, demand: int) -> range:  # type: ignore[override]
            self.demands.append(demand)
            return range(7) if len(self.demands) == 1 else range(0)

    source, sink = Generous.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    for count in (2, 4, 3):
        ask(subscription, count)
        settle(source, sink)
    assert seen(sink, "batches") == [[0, 1], [2, 3, 4, 5], [6]]
    assert seen(source, "demands") == [2, 2]


@pytest.mark.parametrize("returned", [None, [], (), range(0)])
def test_handle_demand_may_return_nothing(returned: Any) -> None:
    """The demand is then owed."""

    class Idle(Silent):
        def handle_demand(self, demand: int) -> Any:
            return returned

    source, sink = Idle.start(), Sink.start()
    sync_subscribe(sink, to=source)
    settle(source, sink)
    assert seen(sink, "batches") == []
    inside(source, lambda stage: stage.emit([1]))
    assert seen(sink, "batches") == [[1]]


@pytest.mark.parametrize("make", [list, tuple, set, iter, lambda events: (event for event in events)])
def test_handle_demand_may_return_any_iterable(make: Callable[[list[int]], Any]) -> None:
    """A generator is read at once."""

    class Once(Silent):
        def handle_demand(self, demand: int) -> Any:
            return make([1, 2, 3])

    source, sink = Once.start(), Sink.start(mode="manual")
    ask(sync_subscribe(sink, to=source), 3)
    settle(source, sink)
    assert seen(sink, "events") == [1, 2, 3]


class NotShown:
    def __repr__(self) -> str:
        raise RuntimeError("not shown")


@pytest.mark.parametrize(
    "returned",
    ["text", b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), {"a": 1}, 5, NotShown()],
)
def test_handle_demand_must_not_return_what_is_hardly_meant(returned: Any) -> None:
    """A text would be an event per character: a crash that shows what was returned, and by which method."""

    class Wrong(Silent):
        def handle_demand(self, demand: int) -> Any:
            return returned

    source, sink = Wrong.start(), Sink.start()
    sync_subscribe(sink, to=source)
    reason = str(ended(sink))
    assert "Wrong.handle_demand returned " in reason
    assert "expected is an iterable of events" in reason


def test_emit_must_not_be_given_what_is_hardly_meant() -> None:
    """The error says which stage emits it."""
    source = Silent.start()
    with pytest.raises(
        ActorExitError, match="Silent.emit was given 'text'; expected is an iterable of events"
    ):
        inside(source, lambda stage: stage.emit("text"))


def test_a_producer_without_handle_demand_says_so() -> None:
    """It crashes at the first demand."""

    class Empty(Producer):
        pass

    source, sink = Empty.start(), Sink.start()
    sync_subscribe(sink, to=source)
    assert "Empty has no handle_demand" in str(ended(sink))


def test_events_are_emitted_ahead_of_the_reply_to_a_call() -> None:
    """Who has the reply can rely on it."""

    class Answering(Silent):
        def handle_call(self, request: Any, sender: Request) -> str:
            self.emit(request)
            return "emitted"

    source, sink = Answering.start(), Sink.start()
    sync_subscribe(sink, to=source)
    assert source.call([1, 2]) == "emitted"
    assert seen(sink, "events") == [1, 2]


def test_events_can_be_emitted_from_every_callback_but_init() -> None:
    """In init nobody could have got them; the error says what to do instead."""

    class Early(Producer):
        def init(self) -> None:
            self.emit([1])

    with pytest.raises(StartError, match="cannot emit in init; use continue_with"):
        Early.start()


def test_a_producer_may_not_make_a_subscription_manual() -> None:
    """Only who asks can ask by hand."""

    class Manual(Silent):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str:
            return "manual"

    source, sink = Manual.start(), Sink.start()
    sync_subscribe(sink, to=source)
    assert "returned 'manual' for a consumer; allowed are None, 'automatic'" in str(ended(sink))


# -- the buffer ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "kept"), [("last", [6, 7, 8, 9]), ("first", [0, 1, 2, 3])], ids=["last", "first"]
)
@pytest.mark.parametrize("lists", [[range(10)], [range(3), range(3, 10)], [[n] for n in range(10)]])
def test_a_full_buffer_keeps_the_first_or_the_last_events(keep: str, kept: list[int], lists: Any) -> None:
    """Event by event: it does not matter in which lists they came."""
    source, sink = Silent.start(buffer_size=4, buffer_keep=keep), Sink.start()
    for events in lists:
        inside(source, lambda stage, events=events: stage.emit(events))
    sync_subscribe(sink, to=source)
    settle(source, sink)
    assert seen(sink, "events") == kept


def test_a_producer_buffers_ten_thousand_and_a_producer_consumer_any_number() -> None:
    """GenStage's defaults."""
    assert Producer.buffer_size == 10_000
    assert ProducerConsumer.buffer_size is None
    assert Producer.buffer_keep == "last"


def test_a_buffer_of_size_zero_keeps_nothing() -> None:
    """What nobody has asked for is dropped."""
    source, sink = Silent.start(buffer_size=0), Sink.start()
    inside(source, lambda stage: stage.emit([1, 2]))
    sync_subscribe(sink, to=source)
    settle(source)
    inside(source, lambda stage: stage.emit([3]))
    assert seen(sink, "events") == [3]


def test_dropped_events_are_counted_in_a_signal() -> None:
    """slither.stage.buffer.overflow: the count, the stage, and what its buffer is."""
    told: list[Any] = []
    source = Silent.start(buffer_size=3, buffer_keep="first")
    with telemetry.attach(["slither.stage.buffer.overflow"], lambda *event: told.append(event)):
        inside(source, lambda stage: stage.emit(range(5)))
        inside(source, lambda stage: stage.emit(range(2)))
    metadata = {"stage": str(source), "size": 3, "keep": "first"}
    name = "slither.stage.buffer.overflow"
    assert told == [(name, source, {"count": 2}, metadata)] * 2


def test_format_discarded_is_called_per_overflow_with_the_number(caplog: pytest.LogCaptureFixture) -> None:
    """When it returns True the warning is logged."""

    class Counting(Silent):
        def format_discarded(self, count: int) -> bool:
            self.demands.append(-count)
            return count > 1

    source = Counting.start(buffer_size=1)
    with caplog.at_level(logging.WARNING):
        inside(source, lambda stage: stage.emit([1, 2, 3]))
        inside(source, lambda stage: stage.emit([4]))
    assert seen(source, "demands") == [-2, -1]
    assert [record.getMessage() for record in caplog.records] == [
        f"{source} has discarded 2 events from its buffer"
    ]


# -- the end -------------------------------------------------------------------


def test_a_completed_producer_ends_when_its_buffer_is_taken() -> None:
    """Not before, and with the given reason."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    inside(source, lambda stage: (stage.emit([1, 2, 3]), stage.complete(("shutdown", "done"))))
    ask(subscription, 2)
    settle(source, sink)
    assert source.is_alive()
    ask(subscription, 1)
    assert ended(source) == ("shutdown", "done")
    assert ended(sink) == ("shutdown", "done")
    assert seen(sink, "events") == [1, 2, 3]


def test_complete_counts_what_the_same_callback_still_returns() -> None:
    """Also what goes beyond the demand."""

    class Last(Silent):
        def handle_demand(self, demand: int) -> range:  # type: ignore[override]
            self.complete()
            return range(demand + 3)

    source, sink = Last.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=2)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == list(range(5))


def test_complete_counts_what_is_queued_for_a_partition() -> None:
    """Those events are not in the buffer, and still wait for somebody."""
    halves = functools.partial(PartitionFanOut, 2)
    source, even, odd = Silent.start(dispatcher=halves), Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=source, partition=0, max_demand=10, cancel="temporary")
    subscription = sync_subscribe(odd, to=source, partition=1)
    settle(source)
    inside(source, lambda stage: (stage.emit(range(10)), stage.complete()))
    settle(source, even, odd)
    assert source.is_alive()
    assert seen(even, "events") == [0, 2, 4, 6, 8]
    ask(subscription, 10)
    assert ended(source) == "normal"
    assert ended(odd) == "normal"
    assert seen(odd, "events") == [1, 3, 5, 7, 9]
    assert seen(source, "demands") == [10]


def test_a_completed_producer_is_asked_for_nothing() -> None:
    """Demand that comes while the buffer empties is not its business any more."""
    source, sink = Silent.start(), Sink.start()
    inside(source, lambda stage: (stage.emit(range(10)), stage.complete()))
    sync_subscribe(sink, to=source, max_demand=3)
    assert ended(source) == "normal"
    assert seen(source, "demands") == []
    assert seen(sink, "events") == list(range(10))


def test_completing_again_changes_nothing() -> None:
    """The first reason counts."""
    source = Silent.start()
    inside(source, lambda stage: (stage.emit([1]), stage.complete("normal"), stage.complete("again")))
    sink = Sink.start()
    sync_subscribe(sink, to=source)
    assert ended(source) == "normal"


def test_a_producer_may_complete_in_init() -> None:
    """It starts, and ends at once: there is nothing to wait for."""

    class Nothing(Producer):
        def init(self) -> None:
            self.complete()

    assert ended(Nothing.start()) == "normal"


def test_an_overflow_that_drops_all_in_front_of_the_end_lets_it_end() -> None:
    """It would wait for ever otherwise."""
    source = Silent.start(buffer_size=2)
    inside(source, lambda stage: (stage.emit([1, 2]), stage.complete()))
    inside(source, lambda stage: stage.emit([3, 4]))
    assert ended(source) == "normal"


# -- options -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("buffer_size", -1, "option 'buffer_size' is -1; allowed is an integer of at least 0, or None"),
        ("buffer_size", "many", "option 'buffer_size' is 'many'"),
        ("buffer_size", True, "option 'buffer_size' is True"),
        ("buffer_keep", "middle", "option 'buffer_keep' is 'middle'; allowed are 'first', 'last'"),
        ("dispatcher", None, "option 'dispatcher' is None; allowed is a fan-out class"),
        ("dispatcher", "demand", "option 'dispatcher' is 'demand'"),
        ("dispatcher", DemandFanOut(), "option 'dispatcher' is <"),
        ("dispatcher", PartitionFanOut, "option 'dispatcher' cannot be called: .*'partitions'"),
        ("dispatcher", dict, "option 'dispatcher' made {}"),
        ("dispatcher", functools.partial(PartitionFanOut, 0), "option 'partitions' is 0"),
        ("dispatcher", functools.partial(PartitionFanOut, 2, 3), "option 'hash' is 3; allowed is a function"),
        ("dispatcher", functools.partial(DemandFanOut, max_demand=0), "option 'max_demand' is 0"),
        (
            "dispatcher",
            functools.partial(DemandFanOut, shuffle=1),
            "option 'shuffle' is 1; allowed is a func",
        ),
    ],
)
@pytest.mark.parametrize("kind", [Silent, Middle])
def test_a_wrong_option_fails_the_start(kind: Any, option: str, value: Any, message: str) -> None:
    """The cause is an OptionError that names the option; set in init or on the class is the same."""
    with pytest.raises(StartError, match=message) as caught:
        kind.start(**{option: value})
    assert isinstance(caught.value.__cause__, OptionError)
    with pytest.raises(StartError, match=message):
        type("OnTheClass", (kind,), {option: value}).start()


@pytest.mark.parametrize(
    "dispatcher",
    [
        functools.partial(PartitionFanOut, 2),
        lambda: PartitionFanOut(2),
        staticmethod(lambda: PartitionFanOut(2)),
        functools.partial(functools.partial(PartitionFanOut), 2),
    ],
    ids=["partial", "function", "staticmethod", "nested"],
)
def test_a_dispatcher_with_options_can_stand_on_the_class(dispatcher: Any) -> None:
    """It is called without arguments: neither a function nor a partial is bound to the stage."""
    kind = type("OnTheClass", (Source,), {"dispatcher": dispatcher})
    source, sink = kind.start(4), Sink.start()
    sync_subscribe(sink, to=source, partition=1, max_demand=4)
    settle(source, sink)
    assert seen(sink, "events") == [1, 3]
