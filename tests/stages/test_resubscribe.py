"""Subscribing anew in place of an older subscription."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import named
from slither_actors.errors import OptionError, SubscriptionError
from slither_actors.stages import (
    DemandFanOut,
    Subscription,
    _protocol,
    ask,
    async_resubscribe,
    cancel,
    sync_resubscribe,
    sync_subscribe,
)
from tests.stages.probes import Middle, Silent, Sink, Source, ended, inside, seen, settle


def test_the_old_demand_counts_for_the_new_subscription() -> None:
    """Ten were outstanding; of the thirty asked for next, twenty are new."""
    source, sink = Silent.start(), Sink.start()
    old = sync_subscribe(sink, to=source, max_demand=10, cancel="temporary")
    new = sync_resubscribe(sink, old, to=source, max_demand=30)
    assert isinstance(new, Subscription)
    assert new is not old
    assert seen(source, "demands") == [10, 20]


def test_the_producer_does_both_at_once() -> None:
    """First the cancel, then the subscribe, in one message."""
    order: list[Any] = []

    class Ordered(Silent):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> None:
            order.append(("subscribe", options.max_demand))

        def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
            order.append(cause)

    source, sink = Ordered.start(), Sink.start()
    old = sync_subscribe(sink, to=source, max_demand=4, cancel="temporary")
    sync_resubscribe(sink, old, to=source, reason="larger", max_demand=6)
    settle(source, sink)
    assert order == [("subscribe", 4), ("cancel", "larger"), ("subscribe", 6)]


def test_both_sides_hear_of_the_end_of_the_old_one_once() -> None:
    """With the reason that was given; the new one goes on."""
    source, sink = Silent.start(), Sink.start()
    old = sync_subscribe(sink, to=source, cancel="temporary")
    sync_resubscribe(sink, old, to=source, reason="moving")
    inside(source, lambda stage: stage.emit([1, 2]))
    settle(source, sink)
    assert seen(source, "left") == seen(sink, "left") == [("cancel", "moving")]
    assert seen(sink, "events") == [1, 2]


@pytest.mark.parametrize(
    ("mode", "reason", "ends"),
    [
        ("permanent", "normal", True),
        ("transient", "normal", False),
        ("transient", "oops", True),
        ("temporary", "oops", False),
    ],
)
def test_the_old_ones_cancel_mode_decides(mode: Any, reason: str, ends: bool) -> None:
    """Not that of the new one."""
    source, sink = Silent.start(), Sink.start()
    old = sync_subscribe(sink, to=source, cancel=mode)
    new_mode = "temporary" if mode == "permanent" else "permanent"
    sync_resubscribe(sink, old, to=source, reason=reason, cancel=new_mode)
    settle(source, sink)
    if ends:
        assert ended(sink) == reason
    else:
        assert sink.is_alive()


def test_an_unknown_old_subscription_is_ignored() -> None:
    """It was cancelled, or is another producer's: the new one is made all the same."""
    source, other, sink = Silent.start(), Silent.start(), Sink.start()
    gone = sync_subscribe(sink, to=source, max_demand=7, cancel="temporary")
    cancel(gone, "bye")
    elsewhere = sync_subscribe(sink, to=other, max_demand=7, cancel="temporary")
    settle(source, sink)
    sync_resubscribe(sink, gone, to=source, max_demand=9)
    sync_resubscribe(sink, elsewhere, to=source, max_demand=9)
    settle(source, other, sink)
    assert seen(source, "demands") == [7, 2, 9]
    assert seen(sink, "left") == [("cancel", "bye")]
    assert seen(other, "left") == []


def test_the_asynchronous_one_is_the_same() -> None:
    """It only does not wait for the consumer."""
    source, sink = Silent.start(), Sink.start()
    old = sync_subscribe(sink, to=source, max_demand=10, cancel="temporary")
    async_resubscribe(sink, old, to=source, reason="later", max_demand=15)
    settle(sink, source)
    assert seen(source, "demands") == [10, 5]
    assert seen(sink, "left") == [("cancel", "later")]


def test_a_producer_that_ends_with_its_last_consumer_ends() -> None:
    """As in GenStage, also when that consumer is just coming back: it is told like any other."""

    class Lonely(Silent):
        def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
            self.stop("lonely")

    source, sink = Lonely.start(), Sink.start()
    old = sync_subscribe(sink, to=source, cancel="temporary")
    sync_resubscribe(sink, old, to=source, cancel="temporary")
    assert ended(source) == "lonely"
    settle(sink)
    assert seen(sink, "left") == [("cancel", "normal"), ("down", "lonely")]


def test_a_producer_consumer_can_resubscribe() -> None:
    """The events of the old one that wait are handled before its end is heard."""
    source, middle = Silent.start(), Middle.start()
    old = sync_subscribe(middle, to=source, max_demand=4, cancel="temporary")
    settle(middle, source)
    inside(source, lambda stage: stage.emit([1, 2]))
    sync_resubscribe(middle, old, to=source, max_demand=4)
    settle(source, middle)
    assert seen(middle, "left") == []
    sink = Sink.start()
    sync_subscribe(sink, to=middle)
    settle(middle, sink)
    assert seen(sink, "events") == [1, 2]
    assert seen(middle, "left") == [("cancel", "normal")]


