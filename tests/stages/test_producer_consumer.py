"""The stage in the middle: it works only while somebody wants what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.stages import ProducerConsumer, Subscription, ask, sync_subscribe
from tests.stages.probes import Middle, Silent, Sink, Source, ended, inside, seen, settle


def test_it_asks_upstream_at_once_also_without_a_consumer() -> None:
    """The first events are there when the consumer comes."""
    source, middle = Silent.start(), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    assert seen(source, "demands") == [10]


def test_it_handles_nothing_without_demand() -> None:
    """What arrives waits, at most max_demand events, and the producer is asked for no more."""
    source, middle = Source.start(100), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    settle(source, middle)
    assert seen(middle, "batches") == []
    assert seen(source, "demands") == [10]


def test_it_handles_what_waits_when_demand_comes() -> None:
    """A waiting list is handled whole, in chunks; what is made beyond the demand is buffered."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start(mode="manual")
    sync_subscribe(middle, to=source, max_demand=10)
    subscription = sync_subscribe(sink, to=middle)
    settle(source)
    inside(source, lambda stage: stage.emit(range(6)))
    inside(source, lambda stage: stage.emit(range(6, 10)))
    settle(middle)
    ask(subscription, 1)
    settle(middle, sink)
    assert seen(middle, "batches") == [[0, 1, 2, 3, 4], [5]]
    assert seen(sink, "events") == [0]
    ask(subscription, 5)
    settle(middle, sink)
    assert seen(middle, "batches") == [[0, 1, 2, 3, 4], [5]]
    assert seen(sink, "events") == [0, 1, 2, 3, 4, 5]
    ask(subscription, 1)
    settle(middle, sink)
    assert seen(middle, "batches") == [[0, 1, 2, 3, 4], [5], [6, 7, 8, 9]]


def test_a_slow_consumer_stops_the_producer() -> None:
    """However much the source has: what is under way is bounded by the demands on the way."""
    source, middle, sink = Source.start(10**9), Middle.start(), Sink.start(mode="manual")
    sync_subscribe(middle, to=source, max_demand=10)
    subscription = sync_subscribe(sink, to=middle)
    for _ in range(50):
        ask(subscription, 1)
        settle(sink, middle, source, rounds=4)
    assert seen(sink, "events") == list(range(50))
    assert sum(seen(source, "demands")) <= 50 + 2 * 10


def test_it_may_make_more_or_fewer_events_than_it_takes() -> None:
    """Nothing is lost and the order is kept."""
    source = Source.start(50)
    filtered = Middle.start(lambda events: [event for event in events if event % 5 == 0])
    repeated = Middle.start(lambda events: [event for event in events for _ in range(7)])
    sink = Sink.start()
    sync_subscribe(sink, to=repeated, max_demand=3)
    sync_subscribe(repeated, to=filtered, max_demand=4, min_demand=3)
    sync_subscribe(filtered, to=source, max_demand=6)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [event for event in range(0, 50, 5) for _ in range(7)]


def test_it_may_make_nothing() -> None:
    """The demand is still there for the next events."""
    source, middle, sink = Source.start(20), Middle.start(lambda events: None), Sink.start()  # type: ignore[arg-type, return-value]
    sync_subscribe(sink, to=middle, max_demand=3)
    sync_subscribe(middle, to=source, max_demand=4)
    assert ended(sink) == "normal"
    assert seen(sink, "batches") == []
    assert sum(len(batch) for batch in seen(middle, "batches")) == 20


def test_each_side_has_its_own_demands() -> None:
    """The demand of the consumer is not passed on."""
    source, middle, sink = Source.start(12, completes=False), Middle.start(), Sink.start()
    sync_subscribe(middle, to=source, max_demand=4)
    sync_subscribe(sink, to=middle, max_demand=10)
    settle(source, middle, sink)
    assert seen(sink, "events") == list(range(12))
    assert seen(source, "demands") == [4] + [2] * 6


def test_a_manual_input_is_gated_by_demand_and_not_cut() -> None:
    """What it asks for by hand waits for somebody who wants it."""
    source, middle, sink = Source.start(100, completes=False), Middle.start(mode="manual"), Sink.start()
    subscription = sync_subscribe(middle, to=source)
    ask(subscription, 20)
    settle(source, middle)
    assert seen(middle, "batches") == []
    sync_subscribe(sink, to=middle)
    settle(middle, sink)
    assert seen(middle, "batches") == [list(range(20))]
    assert seen(source, "demands") == [20]


def test_without_its_consumer_it_stops_when_the_owed_demand_is_met() -> None:
    """Otherwise it would read an endless source into its buffer."""
    source, middle, sink = Source.start(10**9), Middle.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    ask(subscription, 30)
    settle(middle)
    sink.stop()
    settle(middle)
    sync_subscribe(middle, to=source, max_demand=10)
    settle(source, middle, rounds=50)
    assert sum(len(batch) for batch in seen(middle, "batches")) == 30
    assert sum(seen(source, "demands")) <= 30 + 10
    other = Sink.start(mode="manual")
    ask(sync_subscribe(other, to=middle), 40)
    settle(source, middle, other, rounds=20)
    assert seen(other, "events") == list(range(40))


def test_what_is_emitted_by_itself_counts_against_the_demand() -> None:
    """A consumer never gets more than it asked for; later input waits for new demand."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start(mode="manual")
    sync_subscribe(middle, to=source, max_demand=10)
    subscription = sync_subscribe(sink, to=middle)
    ask(subscription, 2)
    settle(middle)
    inside(middle, lambda stage: stage.emit(["a", "b"]))
    inside(source, lambda stage: stage.emit([1]))
    settle(middle, sink)
    assert seen(sink, "events") == ["a", "b"]
    assert seen(middle, "batches") == []
    ask(subscription, 1)
    settle(middle, sink)
    assert seen(sink, "events") == ["a", "b", 1]


def test_complete_ends_it_before_its_producers_do() -> None:
    """What it has emitted is delivered; what waits is not handled any more."""

    class First(Middle):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
            super().handle_events(events, source)
            self.complete()
            return events

    source, middle, sink = Source.start(10**9), First.start(), Sink.start()
    sync_subscribe(sink, to=middle, max_demand=1)
    sync_subscribe(middle, to=source, max_demand=8)
    assert ended(sink) == "normal"
    assert seen(middle, "batches") == [[0, 1, 2, 3]]
    assert seen(sink, "events") == [0, 1, 2, 3]
    settle(source)
    assert source.is_alive()


def test_it_without_handle_events_says_so() -> None:
    """It crashes at the first events."""

    class Empty(ProducerConsumer):
        pass

    source, middle, sink = Source.start(1), Empty.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    assert "Empty has no handle_events" in str(ended(sink))
