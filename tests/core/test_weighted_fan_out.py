"""The fan-out that weighs the consumers by how fast they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import SubscriptionDemand, SubscriptionRefusedError, WeightedFanOut
from slither_actors.errors import OptionError


class Clock:
    """The time is what a test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """A consumer that takes `seconds` for an event, one after the other."""

    def __init__(self, seconds: float, max_demand: int, min_demand: int) -> None:
        self.seconds = seconds
        self.demand = SubscriptionDemand(max_demand, min_demand)
        self.queue: list[tuple[float, int]] = []
        """When each event came, and which."""
        self.done: list[int] = []
        self.waits: list[float] = []
        self.ends: float | None = None
        """When the event is done that it works at."""

    def options(self) -> dict[str, Any]:
        return {"max_demand": self.demand.max_demand, "min_demand": self.demand.min_demand}


class Simulation:
    """A producer with a fan-out and its consumers, in simulated time. Messages take no time."""

    def __init__(self, *workers: Worker) -> None:
        self.clock = Clock()
        self.fan_out: WeightedFanOut[int] = WeightedFanOut(self.clock)
        self.workers = workers
        self.emitted = 0
        self.limit = 0
        self.owed = 0
        for key, worker in enumerate(workers):
            self.fan_out.subscribe(key, worker.options())

    def start(self, limit: int) -> None:
        self.limit = limit
        for key, worker in enumerate(self.workers):
            self.owed += self.fan_out.ask(key, worker.demand.max_demand)
        self.produce()

    def produce(self) -> None:
        """Emit what is owed, as far as there is anything left."""
        count = min(self.owed, self.limit - self.emitted)
        self.owed -= count
        if count:
            self.send(range(self.emitted, self.emitted + count))

    def send(self, events: range) -> None:
        self.emitted = events.stop
        deliveries, leftovers = self.fan_out.dispatch(events)
        assert not leftovers
        for key, share in deliveries:
            worker = self.workers[key]
            if not worker.queue:
                worker.ends = self.clock.now + worker.seconds
            worker.queue += [(self.clock.now, event) for event in share]

    def step(self) -> bool:
        """Let the next worker finish an event; False when all are idle."""
        busy = [(worker.ends, key) for key, worker in enumerate(self.workers) if worker.ends is not None]
        if not busy:
            return False
        self.clock.now, key = min(busy)
        worker = self.workers[key]
        came, event = worker.queue.pop(0)
        worker.done.append(event)
        worker.waits.append(self.clock.now - worker.seconds - came)
        worker.ends = self.clock.now + worker.seconds if worker.queue else None
        for _, ask in worker.demand.split([event]):
            if ask:
                self.owed += self.fan_out.ask(key, ask)
        self.produce()
        return True

    def run(self, limit: int) -> None:
        self.start(limit)
        while self.step():
            pass


@pytest.mark.parametrize(("max_demand", "min_demand"), [(10, 9), (10, 5), (100, 99), (2, 1)])
def test_a_consumer_gets_as_much_as_it_is_fast(max_demand: int, min_demand: int) -> None:
    """One that takes ten times as long gets a tenth of what the others get."""
    workers = [Worker(seconds, max_demand, min_demand) for seconds in (0.1, 0.1, 0.1, 1.0)]
    simulation = Simulation(*workers)
    simulation.run(6000)
    shares = [len(worker.done) for worker in workers]
    assert sum(shares) == 6000
    for share in shares[:3]:
        assert 8 < share / shares[3] < 12
    measured = simulation.fan_out.seconds_per_event()
    assert measured == pytest.approx({0: 0.1, 1: 0.1, 2: 0.1, 3: 1.0}, rel=0.1)


def test_nothing_waits_behind_a_slow_consumer_while_the_others_are_idle() -> None:
    """When the events come to an end, the slow one has hardly more to do than the fast ones.

    With all its demand met it would have a hundred events in front of it, and the others none.
    """
    workers = [Worker(seconds, 100, 99) for seconds in (0.1, 0.1, 0.1, 1.0)]
    simulation = Simulation(*workers)
    simulation.run(6000)
    # The fast ones' full queue is ten seconds.
    assert max(workers[3].waits) <= 10.5
    assert max(wait for worker in workers for wait in worker.waits) <= 10.5
    assert simulation.clock.now < 6000 / 31 + 12


def test_with_chunks_of_one_event_a_slow_consumer_has_only_as_many_as_it_is_in_time_with() -> None:
    """A hundred times as slow: one event at a time, and none waits."""
    workers = [Worker(seconds, 10, 9) for seconds in (0.01, 0.01, 1.0)]
    simulation = Simulation(*workers)
    simulation.run(5000)
    assert len(workers[2].done) > 10
    assert max(workers[2].waits) == 0


def test_equally_fast_consumers_get_the_same() -> None:
    """It is join the shortest queue then."""
    workers = [Worker(0.1, 10, 5) for _ in range(4)]
    Simulation(*workers).run(4000)
    assert [len(worker.done) for worker in workers] == pytest.approx([1000] * 4, rel=0.02)


