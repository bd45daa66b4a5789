"""How a subscription ends, and whom it takes along: the cancel modes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.actors import Crash, Ref
from slither_actors.stages import (
    BroadcastFanOut,
    Subscription,
    _protocol,
    ask,
    async_subscribe,
    cancel,
    sync_subscribe,
)
from tests.stages.probes import Middle, Silent, Sink, Source, ended, inside, seen, settle

MODES = ("permanent", "transient", "temporary")
ORDERLY: tuple[Any, ...] = ("normal", "shutdown", ("shutdown", "done"))
ABNORMAL: tuple[Any, ...] = ("boom", ("a", "tuple"), ("shutdown", 1, 2), 7)

Ending = Callable[[Ref, Subscription, Any], None]


def by_exit(source: Ref, _: Subscription, reason: Any) -> None:
    source.stop(reason)


def by_cancel(source: Ref, subscription: Subscription, reason: Any) -> None:
    cancel(subscription, reason)


def subscribed(mode: str, **options: Any) -> tuple[Ref, Ref, Subscription]:
    source, sink = Silent.start(), Sink.start()
    return source, sink, sync_subscribe(sink, to=source, cancel=mode, **options)


def stays(sink: Ref) -> bool:
    settle(sink)
    return sink.is_alive()


@pytest.mark.parametrize("end", [by_exit, by_cancel])
@pytest.mark.parametrize("reason", ORDERLY + ABNORMAL)
def test_a_permanent_consumer_ends_with_its_producer_and_its_reason(end: Ending, reason: Any) -> None:
    """Whatever the reason, also a normal one."""
    source, sink, subscription = subscribed("permanent")
    end(source, subscription, reason)
    assert ended(sink) == reason


@pytest.mark.parametrize("end", [by_exit, by_cancel])
@pytest.mark.parametrize("reason", ORDERLY)
def test_a_transient_consumer_outlives_an_orderly_end(end: Ending, reason: Any) -> None:
    """Normal, shutdown, and shutdown with a term."""
    source, sink, subscription = subscribed("transient")
    end(source, subscription, reason)
    assert stays(sink)


@pytest.mark.parametrize("end", [by_exit, by_cancel])
@pytest.mark.parametrize("reason", ABNORMAL)
def test_a_transient_consumer_ends_with_an_abnormal_end(end: Ending, reason: Any) -> None:
    """With the same reason."""
    source, sink, subscription = subscribed("transient")
    end(source, subscription, reason)
    assert ended(sink) == reason


@pytest.mark.parametrize("end", [by_exit, by_cancel])
@pytest.mark.parametrize("reason", ORDERLY + ABNORMAL)
def test_a_temporary_consumer_always_stays(end: Ending, reason: Any) -> None:
    """It has only lost a producer."""
    source, sink, subscription = subscribed("temporary")
    end(source, subscription, reason)
    assert stays(sink)


@pytest.mark.parametrize(("mode", "reason"), [("permanent", "noproc"), ("transient", "noproc")])
def test_a_producer_dead_at_the_subscription_ends_the_consumer(mode: str, reason: str) -> None:
    """The call itself succeeds."""
    source, sink = Silent.start(), Sink.start()
    source.stop()
    assert sync_subscribe(sink, to=source, cancel=mode).producer is source
    assert ended(sink) == reason
    assert seen(sink, "left") == [("down", "noproc")]


def test_a_temporary_consumer_survives_a_producer_dead_at_the_subscription() -> None:
    """It is told, and goes on."""
    source, sink = Silent.start(), Sink.start()
    source.stop()
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    assert stays(sink)
    assert seen(sink, "left") == [("down", "noproc")]
    assert subscription.closed


@pytest.mark.parametrize("mode", MODES)
def test_already_subscribed_ends_nobody(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """A second subscription to a broadcast is refused, the first one goes on, in every mode."""
    source, sink = Silent.start(dispatcher=BroadcastFanOut), Sink.start()
    sync_subscribe(sink, to=source, cancel=mode, max_demand=4)
    sync_subscribe(sink, to=source, cancel=mode, max_demand=4)
    settle(source, sink)
    assert sink.is_alive()
    assert seen(sink, "left") == [("cancel", "already_subscribed")]
    inside(source, lambda stage: stage.emit([1, 2]))
    assert seen(sink, "events") == [1, 2]
    assert "is subscribed already" in caplog.text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", [by_exit, by_cancel])
def test_handle_cancel_runs_first_and_once(end: Ending, mode: str) -> None:
    """It is told whether the producer cancelled or went down."""
    source, sink, subscription = subscribed(mode)
    end(source, subscription, "boom")
    settle(source, sink)
    assert seen(sink, "left") == [("down" if end is by_exit else "cancel", "boom")]
    source.stop()
    settle(sink)
    assert len(seen(sink, "left")) == 1


def test_stop_in_handle_cancel_wins() -> None:
    """Its reason, not the producer's, is the consumer's."""

    class Deciding(Sink):
        def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
            self.stop("decided")

    source, sink = Silent.start(), Deciding.start()
    sync_subscribe(sink, to=source)
    source.stop("boom")
    assert ended(sink) == "decided"


def test_a_crash_of_the_producer_is_the_reason_of_its_permanent_consumers() -> None:
    """Down a chain of them, the very same reason."""

    class Crashing(Source):
        def handle_demand(self, demand: int) -> range:
            raise ZeroDivisionError

    source, middle, sink = Crashing.start(), Middle.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    reason = ended(sink)
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, ZeroDivisionError)
    assert reason is ended(middle)
    assert reason is ended(source)


def test_what_a_producer_sent_before_its_crash_is_handled_before_the_end() -> None:
    """A `Down` comes behind the events."""

    class Failing(Source):
        def handle_demand(self, demand: int) -> range:
            self.emit(range(demand))
            raise ZeroDivisionError

    source, sink = Failing.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=6)
    ended(sink)
    assert seen(sink, "events") == list(range(6))


def test_a_killed_producer_ends_its_permanent_consumer() -> None:
    """The reason is "killed"."""
    source, sink, _ = subscribed("permanent")
    source.kill()
    assert ended(sink) == "killed"


# -- the producer's side -------------------------------------------------------


def test_a_crash_of_a_consumer_does_not_touch_the_producer() -> None:
    """It is told, and goes on to serve the others."""

    class Crashing(Sink):
        def handle_events(self, events: Any, source: Subscription) -> None:
            raise ZeroDivisionError

    source, bad, good = Silent.start(), Crashing.start(), Sink.start()
    sync_subscribe(bad, to=source, max_demand=10)
    sync_subscribe(good, to=source, max_demand=4)
    inside(source, lambda stage: stage.emit([1]))
    reason = ended(bad)
    settle(source)
    assert seen(source, "left") == [("down", reason)]
    inside(source, lambda stage: stage.emit([2, 3]))
    assert seen(good, "events") == [2, 3]


def test_the_demand_of_a_dead_consumer_is_owed_to_the_next_one() -> None:
    """Ten were outstanding; of the fifteen asked for next, five are new."""
    source, first, second = Silent.start(), Sink.start(), Sink.start()
    sync_subscribe(first, to=source, max_demand=10)
    settle(source)
    first.stop()
    settle(source)
    sync_subscribe(second, to=source, max_demand=15)
    assert seen(source, "demands") == [10, 5]


def test_a_consumer_that_cancels_is_told_and_its_demand_is_owed() -> None:
    """Both sides get handle_cancel with the reason."""
    source, sink, subscription = subscribed("temporary", max_demand=10)
    cancel(subscription, "bored")
    settle(source, sink)
    assert seen(source, "left") == seen(sink, "left") == [("cancel", "bored")]
    sync_subscribe(sink, to=source, max_demand=12)
    assert seen(source, "demands") == [10, 2]


def test_events_after_a_cancel_go_to_nobody_who_left() -> None:
    """They are buffered for whoever comes next."""
    source, sink, subscription = subscribed("temporary", max_demand=10)
    cancel(subscription)
    inside(source, lambda stage: stage.emit([1, 2]))
    settle(source, sink)
    assert seen(sink, "events") == []
    other = Sink.start()
    sync_subscribe(other, to=source)
    settle(source)
    assert seen(other, "events") == [1, 2]


def test_a_consumer_that_cancelled_and_then_dies_has_left_once() -> None:
    """Its end is no second end of the subscription."""
    source, sink, subscription = subscribed("temporary")
    cancel(subscription, "bored")
    settle(source, sink)
    sink.stop()
    settle(source)
    assert source.is_alive()
    assert seen(source, "left") == [("cancel", "bored")]


def test_events_of_a_subscription_that_has_ended_are_ignored() -> None:
    """The consumer has been told that there will be none."""
    source, sink, subscription = subscribed("temporary")
    cancel(subscription)
    settle(source, sink)
    sink.send(_protocol.deliver, (subscription, [1, 2]))
    assert seen(sink, "events") == []


def test_cancelling_twice_is_cancelling_once() -> None:
    """Also for a consumer that an unknown subscription would end."""
    source, sink, subscription = subscribed("transient")
    cancel(subscription)
    cancel(subscription)
    assert stays(sink)
    settle(source, sink)
    assert seen(source, "left") == seen(sink, "left") == [("cancel", "normal")]


def test_a_dead_consumer_is_forgotten() -> None:
    """A thousand that came and went leave nothing in the producer."""
    source = Silent.start()
    for _ in range(1000):
        sink = Sink.start()
        sync_subscribe(sink, to=source)
        sink.stop()
    settle(source)
    assert inside(source, lambda stage: (len(stage._consumers), len(stage._watched))) == (0, 0)


# -- a producer-consumer: the end waits behind the events ----------------------


def test_the_end_of_a_producer_waits_behind_queued_events() -> None:
    """They are handled when somebody asks for them, and only then is the end heard."""
    source, middle = Source.start(4), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    ended(source)
    settle(middle)
    assert middle.is_alive()
    assert seen(middle, "left") == []
    sink = Sink.start()
    sync_subscribe(sink, to=middle, max_demand=1)
    assert ended(middle) == "normal"
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [0, 1, 2, 3]
    assert seen(middle, "left") == [("down", "normal")]


def test_a_crash_waits_behind_queued_events_too() -> None:
    """What the producer had sent is not lost by how it ended."""
    source, middle = Silent.start(), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    settle(source)
    inside(source, lambda stage: stage.emit([1, 2, 3]))
    source.stop("boom")
    settle(middle)
    assert middle.is_alive()
    sink = Sink.start()
    sync_subscribe(sink, to=middle)
    assert ended(sink) == "boom"
    assert seen(sink, "events") == [1, 2, 3]


def test_the_end_needs_no_demand_of_its_own() -> None:
    """A consumer that asks for exactly what there is gets the end as well."""
    source, middle = Source.start(4), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    ended(source)
    settle(middle)
    sink = Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    ask(subscription, 4)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [0, 1, 2, 3]


@pytest.mark.parametrize(("lists", "batches"), [([4], [4]), ([2, 2], [2, 2])], ids=["one", "two"])
def test_queued_events_of_a_producer_that_is_gone_come_uncut_and_are_asked_for_no_more(
    lists: list[int], batches: list[int]
) -> None:
    """As in GenStage. The producer may live on, and must hear no more of it."""
    asks: list[int] = []

    class Hearing(Silent):
        def _asked(self, subscription: Subscription, count: int) -> None:
            asks.append(count)
            super()._asked(subscription, count)

    source, middle = Hearing.start(), Middle.start()
    subscription = sync_subscribe(middle, to=source, max_demand=4, cancel="temporary")
    settle(source)
    for size in lists:
        inside(source, lambda stage, size=size: stage.emit(range(size)))
    cancel(subscription, "enough")
    settle(source, middle)
    sink = Sink.start()
    sync_subscribe(sink, to=middle)
    settle(source, middle, sink)
    assert [len(batch) for batch in seen(middle, "batches")] == batches
    assert seen(middle, "left") == [("cancel", "enough")]
    assert asks == [4]


def test_the_output_of_the_last_events_is_not_lost_in_an_orderly_end() -> None:
    """It waits in the buffer for the consumer that has not asked for it yet."""
    source = Source.start(2)
    middle = Middle.start(lambda events: [event for event in events for _ in range(5)])
    sync_subscribe(middle, to=source, max_demand=2, min_demand=0)
    sink = Sink.start()
    sync_subscribe(sink, to=middle, max_demand=1)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [0] * 5 + [1] * 5


def test_messages_to_a_forgotten_subscription_are_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """A late ask is answered with a cancel that the consumer has heard already."""
    source, sink, subscription = subscribed("temporary")
    cancel(subscription)
    settle(source, sink)
    with caplog.at_level(logging.WARNING):
        ask(subscription, 5)
        settle(source, sink)
    assert seen(source, "demands") == [1000]
    assert len(seen(sink, "left")) == 1
    assert not caplog.records


def test_an_asynchronous_subscription_to_a_dead_producer_ends_the_consumer() -> None:
    """As the synchronous one."""
    source, sink = Silent.start(), Sink.start()
    source.stop()
    async_subscribe(sink, to=source)
    assert ended(sink) == "noproc"
