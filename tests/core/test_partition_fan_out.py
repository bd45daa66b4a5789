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
from slither_actors.errors import BufferFullError, OptionError


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
        ({"partition": "odd"}, "'odd', which is taken by 'odd'; allowed are 'even'"),
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


# -- several consumers in a partition -----------------------------------------


def test_the_consumers_of_a_partition_share_its_events_by_their_demand() -> None:
    """As those of a demand fan-out, in each partition."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(["odd", "even"], parity, max_consumers=None)
    for key, name, demand in (("a", "odd", 2), ("b", "odd", 3), ("c", "even", 9)):
        fan_out.subscribe(key, {"partition": name})
        fan_out.ask(key, demand)
    deliveries, _ = fan_out.dispatch(range(10))
    assert dict(deliveries) == {"b": [1, 3, 5], "a": [7, 9], "c": [0, 2, 4, 6, 8]}


def test_a_partition_takes_as_many_consumers_as_it_is_told() -> None:
    """The refusal names those that it has."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(1, max_consumers=2)
    for key in ("a", "b"):
        fan_out.subscribe(key, {"partition": 0})
    with pytest.raises(SubscriptionRefusedError, match="0, which is taken by 'a', 'b'"):
        fan_out.subscribe("c", {"partition": 0})
    fan_out.cancel("a")
    fan_out.subscribe("c", {"partition": 0})


def test_a_queue_stays_while_its_partition_has_a_consumer() -> None:
    """Another one takes the events; only the last one leaves them behind."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(["odd", "even"], parity, max_consumers=2)
    for key, name in (("a", "odd"), ("b", "odd"), ("c", "even")):
        fan_out.subscribe(key, {"partition": name})
    fan_out.ask("c", 3)
    fan_out.dispatch([1, 3, 5])
    assert fan_out.cancel("a") == 0
    assert fan_out.outbox == []
    fan_out.ask("b", 1)
    assert fan_out.outbox == [Deliver("b", [1])]
    fan_out.outbox.clear()
    assert fan_out.cancel("b") == 2
    assert fan_out.outbox == [Discarded("odd", 2, "cancelled")]


# -- a limit for the queues -----------------------------------------------------


def bounded(keep: Any, size: int = 2) -> PartitionFanOut[str]:
    """Odd has asked for ten and even for nothing."""
    fan_out: PartitionFanOut[str] = PartitionFanOut(
        ["odd", "even"], parity, buffer_size=size, buffer_keep=keep
    )
    for key in ("odd", "even"):
        fan_out.subscribe(key, {"partition": key})
    return fan_out


def test_no_more_is_asked_for_than_the_fullest_partition_has_room_for() -> None:
    """Whatever partition the events belong to, they fit; the rest of the demand is held."""
    fan_out = bounded("block")
    assert fan_out.ask("odd", 10) == 2
    assert fan_out.statistics().held == 8
    assert fan_out.dispatch([0, 2]) == ([], ())
    assert fan_out.outbox == []
    assert fan_out.ask("odd", 1) == 0


def test_held_demand_goes_on_when_the_events_went_elsewhere() -> None:
    """The producer is asked again by its own message: no consumer would ask."""
    fan_out = bounded("block")
    fan_out.ask("odd", 10)
    fan_out.dispatch([0, 1])
    assert fan_out.outbox == [Reask(None, 1)]
    assert fan_out.ask(None, 1) == 1
    fan_out.outbox.clear()
    fan_out.dispatch([3])
    assert fan_out.outbox == [Reask(None, 1)]


def test_held_demand_goes_on_when_a_queue_is_drained() -> None:
    """There is room for what the consumer took and for what it has asked for beyond that."""
    fan_out = bounded("block")
    fan_out.ask("odd", 10)
    fan_out.dispatch([0, 2])
    assert fan_out.ask("even", 3) == 3
    assert fan_out.outbox == [Deliver("even", [0, 2])]
    assert fan_out.statistics().held == 8


def test_held_demand_goes_on_when_a_queue_is_dropped() -> None:
    """With its last consumer."""
    fan_out = bounded("block")
    fan_out.ask("odd", 10)
    fan_out.dispatch([0, 2])
    assert fan_out.cancel("even") == 2


def test_a_queue_that_keeps_the_last_drops_the_oldest_and_they_are_made_up_for() -> None:
    """Told with the size and what is kept; the consumers' demand comes back."""
    fan_out = bounded("last")
    assert fan_out.ask("odd", 10) == 10
    assert fan_out.dispatch([0, 2, 1, 4, 6]) == ([("odd", [1])], ())
    assert fan_out.outbox == [Discarded("even", 2, "overflow", 2, "last"), Reask(None, 2)]
    assert fan_out.statistics().discarded == 2
    fan_out.outbox.clear()
    fan_out.ask("even", 5)
    assert fan_out.outbox == [Deliver("even", [4, 6])]