def test_a_consumer_that_becomes_slow_gets_less() -> None:
    """The measure follows."""
    workers = [Worker(0.1, 10, 9) for _ in range(2)]
    simulation = Simulation(*workers)
    simulation.start(4000)
    while simulation.emitted < 2000:
        simulation.step()
    before = [len(worker.done) for worker in workers]
    workers[0].seconds = 1.0
    while simulation.step():
        pass
    slow, fast = (len(worker.done) - count for worker, count in zip(workers, before, strict=True))
    assert 8 < fast / slow < 12


def test_a_consumer_that_was_slow_once_is_measured_anew() -> None:
    """With little to do beside a fast one, it would get nothing and never show that it recovered."""
    workers = [Worker(0.01, 10, 9), Worker(5.0, 10, 9)]
    simulation = Simulation(*workers)
    simulation.limit = 0
    simulation.start(0)

    def trickle(count: int) -> None:
        for _ in range(count):
            simulation.send(range(simulation.emitted, simulation.emitted + 1))
            simulation.owed -= 1
            while simulation.step():
                pass

    trickle(50)
    assert len(workers[1].done) == 1
    workers[1].seconds = 0.001
    trickle(500)
    assert len(workers[1].done) > 100
    assert simulation.fan_out.seconds_per_event()[1] == pytest.approx(0.001)


def test_measuring_a_slow_consumer_anew_takes_an_event_in_a_hundred() -> None:
    """At most, so that it does not cost what was gained."""
    workers = [Worker(0.01, 10, 9), Worker(5.0, 10, 9)]
    simulation = Simulation(*workers)
    simulation.start(0)
    for event in range(1000):
        simulation.send(range(event, event + 1))
        while simulation.step():
            pass
    assert 2 <= len(workers[1].done) <= 11


def test_a_consumer_that_has_not_answered_gets_what_it_takes_to_answer() -> None:
    """No more, and it is first to get it."""
    clock = Clock()
    fan_out: WeightedFanOut[str] = WeightedFanOut(clock)
    fan_out.subscribe("a", {"max_demand": 10, "min_demand": 7})
    assert fan_out.ask("a", 10) == 3
    assert fan_out.dispatch(range(5)) == ([("a", [0, 1, 2])], range(3, 5))
    assert fan_out.statistics().held == 7
    clock.now = 1.5
    assert fan_out.ask("a", 3, buffered=2) == 10
    assert fan_out.seconds_per_event() == {"a": 0.5}
    assert fan_out.statistics().held == 0


def test_the_demand_of_a_consumer_that_asks_by_hand_is_not_held() -> None:
    """It may wait for all that it asked for before it asks again."""
    fan_out: WeightedFanOut[str] = WeightedFanOut(Clock())
    fan_out.subscribe("a", {"max_demand": 10, "min_demand": 5, "by_hand": lambda: True})
    assert fan_out.ask("a", 50) == 50
    assert fan_out.statistics().held == 0


def test_without_its_demands_a_consumer_is_taken_to_ask_by_hand() -> None:
    """Who builds on the core alone need not know these options."""
    fan_out: WeightedFanOut[str] = WeightedFanOut(Clock())
    fan_out.subscribe("a")
    assert fan_out.ask("a", 10) == 10
    assert fan_out.ask("a", 1) == 1


def test_what_was_requested_for_a_consumer_that_left_serves_the_others() -> None:
    """It is on its way, and is not requested again."""
    fan_out: WeightedFanOut[str] = WeightedFanOut(Clock())
    for key in ("a", "b"):
        fan_out.subscribe(key)
    assert fan_out.ask("a", 10) == 10
    assert fan_out.cancel("a") == 0
    assert fan_out.ask("b", 12) == 2


def test_what_is_buffered_is_asked_for_whatever_a_consumer_left() -> None:
    """Else it would wait for ever."""
    fan_out: WeightedFanOut[str] = WeightedFanOut(Clock())
    fan_out.subscribe("a")
    fan_out.ask("a", 15)
    fan_out.cancel("a")
    assert fan_out.dispatch(range(5)) == ([], range(5))
    fan_out.subscribe("b")
    assert fan_out.ask("b", 8, buffered=5) == 5


def test_a_slow_consumer_is_not_held_back_when_the_quick_ones_have_left() -> None:
    """Its next ask makes it the quickest."""
    workers = [Worker(0.01, 10, 9), Worker(1.0, 10, 9)]
    simulation = Simulation(*workers)
    simulation.start(10**6)
    while simulation.clock.now < 20:
        simulation.step()
    assert simulation.fan_out.statistics().held > 5
    workers[0].ends = None
    simulation.fan_out.cancel(0)
    simulation.step()
    assert simulation.fan_out.statistics().held == 0


def test_the_clock_may_stand_still() -> None:
    """Nothing is divided by zero, and the events are shared out."""
    workers = [Worker(0.0, 10, 5) for _ in range(2)]
    Simulation(*workers).run(1000)
    assert sum(len(worker.done) for worker in workers) == 1000


