"""What a stage says of itself in numbers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest

from slither_actors.actors import Server
from slither_actors.errors import ActorExitError, SubscriptionError
from slither_actors.stages import PartitionFanOut, Subscription, ask, pause, statistics, sync_subscribe
from tests.stages.gates import Gate
from tests.stages.probes import Middle, Silent, Sink, Source, inside, settle, until


def test_a_producers_numbers() -> None:
    """Its buffer, its fan-out, and who has asked for how much."""
    source, sink = Silent.start(buffer_size=4), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    inside(source, lambda stage: stage.emit(range(6)))
    ask(subscription, 7)
    settle(sink, source)
    numbers = statistics(source)
    assert (numbers.kind, numbers.mode, numbers.paused) == ("producer", "forward", False)
    assert numbers.asked_by == {subscription: 3}
    assert (numbers.buffered, numbers.discarded, numbers.inside) == (0, 2, 0)
    assert numbers.buffer is not None
    assert (numbers.buffer.peak, numbers.buffer.size, numbers.buffer.keep) == (4, 4, "last")
    assert (numbers.asked_of, numbers.waiting, numbers.in_flight) == ({}, 0, 0)


def test_what_a_fan_out_has_queued_and_dropped_is_there() -> None:
    """It counts as inside."""
    source = Silent.start(dispatcher=functools.partial(PartitionFanOut, 2, buffer_size=3, buffer_keep="last"))
    sinks = [Sink.start(), Sink.start(mode="manual")]
    for number, sink in enumerate(sinks):
        sync_subscribe(sink, to=source, partition=number, max_demand=10)
    settle(*sinks, source)
    inside(source, lambda stage: stage.emit(range(10)))
    numbers = statistics(source)
    assert numbers.fan_out is not None
    assert (numbers.fan_out.queued, numbers.inside, numbers.discarded) == (3, 3, 2)


def test_a_producer_consumers_numbers() -> None:
    """Both sides, and what waits between them for demand."""
    source, middle, sink = Silent.start(), Middle.start(lambda e: [*e, *e]), Sink.start(mode="manual")
    below, above = sync_subscribe(sink, to=middle), sync_subscribe(middle, to=source, max_demand=10)
    settle(middle, source)
    inside(source, lambda stage: stage.emit([1, 2, 3]))
    settle(source, middle)
    numbers = statistics(middle)
    assert (numbers.kind, numbers.mode) == ("producer_consumer", None)
    assert numbers.asked_of == {above: 10}  # what waits is not taken yet
    assert (numbers.waiting, numbers.inside) == (3, 3)
    ask(below, 4)
    settle(sink, middle)
    numbers = statistics(middle)
    assert (numbers.waiting, numbers.buffered, numbers.unmet) == (0, 2, 0)
    assert numbers.asked_of == {above: 7}
    assert numbers.buffer is not None
    assert numbers.buffer.size is None


def test_a_consumers_numbers() -> None:
    """No buffer and no mode; those that ask by hand are left out."""
    source, sink, by_hand = Source.start(100), Sink.start(), Sink.start(mode="manual")
    pause(sink)
    subscription = sync_subscribe(sink, to=source, max_demand=8)
    sync_subscribe(by_hand, to=source)
    settle(sink, source, sink)
    numbers = statistics(sink)
    assert (numbers.kind, numbers.mode, numbers.buffer, numbers.fan_out) == ("consumer", None, None, None)
    assert (numbers.paused, numbers.waiting) == (True, 8)
    assert numbers.asked_of == {subscription: 8}
    assert statistics(by_hand).asked_of == {}


def test_events_in_coroutines_are_in_flight() -> None:
    """Until they have ended, whatever their order."""
    gate = Gate()

    class Slow(Sink):
        max_concurrency = 2

        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:  # type: ignore[override]
            await gate.wait(events[0])

    source, sink = Silent.start(), Slow.start()
    sync_subscribe(sink, to=source, max_demand=6, min_demand=4)
    settle(sink, source)
    inside(source, lambda stage: stage.emit(range(6)))
    gate.await_waiting(0, 2)
    numbers = statistics(sink)
    assert (numbers.in_flight, numbers.unfinished, numbers.waiting) == (4, 2, 2)
    gate.open()
    until(lambda: statistics(sink).inside == 0)


def test_a_suspended_stage_answers() -> None:
    """It is held, and not gone."""
    source = Silent.start()
    source.suspend()
    assert statistics(source).kind == "producer"
    source.resume()


def test_statistics_need_a_live_stage() -> None:
    """Anything else is an error at the call."""
    with pytest.raises(SubscriptionError, match="no stage"):
        statistics(Server.start())
    source = Silent.start()
    source.stop()
    with pytest.raises(ActorExitError):
        statistics(source)
