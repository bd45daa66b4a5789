"""What a consumer asks for, and how it gets what it asked for: genstage's demand algorithm."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from slither_actors.errors import OptionError
from slither_actors.stages import Consumer, Subscription, _protocol, ask, async_subscribe, sync_subscribe
from tests.stages.probes import SECONDS, Middle, Silent, Sink, Source, ended, inside, seen, settle


@pytest.mark.parametrize("kind", [Sink, Middle])
@pytest.mark.parametrize("delivery", ["at_most_once", "at_least_once"])
def test_a_kill_does_not_wait_for_the_rest_of_a_list(kind: Any, delivery: str) -> None:
    """No other chunk is begun: these events may have gone back, to somebody else."""
    begun, held = threading.Event(), threading.Event()
    batches: list[Sequence[Any]] = []

    class Held(kind):  # type: ignore[misc]
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            batches.append(events)
            begun.set()
            held.wait(SECONDS)

    source, stage, heir = Silent.start(), Held.start(), Sink.start()
    options = {"max_demand": 6, "min_demand": 4, "delivery": delivery, "cancel": "temporary"}
    if kind is Middle:
        sync_subscribe(Sink.start(), to=stage, cancel="temporary")
    sync_subscribe(stage, to=source, **options)
    inside(source, lambda producer: producer.emit(range(6)))
    assert begun.wait(SECONDS)
    stage.kill()
    held.set()
    assert ended(stage) == "killed"
    sync_subscribe(heir, to=source, **options)
    settle(source, heir)
    assert [list(batch) for batch in batches] == [[0, 1]]
    assert seen(heir, "events")[-4:] == ([2, 3, 4, 5] if delivery == "at_least_once" else [])


def test_the_first_ask_is_for_max_demand() -> None:
    """It is sent with the subscription, a thousand by default."""
    source, sink = Silent.start(), Sink.start()
    sync_subscribe(sink, to=source)
    assert seen(source, "demands") == [1000]


def test_with_default_demand_it_asks_for_half_after_each_half() -> None:
    """Min demand is half of max demand, so the chunks are the other half."""
    source, sink = Source.start(30), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    ended(sink)
    assert seen(sink, "batches") == [list(range(n, n + 5)) for n in range(0, 30, 5)]
    assert seen(source, "demands") == [10, 5, 5, 5, 5]


def test_with_80_percent_min_demand_it_asks_for_the_rest_after_each_chunk() -> None:
    """Max 10, min 8: chunks of two, and two are asked for after each."""
    source, sink = Source.start(20, completes=False), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=8)
    settle(source, sink)
    assert seen(sink, "batches") == [[n, n + 1] for n in range(0, 20, 2)]
    assert seen(source, "demands") == [10] + [2] * 10


def test_with_20_percent_min_demand_it_asks_for_much_at_a_time() -> None:
    """Max 10, min 2: chunks of eight, and an ask whenever no more than two are left to come."""
    source, sink = Source.start(18, completes=False), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=2)
    settle(source, sink)
    assert [len(batch) for batch in seen(sink, "batches")] == [8, 2, 8]
    assert seen(source, "demands") == [10, 8, 10]


def test_small_lists_are_not_cut_and_not_answered_one_by_one() -> None:
    """Max 1000, min 750, lists of 100: three whole lists, then an ask for 300."""
    source, sink = Silent.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=1000, min_demand=750)
    for _ in range(3):
        inside(source, lambda stage: stage.emit(range(100)))
    settle(source, sink)
    assert seen(sink, "batches") == [list(range(100))] * 3
    assert seen(source, "demands") == [1000, 300]


def test_fewer_events_than_demanded_are_never_asked_for_again() -> None:
    """The rest stays asked for: the producer has to remember it."""
    source, sink = Silent.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=5)
    inside(source, lambda stage: stage.emit([1, 2, 3, 4]))
    settle(source, sink)
    assert seen(sink, "batches") == [[1, 2, 3, 4]]
    assert seen(source, "demands") == [10]


def test_a_debt_can_be_paid_later() -> None:
    """What was asked for and not sent is sent without another ask."""
    source, sink = Silent.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=0)
    for event in range(10):
        inside(source, lambda stage, event=event: stage.emit([event]))
    settle(source, sink)
    assert seen(sink, "events") == list(range(10))
    assert seen(source, "demands") == [10, 10]


def test_events_in_excess_are_delivered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A producer that sends more than was asked for loses nothing by it."""
    source, sink = Silent.start(), Sink.start()
    subscription = sync_subscribe(sink, to=source, max_demand=4)
    with caplog.at_level(logging.ERROR):
        sink.send(_protocol.deliver, (subscription, [1, 2, 3, 4, 5, 6, 7]))
        assert seen(sink, "batches") == [[1, 2], [3, 4], [5, 6], [7]]
    assert "received 3 events in excess" in caplog.text


