"""Random graphs of real stages: every event arrives exactly once, in order on each path."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.actors import Ref
from slither_actors.stages import (
    BroadcastFanOut,
    Consumer,
    DemandFanOut,
    PartitionFanOut,
    ProducerConsumer,
    Subscription,
    ask,
    from_iterable,
    sync_subscribe,
)
from tests.stages.probes import ended


@attrs.frozen
class Plan:
    """One stage. Parents are places in the list of plans, -1 is the input; no parent comes later."""

    parents: tuple[int, ...]
    demands: tuple[tuple[int, int], ...]
    """Per parent: max_demand and min_demand."""
    made: int
    """Events made of one."""
    dropped: int
    """Every event divisible by this is dropped, before; 0 drops none."""
    fan_out: str
    manual: int
    """The events to ask for at a time; 0 asks as the demands say."""
    kind: str
    """What its `handle_events` is; a stage without consumers is no generator."""
    concurrency: int
    """Of coroutines."""


@st.composite
def demands(draw: st.DrawFn) -> tuple[int, int]:
    max_demand = draw(st.one_of(st.integers(1, 5), st.integers(1, 200)))
    return max_demand, draw(st.integers(0, max_demand - 1))


@st.composite
def graphs(draw: st.DrawFn) -> list[Plan]:
    """Chains, trees and graphs with joins of up to eight stages."""
    graph = []
    for place in range(draw(st.integers(1, 8))):
        shape = draw(st.sampled_from(["chain", "tree", "join"]))
        if shape == "chain" or place == 0:
            parents = {place - 1}
        elif shape == "tree":
            parents = {draw(st.integers(-1, place - 1))}
        else:
            parents = draw(st.sets(st.integers(-1, place - 1), min_size=1, max_size=3))
        graph.append(
            Plan(
                tuple(sorted(parents)),
                tuple(draw(demands()) for _ in parents),
                draw(st.sampled_from([1, 1, 1, 0, 2, 3])),
                draw(st.sampled_from([0, 0, 2, 3])),
                draw(st.sampled_from(["demand", "demand", "broadcast", "partition"])),
                draw(st.sampled_from([0, 0, 0, 1, 7])),
                draw(st.sampled_from(["def", "def", "generator", "async", "async generator"])),
                draw(st.sampled_from([1, 1, 2, 5])),
            )
        )
    return graph


class Joining:
    """Notes what comes from whom, and ends with the last of its producers."""

    end: Callable[[Any], None]

    def init(self, plan: Plan, **options: Any) -> None:
        self.plan = plan
        self.max_concurrency = plan.concurrency
        self.came: dict[Ref, list[int]] = {}
        self.made: list[int] = []
        self.producers = len(plan.parents)
        self.owed: dict[Subscription, int] = {}
        for name, value in options.items():
            setattr(self, name, value)

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        if role == "consumer":
            return None
        self.came[source.producer] = []
        if not self.plan.manual:
            return "automatic"
        self.owed[source] = self.plan.manual
        ask(source, self.plan.manual)
        return "manual"

    def handle(self, events: Sequence[int], source: Subscription) -> list[int]:
        self.came[source.producer] += events
        plan = self.plan
        if plan.manual:
            self.owed[source] -= len(events)
            assert self.owed[source] >= 0
            if not self.owed[source]:
                self.owed[source] = plan.manual
                ask(source, plan.manual)
        else:
            assert len(events) <= (source.demand.max_demand if source.closed else source.demand.chunk_size)
            assert not source.demand.excess
        made = [
            event * plan.made + copy
            for event in events
            if not plan.dropped or event % plan.dropped
            for copy in range(plan.made)
        ]
        self.made += made
        return made

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        if source.producer not in self.came:
            return
        self.producers -= 1
        if not self.producers:
            self.end()


class Inner(Joining, ProducerConsumer):
    end = ProducerConsumer.complete

    def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        return self.handle(events, source)


class LazyInner(Inner):
    def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        yield from self.handle(events, source)


class AsyncInner(Inner):
    async def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        made = self.handle(events, source)
        await turns(events)
        return made


class StreamInner(Inner):
    async def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        for event in self.handle(events, source):
            await turns(events)
            yield event


class Leaf(Joining, Consumer):
    end = Consumer.stop

    def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        self.handle(events, source)


class AsyncLeaf(Leaf):
    async def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        self.handle(events, source)
        await turns(events)


INNER = {"def": Inner, "generator": LazyInner, "async": AsyncInner, "async generator": StreamInner}


async def turns(events: Sequence[int]) -> None:
    """Let others go first: the more, the less it looks like an order."""
    for _ in range(hash(tuple(events)) % 4):
        await asyncio.sleep(0)


def fan_out(kind: str, consumers: int) -> Any:
    by_remainder = functools.partial(PartitionFanOut, max(1, consumers), hash=lambda e: (e, e % consumers))
    return {"demand": DemandFanOut, "broadcast": BroadcastFanOut, "partition": by_remainder}[kind]


def run(graph: list[Plan], size: int) -> list[Ref]:
    """Start the stages and connect them from the last to the first, then wait for the end."""
    children = {
        place: [n for n, plan in enumerate(graph) if place in plan.parents] for place in range(len(graph))
    }
    stages = [
        INNER[plan.kind].start(plan, dispatcher=fan_out(plan.fan_out, len(children[place])))
        if children[place]
        else (AsyncLeaf if "async" in plan.kind else Leaf).start(plan)
        for place, plan in enumerate(graph)
    ]
    for place in reversed(range(len(graph))):
        plan = graph[place]
        # The input comes last, so every consumer is there before the first event.
        for parent, (most, least) in sorted(zip(plan.parents, plan.demands, strict=True), reverse=True):
            to = from_iterable(range(size)) if parent < 0 else stages[parent]
            extra = {"partition": children[parent].index(place)} if parent >= 0 else {}
            sync_subscribe(
                stages[place], to=to, max_demand=most, min_demand=least, cancel="temporary", **extra
            )
    for stage in stages:
        assert ended(stage) == "normal"
    return stages


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(event in rest for event in part)


@settings(deadline=None, max_examples=3 * settings.default.max_examples)
@given(graphs(), st.integers(0, 300))
def test_every_event_arrives_once_and_in_order(graph: list[Plan], size: int) -> None:
    """Checked on each edge: what a stage made against what its consumers got of it.

    Whatever kinds of functions the handlers are.
    """
    stages = run(graph, size)
    actors: list[Any] = [stage._cell.actor for stage in stages]
    for place, plan in enumerate(graph):
        if -1 in plan.parents:
            (fed,) = [events for ref, events in actors[place].came.items() if ref not in stages]
            assert fed == list(range(size))
        consumers = [actors[n] for n, each in enumerate(graph) if place in each.parents]
        if not consumers:
            continue
        made = actors[place].made
        shares = [consumer.came[stages[place]] for consumer in consumers]
        if plan.fan_out == "broadcast":
            assert all(share == made for share in shares)
        elif plan.fan_out == "partition":
            count = len(shares)
            assert shares == [[event for event in made if event % count == n] for n in range(count)]
        else:
            assert sorted(event for share in shares for event in share) == sorted(made)
            assert all(is_subsequence(share, made) for share in shares)
