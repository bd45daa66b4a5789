"""Events that are collected, acknowledged and taken back, with every fan-out: none lost, none twice."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import (
    BroadcastFanOut,
    Buffer,
    Collector,
    Deliver,
    Deliveries,
    DemandFanOut,
    FanOut,
    Handover,
    PartitionFanOut,
    Reask,
    RoundRobinFanOut,
    SubscriptionDemand,
    WeightedFanOut,
    checked_fan_out,
)
from slither_actors.errors import FanOutError

PARTITIONS = 2


def collector(max_demand: int, min_demand: int, max_wait: float | None = None) -> Collector:
    return Collector(SubscriptionDemand(max_demand, min_demand), max_wait)


# -- collecting --------------------------------------------------------------------


def test_events_are_collected_until_there_is_a_chunk() -> None:
    """Numbers of the first events: 0, 4; what is left over stays."""
    collects = collector(8, 4, 1.0)
    assert collects.put([0, 1, 2]) == []
    assert collects.put([3, 4]) == [([0, 1, 2, 3], 0)]
    assert collects.put([5, 6, 7, 8, 9]) == [([4, 5, 6, 7], 4)]
    assert len(collects) == 2


def test_a_long_list_is_cut_into_chunks_and_the_rest_collected() -> None:
    """A range is cut into ranges."""
    collects = collector(10, 7, 1.0)
    assert collects.put(range(8)) == [(range(3), 0), (range(3, 6), 3)]
    assert collects.flush() == [([6, 7], 6)]
    assert collects.flush() == []


def test_the_time_runs_from_the_first_event_of_what_is_collected() -> None:
    """Later ones do not put it off; a chunk that got full begins anew."""
    collects = collector(10, 5, 2.0)
    assert collects.due_in(0.0) is None
    collects.put([1], 10.0)
    collects.put([2], 11.0)
    assert collects.due_in(11.5) == 0.5
    assert collects.due_in(13.0) == 0.0
    collects.put([3, 4, 5, 6], 13.0)
    assert collects.due_in(13.0) == 2.0


def test_a_chunk_cut_short_asks_for_what_it_was_made_of() -> None:
    """Max 10, min 2, chunks of 8: after three events only seven would be left to come, and never a chunk."""
    collects = collector(10, 2, 1.0)
    collects.put([1, 2, 3])
    collects.flush()
    assert collects.handled(3) == 3


def test_without_a_time_the_asks_are_those_of_gen_stage() -> None:
    """Max 1000, min 750, lists of 100: an ask for 300 after every third."""
    counts = collector(1000, 750)
    asks = []
    for _ in range(6):
        ((chunk, _),) = counts.put(range(100))
        asks.append(counts.handled(len(chunk)))
    assert asks == [0, 0, 300] * 2


@given(st.integers(1, 40), st.data())
def test_exact_lists_are_cut_and_asked_for_as_ever(max_demand: int, data: st.DataObject) -> None:
    """Compared with `SubscriptionDemand`, when every chunk is handled before the next begins."""
    least = data.draw(st.integers(0, max_demand - 1))
    plain, counts = SubscriptionDemand(max_demand, least), collector(max_demand, least)
    for _ in range(data.draw(st.integers(0, 20))):
        size = data.draw(st.integers(0, plain.outstanding))
        expected = [(list(chunk), ask) for chunk, ask in plain.split(range(size))]
        assert [(list(c), counts.handled(len(c))) for c, _ in counts.put(range(size))] == expected


def test_excess_is_counted_and_makes_the_demand_no_larger() -> None:
    """Four more than asked for: they are handled, and asked for less."""
    demand = SubscriptionDemand(10, 5)
    counts = Collector(demand)
    chunks = counts.put(range(14))
    assert (demand.excess, [len(chunk) for chunk, _ in chunks]) == (4, [5, 5, 4])
    for chunk, _ in chunks:
        counts.handled(len(chunk))
        assert demand.outstanding <= 10
    counts.put([1])
    assert demand.excess == 0


def test_a_list_asked_for_by_hand_is_not_cut() -> None:
    """Nor is it the producer's own, which it keeps."""
    events = [1, 2, 3]
    counts = collector(2, 1)
    chunk, first = counts.put_uncut(events)
    assert (chunk, first) == (events, 0)
    assert chunk is not events
    assert counts.put_uncut([4])[1] == 3