def test_a_key_subscribes_once() -> None:
    """The same consumer may subscribe again under another key."""
    fan_out: WeightedFanOut[str] = WeightedFanOut(Clock())
    fan_out.subscribe("a")
    with pytest.raises(SubscriptionRefusedError) as caught:
        fan_out.subscribe("a")
    assert caught.value.reason == "already_subscribed"


def test_an_unknown_key_is_a_key_error() -> None:
    """The stage answers it with a cancellation."""
    fan_out: WeightedFanOut[str] = WeightedFanOut(Clock())
    calls: list[Callable[[], int]] = [
        lambda: fan_out.ask("z", 1),
        lambda: fan_out.ask(None, 1),
        lambda: fan_out.cancel("z"),
    ]
    for call in calls:
        with pytest.raises(KeyError):
            call()


def test_the_clock_has_to_be_a_function() -> None:
    """The error says which one to take."""
    with pytest.raises(OptionError, match=r"'clock' is 5; .* time\.monotonic"):
        WeightedFanOut(5)  # type: ignore[arg-type]


def test_infos_are_delivered_at_once() -> None:
    """Nothing is queued inside this fan-out."""
    assert WeightedFanOut(Clock()).info("hello")


class WeightedMachine(RuleBasedStateMachine):
    """Against consumers that are looked through one by one for every event.

    Time stands still in a dispatch, so the measures are those of the fan-out; who has to get an
    event with them, and how much may be requested, is worked out anew.
    """

    @initialize(automatic=st.booleans())
    def make(self, automatic: bool) -> None:
        self.clock = Clock()
        self.fan_out: WeightedFanOut[int] = WeightedFanOut(self.clock)
        self.automatic = automatic
        self.demand: dict[int, int] = {}
        self.sent: dict[int, int] = {}
        self.asked: set[int] = set()
        self.limits: dict[int, int] = {}
        self.requested = self.keys = self.events = 0

    def any_key(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.demand)))

    @rule(seconds=st.sampled_from([0.0, 0.1, 5.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(max_demand=st.integers(1, 12), data=st.data())
    def subscribe(self, max_demand: int, data: st.DataObject) -> None:
        self.keys += 1
        least = data.draw(st.integers(1, max_demand))
        options = {"max_demand": max_demand, "min_demand": max_demand - least} if self.automatic else {}
        self.fan_out.subscribe(self.keys, options)
        self.demand[self.keys] = self.sent[self.keys] = 0
        self.limits[self.keys] = least

    @precondition(lambda self: self.demand)
    @rule(data=st.data(), count=st.integers(1, 12))
    def ask(self, data: st.DataObject, count: int) -> None:
        key = self.any_key(data)
        if key in self.asked:
            self.sent[key] -= min(count, self.sent[key])
        self.asked.add(key)
        self.demand[key] += count
        request = self.fan_out.ask(key, count)
        self.requested += request
        held = self.fan_out.statistics().held
        room = sum(self.demand.values()) - held
        assert held == 0 or self.automatic
        assert self.requested >= room
        assert request == 0 or self.requested == room

    @precondition(lambda self: self.demand)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = self.any_key(data)
        del self.demand[key], self.sent[key], self.limits[key]
        self.asked.discard(key)
        assert self.fan_out.cancel(key) == 0

    @rule(size=st.integers(0, 30))
    def dispatch(self, size: int) -> None:
        rooms = {key: claim.room for key, claim in self.fan_out._claims.items()}
        self.requested = max(0, self.requested - size)
        events = list(range(self.events, self.events + size))
        self.events += size
        deliveries, leftovers = self.fan_out.dispatch(events)
        # Measures are forgotten at the beginning of a dispatch at most.
        pace = dict.fromkeys(self.demand, 1e-9) | self.fan_out.seconds_per_event()
        receiver = {event: key for key, share in deliveries for event in share}
        taken = events[: len(receiver)]
        assert list(receiver) == taken or sorted(receiver) == taken
        assert list(leftovers) == events[len(taken) :]
        for event in taken:
            key = receiver[event]
            delay = {other: (self.sent[other] + 1) * pace[other] for other in rooms if rooms[other] > 0}
            assert delay[key] <= min(delay.values()) * (1 + 1e-6)
            self.demand[key] -= 1
            self.sent[key] += 1
            rooms[key] -= 1
        assert not leftovers or not any(room > 0 for room in rooms.values())

    @invariant()
    def the_numbers_agree(self) -> None:
        numbers = self.fan_out.statistics()
        assert numbers.outstanding == self.demand
        assert numbers.held >= 0
        assert numbers.owed == max(0, self.requested - (sum(self.demand.values()) - numbers.held))
        assert all(demand >= 0 for demand in self.demand.values())

    @invariant()
    def everyone_can_get_what_it_takes_to_ask_again(self) -> None:
        """Else a consumer that is held back would never be heard of."""
        for key in self.asked:
            room = self.fan_out._claims[key].room
            assert room >= min(self.demand[key], self.limits[key] - self.sent[key])


TestWeightedMachine = WeightedMachine.TestCase
