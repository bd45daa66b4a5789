"""Subscribing: who to whom, and with which options."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import Server
from slither_actors.errors import ActorExitError, OptionError, StartError, SubscriptionError
from slither_actors.stages import Subscription, ask, async_subscribe, cancel, sync_subscribe
from tests.stages.probes import Middle, Silent, Sink, inside, seen, settle

WRONG = [
    ({"max_demand": 0}, "option 'max_demand' is 0; allowed is an integer of at least 1"),
    ({"max_demand": float("inf")}, "option 'max_demand' is inf"),
    ({"max_demand": 10, "min_demand": 10}, "option 'min_demand' is 10; allowed .* 0 to max_demand - 1 = 9"),
    ({"min_demand": -1}, "option 'min_demand' is -1"),
    ({"cancel": "never"}, "option 'cancel' is 'never'; allowed are 'permanent', 'transient', 'temporary'"),
    ({"to": "nobody"}, "option 'to' is 'nobody'; allowed is the ref or the name of a running producer"),
    ({"to": ["unhashable"]}, r"option 'to' is \['unhashable'\]"),
    ({"to": None}, "option 'to' is None"),
]


@pytest.mark.parametrize("subscribe", [sync_subscribe, async_subscribe])
@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_option_is_an_error_at_the_call(subscribe: Any, options: Any, message: str) -> None:
    """The consumer never hears of it."""
    source, sink = Silent.start(), Sink.start()
    with pytest.raises(OptionError, match=f"{subscribe.__name__}: {message}"):
        subscribe(sink, **{"to": source, **options})
    assert seen(sink, "joined") == []


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_option_in_subscribe_to_fails_the_start(options: Any, message: str) -> None:
    """GenStage only logs it, and the stage runs unsubscribed. The other producers are not bothered."""
    good, source = Silent.start(), Silent.start()
    with pytest.raises(StartError, match=f"Sink.subscribe_to: {message}") as caught:
        Sink.start(subscribe_to=[good, {"to": source, **options}])
    assert isinstance(caught.value.__cause__, OptionError)
    assert seen(good, "joined") == []


@pytest.mark.parametrize("value", ["name", {"to": "name"}, None, 5])
def test_subscribe_to_is_a_list(value: Any) -> None:
    """A single name would be a list of characters."""
    with pytest.raises(StartError, match="option 'subscribe_to' is .*; allowed is a list of producers"):
        Sink.start(subscribe_to=value)


def test_an_entry_of_subscribe_to_needs_a_producer() -> None:
    """A mapping without `to` is an error."""
    with pytest.raises(StartError, match="option 'to' is required"):
        Sink.start(subscribe_to=[{"max_demand": 5}])


@pytest.mark.parametrize("wrong", [None, 3, "name"])
def test_what_is_no_consumer_and_no_subscription_is_named(wrong: Any) -> None:
    """A name in the place of the ref of the consumer, say."""
    with pytest.raises(OptionError, match=f"sync_subscribe: option 'consumer' is {wrong!r}"):
        sync_subscribe(wrong, to=Silent.start())
    with pytest.raises(OptionError, match=f"cancel: option 'source' is {wrong!r}"):
        cancel(wrong)
    with pytest.raises(OptionError, match=f"ask: option 'source' is {wrong!r}"):
        ask(wrong, 1)


def test_only_producers_can_be_subscribed_to() -> None:
    """A consumer or any other actor would crash by it."""
    for other in (Sink.start(), Server.start()):
        with pytest.raises(OptionError, match="which is no producer"):
            sync_subscribe(Sink.start(), to=other)
        with pytest.raises(StartError, match="which is no producer"):
            Sink.start(subscribe_to=[other])
        assert other.is_alive()


def test_only_consumers_can_subscribe() -> None:
    """Neither a producer nor any other actor."""
    source = Silent.start()
    for other in (Silent.start(), Server.start()):
        with pytest.raises(SubscriptionError, match="is no consumer"):
            sync_subscribe(other, to=source)


def test_a_dead_consumer_cannot_subscribe() -> None:
    """The caller is told; an asynchronous call does nothing."""
    source, sink = Silent.start(), Sink.start()
    sink.stop()
    with pytest.raises(ActorExitError):
        sync_subscribe(sink, to=source)
    async_subscribe(sink, to=source)
    assert seen(source, "joined") == []


def test_a_producer_is_found_by_its_name() -> None:
    """Any name that an actor can have."""
    Silent.start(name=("a", 1))
    assert sync_subscribe(Sink.start(), to=("a", 1)).producer.name == ("a", 1)


def test_both_sides_get_the_options_and_the_subscription() -> None:
    """The unknown ones are there under `extra`: they are the fan-out's."""
    options: list[Any] = []

    class Curious(Silent):
        def handle_subscribe(self, role: str, given: Any, source: Subscription) -> None:
            options.append((role, given, source))

    source, sink = Curious.start(), Sink.start()
    subscription = sync_subscribe(sink, to=source, max_demand=7, cancel="transient", colour="red")
    settle(source)
    ((role, given, same),) = options
    assert role == "consumer"
    assert same is subscription is seen(sink, "sources")[0]
    assert (given.max_demand, given.cancel, dict(given.extra)) == (7, "transient", {"colour": "red"})
    assert seen(sink, "joined") == ["producer"]


def test_one_consumer_may_subscribe_to_several_producers() -> None:
    """Each subscription has its own demand."""
    one, two, sink = Silent.start(), Silent.start(), Sink.start()
    sync_subscribe(sink, to=one, max_demand=3)
    sync_subscribe(sink, to=two, max_demand=5)
    inside(one, lambda stage: stage.emit([1]))
    inside(two, lambda stage: stage.emit([2]))
    assert seen(sink, "events") == [1, 2]
    assert (seen(one, "demands"), seen(two, "demands")) == ([3], [5])


def test_a_consumer_may_subscribe_twice_to_one_producer() -> None:
    """With the demand fan-out these are two subscriptions."""
    source, sink = Silent.start(), Sink.start()
    first = sync_subscribe(sink, to=source, max_demand=3)
    second = sync_subscribe(sink, to=source, max_demand=3)
    assert first is not second
    assert seen(source, "demands") == [3, 3]


def test_a_producer_consumer_hears_of_both_sides() -> None:
    """The role is that of the other side."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    sync_subscribe(middle, to=source)
    sync_subscribe(sink, to=middle)
    assert seen(middle, "joined") == ["producer", "consumer"]


def test_a_subscription_shows_its_two_ends() -> None:
    """For logs."""
    source, sink = Silent.start(), Sink.start()
    subscription = sync_subscribe(sink, to=source)
    assert repr(subscription) == f"<Subscription of {sink} to {source}>"
