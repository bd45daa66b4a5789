"""The broadcast fan-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slither_actors.core import BroadcastFanOut, Reask, SubscriptionRefusedError


def fan_out_of(**demands: int) -> BroadcastFanOut[str]:
    """A fan-out whose consumers have all subscribed and then asked for so much."""
    fan_out: BroadcastFanOut[str] = BroadcastFanOut()
    for key in demands:
        fan_out.subscribe(key)
    for key, demand in demands.items():
        if demand:
            fan_out.ask(key, demand)
    return fan_out


def test_only_what_all_have_asked_for_goes_on_to_the_producer() -> None:
    """The slowest consumer sets the pace."""
    fan_out = fan_out_of(a=0, b=0)
    assert fan_out.ask("a", 10) == 0
    assert fan_out.ask("b", 4) == 4
    assert fan_out.ask("b", 10) == 6


def test_everyone_gets_every_event() -> None:
    """Up to the common demand; the rest is left over."""
    fan_out = fan_out_of(a=10, b=2)
    assert fan_out.dispatch([1, 2, 3]) == ([("a", [1, 2]), ("b", [1, 2])], [3])
    assert fan_out.dispatch([4]) == ([], [4])


def test_consumers_do_not_share_one_list() -> None:
    """One of them may sort or empty what it got."""
    deliveries, _ = fan_out_of(a=3, b=3).dispatch([1, 2, 3])
    assert deliveries[0][1] is not deliveries[1][1]


def test_a_newcomer_holds_everyone_until_it_asks() -> None:
    """The common demand goes back to those who had it."""
    fan_out = fan_out_of(a=10)
    fan_out.subscribe("b")
    assert fan_out.dispatch([1]) == ([], [1])
    assert fan_out.statistics().outstanding == {"a": 10, "b": 0}


def test_demand_that_was_requested_is_not_requested_again() -> None:
    """The producer still owes the ten, when the newcomer asks for ten."""
    fan_out = fan_out_of(a=10)
    fan_out.subscribe("b")
    assert fan_out.ask("b", 10) == 0
    assert fan_out.dispatch(range(10))[1] == ()


def test_what_came_while_a_newcomer_held_everyone_has_to_be_asked_for() -> None:
    """It lies in the buffer: taken as still owed, it would stay there for ever."""
    fan_out = fan_out_of(a=10)
    fan_out.subscribe("b")
    assert fan_out.dispatch(range(10)) == ([], range(10))
    assert fan_out.ask("b", 10) == 10


def test_what_is_buffered_is_asked_for_whatever_the_producer_owes() -> None:
    """Four of the ten have come and are buffered; eight more are asked for, of which six are owed."""
    fan_out = fan_out_of(a=10)
    fan_out.subscribe("b")
    fan_out.dispatch(range(4))
    assert fan_out.ask("b", 8, buffered=4) == 4


def test_the_slowest_leaves_and_the_others_go_on() -> None:
    """A cancellation can set demand free."""
    fan_out = fan_out_of(a=10, b=0)
    assert fan_out.cancel("b") == 10


def test_the_last_one_leaves_and_nothing_flows() -> None:
    """What the producer owes goes to whoever comes next."""
    fan_out = fan_out_of(a=10)
    assert fan_out.cancel("a") == 0
    assert fan_out.dispatch([1]) == ([], [1])
    fan_out.subscribe("b")
    assert fan_out.ask("b", 9) == 0
    assert fan_out.dispatch([2]) == ([("b", [2])], ())


def test_a_selector_keeps_events_away_and_asks_for_others() -> None:
    """The consumer's demand is not used up by what it does not see."""
    fan_out: BroadcastFanOut[str] = BroadcastFanOut()
    fan_out.subscribe("even", {"selector": lambda event: event % 2 == 0})
    fan_out.subscribe("all")
    fan_out.ask("even", 5)
    fan_out.ask("all", 5)
    assert fan_out.dispatch(range(5)) == ([("even", [0, 2, 4]), ("all", range(5))], ())
    assert fan_out.outbox == [Reask("even", 2)]


