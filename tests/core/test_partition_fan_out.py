"""The partition fan-out."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import (
    Deliver,
    DeliverInfo,
    Discarded,
    PartitionFanOut,
    Reask,
    SubscriptionRefusedError,
)
from slither_actors.errors import OptionError


def parity(event: int) -> tuple[int, Hashable] | None:
    """Split into odd and even; negative numbers belong nowhere, 13 to a partition that does not exist."""
    if event == 13:
        return event, "cursed"
    return None if event < 0 else (event, "odd" if event % 2 else "even")


def fan_out_of(**demands: int) -> PartitionFanOut[str]:
    """Partitions odd and even, each with a consumer of its name that has asked for so much."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(["odd", "even"], parity)
    for key, demand in demands.items():
        fan_out.subscribe(key, {"partition": key})
        if demand:
            fan_out.ask(key, demand)
    return fan_out


def test_each_event_goes_to_its_partition() -> None:
    """In order within the partition."""
    fan_out = fan_out_of(odd=5, even=5)
    assert fan_out.dispatch(range(5)) == ([("even", [0, 2, 4]), ("odd", [1, 3])], ())


def test_the_hash_may_change_the_event() -> None:
    """It returns the event and the partition."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(1, lambda event: (event * 10, 0))
    fan_out.subscribe("a", {"partition": 0})
    fan_out.ask("a", 2)
    assert fan_out.dispatch([1, 2]) == ([("a", [10, 20])], ())


def test_numbered_partitions_need_no_hash() -> None:
    """Equal events go to one partition."""
    fan_out: PartitionFanOut[int] = PartitionFanOut(3)
    for key in range(3):
        fan_out.subscribe(key, {"partition": key})
        fan_out.ask(key, 10)
    deliveries, _ = fan_out.dispatch([0, 1, 2, 3, 4, 5])
    assert dict(deliveries) == {0: [0, 3], 1: [1, 4], 2: [2, 5]}


def test_demand_is_pooled() -> None:
    """The producer cannot see who asked, so events come for a partition that has not."""
    fan_out = fan_out_of(odd=4, even=0)
    assert fan_out.dispatch([0, 1, 2, 3]) == ([("odd", [1, 3])], ())
    assert fan_out.statistics().queued == 2


def test_queued_events_are_sent_when_they_are_asked_for() -> None:
    """Before anything new, and the rest stays queued."""
    fan_out = fan_out_of(odd=4, even=0)
    fan_out.dispatch([0, 2, 4])
    assert fan_out.ask("even", 2) == 2
    assert fan_out.outbox == [Deliver("even", [0, 2])]
    assert fan_out.statistics().queued == 1


def test_events_beyond_the_pooled_demand_are_left_over() -> None:
    """What is queued here is bounded by what has been asked for."""
    fan_out = fan_out_of(odd=2, even=0)
    assert fan_out.dispatch(range(0, 10, 2)) == ([], range(4, 10, 2))


def test_the_demand_of_a_consumer_that_left_serves_the_others() -> None:
    """The producer owes it already."""
    fan_out = fan_out_of(odd=10, even=0)
    assert fan_out.cancel("odd") == 0
    assert fan_out.ask("even", 12) == 2


def test_events_queued_for_a_consumer_that_left_are_dropped_and_made_up_for() -> None:
    """They are counted, and as many others are asked for."""
    fan_out = fan_out_of(odd=3, even=0)
    fan_out.dispatch([0, 2, 4])
    assert fan_out.cancel("even") == 3
    assert fan_out.outbox == [Discarded("even", 3, "cancelled")]


def test_an_event_of_no_partition_is_made_up_for() -> None:
    """Its demand comes back, so a producer that gives just what is asked for does not stall."""
    fan_out = fan_out_of(odd=3)
    assert fan_out.dispatch([-1, 1, -2]) == ([("odd", [1])], ())
    assert fan_out.outbox == [Discarded(None, 2, "none"), Reask(None, 2)]
    assert fan_out.ask(None, 2) == 2
    assert fan_out.dispatch([3, 5, 7]) == ([("odd", [3, 5])], [7])


def test_an_event_of_an_unknown_partition_is_made_up_for_too() -> None:
    """The producer lives."""
    fan_out = fan_out_of(odd=3)
    assert fan_out.dispatch([13]) == ([], ())
    assert fan_out.outbox == [Discarded("cursed", 1, "unknown"), Reask(None, 1)]


def test_an_unhashable_partition_is_unknown() -> None:
    """A list is no name."""
    unhashable: Any = ["a"]
    fan_out: PartitionFanOut[str] = PartitionFanOut(["a"], lambda event: (event, unhashable))
    fan_out.subscribe("k", {"partition": "a"})
    fan_out.ask("k", 1)
    assert fan_out.dispatch([1]) == ([], ())
    assert fan_out.outbox[0] == Discarded(unhashable, 1, "unknown")


def test_a_hash_that_returns_something_else_is_an_error() -> None:
    """A mistake in the user's function is not guessed at."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(["a"], lambda event: 7)  # type: ignore[arg-type, return-value]
    fan_out.subscribe("k", {"partition": "a"})
    fan_out.ask("k", 1)
    with pytest.raises(TypeError, match=r"must return \(event, partition\) or None, not 7"):
        fan_out.dispatch([1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'partition' is required; allowed are 'odd', 'even'"),
        ({"partition": "third"}, "is 'third'; allowed are 'odd', 'even'"),
        ({"partition": ["odd"]}, "allowed are"),
        ({"partition": "odd"}, "'odd' is taken by 'odd'"),
    ],
)
def test_a_wrong_partition_is_refused(options: dict[str, Any], message: str) -> None:
    """The subscription is refused with what is allowed, and the producer lives."""
    fan_out = fan_out_of(odd=1)
    with pytest.raises(SubscriptionRefusedError, match=message) as caught:
        fan_out.subscribe("new", options)
    assert caught.value.reason == "bad_options"