# -- the producer's side ---------------------------------------------------------------


def test_what_is_not_acknowledged_comes_back_in_order() -> None:
    """Chunks may be acknowledged out of their order, and be parts of lists."""
    handover = Handover()
    handover.send(range(5))
    handover.send([5, 6, 7])
    handover.acknowledge(3, 3)
    handover.acknowledge(0, 1)
    assert handover.length == 4
    assert handover.take_back() == [1, 2, 6, 7]
    assert handover.length == 0
    numbers = handover.statistics()
    assert (numbers.unacknowledged, numbers.peak, numbers.sent, numbers.returned) == (0, 8, 8, 4)


def test_what_is_acknowledged_is_not_kept_in_memory() -> None:
    """List by list."""
    handover = Handover()
    for _ in range(3):
        handover.send([0, 1])
    handover.acknowledge(0, 2)
    handover.acknowledge(2, 1)
    assert len(handover._lists) == 2


@pytest.mark.parametrize(("first", "count"), [(0, 1), (2, 5), (4, 1), (3, 0), (-1, 1)])
def test_only_what_is_kept_can_be_acknowledged(first: int, count: int) -> None:
    """0 and 1 are forgotten, 3 is acknowledged, 4 was never sent."""
    handover = Handover()
    handover.send(range(4))
    handover.acknowledge(0, 2)
    handover.acknowledge(3, 1)
    with pytest.raises(ValueError, match="are not kept: 2 to 3 are"):
        handover.acknowledge(first, count)


def test_events_that_a_handler_had_begun_with_come_back_first() -> None:
    """Those acknowledged ahead of their turn are not among them."""
    handover = Handover()
    handover.send(range(4))
    handover.send([4, 5, 6])
    handover.acknowledge(0, 1)
    handover.acknowledge(2, 2)
    assert [handover.begun(stop) for stop in range(8)] == [0, 0, 1, 1, 1, 2, 3, 4]
    assert handover.kept(1, 5) == [1, 2, 3, 4, 5]
    assert handover.take_back() == [1, 4, 5, 6]
    assert handover.begun(7) == 0


def test_an_event_comes_back_so_often_and_no_more() -> None:
    """Handled, it is forgotten; the same object twice in one list has come back once."""
    poison, good = object(), object()
    deliveries = Deliveries()
    assert deliveries.came_back([poison, good, poison], 2) == ([poison, good, poison], [])
    deliveries.forget([good])
    assert deliveries.came_back([good, poison], 2) == ([good], [poison])
    assert len(deliveries) == 1
    assert deliveries.came_back([poison], 1) == ([], [poison])
    assert deliveries.came_back([poison], 2) == ([poison], [])


def test_no_more_than_so_many_events_are_counted() -> None:
    """Some may have gone in ways that nobody tells of: the oldest are forgotten."""
    deliveries = Deliveries()
    events = [object() for _ in range(10_001)]
    deliveries.came_back(events[:-1], 2)
    deliveries.came_back(events[-1:], 2)
    assert len(deliveries) == 10_000
    assert deliveries.came_back([events[0], events[-1]], 2) == ([events[0]], [events[-1]])


def test_events_put_back_are_in_front_and_cost_no_others() -> None:
    """The buffer may hold more than its size until they are taken; a store drops no more than it stores."""
    buffer = Buffer(3, "last")
    buffer.store([3, 4, 5])
    assert buffer.take(1)[0] == [3]
    buffer.put_back([1, 2, 3])
    assert buffer.length == 5
    assert buffer.store([6]) == 1
    assert buffer.take(9)[0] == [2, 3, 4, 5, 6]
    first = Buffer(2, "first")
    first.put_back([1, 2, 3])
    assert first.store([4, 5]) == 2
    assert first.take(9)[0] == [1, 2, 3]


# -- together -----------------------------------------------------------------------------