@pytest.mark.parametrize("resubscribe", [sync_resubscribe, async_resubscribe])
def test_a_wrong_argument_is_an_error_at_the_call(resubscribe: Any) -> None:
    """The stages never hear of it."""
    source, sink = Silent.start(), Sink.start()
    old = sync_subscribe(sink, to=source)
    where = resubscribe.__name__
    with pytest.raises(OptionError, match=f"{where}: option 'subscription' is 5; allowed is a Subscription"):
        resubscribe(sink, 5, to=source)
    with pytest.raises(OptionError, match=f"{where}: option 'max_demand'"):
        resubscribe(sink, old, to=source, max_demand=0)
    with pytest.raises(SubscriptionError, match="is no consumer"):
        resubscribe(source, old, to=source)
    assert seen(sink, "left") == []


@pytest.mark.parametrize("mode", ["permanent", "transient", "temporary"])
def test_a_stage_that_starts_after_the_end_of_its_producer_hears_of_it(mode: str) -> None:
    """In `subscribe_to`, as everywhere: "noproc", which a temporary subscription survives."""
    source = Silent.start()
    source.stop()
    sink = Sink.start(subscribe_to=[{"to": source, "cancel": mode}])
    if mode == "temporary":
        settle(sink)
        assert sink.is_alive()
    else:
        assert ended(sink) == "noproc"
    assert seen(sink, "left") == [("down", "noproc")]


def test_a_producer_may_be_given_as_a_handle_of_its_name() -> None:
    """Whoever has the name at the call is meant."""
    source, sink = Silent.start(name="the source"), Sink.start()
    assert sync_subscribe(sink, to=named("the source")).producer is source
    with pytest.raises(OptionError, match="option 'to' is Named"):
        sync_subscribe(sink, to=named("nobody"))


def test_excess_is_logged_and_delivered_where_events_are_counted_otherwise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fan-out that sends more than was asked for, to a consumer that collects and acknowledges."""

    class Generous(DemandFanOut[Any]):
        def dispatch(self, events: Any) -> Any:
            return [(key, events) for key in self.statistics().outstanding], ()

    source, sink = Silent.start(dispatcher=Generous), Sink.start()
    options = {"max_demand": 4, "min_demand": 2, "max_wait": 60.0, "delivery": "at_least_once"}
    subscription = sync_subscribe(sink, to=source, **options)
    settle(source, sink)
    inside(source, lambda stage: stage.emit(range(6)))
    settle(source, sink)
    assert seen(sink, "batches") == [[0, 1], [2, 3], [4, 5]]
    assert "received 2 events in excess" in caplog.text
    assert subscription.statistics().outstanding == 4


# -- the protocol -------------------------------------------------------------------


def test_a_second_subscribe_of_the_same_subscription_is_cancelled() -> None:
    """The consumer hears "duplicated_subscription"; and the producer lives."""
    source, sink = Silent.start(), Sink.start()
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    source.send(_protocol.subscribe, subscription)
    settle(source, sink)
    assert seen(sink, "left") == [("cancel", "duplicated_subscription")]
    inside(source, lambda stage: stage.emit([1]))
    settle(source, sink)
    assert seen(sink, "events") == []
    # The events told it that the consumer is not there any more.
    assert seen(source, "left") == [("cancel", "unknown_subscription")]
    assert source.is_alive()


def test_events_of_an_unknown_subscription_are_ignored_and_answered() -> None:
    """Also those that are collected or acknowledged."""
    source = Silent.start()
    for options in ({}, {"max_wait": 60.0}):
        sink = Sink.start()
        subscription = sync_subscribe(sink, to=source, cancel="temporary", **options)
        settle(source, sink)
        inside(sink, lambda stage, it=subscription: stage._source_ended(it, "cancel", "mine"))
        inside(source, lambda stage: stage.emit([1]))
        settle(source, sink)
        assert seen(sink, "events") == []
    assert seen(source, "left") == [("cancel", "unknown_subscription")] * 2


def test_an_ask_of_an_unknown_subscription_is_answered_with_a_cancel() -> None:
    """One whose subscribe message never came."""
    source, sink = Silent.start(), Sink.start()
    known = sync_subscribe(sink, to=source, cancel="temporary")
    subscription = Subscription(sink, known.options)
    source.send(_protocol.ask, (subscription, 5))
    settle(source, sink)
    assert ("cancel", "unknown_subscription") in seen(sink, "left")
    assert seen(source, "demands") == [1000]


def test_a_producer_must_not_say_that_it_asks_by_hand() -> None:
    """Only consumers ask. It crashes, as in GenStage."""

    class Wrong(Silent):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str:
            return "manual"

    source, sink = Wrong.start(), Sink.start()
    sync_subscribe(sink, to=source)
    assert "handle_subscribe returned 'manual' for a consumer" in str(ended(source))
    assert ended(sink) is source.exit_reason


def test_a_producer_consumer_may_ask_by_hand_and_be_asked_by_hand() -> None:
    """The two sides have nothing to do with each other."""
    source, middle, sink = (
        Source.start(100, completes=False),
        Middle.start(mode="manual"),
        Sink.start(mode="manual"),
    )
    upper = sync_subscribe(middle, to=source)
    lower = sync_subscribe(sink, to=middle)
    ask(upper, 5)
    settle(source, middle, sink)
    assert (seen(source, "demands"), seen(middle, "batches")) == ([5], [])
    ask(lower, 3)
    settle(middle, sink)
    assert seen(middle, "batches") == [[0, 1, 2, 3, 4]]
    assert seen(sink, "batches") == [[0, 1, 2]]
