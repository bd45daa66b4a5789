"""A producer's fan-out and buffer with its consumers' demand, as a stage puts them together.

Asks and events are on their way for any time. Whatever the order: a consumer
never gets more than it asked for, no event is lost, doubled or overtaken, and
demand is never forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import (
    BroadcastFanOut,
    Buffer,
    Deliver,
    DemandFanOut,
    Discarded,
    FanOut,
    PartitionFanOut,
    Reask,
    RoundRobinFanOut,
    SubscriptionDemand,
    WeightedFanOut,
)

PARTITIONS = 3


class Sink:
    """A consumer with what is on its way to and from it."""

    def __init__(self, max_demand: int, min_demand: int) -> None:
        self.demand = SubscriptionDemand(max_demand, min_demand)
        self.asks = deque([max_demand])
        self.arriving: deque[list[int]] = deque()
        self.taken: list[int] = []

    def wants(self) -> int:
        """What it has asked for and nobody has sent yet."""
        return self.demand.outstanding - sum(map(len, self.arriving))


class ProducerSide(RuleBasedStateMachine):
    """Events are numbers counting up. An exact producer emits only what it was asked for."""

    fan_out: FanOut[int]

    def make_fan_out(self) -> FanOut[Any]:
        raise NotImplementedError

    @initialize(exact=st.booleans())
    def start(self, exact: bool) -> None:
        self.fan_out = self.make_fan_out()
        self.buffer = Buffer(None)
        self.exact = exact
        self.owed = 0
        self.emitted = 0
        self.discarded = 0
        self.reasks: deque[Reask[int]] = deque()
        self.sinks: dict[int, Sink] = {}
        self.gone: list[Sink] = []
        self.keys = 0

    # -- what a producer stage does ------------------------------------------

    def meet(self, demand: int) -> None:
        self.perform()
        while demand and self.buffer.length:
            events, _ = self.buffer.take(demand)
            demand -= len(events)
            self.dispatch(events)
        self.owed += demand

    def dispatch(self, events: Any) -> None:
        deliveries, leftovers = self.fan_out.dispatch(events)
        for key, chunk in deliveries:
            self.sinks[key].arriving.append(list(chunk))
        self.perform()
        self.buffer.store(leftovers)

    def perform(self) -> None:
        for decision in self.fan_out.outbox:
            if isinstance(decision, Deliver):
                self.sinks[decision.key].arriving.append(list(decision.events))
            elif isinstance(decision, Reask):
                self.reasks.append(decision)
            elif isinstance(decision, Discarded):
                self.discarded += decision.count
        self.fan_out.outbox.clear()

    # -- what happens --------------------------------------------------------

    def options(self, key: int) -> dict[str, Any] | None:
        return {}

    # Few consumers, so that there is often none.
    @precondition(lambda self: len(self.sinks) < 3)
    @rule(max_demand=st.integers(1, 12), data=st.data())
    def subscribe(self, max_demand: int, data: st.DataObject) -> None:
        options = self.options(self.keys)
        if options is None:
            return
        sink = Sink(max_demand, data.draw(st.integers(0, max_demand - 1)))
        demands = {"max_demand": max_demand, "min_demand": sink.demand.min_demand}
        self.fan_out.subscribe(self.keys, {**demands, **options})
        self.sinks[self.keys] = sink
        self.keys += 1

    @rule(data=st.data())
    def hear_an_ask(self, data: st.DataObject) -> None:
        asking = [key for key, sink in self.sinks.items() if sink.asks]
        if asking:
            key = data.draw(st.sampled_from(asking))
            self.meet(self.fan_out.ask(key, self.sinks[key].asks.popleft(), self.buffer.length))

    @precondition(lambda self: self.reasks)
    @rule()
    def hear_a_reask(self) -> None:
        reask = self.reasks.popleft()
        if reask.key is None or reask.key in self.sinks:
            self.meet(self.fan_out.ask(reask.key, reask.count, self.buffer.length))

    @rule(size=st.integers(1, 15))
    def emit(self, size: int) -> None:
        size = min(size, self.owed) if self.exact else size
        events = range(self.emitted, self.emitted + size)
        self.emitted += size
        self.owed = max(0, self.owed - size)
        self.dispatch(events)

    @rule(data=st.data())
    def events_arrive(self, data: st.DataObject) -> None:
        busy = [sink for sink in self.sinks.values() if sink.arriving]
        if busy:
            sink = data.draw(st.sampled_from(busy))
            for chunk, ask in sink.demand.split(sink.arriving.popleft()):
                sink.taken += chunk
                if ask:
                    sink.asks.append(ask)
            assert sink.demand.excess == 0

    @precondition(lambda self: self.sinks)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.sinks)))
        self.gone.append(self.sinks.pop(key))
        self.meet(self.fan_out.cancel(key, self.buffer.length))

    # -- what always holds ---------------------------------------------------

    def streams(self) -> list[list[int]]:
        """What each consumer has got or will get, in order."""
        sinks = [*self.sinks.values(), *self.gone]
        return [[*sink.taken, *(event for chunk in sink.arriving for event in chunk)] for sink in sinks]

    def buffered(self) -> list[int]:
        """What is in the buffer, which is put back as it was."""
        events: list[int] = []
        while self.buffer.length:
            events += self.buffer.take(self.buffer.length)[0]
        self.buffer.store(events[:])
        return events

    @invariant()
    def demand_is_neither_made_up_nor_forgotten(self) -> None:
        outstanding = self.fan_out.statistics().outstanding
        for key, sink in self.sinks.items():
            on_its_way = sum(sink.asks) + sum(reask.count for reask in self.reasks if reask.key == key)
            assert outstanding[key] == sink.wants() - on_its_way
            assert outstanding[key] >= 0

    @invariant()
    def events_keep_their_order(self) -> None:
        buffered = self.buffered()
        assert buffered == sorted(buffered)
        for stream in self.streams():
            assert stream == sorted(set(stream))
            if stream and buffered:
                assert stream[-1] < buffered[0]


class DemandSide(ProducerSide):
    """Each event goes to one consumer."""

    def make_fan_out(self) -> FanOut[Any]:
        return DemandFanOut(max_demand=12)

    @invariant()
    def every_event_is_in_one_place(self) -> None:
        places = [event for stream in [*self.streams(), self.buffered()] for event in stream]
        assert sorted(places) == list(range(self.emitted))

    @invariant()
    def nobody_waits_while_events_are_buffered(self) -> None:
        if self.buffer.length:
            assert not any(self.fan_out.statistics().outstanding.values())

    @invariant()
    def all_that_is_wanted_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        if self.exact:
            assert sum(numbers.outstanding.values()) + numbers.owed == self.owed


class RoundRobinSide(DemandSide):
    """Each event goes to one consumer, in turn."""

    def make_fan_out(self) -> FanOut[Any]:
        return RoundRobinFanOut(chunk_size=2)


class WeightedSide(ProducerSide):
    """Each event goes to one consumer. Some demand is held."""

    def make_fan_out(self) -> FanOut[Any]:
        self.now = 0.0
        return WeightedFanOut(lambda: self.now)

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def every_event_is_in_one_place(self) -> None:
        places = [event for stream in [*self.streams(), self.buffered()] for event in stream]
        assert sorted(places) == list(range(self.emitted))

    @invariant()
    def only_held_demand_waits_while_events_are_buffered(self) -> None:
        numbers = self.fan_out.statistics()
        if self.buffer.length:
            assert sum(numbers.outstanding.values()) == numbers.held

    @invariant()
    def all_that_may_be_sent_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        if self.exact:
            assert sum(numbers.outstanding.values()) - numbers.held + numbers.owed == self.owed

    @invariant()
    def everyone_is_or_will_be_heard_of(self) -> None:
        outstanding = self.fan_out.statistics().outstanding
        for key, sink in self.sinks.items():
            if key in self.heard and outstanding[key] and not sink.asks and not sink.arriving:
                assert self.fan_out._claims[key].room  # type: ignore[attr-defined]

    @property
    def heard(self) -> set[int]:
        """Those whose first ask has arrived."""
        return {key for key, claim in self.fan_out._claims.items() if claim.started}  # type: ignore[attr-defined]


class BroadcastSide(ProducerSide):
    """Each event goes to every consumer; every third one sees multiples of three only."""

    def make_fan_out(self) -> FanOut[Any]:
        return BroadcastFanOut()

    def options(self, key: int) -> dict[str, Any] | None:
        return {"selector": lambda event: event % 3 == 0} if key % 3 == 2 else {}

    @invariant()
    def a_consumer_misses_nothing_between_two_events(self) -> None:
        for key, sink in self.sinks.items():
            events = [*sink.taken, *(event for chunk in sink.arriving for event in chunk)]
            step = 3 if key % 3 == 2 else 1
            assert events == (list(range(events[0], events[-1] + 1, step)) if events else [])

    @invariant()
    def someone_does_not_want_what_is_buffered(self) -> None:
        wanted = self.fan_out.statistics().outstanding.values()
        if self.buffer.length and wanted:
            assert min(wanted) == 0

    @invariant()
    def what_all_want_is_owed(self) -> None:
        numbers = self.fan_out.statistics()
        if self.exact:
            assert numbers.owed == self.owed
            assert min(numbers.outstanding.values(), default=0) <= self.owed


class PartitionSide(ProducerSide):
    """Each event goes to the consumer of its partition, every fifth one nowhere."""

    limits: dict[str, Any] = {}
    consumers_each = 1

    def make_fan_out(self) -> FanOut[Any]:
        return PartitionFanOut(PARTITIONS, self.choose, max_consumers=self.consumers_each, **self.limits)

    @staticmethod
    def choose(event: int) -> tuple[int, Hashable] | None:
        return None if event % 5 == 4 else (event, event % PARTITIONS)

    @initialize()
    def no_partitions(self) -> None:
        self.partition_of: dict[int, int] = {}

    def options(self, key: int) -> dict[str, Any] | None:
        taken = [self.partition_of[key] for key in self.sinks]
        free = [name for name in range(PARTITIONS) if taken.count(name) < self.consumers_each]
        if not free:
            return None
        self.partition_of[key] = free[key % len(free)]
        return {"partition": self.partition_of[key]}

    @invariant()
    def every_event_is_in_one_place_or_discarded(self) -> None:
        places = [event for stream in [*self.streams(), self.buffered()] for event in stream]
        assert len(places) == len(set(places))
        queued = self.fan_out.statistics().queued
        assert len(places) + queued + self.discarded == self.emitted

    @invariant()
    def a_consumer_gets_its_partition_only(self) -> None:
        for key, sink in self.sinks.items():
            assert {event % PARTITIONS for event in sink.taken} <= {self.partition_of[key]}

    @invariant()
    def all_demand_is_accounted_for(self) -> None:
        numbers = self.fan_out.statistics()
        if self.exact:
            lost = sum(reask.count for reask in self.reasks)
            wanted = sum(numbers.outstanding.values()) + numbers.owed
            assert wanted == self.owed + numbers.queued + lost + numbers.held


class SharedPartitionSide(PartitionSide):
    """Two consumers may share a partition, and the oldest events of a full queue go."""

    consumers_each = 2
    limits: dict[str, Any] = {"buffer_size": 3, "buffer_keep": "last"}


class BlockingPartitionSide(PartitionSide):
    """A full queue holds the demand of all."""

    limits: dict[str, Any] = {"buffer_size": 2, "buffer_keep": "block"}

    @invariant()
    def something_is_owed_or_some_queue_is_full(self) -> None:
        numbers = self.fan_out.statistics()
        if numbers.held and not self.owed and not self.reasks and not self.buffer.length:
            assert max(self.fan_out.queued().values()) >= 2  # type: ignore[attr-defined]


for machine in (
    DemandSide,
    RoundRobinSide,
    WeightedSide,
    BroadcastSide,
    PartitionSide,
    SharedPartitionSide,
    BlockingPartitionSide,
):
    machine.TestCase.settings = settings(max_examples=settings.default.max_examples, stateful_step_count=60)

TestDemandSide = DemandSide.TestCase
TestRoundRobinSide = RoundRobinSide.TestCase
TestWeightedSide = WeightedSide.TestCase
TestSharedPartitionSide = SharedPartitionSide.TestCase
TestBlockingPartitionSide = BlockingPartitionSide.TestCase
TestBroadcastSide = BroadcastSide.TestCase
TestPartitionSide = PartitionSide.TestCase
