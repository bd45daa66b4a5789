"""Who gets which events: the three fan-outs behind a producer."""

from __future__ import annotations

import functools
import logging
import re
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.stages import (
    BroadcastFanOut,
    DemandFanOut,
    PartitionFanOut,
    Subscription,
    ask,
    cancel,
    sync_subscribe,
)
from tests.stages.probes import Middle, Silent, Sink, Source, ended, inside, seen, settle

# -- demand --------------------------------------------------------------------


def test_two_consumers_share_the_events_by_their_demand() -> None:
    """The list goes to the one with the highest demand up to that demand, then to the next."""
    source, small, large = Silent.start(), Sink.start(mode="manual"), Sink.start(mode="manual")
    ask(sync_subscribe(small, to=source), 3)
    ask(sync_subscribe(large, to=source), 5)
    settle(source)
    inside(source, lambda stage: stage.emit(range(10)))
    assert seen(large, "events") == [0, 1, 2, 3, 4]
    assert seen(small, "events") == [5, 6, 7]
    assert inside(source, lambda stage: stage._buffer.length) == 2


def test_every_event_goes_to_one_consumer() -> None:
    """Whoever takes it, nobody else does, and each sees its events in order."""
    source, middle, sinks = Source.start(2000), Middle.start(), [Sink.start() for _ in range(5)]
    for sink in sinks:
        sync_subscribe(sink, to=middle, max_demand=10)
    settle(middle)
    sync_subscribe(middle, to=source)
    for sink in sinks:
        ended(sink)
    shares = [seen(sink, "events") for sink in sinks]
    assert sorted(event for share in shares for event in share) == list(range(2000))
    assert all(share == sorted(share) for share in shares)
    assert all(shares)


def test_asks_larger_than_the_first_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """That consumer gets more than its share."""
    source, greedy = Silent.start(), Sink.start(mode="manual")
    with caplog.at_level(logging.WARNING):
        sync_subscribe(Sink.start(), to=source, max_demand=5)
        subscription = sync_subscribe(greedy, to=source)
        for count in (8, 9):
            ask(subscription, count)
        settle(source)
    (record,) = caplog.records
    assert "expects asks of at most 5 events" in record.getMessage()
    assert "asked for 8" in record.getMessage()