def test_a_queue_that_keeps_the_first_drops_the_newest() -> None:
    """And makes up for them, too."""
    fan_out = bounded("first")
    fan_out.ask("odd", 10)
    fan_out.dispatch([0, 2, 4, 6])
    assert fan_out.outbox == [Discarded("even", 2, "overflow", 2, "first"), Reask(None, 2)]
    assert fan_out.queued() == {"odd": 0, "even": 2}


def test_a_full_queue_may_be_an_error() -> None:
    """Which names the partition."""
    fan_out = bounded("error")
    fan_out.ask("odd", 10)
    with pytest.raises(
        BufferFullError, match="the queue of partition 'even' keeps at most 2 events and 1 more"
    ):
        fan_out.dispatch([0, 2, 4])


def test_an_info_behind_events_that_are_dropped_for_newer_ones_is_delivered() -> None:
    """It does not wait for events that will never go."""
    fan_out = bounded("last")
    fan_out.ask("odd", 10)
    fan_out.dispatch([0, 2])
    assert not fan_out.info("hello")
    fan_out.dispatch([4, 6])
    assert DeliverInfo("hello") in fan_out.outbox


@pytest.mark.parametrize(
    "options",
    [
        {"max_consumers": 0},
        {"max_consumers": True},
        {"buffer_size": -1},
        {"buffer_size": "many"},
        {"buffer_keep": "middle"},
    ],
)
def test_wrong_limits_are_refused(options: Any) -> None:
    """At the start of the producer, by name."""
    with pytest.raises(OptionError, match=next(iter(options))):
        PartitionFanOut(2, **options)


def test_a_hash_that_raises_says_so() -> None:
    """The traceback ends with whose function it was, and for which event."""

    def broken(event: Any) -> Any:
        raise KeyError(event)

    fan_out: PartitionFanOut[str] = PartitionFanOut(["a"], broken)
    fan_out.subscribe("k", {"partition": "a"})
    fan_out.ask("k", 1)
    with pytest.raises(KeyError) as caught:
        fan_out.dispatch([1])
    assert caught.value.__notes__ == ["raised by a PartitionFanOut's hash function, for the event 1"]


def test_an_event_that_cannot_be_shown_does_not_hide_what_the_hash_raised() -> None:
    """The note has to do without it."""

    class NotShown:
        def __repr__(self) -> str:
            raise RuntimeError("not shown")

    def broken(event: Any) -> Any:
        raise ValueError("broken")

    fan_out = PartitionFanOut[str](1, broken)
    fan_out.subscribe("a", {"partition": 0})
    fan_out.ask("a", 1)
    with pytest.raises(ValueError, match="broken"):
        fan_out.dispatch([NotShown()])