def test_the_ask_for_a_chunk_is_sent_before_the_next_chunk_is_handled() -> None:
    """The producer can refill while the consumer is still busy with the later chunks."""
    refilled = threading.Event()

    class Refilling(Source):
        def handle_demand(self, demand: int) -> range:
            if self.demands:
                refilled.set()
            return super().handle_demand(demand)

    class Waiting(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            super().handle_events(events, source)
            if len(self.batches) == 2:
                assert refilled.wait(SECONDS)

    source, sink = Refilling.start(12), Waiting.start()
    sync_subscribe(sink, to=source, max_demand=8)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == list(range(12))


def test_the_ask_for_a_chunk_is_sent_after_its_callback() -> None:
    """A consumer that is at its first chunk has asked for nothing more."""
    demands_during: list[list[int]] = []

    class Looking(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            super().handle_events(events, source)
            demands_during.append(inside(source.producer, lambda stage: list(stage.demands)))

    source, sink = Source.start(8, completes=False), Looking.start()
    sync_subscribe(sink, to=source, max_demand=4, min_demand=0)
    settle(source, sink)
    assert demands_during == [[4], [4, 4]]


def test_an_asynchronous_subscription_is_the_same_one() -> None:
    """It only does not wait for the consumer."""
    source, sink = Source.start(10), Sink.start()
    async_subscribe(sink, to=source, max_demand=4)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == list(range(10))


def test_subscribe_to_subscribes_at_the_start_in_order() -> None:
    """Refs, names and mappings of options are all fine."""
    one, two, three = Silent.start(), Silent.start(name="two"), Silent.start()
    sink = Sink.start(subscribe_to=[one, "two", {"to": three, "max_demand": 3, "cancel": "temporary"}])
    assert [source.producer for source in seen(sink, "sources")] == [one, two, three]
    assert [seen(each, "demands") for each in (one, two, three)] == [[1000], [1000], [3]]


def test_a_stop_between_two_chunks_is_the_last_callback() -> None:
    """The chunks behind it are not handled any more."""

    class Stopping(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            super().handle_events(events, source)
            self.stop("enough")

    source, sink = Source.start(10), Stopping.start()
    sync_subscribe(sink, to=source, max_demand=4)
    assert ended(sink) == "enough"
    assert seen(sink, "batches") == [[0, 1]]


def test_what_a_consumer_returns_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It has nobody to give events to."""

    class Returning(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
            super().handle_events(events, source)
            return [1]

    source, sink = Source.start(2), Returning.start()
    sync_subscribe(sink, to=source)
    assert ended(sink) == "normal"
    assert "is a consumer and returned events" in caplog.text


def test_a_consumer_without_handle_events_says_so() -> None:
    """It crashes at the first events."""

    class Empty(Consumer):
        pass

    source, sink = Source.start(1), Empty.start()
    sync_subscribe(sink, to=source)
    assert "Empty has no handle_events" in str(ended(sink))


# -- asking by hand ------------------------------------------------------------


def test_a_manual_subscription_asks_for_nothing_by_itself() -> None:
    """Neither at the start nor after events."""
    source, sink = Source.start(100, completes=False), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, max_demand=10)
    settle(source, sink)
    assert seen(source, "demands") == []
    ask(subscription, 3)
    settle(source, sink)
    assert seen(source, "demands") == [3]
    assert seen(sink, "batches") == [[0, 1, 2]]


def test_a_manual_subscription_gets_lists_uncut() -> None:
    """The demands of the subscription do not matter."""
    source, sink = Source.start(100, completes=False), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, max_demand=2)
    ask(subscription, 50)
    settle(source, sink)
    assert seen(sink, "batches") == [list(range(50))]


def test_asking_for_nothing_sends_nothing() -> None:
    """As in GenStage."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    ask(sync_subscribe(sink, to=source), 0)
    assert seen(source, "demands") == []


@pytest.mark.parametrize("count", [-1, 1.5, None, True, False])
def test_asking_for_no_number_is_an_error_at_the_call(count: Any) -> None:
    """The producer never sees it."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    with pytest.raises(OptionError, match="ask: option 'count' is"):
        ask(sync_subscribe(sink, to=source), count)
    assert seen(source, "demands") == []


@pytest.mark.parametrize("mode", ["handmade", 3, ("manual",)])
def test_handle_subscribe_must_return_a_mode(mode: Any) -> None:
    """Anything else is a crash that says what is allowed."""
    source, sink = Silent.start(), Sink.start(mode=mode)
    async_subscribe(sink, to=source)
    assert "allowed are None, 'automatic', 'manual'" in str(ended(sink))
    assert seen(source, "demands") == []


def test_a_manual_consumer_may_ask_in_handle_subscribe() -> None:
    """The producer knows the subscription by then."""

    class Asking(Sink):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str:
            ask(source, 3)
            return "manual"

    source, sink = Source.start(10, completes=False), Asking.start()
    sync_subscribe(sink, to=source)
    settle(source, sink)
    assert seen(sink, "batches") == [[0, 1, 2]]


def test_stop_in_handle_subscribe_asks_for_nothing() -> None:
    """The producer sees a consumer that came and went."""

    class Refusing(Sink):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> None:
            self.stop("not that one")

    source, sink = Silent.start(), Refusing.start()
    async_subscribe(sink, to=source)
    assert ended(sink) == "not that one"
    assert seen(source, "demands") == []
    assert [kind for kind, _ in seen(source, "left")] == ["down"]
