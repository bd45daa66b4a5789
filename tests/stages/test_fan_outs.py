"""The fan-outs that GenStage has not, limits for the queues of partitions, and fan-outs of one's own."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Hashable
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.errors import ActorExitError, BufferFullError, FanOutError, OptionError, StartError
from slither_actors.stages import (
    BroadcastFanOut,
    DemandFanOut,
    FanOut,
    PartitionFanOut,
    RoundRobinFanOut,
    Subscription,
    WeightedFanOut,
    ask,
    cancel,
    sync_subscribe,
)
from tests.stages.probes import SECONDS, Silent, Sink, Source, ended, inside, seen, settle

HALVES = functools.partial(PartitionFanOut, 2)


class Stuck(Sink):
    """Waits in its first event until it is let go on."""

    def init(self, go_on: threading.Event, **options: Any) -> None:
        super().init(**options)
        self.go_on = go_on

    def handle_events(self, events: Any, source: Subscription) -> None:
        super().handle_events(events, source)
        assert self.go_on.wait(SECONDS)


# -- round robin -----------------------------------------------------------------


def test_round_robin_gives_everyone_as_much() -> None:
    """Event by event, whatever the demand of each."""
    source, sinks = Silent.start(dispatcher=RoundRobinFanOut), [Sink.start() for _ in range(3)]
    for sink, max_demand in zip(sinks, (100, 1000, 500), strict=True):
        sync_subscribe(sink, to=source, max_demand=max_demand)
    settle(source)
    inside(source, lambda stage: (stage.emit(range(90)), stage.complete()))
    for first, sink in enumerate(sinks):
        assert ended(sink) == "normal"
        assert seen(sink, "events") == list(range(first, 90, 3))


def test_round_robin_takes_the_size_of_a_turn() -> None:
    """As an option of the fan-out."""
    source = Silent.start(dispatcher=functools.partial(RoundRobinFanOut, chunk_size=10))
    sinks = [Sink.start() for _ in range(2)]
    for sink in sinks:
        sync_subscribe(sink, to=source)
    settle(source)
    inside(source, lambda stage: stage.emit(range(40)))
    settle(*sinks)
    assert seen(sinks[0], "events") == [*range(10), *range(20, 30)]


# -- weighted ---------------------------------------------------------------------

WEIGHTED = functools.partial(WeightedFanOut, time.monotonic)


def test_a_consumer_that_does_not_answer_gets_hardly_anything() -> None:
    """The others get all the rest, and no event waits behind it."""
    go_on = threading.Event()
    source, stuck, sinks = Silent.start(dispatcher=WEIGHTED), Stuck.start(go_on), [Sink.start(), Sink.start()]
    for sink in (stuck, *sinks):
        sync_subscribe(sink, to=source, max_demand=10, min_demand=9)
    settle(source)
    inside(source, lambda stage: (stage.emit(range(1000)), stage.complete()))
    for sink in sinks:
        assert ended(sink) == "normal"
    shares = [seen(sink, "events") for sink in sinks]
    assert len(shares[0]) + len(shares[1]) == 999
    go_on.set()
    assert ended(stuck) == "normal"
    assert sorted([*shares[0], *shares[1], *seen(stuck, "events")]) == list(range(1000))


def test_a_consumer_that_asks_by_hand_gets_all_that_it_asks_for() -> None:
    """It may ask again only when it has all of it."""
    source, sink = Source.start(10**9, dispatcher=WEIGHTED), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, max_demand=10)
    settle(source)
    ask(subscription, 100)
    settle(source, sink)
    assert len(seen(sink, "events")) == 100


def test_a_weighted_fan_out_needs_a_clock() -> None:
    """The error names the option."""
    with pytest.raises(StartError, match=r"option 'dispatcher' cannot be called: .*'clock'"):
        Silent.start(dispatcher=WeightedFanOut)


# -- partitions -------------------------------------------------------------------


def test_a_partition_may_have_several_consumers() -> None:
    """Each event of the partition goes to one of them."""
    shared = functools.partial(PartitionFanOut, 2, max_consumers=2)
    source, evens, odd = Source.start(400, dispatcher=shared), [Sink.start(), Sink.start()], Sink.start()
    for sink in evens:
        sync_subscribe(sink, to=source, partition=0, max_demand=10)
    sync_subscribe(odd, to=source, partition=1, max_demand=10)
    for sink in (*evens, odd):
        assert ended(sink) == "normal"
    shares = [seen(sink, "events") for sink in evens]
    assert sorted(shares[0] + shares[1]) == list(range(0, 400, 2))
    assert all(shares)
    assert seen(odd, "events") == list(range(1, 400, 2))


def test_a_full_queue_of_a_partition_holds_the_demand_of_all() -> None:
    """The producer makes no more than there is room for; all goes on when the queue is drained."""
    bounded = functools.partial(PartitionFanOut, 2, buffer_size=5)
    source = Source.start(1000, dispatcher=bounded)
    even, odd = Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=source, partition=0, max_demand=100)
    subscription = sync_subscribe(odd, to=source, partition=1)
    settle(source, even, rounds=30)
    assert seen(source, "next") == 10
    assert seen(even, "events") == [0, 2, 4, 6, 8]
    ask(subscription, 2000)
    assert ended(even) == ended(odd) == "normal"
    assert seen(odd, "events") == list(range(1, 1000, 2))


def test_what_a_full_queue_of_a_partition_drops_is_told_and_made_up_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the partition, and with what its queue is."""
    told: list[Any] = []
    bounded = functools.partial(PartitionFanOut, 2, buffer_size=5, buffer_keep="last")
    source, even, odd = (
        Source.start(200, completes=False, dispatcher=bounded),
        Sink.start(),
        Sink.start(mode="manual"),
    )
    with telemetry.attach(["slither.stage.buffer.overflow"], lambda *event: told.append(event)):
        subscription = sync_subscribe(odd, to=source, partition=1)
        sync_subscribe(even, to=source, partition=0, max_demand=10, min_demand=9)
        settle(source, even, rounds=300)
    assert seen(even, "events") == list(range(0, 200, 2))
    assert sum(event[2]["count"] for event in told) == 95
    metadata = told[0][3]
    assert metadata["stage"]
    del metadata["stage"]
    assert metadata == {"size": 5, "keep": "last", "partition": 1, "reason": "overflow"}
    assert "of partition 1 (overflow)" in caplog.text
    ask(subscription, 100)
    settle(source, odd)
    assert seen(odd, "events") == [191, 193, 195, 197, 199]