class Taker:
    """A consumer, with what is on its way to and from it. Its chunks may be handled in any order."""

    def __init__(self, max_demand: int, min_demand: int, max_wait: float | None) -> None:
        self.demand = SubscriptionDemand(max_demand, min_demand)
        self.collector = Collector(self.demand, max_wait)
        self.handover = Handover()
        self.upstream: deque[tuple[str, int, int]] = deque([("ask", max_demand, 0)])
        self.arriving: deque[Sequence[int]] = deque()
        self.chunks: list[tuple[Sequence[int], int]] = []
        self.acknowledged = 0
        self.sent: list[int] = []
        self.done: set[int] = set()
        """The numbers of those that it has handled."""
        self.begun = 0
        """The number behind the last event that it has begun with."""

    def finish(self, place: int) -> Sequence[int]:
        events, first = self.chunks.pop(place)
        self.begun = max(self.begun, first + len(events))
        self.upstream.append(("ack", first, len(events)))
        self.done |= set(range(first, first + len(events)))
        ask = self.collector.handled(len(events))
        if ask:
            self.upstream.append(("ask", ask, 0))
        return events


class HandoverMachine(RuleBasedStateMachine):
    """An exact producer, consumers that come, collect, handle and crash; messages take any time."""

    fan_out: Any

    def make_fan_out(self) -> FanOut[Any]:
        raise NotImplementedError

    @initialize(most=st.sampled_from([None, 1, 3]))
    def start(self, most: int | None) -> None:
        self.most = most
        self.deliveries = Deliveries()
        self.tries: Counter[int] = Counter()
        self.spent: list[int] = []
        self.now = 0.0
        self.fan_out = self.make_fan_out()
        self.buffer = Buffer(None)
        self.owed = self.emitted = self.keys = 0
        self.takers: dict[int, Taker] = {}
        self.handled: Counter[int] = Counter()
        self.reasks: list[int] = []

    # -- what a producer stage does ------------------------------------------

    def send(self, key: int, events: Sequence[int]) -> None:
        taker = self.takers[key]
        taker.handover.send(events)
        taker.sent += events
        taker.arriving.append(events)

    def perform(self) -> None:
        outbox, self.fan_out.outbox[:] = self.fan_out.outbox[:], []
        for decision in outbox:
            if isinstance(decision, Reask):
                self.reasks.append(decision.count)
            else:
                assert isinstance(decision, Deliver)
                self.send(decision.key, decision.events)

    def dispatch(self, events: Sequence[int]) -> Sequence[int]:
        deliveries, leftovers = self.fan_out.dispatch(events)
        for key, chunk in deliveries:
            self.send(key, chunk)
        self.perform()
        return leftovers  # type: ignore[no-any-return]

    def meet(self, demand: int) -> None:
        self.perform()
        while demand and self.buffer.length:
            events, _ = self.buffer.take(demand)
            demand -= len(events)
            self.buffer.store(self.dispatch(events))
        self.owed += demand

    def hear(self, key: int) -> None:
        kind, number, count = self.takers[key].upstream.popleft()
        if kind == "ask":
            self.meet(self.fan_out.ask(key, number, self.buffer.length))
        else:
            handover = self.takers[key].handover
            self.deliveries.forget(handover.kept(number, count))
            handover.acknowledge(number, count)

    # -- what happens --------------------------------------------------------

    def options(self) -> dict[str, Any] | None:
        return {}

    def join(self, max_demand: int, min_demand: int, max_wait: float | None) -> None:
        options = self.options()
        if options is not None:
            self.fan_out.subscribe(self.keys, {"max_demand": max_demand, "min_demand": min_demand, **options})
            self.takers[self.keys] = Taker(max_demand, min_demand, max_wait)
            self.keys += 1

    @precondition(lambda self: len(self.takers) < 3)
    @rule(max_demand=st.integers(1, 12), max_wait=st.sampled_from([None, 1.0]), data=st.data())
    def subscribe(self, max_demand: int, max_wait: float | None, data: st.DataObject) -> None:
        self.join(max_demand, data.draw(st.integers(0, max_demand - 1)), max_wait)

    @rule(data=st.data())
    def message_to_the_producer(self, data: st.DataObject) -> None:
        talking = [key for key, taker in self.takers.items() if taker.upstream]
        if talking:
            self.hear(data.draw(st.sampled_from(talking)))

    @precondition(lambda self: self.reasks)
    @rule()
    def hear_a_reask(self) -> None:
        self.meet(self.fan_out.ask(None, self.reasks.pop(0), self.buffer.length))

    @rule(size=st.integers(1, 15))
    def emit(self, size: int) -> None:
        size = min(size, self.owed)
        events = range(self.emitted, self.emitted + size)
        self.emitted += size
        self.owed -= size
        if size:
            self.buffer.store(self.dispatch(events))

    @rule(data=st.data())
    def events_arrive(self, data: st.DataObject) -> None:
        busy = [taker for taker in self.takers.values() if taker.arriving]
        if busy:
            taker = data.draw(st.sampled_from(busy))
            for chunk in taker.collector.put(taker.arriving.popleft(), self.now):
                assert len(chunk[0]) <= taker.demand.chunk_size
                taker.chunks.append(chunk)
            assert taker.demand.excess == 0

    @rule(seconds=st.sampled_from([0.3, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for taker in self.takers.values():
            if taker.collector.due_in(self.now) == 0:
                taker.chunks += taker.collector.flush()

    @rule(data=st.data())
    def chunk_is_handled(self, data: st.DataObject) -> None:
        busy = [taker for taker in self.takers.values() if taker.chunks]
        if busy:
            taker = data.draw(st.sampled_from(busy))
            self.handled.update(taker.finish(data.draw(st.integers(0, len(taker.chunks) - 1))))

    @precondition(lambda self: self.takers)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.takers)))
        while self.takers[key].upstream:
            self.hear(key)  # the news of the end comes behind them
        taker = self.takers.pop(key)
        for _, first in taker.chunks[: data.draw(st.integers(0, len(taker.chunks)))]:
            taker.begun = max(taker.begun, first + 1)  # a chunk that it dies in
        begun = taker.handover.begun(taker.begun)
        kept = taker.handover.take_back()
        assert kept == [event for number, event in enumerate(taker.sent) if number not in taker.done]
        if self.most is not None:
            kept = self.limit(kept, begun, self.most)
        demand, events, dropped = self.fan_out.give_back(key, kept, self.buffer.length)
        assert dropped == self.dropped(kept)
        self.perform()
        if events:
            self.buffer.put_back(self.dispatch(events))
        self.meet(demand)

    def limit(self, kept: list[int], begun: int, most: int) -> list[int]:
        again, spent = self.deliveries.came_back(kept[:begun], most)
        self.tries.update(kept[:begun])
        assert spent == [event for event in kept[:begun] if self.tries[event] == most]
        assert sorted(again + spent) == sorted(kept[:begun])
        self.spent += spent
        return again + kept[begun:]

    def dropped(self, events: Sequence[int]) -> int:
        return 0

    def teardown(self) -> None:
        if "fan_out" not in self.__dict__:
            return
        for _ in range(PARTITIONS):
            self.join(5, 1, 1.0)
        goal = self.emitted + 60
        for _ in range(400):
            for key, taker in self.takers.items():
                while taker.upstream:
                    self.hear(key)
            while self.reasks:
                self.hear_a_reask()
            if self.emitted < goal:
                self.emit(15)
            for taker in self.takers.values():
                while taker.arriving:
                    taker.chunks += taker.collector.put(taker.arriving.popleft(), self.now)
            self.time_passes(1.0)
            for taker in self.takers.values():
                while taker.chunks:
                    self.handled.update(taker.finish(0))
        assert self.emitted >= goal, "the flow has stalled"
        self.check_the_end()

    def check_the_end(self) -> None:
        assert self.handled + Counter(self.spent) == Counter(range(self.emitted))

    # -- what always holds ---------------------------------------------------

    @invariant()
    def demand_is_neither_made_up_nor_forgotten(self) -> None:
        outstanding = self.fan_out.statistics().outstanding
        for key, taker in self.takers.items():
            asked = sum(number for kind, number, _ in taker.upstream if kind == "ask")
            kept = taker.handover.length
            told = sum(count for kind, _, count in taker.upstream if kind == "ack")
            assert outstanding[key] + asked + kept - told == taker.demand.outstanding

    @invariant()
    def never_more_than_max_demand_is_on_its_way_or_kept(self) -> None:
        for taker in self.takers.values():
            assert taker.demand.outstanding <= taker.demand.max_demand
            # An acknowledgement is ahead of the ask that follows from it.
            assert taker.handover.length <= taker.demand.max_demand

    @invariant()
    def what_has_come_back_too_often_is_not_sent_again(self) -> None:
        assert self.most is not None or not self.spent
        assert not self.tries or max(self.tries.values()) <= (self.most or 0)

    @invariant()
    def nothing_was_handled_twice(self) -> None:
        assert not self.handled or max(self.handled.values()) == 1

    @invariant()
    def what_is_wanted_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        assert sum(numbers.outstanding.values()) + numbers.owed == self.owed


