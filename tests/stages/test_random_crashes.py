"""Random graphs of real stages that crash, are killed, cancelled and subscribed anew while events flow.

On each subscription the consumer handles, in order, what it was sent, and no
event twice; nothing is missing where both ends have lived. What a stage has
made is with its consumers, or still in it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slither_actors.actors import Ref
from slither_actors.errors import ActorError
from slither_actors.stages import (
    BroadcastFanOut,
    Consumer,
    DemandFanOut,
    PartitionFanOut,
    Producer,
    ProducerConsumer,
    RoundRobinFanOut,
    StageGraph,
    Subscription,
    WeightedFanOut,
    _protocol,
    cancel,
    graph,
    stalls,
    sync_subscribe,
)
from tests.stages.probes import SECONDS, ended, until

PARTITIONS = 3

FAN_OUTS: dict[str, Callable[[], Any]] = {
    "demand": DemandFanOut,
    "broadcast": BroadcastFanOut,
    "partition": functools.partial(PartitionFanOut, PARTITIONS),
    "shared partition": functools.partial(PartitionFanOut, PARTITIONS, max_consumers=None),
    "round robin": RoundRobinFanOut,
    "weighted": functools.partial(WeightedFanOut, time.monotonic),
}


class Logging:
    """Notes what it makes, what it sends on each subscription, and what it handles of each."""

    def note(self) -> None:
        self.made: list[int] = []
        self.sent: dict[Subscription, list[int]] = {}
        self.handled: dict[Subscription, list[int]] = {}
        self.taken = 0

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> None:
        if role == "producer":
            self.handled[source] = []
            return
        sent = self.sent[source] = []
        put = source.consumer_put

        def noting(message: Any) -> None:
            if message[0] is _protocol.deliver:
                sent.extend(message[1][1])
            put(message)

        source.consumer_put = noting

    def handle_cast(self, message: Any) -> None:
        raise ValueError(message)

    def take(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        """Return new numbers for the events: what two producers send may be the same."""
        self.handled[source] += events
        first, self.taken = self.taken, self.taken + len(events)
        return range(first, self.taken)


class Endless(Logging, Producer):
    """Makes all that it is asked for until it is told to rest."""

    def init(self, place: int, fan_out: str) -> None:
        self.dispatcher = FAN_OUTS[fan_out]
        self.next = place * 10**9
        self.resting = False
        self.note()

    def handle_demand(self, demand: int) -> Sequence[int]:
        if self.resting:
            return ()
        first, self.next = self.next, self.next + demand
        return range(first, self.next)

    def _dispatch(self, events: Sequence[int]) -> None:
        self.made += events
        super()._dispatch(events)


class Passing(Logging, ProducerConsumer):
    def init(self, place: int, fan_out: str) -> None:
        self.dispatcher = FAN_OUTS[fan_out]
        self.max_concurrency = 1 + place % 3 if self._awaits else 1
        self.note()

    def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        return self.take(events, source)

    def _dispatch(self, events: Sequence[int]) -> None:
        self.made += events
        super()._dispatch(events)


class LazyPassing(Passing):
    def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
        yield from self.take(events, source)


class AsyncPassing(Passing):
    async def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        taken = self.take(events, source)
        for _ in range(len(events) % 3):
            await asyncio.sleep(0)
        return taken


class Taking(Logging, Consumer):
    def init(self, place: int, fan_out: str) -> None:
        self.note()

    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        self.take(events, source)


MIDDLES = (Passing, Passing, LazyPassing, AsyncPassing)


@attrs.frozen
class Edge:
    parent: int
    child: int
    most: int
    least: int
    cancel: str
    partition: int


@attrs.frozen
class Plan:
    kinds: tuple[type[Any], ...]
    fan_outs: tuple[str, ...]
    edges: tuple[Edge, ...]
    troubles: tuple[tuple[str, int], ...]


@st.composite
def plans(draw: st.DrawFn, most_troubles: int = 12) -> Plan:
    """Sources first, consumers last, what is in between in between: no cycle."""
    sources, middles, sinks = (draw(st.integers(1, 2)), draw(st.integers(0, 3)), draw(st.integers(1, 3)))
    kinds = [Endless] * sources + [draw(st.sampled_from(MIDDLES)) for _ in range(middles)] + [Taking] * sinks
    edges = []
    for child in range(sources, len(kinds)):
        parents = range(min(child, sources + middles))
        for parent in draw(st.sets(st.sampled_from(parents), min_size=1, max_size=3)):
            most = draw(st.integers(1, 40))
            mode = draw(st.sampled_from(["temporary", "temporary", "temporary", "transient", "permanent"]))
            least, partition = draw(st.integers(0, most - 1)), draw(st.integers(0, PARTITIONS - 1))
            edges.append(Edge(parent, child, most, least, mode, partition))
    trouble = st.tuples(
        st.sampled_from(
            ["kill", "crash", "cancel", "cancel", "subscribe", "again", "restart", "restart", "look"]
        ),
        st.integers(0, 100),
    )
    return Plan(
        tuple(kinds),
        tuple(draw(st.sampled_from(sorted(FAN_OUTS))) for _ in kinds),
        tuple(edges),
        tuple(draw(st.lists(trouble, max_size=most_troubles))),
    )


class Run:
    """The stages of a plan, now and before."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ever: list[Ref] = []
        self.now: list[Ref] = [self.start(place) for place in range(len(plan.kinds))]
        self.subscriptions: list[tuple[Edge, Subscription]] = []
        for edge in plan.edges:
            self.subscribe(edge)

    def start(self, place: int) -> Ref:
        ref: Ref = self.plan.kinds[place].start(place, self.plan.fan_outs[place])
        self.ever.append(ref)
        return ref

    def subscribe(self, edge: Edge) -> None:
        child, parent = self.now[edge.child], self.now[edge.parent]
        if not (child.is_alive() and parent.is_alive()):
            return
        try:
            subscription = sync_subscribe(
                child, to=parent, max_demand=edge.most, min_demand=edge.least, cancel=edge.cancel,
                partition=edge.partition, timeout=SECONDS,
            )  # fmt: skip
        except ActorError:
            return  # it has died of a producer just now
        self.subscriptions.append((edge, subscription))

    def trouble(self, kind: str, number: int) -> None:
        place = number % len(self.now)
        if kind == "kill":
            self.now[place].kill()
        elif kind == "crash":
            self.now[place].cast("trouble")
        elif kind == "restart":
            if self.now[place].is_alive():
                return
            self.now[place] = self.start(place)
            for edge in self.plan.edges:
                if place in (edge.parent, edge.child):
                    self.subscribe(edge)
        elif kind == "subscribe":
            self.subscribe(self.plan.edges[number % len(self.plan.edges)])
        elif kind == "look":
            graph(*self.now, timeout=SECONDS)
        elif self.subscriptions:
            edge, subscription = self.subscriptions[number % len(self.subscriptions)]
            cancel(subscription, "no more of it" if number % 2 else "normal")
            if kind == "again":
                self.subscribe(edge)

    @property
    def alive(self) -> list[Ref]:
        return [ref for ref in self.now if ref.is_alive()]

    def rest(self) -> StageGraph:
        """Have the sources make nothing more, and wait until nothing moves."""
        for ref in self.alive:
            if issubclass(ref.actor_class, Endless):
                ref.send(lambda source, _: setattr(source, "resting", True))
        pictures: list[StageGraph] = [graph(*self.alive, timeout=SECONDS)]

        def rests() -> bool:
            pictures.append(graph(*self.alive, timeout=SECONDS))
            stages = pictures[-1].stages
            # One that is to end behind its events, and has no consumer for them, completes for ever.
            idle = all(stage.state in ("idle", "completing") and not stage.mailbox for stage in stages)
            return idle and pictures[-1] == pictures[-2]

        until(rests)
        return pictures[-1]


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(event in rest for event in part)