def test_a_consumer_without_rivals_may_ask_for_any_number(caplog: pytest.LogCaptureFixture) -> None:
    """There is nobody to take a share from."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    with caplog.at_level(logging.WARNING):
        for count in (1, 8, 100):
            ask(subscription, count)
        settle(source)
    assert seen(source, "demands") == [1, 8, 100]
    assert not caplog.records


def test_the_demand_fan_out_takes_options() -> None:
    """The order among equals can be drawn by lot."""

    def last_first(claims: list[Any]) -> None:
        claims.reverse()

    source = Silent.start(dispatcher=functools.partial(DemandFanOut, max_demand=99, shuffle=last_first))
    first, second = Sink.start(), Sink.start()
    for sink in (first, second):
        sync_subscribe(sink, to=source, max_demand=5)
    settle(source)
    inside(source, lambda stage: stage.emit([1]))
    assert (seen(first, "events"), seen(second, "events")) == ([], [1])


# -- broadcast -----------------------------------------------------------------


def test_a_broadcast_gives_every_event_to_every_consumer() -> None:
    """All of them, in order."""
    source, sinks = Silent.start(dispatcher=BroadcastFanOut), [Sink.start() for _ in range(3)]
    for sink, max_demand in zip(sinks, (1, 7, 100), strict=True):
        sync_subscribe(sink, to=source, max_demand=max_demand)
    inside(source, lambda stage: (stage.emit(range(300)), stage.complete()))
    for sink in sinks:
        assert ended(sink) == "normal"
        assert seen(sink, "events") == list(range(300))


def test_a_broadcast_goes_at_the_pace_of_the_slowest() -> None:
    """What all have asked for is asked of the producer, once."""
    source = Source.start(1000, completes=False, dispatcher=BroadcastFanOut)
    slow, fast = Sink.start(mode="manual"), Sink.start()
    subscription = sync_subscribe(slow, to=source)
    sync_subscribe(fast, to=source, max_demand=100)
    settle(source, fast)
    assert seen(source, "demands") == []
    ask(subscription, 3)
    settle(source, fast, slow)
    assert seen(source, "demands") == [3]
    assert seen(slow, "events") == seen(fast, "events") == [0, 1, 2]


def test_a_broadcast_goes_on_when_the_slowest_leaves() -> None:
    """Its demand holds back nobody any more."""
    source = Source.start(10, dispatcher=BroadcastFanOut)
    slow, fast = Sink.start(mode="manual"), Sink.start()
    subscription = sync_subscribe(slow, to=source, cancel="temporary")
    sync_subscribe(fast, to=source)
    settle(source)
    cancel(subscription)
    assert ended(fast) == "normal"
    assert seen(fast, "events") == list(range(10))


def test_a_selector_keeps_events_from_one_consumer() -> None:
    """It asks for as many others, so nobody waits for events that it does not want."""
    source = Source.start(100, dispatcher=BroadcastFanOut)
    every, tenth = Sink.start(mode="manual"), Sink.start()
    subscription = sync_subscribe(every, to=source)
    sync_subscribe(tenth, to=source, max_demand=2, selector=lambda event: event % 10 == 0)
    ask(subscription, 1000)
    assert ended(tenth) == "normal"
    assert seen(every, "events") == list(range(100))
    assert seen(tenth, "events") == list(range(0, 100, 10))


def test_a_bad_selector_is_refused_and_the_producer_lives(caplog: pytest.LogCaptureFixture) -> None:
    """The consumer ends with the reason, and the log says what is allowed."""
    source, sink = Silent.start(dispatcher=BroadcastFanOut), Sink.start()
    sync_subscribe(sink, to=source, selector=5)
    assert ended(sink)[0] == "bad_options"
    settle(source)
    assert source.is_alive()
    assert "option 'selector' is 5; allowed is a function of one event" in caplog.text


def test_consumers_of_a_broadcast_do_not_share_their_lists() -> None:
    """One of them may change what it got."""

    class Clearing(Sink):
        def handle_events(self, events: Any, source: Subscription) -> None:
            super().handle_events(events, source)
            events.clear()

    source, sinks = Silent.start(dispatcher=BroadcastFanOut), [Clearing.start() for _ in range(3)]
    for sink in sinks:
        sync_subscribe(sink, to=source)
    settle(source)
    inside(source, lambda stage: stage.emit([1, 2, 3]))
    assert [seen(sink, "events") for sink in sinks] == [[1, 2, 3]] * 3


# -- partition -----------------------------------------------------------------

HALVES = functools.partial(PartitionFanOut, 2)
NAMED = functools.partial(PartitionFanOut, ["low", "high"], hash=lambda e: (e, "low" if e < 50 else "high"))


def test_a_partition_gets_the_events_that_the_hash_function_gives_it() -> None:
    """Partitions may have names."""
    source, low, high = Source.start(100, dispatcher=NAMED), Sink.start(), Sink.start()
    sync_subscribe(low, to=source, partition="low", max_demand=10)
    sync_subscribe(high, to=source, partition="high", max_demand=10)
    assert ended(low) == ended(high) == "normal"
    assert seen(low, "events") == list(range(50))
    assert seen(high, "events") == list(range(50, 100))


def test_events_of_a_partition_that_does_not_ask_are_queued_up_to_the_demand_of_all() -> None:
    """So a slow partition slows the others down instead of filling the memory."""
    source = Source.start(10**9, dispatcher=HALVES)
    even, odd = Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=source, partition=0, max_demand=10)
    subscription = sync_subscribe(odd, to=source, partition=1)
    settle(source, even, rounds=30)
    asked = sum(seen(source, "demands"))
    assert asked < 40
    ask(subscription, 100)
    settle(source, even, odd, rounds=60)
    assert seen(odd, "events")[:20] == list(range(1, 40, 2))
    assert sum(seen(source, "demands")) > asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "option 'partition' is required; allowed are 0, 1"),
        ({"partition": 2}, "option 'partition' is 2; allowed are 0, 1"),
        ({"partition": [1]}, r"option 'partition' is \[1\]"),
        ({"partition": 0}, "option 'partition' is 0, which is taken by <Subscription of .*; allowed are 1"),
    ],
)
def test_a_bad_partition_is_refused_and_the_producer_lives(
    options: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In GenStage it kills the producer, and with it all other consumers."""
    source, good, bad = Source.start(10**9, dispatcher=HALVES), Sink.start(mode="manual"), Sink.start()
    subscription = sync_subscribe(good, to=source, partition=0)
    settle(source)
    sync_subscribe(bad, to=source, **options)
    word, sentence = reason = ended(bad)
    assert word == "bad_options"
    assert re.match(
        f"{re.escape(str(bad))} cannot subscribe to {re.escape(str(source))}: {message}", sentence
    )
    assert caplog.records
    settle(source)
    assert seen(source, "left") == [("cancel", reason)]
    ask(subscription, 2)
    settle(source)
    assert seen(good, "events") == [0]
    assert re.search(message, caplog.text)