def test_a_partition_is_free_again_when_its_consumer_left() -> None:
    """One consumer at a time."""
    fan_out = fan_out_of(odd=1)
    fan_out.cancel("odd")
    fan_out.subscribe("new", {"partition": "odd"})


@pytest.mark.parametrize("partitions", [0, -1, [], ["a", "a"], [None], "ab", True, 1.5])
def test_wrong_partitions_are_refused(partitions: Any) -> None:
    """At the start of the producer."""
    with pytest.raises(OptionError, match="partitions"):
        PartitionFanOut(partitions, parity)


def test_names_need_a_hash() -> None:
    """Only numbers from 0 have a default."""
    with pytest.raises(OptionError, match="hash"):
        PartitionFanOut(["odd", "even"])


def test_an_info_is_delivered_at_once_while_nothing_is_queued() -> None:
    """Consumers that have asked do not hold it back."""
    assert fan_out_of(odd=5, even=0).info("hello")


def test_an_info_waits_for_every_partition_that_is_backed_up() -> None:
    """It comes after the last event that was queued before it, and before those queued later."""
    fan_out = fan_out_of(odd=5)
    fan_out.cancel("odd")
    fan_out.dispatch([0, 1, 2])
    assert not fan_out.info("hello")
    fan_out.dispatch([4])
    for key in ("odd", "even"):
        fan_out.subscribe(key, {"partition": key})
    fan_out.ask("odd", 5)
    assert fan_out.outbox == [Deliver("odd", [1])]
    fan_out.outbox.clear()
    fan_out.ask("even", 5)
    assert fan_out.outbox == [Deliver("even", [0, 2]), DeliverInfo("hello"), Deliver("even", [4])]


def test_an_info_behind_dropped_events_is_delivered() -> None:
    """The consumer that it waited for has left."""
    fan_out = fan_out_of(odd=3, even=0)
    fan_out.dispatch([0, 2])
    assert not fan_out.info("hello")
    fan_out.cancel("even")
    assert fan_out.outbox == [Discarded("even", 2, "cancelled"), DeliverInfo("hello")]