class PartitionMachine(RuleBasedStateMachine):
    """Against partitions that are lists, all of which are looked at for every number."""

    @initialize(
        count=st.integers(1, 4),
        max_consumers=st.sampled_from([1, 2, None]),
        size=st.sampled_from([None, 0, 1, 3, 20]),
        keep=st.sampled_from(["block", "first", "last"]),
    )
    def make(self, count: int, max_consumers: int | None, size: int | None, keep: Any) -> None:
        self.count, self.max_consumers = count, max_consumers
        self.size, self.keep = size, keep
        self.fan_out: PartitionFanOut[int] = PartitionFanOut(
            range(count), self.choose, max_consumers=max_consumers, buffer_size=size, buffer_keep=keep
        )
        # By partition: (demand, key), the next to be served first; and the queue.
        self.claims: dict[int, list[tuple[int, int]]] = {name: [] for name in range(count)}
        self.queue: dict[int, list[int]] = {name: [] for name in range(count)}
        self.home: dict[int, int] = {}
        self.pending = self.waiting = self.held = self.returning = self.discarded = 0
        self.keys = 0
        self.left = False

    def choose(self, event: int) -> tuple[int, Hashable] | None:
        name = event % (self.count + 2)
        return None if name == self.count + 1 else (event, name)

    def any_key(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.home)))

    def insert(self, name: int, demand: int, key: int) -> None:
        claims = self.claims[name]
        at = next((at for at, (other, _) in enumerate(claims) if demand > other), len(claims))
        claims.insert(at, (demand, key))

    def remove(self, key: int) -> int:
        claims = self.claims[self.home[key]]
        (entry,) = [entry for entry in claims if entry[1] == key]
        claims.remove(entry)
        return entry[0]

    def pass_on(self) -> int:
        count = self.held
        if self.size is not None and self.keep == "block":
            room = min(
                self.size - len(self.queue[name]) + sum(demand for demand, _ in self.claims[name])
                for name in range(self.count)
            )
            count = max(0, min(count, room - self.waiting - self.returning))
        self.held -= count
        return count

    def performed(self) -> tuple[dict[int, list[int]], int, int]:
        """Empty the outbox: the events that were sent from queues, those discarded, what is asked again."""
        sent: dict[int, list[int]] = {}
        discarded = again = 0
        for decision in self.fan_out.outbox:
            if isinstance(decision, Deliver):
                sent.setdefault(decision.key, []).extend(decision.events)
            elif isinstance(decision, Discarded):
                discarded += decision.count
            else:
                assert isinstance(decision, Reask)
                assert decision.key is None
                again += decision.count
        self.fan_out.outbox.clear()
        return sent, discarded, again

    @rule(data=st.data())
    def subscribe(self, data: st.DataObject) -> None:
        limit = self.max_consumers or 99
        free = [name for name in range(self.count) if len(self.claims[name]) < limit]
        if not free:
            return
        self.keys += 1
        self.home[self.keys] = name = data.draw(st.sampled_from(free))
        self.insert(name, 0, self.keys)
        self.fan_out.subscribe(self.keys, {"partition": name})

    @precondition(lambda self: self.home)
    @rule(data=st.data(), count=st.integers(1, 12))
    def ask(self, data: st.DataObject, count: int) -> None:
        key = self.any_key(data)
        name = self.home[key]
        queue = self.queue[name]
        sent, self.queue[name] = queue[:count], queue[count:]
        if len(sent) < count:
            self.insert(name, self.remove(key) + count - len(sent), key)
        covered = min(self.pending, count)
        self.pending -= covered
        self.held += count - covered
        expected = self.pass_on()
        self.waiting += expected
        assert self.fan_out.ask(key, count) == expected
        assert self.performed() == ({key: sent} if sent else {}, 0, 0)

    @precondition(lambda self: self.returning)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, self.returning))
        assert self.fan_out.ask(None, count) == count
        self.returning -= count
        self.waiting += count

    @precondition(lambda self: self.home)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = self.any_key(data)
        demand = self.remove(key)
        self.left = self.left or demand > 0
        self.pending += demand
        name = self.home.pop(key)
        dropped = 0
        if not self.claims[name]:
            dropped = len(self.queue[name])
            self.queue[name] = []
        self.discarded += dropped
        self.held += dropped
        expected = self.pass_on()
        self.waiting += expected
        assert self.fan_out.cancel(key) == expected
        assert self.performed() == ({}, dropped, 0)

    def share_out(self, name: int, share: list[int], expected: dict[int, list[int]]) -> int:
        """Serve the consumers of a partition, queue the rest and return how many were dropped."""
        claims = self.claims[name]
        while share and claims and claims[0][0]:
            demand, key = claims.pop(0)
            expected.setdefault(key, []).extend(share[:demand])
            self.insert(name, demand - len(share[:demand]), key)
            share = share[demand:]
        everything = self.queue[name] + share
        kept = everything
        if self.size is not None and self.keep != "block":
            over = max(0, len(everything) - self.size)
            kept = everything[over:] if self.keep == "last" else everything[: len(everything) - over]
        self.queue[name] = kept
        return len(everything) - len(kept)

    @rule(events=st.lists(st.integers(0, 100), max_size=30))
    def dispatch(self, events: list[int]) -> None:
        taken = events[: self.waiting]
        self.waiting -= len(taken)
        choices = [self.choose(event) for event in taken]
        homeless = sum(choice is None or choice[1] == self.count for choice in choices)
        expected: dict[int, list[int]] = {}
        dropped = 0
        for name in range(self.count):
            share = [event for event in taken if event % (self.count + 2) == name]
            dropped += self.share_out(name, share, expected)
        self.held += homeless + dropped
        strayed = sum(choice is not None and choice[1] == self.count for choice in choices)
        self.discarded += strayed + dropped
        again = self.pass_on() if taken else 0
        self.returning += again
        deliveries, leftovers = self.fan_out.dispatch(events)
        assert {key: list(share) for key, share in deliveries} == expected
        assert len(dict(deliveries)) == len(deliveries)
        assert list(leftovers) == events[len(taken) :]
        assert self.performed() == ({}, homeless + dropped, again)

    @invariant()
    def the_numbers_agree(self) -> None:
        numbers = self.fan_out.statistics()
        demands = {key: demand for claims in self.claims.values() for demand, key in claims}
        queued = sum(map(len, self.queue.values()))
        assert numbers.outstanding == demands
        assert (numbers.owed, numbers.queued) == (self.pending, queued)
        assert (numbers.held, numbers.discarded) == (self.held, self.discarded)
        on_its_way = self.waiting + self.held + self.returning
        assert sum(demands.values()) + self.pending == on_its_way + queued

    @invariant()
    def no_queue_is_longer_than_it_may_be(self) -> None:
        if self.size is not None and not (self.keep == "block" and self.left):
            assert max(self.fan_out.queued().values()) <= self.size


TestPartitionMachine = PartitionMachine.TestCase
