"""Handing over at least once: what a consumer has not handled when it is gone comes back."""

from __future__ import annotations

import functools
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.actors import Ref, Supervisor, whereis
from slither_actors.errors import OptionError
from slither_actors.stages import (
    BroadcastFanOut,
    Consumer,
    DemandFanOut,
    PartitionFanOut,
    Producer,
    ProducerConsumer,
    RoundRobinFanOut,
    Subscription,
    WeightedFanOut,
    ask,
    cancel,
    drain,
    statistics,
    sync_resubscribe,
    sync_subscribe,
)
from tests.stages.gates import Gate
from tests.stages.probes import Middle, Noting, Silent, Sink, Source, ended, inside, seen, settle, until

NEVER = 3600.0


class Crashing(Sink):
    """Crashes at the event `at`, having noted it."""

    at: Any = None

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        super().handle_events(events, source)
        if self.at in events:
            raise RuntimeError(self.at)


def subscribe(sink: Ref, source: Ref, **options: Any) -> Subscription:
    """At least once; chunks of two, of at most four."""
    given = {"max_demand": 4, "min_demand": 2, "cancel": "temporary", "delivery": "at_least_once", **options}
    return sync_subscribe(sink, to=source, **given)


@pytest.fixture
def told() -> Iterator[list[tuple[int, Any, bool]]]:
    """What was told of redeliveries: count, reason, whether somebody gets the events."""
    events: list[tuple[int, Any, bool]] = []

    def note(_: str, __: Any, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        events.append((measurements["count"], str(metadata["reason"]), metadata["redelivered"]))

    with telemetry.attach("slither.stage.redelivery", note):
        yield events


def test_what_is_handled_is_acknowledged_chunk_by_chunk() -> None:
    """When its handler has returned, and not before."""
    held: list[int] = []

    class Looking(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            super().handle_events(events, source)
            held.append(source.producer.run(lambda stage, _: source.statistics().unacknowledged, None))

    source, sink = Silent.start(), Looking.start()
    subscription = subscribe(sink, source)
    inside(source, lambda stage: stage.emit(range(4)))
    settle(sink, source)
    assert seen(sink, "batches") == [[0, 1], [2, 3]]
    assert held == [4, 2]
    assert subscription.statistics().unacknowledged == 0
    assert seen(source, "demands") == [4, 2, 2]


@pytest.mark.parametrize("end", ["crash", "kill", "stop", "cancel"])
def test_what_a_consumer_has_not_handled_comes_back_in_order(
    end: str, told: list[tuple[int, Any, bool]]
) -> None:
    """Ahead of what is in the buffer; and it is counted and told."""
    source, sink = Silent.start(), Crashing.start(at=2 if end == "crash" else None)
    subscription = subscribe(sink, source, max_wait=None if end == "crash" else NEVER)
    # The buffer has what nobody has asked for.
    inside(source, lambda stage: stage.emit([0, 1, 2] if end != "crash" else range(4)))
    settle(source, sink)
    if end == "crash":
        reason = str(ended(sink))
    elif end == "cancel":
        cancel(subscription, reason := "bye")
    else:
        getattr(sink, end)()
        reason = str(ended(sink))
    settle(source)
    kept = [2, 3] if end == "crash" else [2]
    assert told == [(len(kept), reason, True)]
    assert subscription.statistics().returned == len(kept)
    assert statistics(source).redelivered == len(kept)
    inside(source, lambda stage: stage.emit([4, 5]))
    heir = Sink.start()
    sync_subscribe(heir, to=source, max_demand=100, min_demand=99)
    settle(source, heir)
    assert seen(heir, "events") == [*kept, 4, 5]


def test_demand_is_exact_after_a_redelivery() -> None:
    """Four were asked for, two handled and asked for again, two came back: the producer owes these two."""
    source, sink = Silent.start(), Crashing.start(at=2)
    subscribe(sink, source)
    inside(source, lambda stage: stage.emit(range(4)))
    ended(sink)
    settle(source)
    assert seen(source, "demands") == [4, 2]
    heir = Sink.start()
    subscribe(heir, source, max_demand=10, min_demand=0)
    settle(source, heir)
    assert seen(heir, "events") == [2, 3]
    # Ten wanted: two came back, two are owed from before.
    assert seen(source, "demands") == [4, 2, 6]
    inside(source, lambda stage: stage.emit(range(4, 12)))
    settle(source, heir)
    assert seen(heir, "events") == list(range(2, 12))
    assert inside(source, lambda stage: stage._buffer.length) == 0


def test_a_waiting_consumer_gets_what_comes_back_at_once() -> None:
    """It had asked; what the producer owes is then for the demand of the one that is gone."""
    source, sink, other = Silent.start(), Crashing.start(at=0), Sink.start()
    subscribe(sink, source, max_demand=6, min_demand=0)
    settle(source)
    sync_subscribe(other, to=source, max_demand=5, min_demand=0)
    inside(source, lambda stage: stage.emit([0, 1, 2]))  # the first has asked for more
    ended(sink)
    settle(source, other)
    assert seen(other, "events") == [0, 1, 2]
    assert seen(source, "demands") == [6, 5]
    inside(source, lambda stage: stage.emit(range(3, 11)))  # all that is owed
    settle(source, other)
    assert seen(other, "events") == list(range(11))
    # The eleven, and four that the other one still waits for.
    assert sum(seen(source, "demands")) == 15


FAN_OUTS = {
    "demand": DemandFanOut,
    "round robin": RoundRobinFanOut,
    "weighted": functools.partial(WeightedFanOut, lambda: 0.0),
    "partition": functools.partial(PartitionFanOut, 1, max_consumers=2),
}


@pytest.mark.parametrize("kind", FAN_OUTS)
def test_every_fan_out_redelivers(kind: str) -> None:
    """To the others or to whoever comes next."""
    source, sink = Silent.start(dispatcher=FAN_OUTS[kind]), Crashing.start(at=1)
    extra = {"partition": 0} if kind == "partition" else {}
    subscribe(sink, source, max_demand=10, min_demand=9, **extra)
    inside(source, lambda stage: stage.emit(range(8)))
    ended(sink)
    settle(source)
    heir = Sink.start()
    subscribe(heir, source, max_demand=3, min_demand=2, **extra)
    settle(source, heir)
    assert seen(heir, "events") == list(range(1, 8))


def test_a_partition_keeps_its_events_for_the_next_consumer() -> None:
    """Those in its queue too, which are dropped when a consumer leaves that does not acknowledge."""
    source = Silent.start(dispatcher=functools.partial(PartitionFanOut, 2))
    first, other = Crashing.start(at=0), Sink.start()
    subscribe(other, source, partition=1, max_demand=20, min_demand=0)
    subscribe(first, source, partition=0)
    inside(source, lambda stage: stage.emit(range(16)))
    ended(first)
    settle(source, other)
    assert seen(other, "events") == list(range(1, 16, 2))
    heir = Sink.start()
    subscribe(heir, source, partition=0)
    settle(source, heir)
    assert seen(heir, "events") == list(range(0, 16, 2))


def test_a_broadcast_drops_them_for_the_others_have_them(told: list[tuple[int, Any, bool]]) -> None:
    """They are counted and told as such."""
    source, sink, other = Silent.start(dispatcher=BroadcastFanOut), Crashing.start(at=0), Sink.start()
    subscribe(other, source)
    subscribe(sink, source)
    settle(source, sink, other)
    inside(source, lambda stage: stage.emit(range(4)))
    reason = str(ended(sink))
    settle(source, other)
    assert seen(other, "events") == [0, 1, 2, 3]
    assert told == [(4, reason, False)]
    assert inside(source, lambda stage: stage._fan_out.statistics().discarded) == 4


def test_a_producer_completes_when_all_is_handled() -> None:
    """What it has sent may still come back."""
    gate = threading.Event()

    class Gated(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            gate.wait(20)
            super().handle_events(events, source)

    source, sink = Source.start(4), Gated.start()
    subscribe(sink, source)
    settle(source)
    assert inside(source, lambda stage: stage._finishing)
    assert source.is_alive()
    gate.set()
    assert ended(source) == "normal"
    settle(sink)
    assert seen(sink, "events") == [0, 1, 2, 3]


def test_a_producer_that_has_completed_redelivers() -> None:
    """To the next consumer, also one that does not acknowledge; and then it ends."""
    source, sink = Source.start(6), Crashing.start(at=3)
    subscribe(sink, source)
    ended(sink)
    settle(source)
    assert source.is_alive()
    heir = Sink.start()
    sync_subscribe(heir, to=source, max_demand=2)
    assert ended(heir) == "normal"
    assert seen(heir, "events") == [2, 3, 4, 5]


def test_a_chunk_that_a_coroutine_has_not_handled_comes_back() -> None:
    """Those that were done before an earlier one do not."""
    gate = Gate()

    class Slow(Consumer):
        max_concurrency = 3
        ordered = False

        async def handle_events(self, events: Sequence[int], source: Subscription) -> None:
            await gate.wait(events[0])

    source, sink = Silent.start(), Slow.start()
    subscription = subscribe(sink, source, max_demand=3, min_demand=2)
    inside(source, lambda stage: stage.emit(range(3)))
    gate.await_waiting(0, 1, 2)
    gate.open(1)
    until(lambda: subscription.statistics().unacknowledged == 2)
    settle(source)
    # One was handled: never more than three are sent and not handled.
    assert seen(source, "demands") == [3, 1]
    sink.kill()
    ended(sink)
    settle(source)
    assert list(inside(source, lambda stage: stage._buffer.take(9)[0])) == [0, 2]


def test_a_chunk_whose_generator_is_not_at_its_end_comes_back() -> None:
    """What it had yielded may be there already: at least once."""

    class Twice(Noting, ProducerConsumer):
        def init(self) -> None:
            self.note({})

        def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
            for event in events:
                yield from (event, event)

    source, middle, sink = Silent.start(), Twice.start(), Sink.start(mode="manual")
    subscription = subscribe(middle, source)
    lower = sync_subscribe(sink, to=middle)
    inside(source, lambda stage: stage.emit([0, 1]))
    ask(lower, 3)
    settle(middle, sink, source)
    assert seen(sink, "events") == [0, 0, 1]
    assert subscription.statistics().unacknowledged == 2
    ask(lower, 2)
    settle(sink, middle, source)
    assert subscription.statistics().unacknowledged == 0
    assert seen(source, "demands") == [4, 2]


def test_a_producer_consumer_acknowledges_what_it_has_made_something_of() -> None:
    """What waits for demand comes back when it dies; what it has made and not sent is lost with it."""
    source, middle = Silent.start(), Middle.start()
    subscription = subscribe(middle, source)
    inside(source, lambda stage: stage.emit(range(4)))
    settle(source, middle)
    assert seen(middle, "batches") == []
    assert subscription.statistics().unacknowledged == statistics(source).unacknowledged == 4
    assert statistics(middle).waiting == 4
    middle.kill()
    ended(middle)
    settle(source)
    heir, sink = Middle.start(), Sink.start()
    subscribe(heir, source)
    sync_subscribe(sink, to=heir)
    settle(source, heir, sink)
    assert seen(sink, "events") == [0, 1, 2, 3]


def test_asked_by_hand_a_list_is_acknowledged_as_a_whole() -> None:
    """Then what was asked for is the bound of what is kept."""
    source, sink = Silent.start(), Crashing.start(mode="manual", at=4)
    subscription = subscribe(sink, source)
    ask(subscription, 6)
    inside(source, lambda stage: stage.emit([1, 2, 3]))
    settle(source, sink, source)
    assert subscription.statistics().unacknowledged == 0
    inside(source, lambda stage: stage.emit([4, 5, 6]))
    ended(sink)
    settle(source)
    assert subscription.statistics().returned == 3


def test_after_a_cancel_nothing_is_handled_that_comes_back() -> None:
    """Neither what is in the mailbox nor what is collected, so nobody handles it twice."""
    source, sink, heir = Silent.start(), Sink.start(), Sink.start()
    subscription = subscribe(sink, source, max_wait=NEVER)
    inside(source, lambda stage: stage.emit([0]))
    settle(source, sink)
    sink.suspend()
    inside(source, lambda stage: stage.emit([1]))
    cancel(subscription)
    subscribe(heir, source)
    settle(source, heir)
    sink.resume()
    settle(sink, source)
    assert seen(sink, "events") == []
    assert seen(heir, "events") == [0, 1]
    assert subscription.statistics().collected == 0


def test_after_a_cancel_a_producer_consumer_handles_nothing_that_waits() -> None:
    """Not even before the producer has answered."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    subscription = subscribe(middle, source)
    inside(source, lambda stage: stage.emit([0, 1, 2]))
    settle(source, middle)
    source.suspend()
    cancel(subscription)
    sync_subscribe(sink, to=middle)
    settle(middle, sink)
    source.resume()
    settle(source, middle)
    assert seen(middle, "batches") == []
    assert list(inside(source, lambda stage: stage._buffer.take(9)[0])) == [0, 1, 2]


def test_a_drained_consumer_gives_back_what_it_has_not_begun() -> None:
    """Its producer stays, and nobody handles an event twice."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    subscribe(middle, source)
    inside(source, lambda stage: stage.emit(range(4)))
    settle(source, middle)
    assert not drain(middle, timeout=20).killed
    assert seen(middle, "batches") == []
    subscribe(sink, source)
    settle(source, sink)
    assert seen(sink, "events") == [0, 1, 2, 3]


def test_a_full_buffer_that_blocks_takes_them_back_and_blocks_on() -> None:
    """They are above its size until they are taken."""
    source, sink = Silent.start(buffer_size=2, buffer_keep="block"), Crashing.start(at=0)
    subscribe(sink, source, max_demand=4, min_demand=0)
    settle(source, sink)
    inside(source, lambda stage: stage.emit(range(4)))
    ended(sink)
    settle(source)
    numbers = statistics(source)
    assert (numbers.buffered, numbers.blocked, numbers.discarded) == (4, True, 0)
    heir = Sink.start()
    subscribe(heir, source)
    settle(source, heir)
    assert seen(heir, "events") == [0, 1, 2, 3]
    assert not statistics(source).blocked


def test_a_resubscription_gets_what_was_not_handled() -> None:
    """The old subscription's events come back first, then they go to whoever asks."""
    source, sink = Silent.start(), Sink.start()
    old = subscribe(sink, source, max_wait=NEVER)
    inside(source, lambda stage: stage.emit([0]))
    settle(source, sink)
    sync_resubscribe(sink, old, to=source, max_demand=4, delivery="at_least_once")
    settle(source, sink)
    assert seen(sink, "events") == [0]
    assert seen(sink, "left") == [("cancel", "normal")]


def test_a_handler_may_change_the_list_that_it_gets() -> None:
    """What the producer keeps is its own."""

    class Rude(Sink):
        def handle_events(self, events: Any, source: Subscription) -> None:
            events.clear()
            raise RuntimeError

    for options in ({}, {"mode": "manual"}):
        source, sink = Silent.start(), Rude.start(**options)
        subscription = subscribe(sink, source)
        ask(subscription, 4 if options else 0)
        inside(source, lambda stage: stage.emit([1, 2]))
        ended(sink)
        settle(source)
        assert list(inside(source, lambda stage: stage._buffer.take(9)[0])) == [1, 2]


def test_others_are_not_concerned() -> None:
    """A consumer that did not ask for it loses what it had, as ever."""
    source, sink = Silent.start(), Crashing.start(at=0)
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    inside(source, lambda stage: stage.emit([0, 1]))
    ended(sink)
    settle(source)
    assert subscription.collector is None
    assert inside(source, lambda stage: stage._buffer.length) == 0


def test_a_wrong_delivery_is_an_error_at_the_call() -> None:
    """Exactly once is nobody's to promise."""
    with pytest.raises(OptionError, match="option 'delivery' is 'exactly_once'; allowed are 'at_most_once'"):
        subscribe(Sink.start(), Silent.start(), delivery="exactly_once")


# -- a consumer that is killed and restarted --------------------------------------------


class Ledger:
    """Outlives the consumers: which chunks were begun, and which were done."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, ...]] = []
        self.done: list[tuple[int, ...]] = []


class Worker(Consumer):
    """Subscribes at each start; now and then it takes its time."""

    ledger: Ledger

    def init(self, ledger: Ledger, options: dict[str, Any]) -> None:
        self.ledger = ledger
        self.subscribe_to = [{"to": "feed", "cancel": "temporary", "delivery": "at_least_once", **options}]

    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        chunk = tuple(events)
        self.ledger.begun.append(chunk)
        if chunk[0] % 7 == 0:
            threading.Event().wait(0.0005)
        self.ledger.done.append(chunk)


class Feed(Producer):
    """Counts until it is told that it is enough."""

    def init(self, dispatcher: Any, enough: threading.Event) -> None:
        self.dispatcher, self.enough = dispatcher, enough
        self.next = 0

    def handle_demand(self, demand: int) -> range:
        first, self.next = self.next, self.next + demand
        if self.enough.is_set():
            self.complete()
        return range(first, self.next)


@pytest.mark.parametrize("max_wait", [None, 0.002], ids=["chunks", "collecting"])
@pytest.mark.parametrize("kind", ["demand", "round robin", "weighted", "partition"])
def test_restarts_of_killed_consumers_lose_nothing(kind: str, max_wait: float | None) -> None:
    """Kills at random moments: every event is handled, twice only those of chunks that were being handled."""
    rng, kills = random.Random(f"{kind} {max_wait}"), 30
    dispatcher = functools.partial(PartitionFanOut, 2) if kind == "partition" else FAN_OUTS[kind]
    enough, ledger = threading.Event(), Ledger()
    feed = Feed.start(dispatcher, enough, name="feed")
    options = {"max_demand": 50, "min_demand": 30, "max_wait": max_wait}
    specs = [
        Worker.child_spec(ledger, {**options, "partition": number}, id=number, name=f"worker {number}")
        for number in range(2)
    ]
    supervisor = Supervisor.start(specs, max_restarts=10_000, max_seconds=1)
    for _ in range(kills):
        threading.Event().wait(rng.random() * 0.003)
        name = f"worker {rng.randrange(2)}"
        until(lambda name=name: whereis(name))
        victim = whereis(name)
        if victim is not None:
            victim.kill()
            ended(victim)
    enough.set()
    assert ended(feed) == "normal"
    supervisor.stop()
    actor: Any = feed._cell.actor
    assert actor._redelivered
    handled = Counter(event for chunk in ledger.done for event in chunk)
    assert sorted(handled) == list(range(actor.next))
    # One chunk is at work at a time: that of each kill may be handled again.
    begun = Counter(event for chunk in ledger.begun for event in chunk)
    assert sum(begun.values()) - actor.next <= 20 * kills


# -- events that come back again and again --------------------------------------------------


def crash(source: Ref, times: int, at: Any, **options: Any) -> None:
    """Have so many consumers die of the event `at`, one after the other."""
    for _ in range(times):
        sink = Crashing.start(at=at)
        subscribe(sink, source, **options)
        ended(sink)
        settle(source)


def test_an_event_that_ends_every_consumer_is_dropped_after_so_many(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted and told, with the event; those behind it had no part in it and are handled."""
    lost: list[Any] = []

    def note(_: str, __: Any, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        lost.append((measurements["count"], metadata["events"], metadata["max_deliveries"]))

    options = {"max_demand": 4, "min_demand": 3, "max_deliveries": 3}
    source, heir = Silent.start(), Sink.start()
    inside(source, lambda stage: stage.emit(["a", "poison", "b", "c"]))
    with telemetry.attach("slither.stage.undeliverable", note):
        crash(source, 2, "poison", **options)
        numbers = statistics(source)
        assert (lost, numbers.undeliverable, numbers.redelivered, numbers.buffered) == ([], 0, 6, 3)
        crash(source, 1, "poison", **options)
    assert lost == [(1, ("poison",), 3)]
    numbers = statistics(source)
    assert (numbers.undeliverable, numbers.redelivered, numbers.buffered) == (1, 8, 2)
    assert "drops 1 events that were handed over 3 times (max_deliveries)" in caplog.text
    assert "RuntimeError: poison: ['poison']" in caplog.text
    subscribe(heir, source, **options)
    settle(source, heir)
    assert seen(heir, "events") == ["b", "c"]
    assert len(inside(source, lambda stage: stage._deliveries)) == 0


def test_without_a_limit_it_comes_back_any_number_of_times() -> None:
    """As the word says; that is the default."""
    source = Silent.start()
    inside(source, lambda stage: stage.emit(["poison"]))
    crash(source, 8, "poison")
    assert statistics(source).undeliverable == 0
    assert inside(source, lambda stage: stage._deliveries) is None
    assert statistics(source).buffered == 1


def test_an_event_that_was_handled_in_the_end_is_counted_no_more() -> None:
    """The same object may come again, and has all its deliveries then."""
    source, sink = Silent.start(), Sink.start()
    event = object()
    inside(source, lambda stage: stage.emit([event]))
    crash(source, 1, event, max_deliveries=2)
    subscribe(sink, source, max_deliveries=2)
    settle(source, sink, source)
    assert seen(sink, "events") == [event]
    sink.stop()
    settle(source)
    inside(source, lambda stage: stage.emit([event]))
    crash(source, 1, event, max_deliveries=2)
    assert statistics(source).undeliverable == 0


@pytest.mark.parametrize("kind", FAN_OUTS)
def test_every_fan_out_counts(kind: str) -> None:
    """By the events, wherever they go meanwhile."""
    source = Silent.start(dispatcher=FAN_OUTS[kind])
    extra = {"partition": 0} if kind == "partition" else {}
    # Not in the buffer: a partition takes its events from there only when it asks.
    other = Sink.start(mode="manual")
    subscribe(other, source, **extra)
    inside(source, lambda stage: stage.emit(range(1000, 1006)))
    crash(source, 2, 1002, max_demand=6, min_demand=5, max_deliveries=2, **extra)
    assert statistics(source).undeliverable == 1
    heir = Sink.start()
    subscribe(heir, source, **extra)
    settle(source, heir)
    assert seen(heir, "events") == [1003, 1004, 1005]


def test_a_producer_whose_last_event_is_undeliverable_ends() -> None:
    """Nothing is left to be acknowledged."""
    source = Source.start(3)
    crash(source, 2, 2, max_demand=2, min_demand=1, max_deliveries=2)
    assert ended(source) == "normal"


def test_a_limit_without_acknowledgements_is_refused() -> None:
    """There is nothing to count."""
    source, sink = Silent.start(), Sink.start()
    with pytest.raises(OptionError, match="max_deliveries.* is 3, but delivery='at_most_once'"):
        sync_subscribe(sink, to=source, max_deliveries=3)
    for wrong in (0, True, 1.5):
        with pytest.raises(OptionError, match="max_deliveries"):
            subscribe(sink, source, max_deliveries=wrong)