def check_edges(run: Run, at_rest: StageGraph) -> None:
    logs: dict[Ref, Any] = {ref: ref._cell.actor for ref in run.ever}
    there = {(edge.producer, edge.consumer) for edge in at_rest.edges}
    held = {stage.id: stage.waiting for stage in at_rest.stages}
    for ref, log in logs.items():
        for subscription, sent in log.sent.items():
            handled = logs[subscription.consumer].handled[subscription]
            assert handled == sent[: len(handled)]
            lived = (subscription.producer.id, subscription.consumer.id) in there and not subscription.closed
            if lived and not held[subscription.consumer.id]:
                assert len(handled) == len(sent)
        if ref.is_alive():
            check_stage(ref, log, at_rest)


def check_stage(ref: Ref, log: Any, at_rest: StageGraph) -> None:
    if isinstance(log, ProducerConsumer):
        assert log.made == list(range(len(log.made)))
        # The rest of a generator is made when it is asked for.
        assert len(log.made) <= log.taken if isinstance(log, LazyPassing) else len(log.made) == log.taken
    if not isinstance(log, (Producer, ProducerConsumer)):
        return
    stage = at_rest.stage(ref.id)
    if stage.coupled == "broadcast":
        for sent in log.sent.values():
            first = log.made.index(sent[0]) if sent else 0
            assert sent == log.made[first : first + len(sent)]
        return
    everything = [event for sent in log.sent.values() for event in sent]
    assert len(set(everything)) == len(everything)
    assert all(is_subsequence(sent, log.made) for sent in log.sent.values())
    still_there = stage.buffered + sum(stage.queued.values()) + stage.discarded
    assert len(everything) + still_there == len(log.made)