def test_events_for_no_partition_are_dropped_and_made_up_for(caplog: pytest.LogCaptureFixture) -> None:
    """The hash function returns None on purpose: no log, and the consumer gets as many others."""
    some = functools.partial(PartitionFanOut, 1, hash=lambda e: (e, 0) if e % 2 else None)
    source, sink = Source.start(100, dispatcher=some), Sink.start()
    with caplog.at_level(logging.WARNING):
        sync_subscribe(sink, to=source, partition=0, max_demand=10, min_demand=0)
        assert ended(sink) == "normal"
    assert seen(sink, "events") == list(range(1, 100, 2))
    assert not caplog.records


def test_events_for_an_unknown_partition_are_dropped_told_and_made_up_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line and one signal for a list of events, and the producer lives."""
    told: list[Any] = []
    astray = functools.partial(PartitionFanOut, 1, hash=lambda e: (e, 0 if e % 2 else "nowhere"))
    source, sink = Source.start(20, dispatcher=astray), Sink.start()
    with telemetry.attach(["slither.stage.buffer.overflow"], lambda *event: told.append(event)):
        sync_subscribe(sink, to=source, partition=0, max_demand=20)
        assert ended(sink) == "normal"
    assert seen(sink, "events") == list(range(1, 20, 2))
    assert [event[2] for event in told] == [{"count": 10}]
    assert "has discarded 10 events of partition 'nowhere' (unknown)" in caplog.text


def test_events_queued_for_a_partition_whose_consumer_leaves_are_dropped_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Their number is asked for again."""
    source, even, odd = Silent.start(dispatcher=HALVES), Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=source, partition=0, max_demand=10, min_demand=0)
    subscription = sync_subscribe(odd, to=source, partition=1, cancel="temporary")
    settle(source)
    inside(source, lambda stage: stage.emit([1, 3, 5, 7]))
    cancel(subscription)
    settle(source, odd)
    assert seen(odd, "events") == []
    assert seen(source, "demands") == [10, 4]
    assert "has discarded 4 events of partition 1 (cancelled)" in caplog.text


def test_a_partition_is_free_again_when_its_consumer_is_gone() -> None:
    """Another one may take it."""
    source, first, second = Source.start(10**9, dispatcher=HALVES), Sink.start(mode="manual"), Sink.start()
    sync_subscribe(first, to=source, partition=1)
    first.stop()
    settle(source)
    sync_subscribe(second, to=source, partition=1, max_demand=4)
    settle(source, second)
    assert seen(second, "events")[0] == 1


@pytest.mark.parametrize("dispatcher", [DemandFanOut, BroadcastFanOut, HALVES])
def test_a_producer_consumer_fans_out_as_a_producer_does(dispatcher: Any) -> None:
    """All it takes is the option."""
    source, middle = Source.start(60), Middle.start(dispatcher=dispatcher)
    one, two = Sink.start(), Sink.start()
    extra = [{"partition": 0}, {"partition": 1}] if dispatcher is HALVES else [{}, {}]
    for sink, options in zip((one, two), extra, strict=True):
        sync_subscribe(sink, to=middle, max_demand=6, **options)
    settle(middle)
    sync_subscribe(middle, to=source, max_demand=10)
    assert ended(one) == ended(two) == "normal"
    everything = sorted(seen(one, "events") + seen(two, "events"))
    copies = 2 if dispatcher is BroadcastFanOut else 1
    assert everything == sorted(list(range(60)) * copies)