class DemandHandover(HandoverMachine):
    def make_fan_out(self) -> FanOut[Any]:
        return DemandFanOut(max_demand=12)


class RoundRobinHandover(HandoverMachine):
    def make_fan_out(self) -> FanOut[Any]:
        return RoundRobinFanOut(chunk_size=2)


class WeightedHandover(HandoverMachine):
    def make_fan_out(self) -> FanOut[Any]:
        return WeightedFanOut(lambda: self.now)

    @invariant()
    def what_is_wanted_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        assert sum(numbers.outstanding.values()) - numbers.held + numbers.owed == self.owed


class PartitionHandover(HandoverMachine):
    """The events that are queued for a partition are kept when its consumer crashes."""

    limits: dict[str, Any] = {}

    def make_fan_out(self) -> FanOut[Any]:
        self.partition_of: dict[int, int] = {}
        return PartitionFanOut(PARTITIONS, max_consumers=2, **self.limits)

    def options(self) -> dict[str, Any] | None:
        taken = [self.partition_of[key] for key in self.takers]
        name = min(range(PARTITIONS), key=taken.count)
        self.partition_of[self.keys] = name
        return {"partition": name} if taken.count(name) < 2 else None

    @invariant()
    def what_is_wanted_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        wanted = sum(numbers.outstanding.values()) + numbers.owed
        assert wanted == self.owed + numbers.queued + numbers.held + sum(self.reasks)

    @invariant()
    def a_consumer_gets_its_partition_only(self) -> None:
        for key, taker in self.takers.items():
            assert {event % PARTITIONS for event in taker.sent} <= {self.partition_of[key]}


