"""Events that are collected until there is a full chunk, or some time has passed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from slither_actors.actors import Ref
from slither_actors.errors import OptionError
from slither_actors.stages import (
    BroadcastFanOut,
    Consumer,
    Subscription,
    ask,
    cancel,
    drain,
    statistics,
    sync_info,
    sync_subscribe,
)
from tests.stages.probes import SECONDS, Middle, Silent, Sink, Source, ended, inside, seen, settle, until

NEVER = 3600.0
SOON = 0.02


def emit(source: Ref, events: Sequence[Any]) -> None:
    inside(source, lambda stage: stage.emit(events))


def collecting(**options: Any) -> tuple[Ref, Ref, Subscription]:
    """Chunks of five, of at most ten."""
    source, sink = Silent.start(), Sink.start()
    options = {"max_demand": 10, "min_demand": 5, "max_wait": NEVER, "cancel": "temporary", **options}
    return source, sink, sync_subscribe(sink, to=source, **options)


def test_a_full_chunk_is_handled_at_once() -> None:
    """Whatever the lists that it came in; what is left over stays."""
    source, sink, subscription = collecting()
    for events in ([0, 1], [2, 3], [4, 5, 6]):
        emit(source, events)
    settle(source, sink)
    assert seen(sink, "batches") == [[0, 1, 2, 3, 4]]
    assert subscription.statistics().collected == 2
    assert seen(source, "demands") == [10, 5]


def test_what_is_collected_is_handled_when_the_time_has_passed() -> None:
    """And asked for, so that the next chunk may be full again."""
    source, sink, subscription = collecting(max_demand=10, min_demand=2, max_wait=SOON)
    emit(source, [0, 1, 2])
    until(lambda: seen(sink, "batches"))
    settle(source, sink)
    assert seen(sink, "batches") == [[0, 1, 2]]
    assert seen(source, "demands") == [10, 3]
    emit(source, range(3, 11))
    settle(source, sink)
    assert seen(sink, "batches") == [[0, 1, 2], list(range(3, 11))]
    assert subscription.statistics().outstanding == 10


def test_the_time_is_that_of_the_first_event() -> None:
    """Later events do not put it off."""
    source, sink, _ = collecting(max_demand=1000, max_wait=0.05)
    began = time.monotonic()
    while not seen(sink, "batches"):
        emit(source, [0])
        assert time.monotonic() - began < SECONDS
        threading.Event().wait(0.001)
    assert time.monotonic() - began >= 0.05


def test_a_chunk_that_got_full_does_not_shorten_the_wait_of_the_next() -> None:
    """The timer of the first finds that what is there now is younger, and waits on."""
    source, sink, subscription = collecting(max_wait=0.2)
    emit(source, [0])
    threading.Event().wait(0.15)
    began = time.monotonic()
    emit(source, range(1, 7))  # fills the first chunk and begins the next
    until(lambda: len(seen(sink, "batches")) == 2)
    assert time.monotonic() - began >= 0.2
    assert [len(batch) for batch in seen(sink, "batches")] == [5, 2]
    assert subscription.timer is None


def test_the_end_of_the_producer_flushes() -> None:
    """Before it is heard of."""
    source, sink = Source.start(7), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=5, max_wait=NEVER)
    assert ended(sink) == "normal"
    assert seen(sink, "batches") == [[0, 1, 2, 3, 4], [5, 6]]
    assert seen(sink, "left") == [("down", "normal")]


def test_a_cancel_flushes_and_takes_the_timer_along() -> None:
    """What the producer has sent was for this consumer."""
    source, sink, subscription = collecting()
    emit(source, [1, 2])
    settle(source, sink)
    timer = subscription.timer
    assert timer is not None
    assert timer.active
    cancel(subscription)
    settle(source, sink)
    assert seen(sink, "batches") == [[1, 2]]
    assert not timer.active
    assert subscription.timer is None
    assert not sink._cell.timers


def test_the_end_of_the_consumer_takes_the_timer_along() -> None:
    """What it has collected is lost, as what is in its mailbox: unless it is handed over at least once."""
    source, sink, subscription = collecting()
    emit(source, [1, 2])
    settle(source, sink)
    timer = subscription.timer
    sink.stop()
    assert timer is not None
    assert not timer.active
    assert seen(sink, "batches") == []


@pytest.mark.parametrize("delivery", ["at_most_once", "at_least_once"])
def test_a_drained_graph_flushes(delivery: str) -> None:
    """Nobody waits for the time to pass."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    options: dict[str, Any] = {"max_demand": 10, "min_demand": 5, "max_wait": NEVER, "delivery": delivery}
    sync_subscribe(middle, to=source, **options)
    sync_subscribe(sink, to=middle, **options)
    emit(source, range(7))
    settle(source, middle, sink)
    report = drain(source, middle, sink, timeout=SECONDS)
    assert not report.killed
    assert seen(sink, "events") == list(range(7))


def test_a_drained_consumer_flushes() -> None:
    """Also if its producer stays."""
    source, sink, _ = collecting()
    emit(source, range(7))
    settle(source, sink)
    assert not drain(sink, timeout=SECONDS).killed
    assert seen(sink, "batches") == [[0, 1, 2, 3, 4], [5, 6]]
    assert source.is_alive()