class PartitionMachine(RuleBasedStateMachine):
    """Against partitions that handle one event at a time."""

    @initialize(count=st.integers(1, 4))
    def make(self, count: int) -> None:
        self.count = count
        self.fan_out: PartitionFanOut[int] = PartitionFanOut(range(count), self.choose)
        self.demand = dict.fromkeys(range(count), 0)
        self.queue: dict[int, list[int]] = {name: [] for name in range(count)}
        self.taken: dict[int, int] = {}
        self.pending = self.waiting = self.lost = 0
        self.keys = 0

    def choose(self, event: int) -> tuple[int, Hashable] | None:
        name = event % (self.count + 2)
        return None if name == self.count + 1 else (event, name)

    def performed(self) -> tuple[list[tuple[int, int]], int]:
        """Empty the outbox: the events that were sent from queues, and the events discarded."""
        sent, discarded = [], 0
        for decision in self.fan_out.outbox:
            if isinstance(decision, Deliver):
                sent += [(decision.key, event) for event in decision.events]
            elif isinstance(decision, Discarded):
                discarded += decision.count
            else:
                assert decision == Reask(None, decision.count)  # type: ignore[union-attr]
        self.fan_out.outbox.clear()
        return sent, discarded

    @precondition(lambda self: len(self.taken) < self.count)
    @rule(data=st.data())
    def subscribe(self, data: st.DataObject) -> None:
        free = sorted(set(range(self.count)) - set(self.taken.values()))
        self.keys += 1
        self.taken[self.keys] = data.draw(st.sampled_from(free))
        self.fan_out.subscribe(self.keys, {"partition": self.taken[self.keys]})

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), count=st.integers(1, 12))
    def ask(self, data: st.DataObject, count: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.taken)))
        name = self.taken[key]
        queue = self.queue[name]
        sent, self.queue[name] = queue[:count], queue[count:]
        self.demand[name] += count - len(sent)
        covered = min(self.pending, count)
        self.pending -= covered
        self.waiting += count - covered
        assert self.fan_out.ask(key, count) == count - covered
        assert self.performed() == ([(key, event) for event in sent], 0)

    @precondition(lambda self: self.lost)
    @rule()
    def ask_for_the_lost(self) -> None:
        assert self.fan_out.ask(None, self.lost) == self.lost
        self.waiting += self.lost
        self.lost = 0

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.taken)))
        name = self.taken.pop(key)
        dropped = len(self.queue[name])
        self.queue[name] = []
        self.pending += self.demand[name]
        self.demand[name] = 0
        self.waiting += dropped
        assert self.fan_out.cancel(key) == dropped
        assert self.performed() == ([], dropped)

    @rule(events=st.lists(st.integers(0, 100), max_size=30))
    def dispatch(self, events: list[int]) -> None:
        expected: dict[int, list[int]] = {}
        key_of = {name: key for key, name in self.taken.items()}
        lost = 0
        for event in events[: self.waiting]:
            choice = self.choose(event)
            if choice is None or choice[1] == self.count:
                lost += 1
                continue
            name = event % (self.count + 2)
            if self.demand[name]:
                self.demand[name] -= 1
                expected.setdefault(key_of[name], []).append(event)
            else:
                self.queue[name].append(event)
        deliveries, leftovers = self.fan_out.dispatch(events)
        assert dict(deliveries) == expected
        assert len(dict(deliveries)) == len(deliveries)
        assert list(leftovers) == events[self.waiting :]
        self.waiting -= len(events[: self.waiting])
        self.lost += lost
        assert self.performed() == ([], lost)

    @invariant()
    def the_numbers_agree(self) -> None:
        numbers = self.fan_out.statistics()
        queued = sum(map(len, self.queue.values()))
        assert numbers.outstanding == {key: self.demand[name] for key, name in self.taken.items()}
        assert (numbers.owed, numbers.queued) == (self.pending, queued)
        assert sum(self.demand.values()) + self.pending == self.waiting + queued + self.lost


TestPartitionMachine = PartitionMachine.TestCase