class BoundedPartitionHandover(PartitionHandover):
    limits = {"buffer_size": 4}


class BroadcastHandover(HandoverMachine):
    """Nobody else needs what a consumer has not handled: the others have it too."""

    def make_fan_out(self) -> FanOut[Any]:
        return BroadcastFanOut()

    def dropped(self, events: Sequence[int]) -> int:
        return len(events)

    def limit(self, kept: list[int], begun: int, most: int) -> list[int]:
        return kept  # nothing is handed over again

    def check_the_end(self) -> None:
        for taker in self.takers.values():
            assert taker.done == set(range(len(taker.sent)))

    @invariant()
    def nothing_was_handled_twice(self) -> None:
        for taker in self.takers.values():
            assert len(set(taker.sent)) == len(taker.sent)

    @invariant()
    def what_is_wanted_is_owed(self) -> None:
        assert self.fan_out.statistics().owed == self.owed


class MinimalFanOut:
    """A user's, with the six methods of the protocol and no more."""

    def __init__(self) -> None:
        self.inner: Any = DemandFanOut(max_demand=12)
        self.outbox: list[Any] = self.inner.outbox
        for name in ("subscribe", "ask", "cancel", "dispatch", "info", "statistics"):
            setattr(self, name, getattr(self.inner, name))


class OwnHandover(HandoverMachine):
    """One without `give_back` loses nothing; its producer may make too many."""

    def make_fan_out(self) -> FanOut[Any]:
        return checked_fan_out(MinimalFanOut())  # type: ignore[arg-type]

    @invariant()
    def what_is_wanted_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        assert sum(numbers.outstanding.values()) + numbers.owed <= self.owed


for machine in (
    DemandHandover, RoundRobinHandover, WeightedHandover, PartitionHandover,
    BoundedPartitionHandover, BroadcastHandover, OwnHandover,
):  # fmt: skip
    case = machine.TestCase
    case.settings = settings(max_examples=settings.default.max_examples, stateful_step_count=60)
    globals()[f"Test{machine.__name__}"] = case
del machine, case


@pytest.mark.parametrize("returned", [None, (0, []), (-1, [], 0), (0, "ab", 0), (0, [], 5), (0, [], None)])
def test_a_give_back_of_ones_own_is_checked(returned: Any) -> None:
    """As every other method."""

    class Broken(MinimalFanOut):
        def give_back(self, *_: object) -> Any:
            return returned

    fan_out: Any = checked_fan_out(Broken())  # type: ignore[arg-type]
    fan_out.subscribe(1)
    with pytest.raises(FanOutError, match="give_back"):
        fan_out.give_back(1, [1, 2])