def test_a_producer_that_completes_flushes_what_it_waits_for() -> None:
    """It ends when all is handled: its consumers need not wait for events that never come."""
    source, sink = Source.start(7), Sink.start()
    subscription = sync_subscribe(
        sink, to=source, max_demand=10, min_demand=5, max_wait=NEVER, delivery="at_least_once"
    )
    assert ended(sink) == "normal"
    assert seen(sink, "batches") == [[0, 1, 2, 3, 4], [5, 6]]
    assert subscription.statistics().returned == 0


def test_an_info_comes_behind_what_is_collected() -> None:
    """It flushes a producer-consumer, so that it need not wait either."""
    heard: list[Any] = []

    class Hearing(Middle):
        def handle_info(self, message: Any) -> None:
            heard.append((message, [list(batch) for batch in self.batches]))

    source, middle, sink = Silent.start(), Hearing.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=10, max_wait=NEVER)
    emit(source, [1, 2])
    settle(source, middle)
    assert statistics(middle).waiting == 2
    sync_info(middle, "now")
    settle(middle, sink)
    assert heard == [("now", [[1, 2]])]


def test_the_flow_never_stalls_on_partial_chunks() -> None:
    """A source that gives one event at a time, and chunks larger than what min_demand leaves."""
    source, sink, _ = collecting(max_demand=4, min_demand=0, max_wait=0.001)
    for number in range(50):
        emit(source, [number])
        if not number % 7:
            until(lambda: not sink._cell.timers)
    until(lambda: sum(map(len, seen(sink, "batches"))) == 50)
    settle(source, sink)
    assert seen(sink, "events") == list(range(50))
    assert sum(seen(source, "demands")) == 54


def test_no_more_than_max_demand_is_outstanding() -> None:
    """What is collected counts as outstanding: a producer that gives all it owes gets no more asks."""
    source, sink = Source.start(1000, completes=False), Sink.start()
    sync_subscribe(sink, to=source, max_demand=7, min_demand=3, max_wait=SOON)
    until(lambda: sum(map(len, seen(sink, "batches"))) == 1000)
    assert {len(batch) for batch in seen(sink, "batches")} <= {1, 2, 3, 4}
    settle(source, sink)
    assert sum(seen(source, "demands")) == 1007


def test_a_producer_consumer_collects_too_and_its_chunks_wait_for_demand() -> None:
    """First the chunk gets full, then it waits for somebody who wants it."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    sync_subscribe(middle, to=source, max_demand=10, min_demand=5, max_wait=SOON, cancel="temporary")
    settle(source)
    emit(source, range(7))
    until(lambda: len(middle._cell.actor._waiting) == 2)
    assert seen(middle, "batches") == []
    sync_subscribe(sink, to=middle)
    settle(source, middle, sink)
    assert seen(middle, "batches") == [[0, 1, 2, 3, 4], [5, 6]]
    assert seen(source, "demands") == [10, 5, 2]


def test_coroutines_get_full_chunks() -> None:
    """The ask goes out when a chunk is done."""

    class Slow(Consumer):
        max_concurrency = 3

        def init(self) -> None:
            self.batches: list[list[int]] = []

        async def handle_events(self, events: Sequence[int], source: Subscription) -> None:
            self.batches.append(list(events))

    source, sink = Source.start(25), Slow.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=5, max_wait=SOON)
    assert ended(sink) == "normal"
    assert sorted(event for batch in seen(sink, "batches") for event in batch) == list(range(25))


def test_asked_by_hand_nothing_is_collected() -> None:
    """As with the demands, which do not matter then either."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, max_demand=10, max_wait=NEVER)
    ask(subscription, 3)
    emit(source, [1, 2])
    settle(source, sink)
    assert seen(sink, "batches") == [[1, 2]]
    assert seen(source, "demands") == [3]


def test_every_subscription_has_its_own_time() -> None:
    """One that collects and one that does not, at one broadcast."""
    source, patient, eager = Silent.start(dispatcher=BroadcastFanOut), Sink.start(), Sink.start()
    sync_subscribe(patient, to=source, max_demand=10, max_wait=NEVER)
    sync_subscribe(eager, to=source, max_demand=10)
    emit(source, [1, 2])
    settle(source, patient, eager)
    assert (seen(patient, "batches"), seen(eager, "batches")) == ([], [[1, 2]])


def test_a_stage_that_ends_while_it_handles_a_chunk_handles_no_other() -> None:
    """Neither full ones of the same list nor what is collected."""

    class Once(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            super().handle_events(events, source)
            self.stop()

    source, sink = Silent.start(), Once.start()
    sync_subscribe(sink, to=source, max_demand=4, min_demand=2, max_wait=SOON)
    emit(source, range(4))
    assert ended(sink) == "normal"
    assert seen(sink, "batches") == [[0, 1]]


@pytest.mark.parametrize("value", [0, -1, "soon", True, float("inf"), float("nan")])
def test_a_wrong_time_is_an_error_at_the_call(value: Any) -> None:
    """Zero would be no wait at all."""
    with pytest.raises(OptionError, match="option 'max_wait' is .*; allowed is a finite number of seconds"):
        collecting(max_wait=value)
