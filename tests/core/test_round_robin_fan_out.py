"""The round robin fan-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import RoundRobinFanOut, SubscriptionRefusedError
from slither_actors.errors import OptionError


def fan_out_of(chunk_size: int = 1, **demands: int) -> RoundRobinFanOut[str]:
    """A fan-out whose consumers have asked for so much, in this order."""
    fan_out: RoundRobinFanOut[str] = RoundRobinFanOut(chunk_size=chunk_size)
    for key, demand in demands.items():
        fan_out.subscribe(key)
        if demand:
            fan_out.ask(key, demand)
    return fan_out


def shares_of(fan_out: RoundRobinFanOut[str], events: Any) -> dict[str, list[int]]:
    """What everyone gets of a list, nothing of which is left over."""
    deliveries, leftovers = fan_out.dispatch(events)
    assert not leftovers
    assert len(dict(deliveries)) == len(deliveries)
    return {key: list(share) for key, share in deliveries}


def test_events_are_dealt_out_one_by_one() -> None:
    """One list of them is one message to each consumer."""
    fan_out = fan_out_of(a=9, b=9, c=9)
    assert shares_of(fan_out, range(7)) == {"a": [0, 3, 6], "b": [1, 4], "c": [2, 5]}


def test_the_next_list_goes_on_where_the_last_one_ended() -> None:
    """However the events are cut into lists, the shares are the same."""
    fan_out = fan_out_of(a=9, b=9, c=9)
    served = [shares_of(fan_out, [event]) for event in range(4)]
    assert served == [{"a": [0]}, {"b": [1]}, {"c": [2]}, {"a": [3]}]


def test_a_turn_may_be_several_events() -> None:
    """It goes on through the lists."""
    fan_out = fan_out_of(chunk_size=3, a=9, b=9)
    assert shares_of(fan_out, [0, 1]) == {"a": [0, 1]}
    assert shares_of(fan_out, range(2, 8)) == {"a": [2, 6, 7], "b": [3, 4, 5]}


def test_a_consumer_without_demand_is_passed_over() -> None:
    """And the rest of its turn with it."""
    fan_out = fan_out_of(chunk_size=3, a=1, b=9, c=9)
    assert shares_of(fan_out, range(7)) == {"a": [0], "b": [1, 2, 3], "c": [4, 5, 6]}


def test_a_consumer_that_asks_again_goes_behind_the_others() -> None:
    """As one that is new."""
    fan_out = fan_out_of(a=1, b=9, c=9)
    shares_of(fan_out, [0])
    fan_out.ask("a", 1)
    assert shares_of(fan_out, [1, 2, 3]) == {"b": [1], "c": [2], "a": [3]}


def test_an_ask_of_a_consumer_that_has_demand_does_not_move_it() -> None:
    """Asking often is no advantage and no loss."""
    fan_out = fan_out_of(a=1, b=9)
    fan_out.ask("a", 5)
    assert shares_of(fan_out, [0, 1]) == {"a": [0], "b": [1]}


def test_the_only_consumer_gets_the_list_as_it_is() -> None:
    """It is not copied."""
    fan_out = fan_out_of(a=100, b=0)
    events = list(range(60))
    assert fan_out.dispatch(events)[0][0][1] is events


def test_what_nobody_asked_for_is_left_over() -> None:
    """It is to be buffered."""
    fan_out = fan_out_of(a=2, b=1)
    deliveries, leftovers = fan_out.dispatch(range(5))
    assert {key: list(share) for key, share in deliveries} == {"a": [0, 2], "b": [1]}
    assert leftovers == range(3, 5)
    assert fan_out.dispatch([5]) == ([], [5])


def test_nothing_is_delivered_of_nothing() -> None:
    """An empty list reaches nobody."""
    assert fan_out_of(a=2).dispatch([]) == ([], ())


def test_demand_of_a_consumer_that_left_serves_the_next() -> None:
    """The producer owes it already."""
    fan_out = fan_out_of(a=10)
    assert fan_out.cancel("a") == 0
    fan_out.subscribe("b")
    assert fan_out.ask("b", 30) == 20


def test_what_is_buffered_is_asked_for_whatever_a_consumer_left() -> None:
    """As with the demand fan-out."""
    fan_out = fan_out_of(a=15)
    fan_out.cancel("a")
    fan_out.dispatch(range(5))
    fan_out.subscribe("b")
    assert fan_out.ask("b", 8, buffered=5) == 5


def test_the_turn_of_a_consumer_that_leaves_is_over() -> None:
    """The next one has a whole turn."""
    fan_out = fan_out_of(chunk_size=3, a=9, b=9, c=9)
    shares_of(fan_out, [0])
    fan_out.cancel("a")
    assert shares_of(fan_out, [1, 2, 3, 4]) == {"b": [1, 2, 3], "c": [4]}


@pytest.mark.parametrize(("alone", "rest"), [(1, [1, 2]), (2, [2]), (3, [3, 4, 5]), (4, [4, 5])])
def test_a_turn_that_began_alone_goes_on_when_another_one_joins(alone: int, rest: list[int]) -> None:
    """A turn after the other was its own, and of the last one something is left."""
    fan_out = fan_out_of(chunk_size=3, a=20)
    shares_of(fan_out, range(alone))
    fan_out.subscribe("b")
    fan_out.ask("b", 20)
    assert shares_of(fan_out, range(alone, 6))["a"] == rest


def test_a_key_subscribes_once() -> None:
    """The same consumer may subscribe again under another key."""
    with pytest.raises(SubscriptionRefusedError) as caught:
        fan_out_of(a=1).subscribe("a")
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


@pytest.mark.parametrize("chunk_size", [0, -1, 1.5, True, None])
def test_a_wrong_chunk_size_is_refused(chunk_size: Any) -> None:
    """At the start of the producer."""
    with pytest.raises(OptionError, match="chunk_size"):
        RoundRobinFanOut(chunk_size=chunk_size)


def test_infos_are_delivered_at_once() -> None:
    """Nothing is queued inside this fan-out."""
    assert fan_out_of(a=1).info("hello")


class RoundRobinMachine(RuleBasedStateMachine):
    """Against a list of consumers that takes one event at a time."""

    @initialize(chunk_size=st.integers(1, 4))
    def make(self, chunk_size: int) -> None:
        self.fan_out: RoundRobinFanOut[int] = RoundRobinFanOut(chunk_size=chunk_size)
        self.chunk_size = chunk_size
        self.demand: dict[int, int] = {}
        self.ring: list[int] = []
        self.left = chunk_size
        self.pending = 0
        self.keys = 0
        self.events = 0

    def any_key(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.demand)))

    @rule()
    def subscribe(self) -> None:
        self.keys += 1
        self.fan_out.subscribe(self.keys)
        self.demand[self.keys] = 0

    @precondition(lambda self: self.demand)
    @rule(data=st.data(), count=st.integers(1, 12))
    def ask(self, data: st.DataObject, count: int) -> None:
        key = self.any_key(data)
        self.demand[key] += count
        if key not in self.ring:
            self.ring.append(key)
        covered = min(self.pending, count)
        self.pending -= covered
        assert self.fan_out.ask(key, count) == count - covered

    @precondition(lambda self: self.demand)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = self.any_key(data)
        self.pending += self.demand.pop(key)
        if self.ring[:1] == [key]:
            self.left = self.chunk_size
        if key in self.ring:
            self.ring.remove(key)
        assert self.fan_out.cancel(key) == 0

    @rule(size=st.integers(0, 40))
    def dispatch(self, size: int) -> None:
        events = list(range(self.events, self.events + size))
        self.events += size
        expected: dict[int, list[int]] = {}
        rest = list(events)
        while rest and self.ring:
            key = self.ring[0]
            expected.setdefault(key, []).append(rest.pop(0))
            self.demand[key] -= 1
            self.left -= 1
            if not self.demand[key]:
                self.ring.pop(0)
                self.left = self.chunk_size
            elif not self.left:
                self.ring.append(self.ring.pop(0))
                self.left = self.chunk_size
        self.pending = max(0, self.pending - len(rest))
        deliveries, leftovers = self.fan_out.dispatch(events)
        assert {key: list(share) for key, share in deliveries} == expected
        assert len(dict(deliveries)) == len(deliveries)
        assert list(leftovers) == rest

    @invariant()
    def the_numbers_agree(self) -> None:
        numbers = self.fan_out.statistics()
        assert numbers.outstanding == self.demand
        assert numbers.owed == self.pending
        assert self.fan_out.outbox == []


TestRoundRobinMachine = RoundRobinMachine.TestCase