def test_a_consumer_that_selects_nothing_gets_no_empty_list() -> None:
    """It hears nothing, and asks on."""
    fan_out: BroadcastFanOut[str] = BroadcastFanOut()
    fan_out.subscribe("a", {"selector": lambda event: False})
    fan_out.ask("a", 3)
    assert fan_out.dispatch([1, 2]) == ([], ())
    assert fan_out.outbox == [Reask("a", 2)]


def test_a_selector_has_to_be_a_function() -> None:
    """The subscription is refused, the producer lives."""
    fan_out: BroadcastFanOut[str] = BroadcastFanOut()
    with pytest.raises(SubscriptionRefusedError, match="selector") as caught:
        fan_out.subscribe("a", {"selector": "even"})
    assert caught.value.reason == "bad_options"


def test_one_consumer_subscribes_once() -> None:
    """Under whatever key: it would get every event twice."""
    fan_out: BroadcastFanOut[int] = BroadcastFanOut()
    fan_out.subscribe(1, consumer="sink")
    with pytest.raises(SubscriptionRefusedError, match="sink") as caught:
        fan_out.subscribe(2, consumer="sink")
    assert caught.value.reason == "already_subscribed"
    fan_out.cancel(1)
    fan_out.subscribe(2, consumer="sink")


def test_an_unknown_key_is_a_key_error() -> None:
    """The stage answers it with a cancellation."""
    fan_out = fan_out_of(a=1)
    calls: list[Callable[[], int]] = [
        lambda: fan_out.ask("z", 1),
        lambda: fan_out.ask(None, 1),
        lambda: fan_out.cancel("z"),
    ]
    for call in calls:
        with pytest.raises(KeyError):
            call()


def test_infos_are_delivered_at_once() -> None:
    """Nothing is queued inside this fan-out."""
    assert fan_out_of(a=1).info("hello")


def test_consumers_that_come_and_go_leave_no_trace() -> None:
    """Also while one that never asks holds everything up."""
    fan_out = fan_out_of(a=0)
    for key in range(1000):
        fan_out.subscribe(str(key))
        fan_out.ask(str(key), 5)
        fan_out.cancel(str(key))
    assert len(fan_out._heap) < 100


class BroadcastMachine(RuleBasedStateMachine):
    """Against a dict of demands from which the minimum is taken off."""

    def __init__(self) -> None:
        super().__init__()
        self.fan_out: BroadcastFanOut[int] = BroadcastFanOut()
        self.model: dict[int, int] = {}
        self.waiting = 0
        self.requested = 0
        self.keys = 0
        self.events = 0

    def any_key(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.model)))

    def take_common(self) -> int:
        common = min(self.model.values())
        for key in self.model:
            self.model[key] -= common
        self.waiting += common
        request = max(0, self.waiting - self.requested)
        self.requested += request
        return request

    @rule()
    def subscribe(self) -> None:
        self.keys += 1
        for key in self.model:
            self.model[key] += self.waiting
        self.model[self.keys] = self.waiting = 0
        self.fan_out.subscribe(self.keys)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), count=st.integers(1, 12))
    def ask(self, data: st.DataObject, count: int) -> None:
        key = self.any_key(data)
        self.model[key] += count
        assert self.fan_out.ask(key, count) == self.take_common()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = self.any_key(data)
        del self.model[key]
        if self.model:
            expected = self.take_common()
        else:
            expected = self.waiting = 0
        assert self.fan_out.cancel(key) == expected

    @rule(size=st.integers(0, 30))
    def dispatch(self, size: int) -> None:
        events = list(range(self.events, self.events + size))
        self.events += size
        now = events[: self.waiting]
        self.waiting -= len(now)
        self.requested = max(0, self.requested - size)
        expected = [(key, now) for key in self.model if now]
        deliveries, leftovers = self.fan_out.dispatch(events)
        assert deliveries == expected
        assert list(leftovers) == events[len(now) :]

    @invariant()
    def the_numbers_agree(self) -> None:
        numbers = self.fan_out.statistics()
        expected: dict[Any, int] = {key: demand + self.waiting for key, demand in self.model.items()}
        assert numbers.outstanding == expected
        assert numbers.owed == self.requested


TestBroadcastMachine = BroadcastMachine.TestCase