def run_plan(plan: Plan) -> None:
    run = Run(plan)
    for kind, number in plan.troubles:
        run.trouble(kind, number)
    check_stalls(run)
    check_edges(run, run.rest())
    for ref in run.alive:
        ref.stop(block=False)
    for ref in run.ever:
        ended(ref)


def check_stalls(run: Run) -> None:
    """While events flow, only loose ends are named: what the troubles have cut off."""
    for stall in stalls(*run.alive, timeout=SECONDS):
        assert stall.kind in ("no_consumers", "no_producers", "partition"), stall
        if stall.kind == "partition":
            assert "without a consumer" in stall.what


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of crashes on purpose need not be in the log."""
    names = ("slither_actors.actors", "slither_actors.stages")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


RANDOM = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


ENDS_BEHIND_EVENTS = Plan(
    kinds=(Endless, Endless, AsyncPassing, AsyncPassing, Taking, Taking, Taking),
    fan_outs=(
        "shared partition", "partition", "shared partition", "broadcast", "demand", "demand", "demand",
    ),
    edges=(
        Edge(0, 2, 37, 17, "permanent", 2), Edge(1, 2, 22, 2, "transient", 2),
        Edge(0, 3, 37, 16, "temporary", 2), Edge(1, 3, 6, 2, "temporary", 0),
        Edge(2, 3, 35, 3, "temporary", 0), Edge(1, 4, 13, 1, "temporary", 0),
        Edge(3, 5, 8, 5, "permanent", 2), Edge(3, 6, 28, 11, "temporary", 1),
    ),
    troubles=(("cancel", 40), ("subscribe", 58), ("restart", 50)),
)  # fmt: skip
"""Stage 2 is to end with its first producer, and gets events of the second one then."""


@settings(RANDOM, max_examples=40)
@given(plans())
@example(ENDS_BEHIND_EVENTS)
@example(ENDS_BEHIND_EVENTS)
@example(ENDS_BEHIND_EVENTS)
def test_no_trouble_loses_doubles_or_reorders_an_event_on_a_subscription(plan: Plan) -> None:
    """Nor stalls the rest of the graph, nor keeps an actor from its end."""
    run_plan(plan)


@pytest.mark.stress
@pytest.mark.timeout(300)
@settings(RANDOM, max_examples=400)
@given(plans(most_troubles=60))
def test_neither_does_a_lot_of_it(plan: Plan) -> None:
    """Longer, and more often."""
    run_plan(plan)