def test_a_full_queue_of_a_partition_may_end_the_producer() -> None:
    """With an error that names the partition."""
    bounded = functools.partial(PartitionFanOut, 2, buffer_size=5, buffer_keep="error")
    source, even = Source.start(200, dispatcher=bounded), Sink.start()
    sync_subscribe(even, to=source, partition=0)
    reason = ended(source)
    assert isinstance(reason.exception, BufferFullError)
    assert "partition 1" in str(reason)


def test_an_event_for_a_partition_that_cannot_be_one_is_told_and_the_producer_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The hash function returned a list."""
    nowhere: Any = ["nowhere"]

    def choose(event: int) -> tuple[int, Hashable]:
        return event, 0 if event % 2 else nowhere

    source, sink = (
        Source.start(20, dispatcher=functools.partial(PartitionFanOut, 1, hash=choose)),
        Sink.start(),
    )
    sync_subscribe(sink, to=source, partition=0, max_demand=20)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == list(range(1, 20, 2))
    assert "has discarded 10 events of partition ['nowhere'] (unknown)" in caplog.text


# -- one's own ----------------------------------------------------------------------


class Own(DemandFanOut[Any]):
    """A user's own. What `subscribe` is told is kept."""

    told: dict[str, Any]

    def subscribe(self, key: Any, options: Any = None, *, consumer: Any = None) -> None:
        self.told = dict(options)
        super().subscribe(key, options, consumer=consumer)


def test_a_fan_out_is_told_of_the_subscription() -> None:
    """All its options, and whether the consumer asks by hand, which it knows when it has asked."""
    made: list[Own] = []

    def make() -> Own:
        made.append(Own())
        return made[0]

    source = Silent.start(dispatcher=make)
    for mode in (None, "manual"):
        sink = Sink.start(mode=mode)
        subscription = sync_subscribe(
            sink, to=source, max_demand=10, min_demand=7, cancel="temporary", zone="b"
        )
        ask(subscription, 1)
        settle(source)
        told = made[0].told
        assert told.pop("by_hand")() is (mode == "manual")
        assert told == {"max_demand": 10, "min_demand": 7, "cancel": "temporary", "zone": "b"}


@pytest.mark.parametrize("base", [object, FanOut])
def test_a_fan_out_without_a_method_fails_the_start(base: type) -> None:
    """The error names what is missing."""
    names = {name: lambda *_: None for name in ("subscribe", "ask", "dispatch", "info", "statistics")}
    kind = type("Half", (base,), {**names, "outbox": []})
    with pytest.raises(StartError, match="made <.*Half.*>, which has no method 'cancel'") as caught:
        Silent.start(dispatcher=kind)
    assert isinstance(caught.value.__cause__, OptionError)


@pytest.mark.parametrize(
    ("method", "mistake"),
    [
        *((method, "raises") for method in ("subscribe", "ask", "dispatch", "cancel")),
        *((method, "returns") for method in ("ask", "dispatch", "cancel")),
    ],
)
def test_a_fan_out_that_is_wrong_ends_the_stage_and_is_named(method: str, mistake: str) -> None:
    """Whichever method it is; a KeyError of its own is not taken for an unknown subscription."""

    def wrong(*_: Any, **__: Any) -> Any:
        if mistake == "raises":
            raise KeyError("mine")
        return "nonsense"

    source = Source.start(10**9, dispatcher=type("Mistaken", (Own,), {method: wrong}))
    subscription = sync_subscribe(Sink.start(), to=source, max_demand=10, cancel="temporary")
    cancel(subscription)
    reason = ended(source)
    assert isinstance(reason.exception, FanOutError)
    text = (
        f"the fan-out Mistaken raised in '{method}'" if mistake == "raises" else "Mistaken gave 'nonsense' in"
    )
    assert text in str(reason)


def test_a_selector_that_raises_ends_the_producer_and_says_whose_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It runs in the producer, as in GenStage."""
    source, sink = Source.start(100, dispatcher=BroadcastFanOut), Sink.start()
    with caplog.at_level(logging.ERROR):
        sync_subscribe(sink, to=source, selector=lambda event: event / 0)
        ended(source)
    assert "raised by the selector of <Subscription of" in caplog.text


def test_a_full_buffer_may_end_the_producer() -> None:
    """For who would rather know than lose events."""
    source = Silent.start(buffer_size=5, buffer_keep="error")
    inside(source, lambda stage: stage.emit(range(5)))
    with pytest.raises(ActorExitError, match="the buffer keeps at most 5 events and 1 more came"):
        inside(source, lambda stage: stage.emit([5]))
    assert isinstance(ended(source).exception, BufferFullError)
