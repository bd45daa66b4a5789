"""The demand fan-out."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slither_actors.core import DemandFanOut, DemandMismatch, SubscriptionRefusedError


def fan_out_of(**demands: int) -> DemandFanOut[str]:
    """A fan-out whose consumers have asked for so much, in this order."""
    fan_out: DemandFanOut[str] = DemandFanOut(max_demand=10_000)
    for key in demands:
        fan_out.subscribe(key)
    for key, demand in demands.items():
        if demand:
            fan_out.ask(key, demand)
    return fan_out


def test_the_highest_demand_is_served_first() -> None:
    """Up to its demand, then the next one."""
    fan_out = fan_out_of(a=3, b=5, c=1)
    assert fan_out.dispatch(range(7)) == ([("b", range(5)), ("a", range(5, 7))], ())


def test_among_equals_the_least_recent_change_is_served_first() -> None:
    """A consumer that was served goes behind the others of the demand that it has left."""
    fan_out = fan_out_of(a=2, b=2)
    served = [fan_out.dispatch([event])[0][0][0] for event in range(4)]
    assert served == ["a", "b", "a", "b"]


def test_a_whole_list_goes_to_one_consumer() -> None:
    """Greedy: it is not shared out as long as one consumer takes it. The list is not copied."""
    fan_out = fan_out_of(a=100, b=100)
    events = list(range(60))
    deliveries, _ = fan_out.dispatch(events)
    assert deliveries[0][1] is events
    assert [key for key, _ in deliveries] == ["a"]


def test_what_nobody_asked_for_is_left_over() -> None:
    """It is to be buffered."""
    fan_out = fan_out_of(a=2)
    assert fan_out.dispatch([1, 2, 3]) == ([("a", [1, 2])], [3])
    assert fan_out.dispatch([4]) == ([], [4])


def test_without_consumers_everything_is_left_over() -> None:
    """A producer may emit before anyone has subscribed."""
    assert fan_out_of().dispatch([1]) == ([], [1])


def test_nothing_is_delivered_of_nothing() -> None:
    """An empty list reaches nobody."""
    assert fan_out_of(a=2).dispatch([]) == ([], ())


def test_demand_goes_on_to_the_producer() -> None:
    """All of it, while nobody has left."""
    fan_out = fan_out_of(a=0)
    assert fan_out.ask("a", 10) == 10
    assert fan_out.ask("a", 5) == 5


def test_demand_of_a_consumer_that_left_serves_the_next() -> None:
    """The producer owes it already: 10 outstanding and a resubscription with 30 is 20 more."""
    fan_out = fan_out_of(a=10)
    assert fan_out.cancel("a") == 0
    fan_out.subscribe("b")
    assert fan_out.ask("b", 30) == 20


def test_events_that_come_while_nobody_is_there_use_up_the_demand_that_was_left() -> None:
    """They are in the buffer then, and the next consumer has to ask for them."""
    fan_out = fan_out_of(a=10)
    fan_out.cancel("a")
    assert fan_out.dispatch(range(4)) == ([], range(4))
    fan_out.subscribe("b")
    assert fan_out.ask("b", 10) == 4


def test_what_is_buffered_is_asked_for_whatever_a_consumer_left() -> None:
    """Else the buffered events would wait for ever, or be overtaken by those that the producer owes."""
    fan_out = fan_out_of(a=15)
    fan_out.cancel("a")
    fan_out.dispatch(range(5))
    fan_out.subscribe("b")
    assert fan_out.ask("b", 8, buffered=5) == 5


def test_an_unusually_large_ask_is_warned_of() -> None:
    """It is served all the same; the consumers then do not share evenly."""
    fan_out: DemandFanOut[str] = DemandFanOut()
    fan_out.subscribe("a")
    fan_out.ask("a", 10)
    fan_out.ask("a", 10)
    assert fan_out.outbox == []
    assert fan_out.ask("a", 11) == 11
    assert fan_out.outbox == [DemandMismatch("a", 10, 11)]


def test_the_expected_demand_can_be_given() -> None:
    """It is then not learned from the first ask."""
    fan_out: DemandFanOut[str] = DemandFanOut(max_demand=5)
    fan_out.subscribe("a")
    fan_out.ask("a", 6)
    assert fan_out.outbox == [DemandMismatch("a", 5, 6)]


def test_shuffling_draws_the_order_of_equals_once() -> None:
    """Before the first dispatch, and never against a higher demand."""
    calls = []

    def shuffle(claims: list[Any]) -> None:
        calls.append(len(claims))
        claims.reverse()

    fan_out: DemandFanOut[str] = DemandFanOut(shuffle=shuffle, max_demand=10)
    for key, demand in (("a", 2), ("b", 3), ("c", 2)):
        fan_out.subscribe(key)
        fan_out.ask(key, demand)
    assert calls == []
    order = [fan_out.dispatch([event])[0][0][0] for event in range(4)]
    assert order == ["b", "c", "a", "b"]
    assert calls == [3]


def test_shuffling_one_consumer_is_nothing() -> None:
    """The only consumer gets everything, and the draw is over."""
    fan_out: DemandFanOut[str] = DemandFanOut(shuffle=random.shuffle)
    fan_out.subscribe("a")
    fan_out.ask("a", 3)
    assert fan_out.dispatch([1]) == ([("a", [1])], ())
    assert fan_out.dispatch([2]) == ([("a", [2])], ())


def test_a_key_subscribes_once() -> None:
    """The same consumer may subscribe again under another key."""
    fan_out = fan_out_of(a=1)
    with pytest.raises(SubscriptionRefusedError) as caught:
        fan_out.subscribe("a")
    assert caught.value.reason == "already_subscribed"


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


def test_a_thousand_idle_changes_leave_no_trace() -> None:
    """Asks without a dispatch between them do not pile up."""
    fan_out = fan_out_of(a=1, b=1)
    for _ in range(10_000):
        fan_out.ask("a", 1)
    assert len(fan_out._heap) < 100


class DemandFanOutMachine(RuleBasedStateMachine):
    """Against GenStage's sorted list: taken out and put in again before the first lower demand."""

    def __init__(self) -> None:
        super().__init__()
        self.fan_out: DemandFanOut[int] = DemandFanOut(max_demand=1000)
        self.model: list[tuple[int, int]] = []
        self.pending = 0
        self.keys = 0
        self.events = 0

    def insert(self, demand: int, key: int) -> None:
        at = next((at for at, (other, _) in enumerate(self.model) if demand > other), len(self.model))
        self.model.insert(at, (demand, key))

    def remove(self, key: int) -> int:
        (entry,) = [entry for entry in self.model if entry[1] == key]
        self.model.remove(entry)
        return entry[0]

    def any_key(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(key for _, key in self.model)))

    @rule()
    def subscribe(self) -> None:
        self.keys += 1
        self.fan_out.subscribe(self.keys)
        self.model.append((0, self.keys))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), count=st.integers(1, 12))
    def ask(self, data: st.DataObject, count: int) -> None:
        key = self.any_key(data)
        self.insert(self.remove(key) + count, key)
        covered = min(self.pending, count)
        self.pending -= covered
        assert self.fan_out.ask(key, count) == count - covered

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = self.any_key(data)
        self.pending += self.remove(key)
        assert self.fan_out.cancel(key) == 0

    @rule(size=st.integers(0, 30))
    def dispatch(self, size: int) -> None:
        events = list(range(self.events, self.events + size))
        self.events += size
        expected, rest = [], events
        while rest and self.model and self.model[0][0]:
            demand, key = self.model.pop(0)
            expected.append((key, rest[:demand]))
            self.insert(demand - len(rest[:demand]), key)
            rest = rest[demand:]
        self.pending = max(0, self.pending - len(rest))
        deliveries, leftovers = self.fan_out.dispatch(events)
        assert deliveries == expected
        assert list(leftovers) == rest

    @invariant()
    def the_numbers_agree(self) -> None:
        numbers = self.fan_out.statistics()
        assert numbers.outstanding == {key: demand for demand, key in self.model}
        assert numbers.owed == self.pending
        assert self.fan_out.outbox == []


TestDemandFanOutMachine = DemandFanOutMachine.TestCase
