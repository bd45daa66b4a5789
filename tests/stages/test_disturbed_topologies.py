"""Random graphs whose consumers crash, cancel and subscribe anew at any moment: no event is lost.

All subscriptions hand over at least once. Producer-consumers are disturbed in
every way but a crash, which loses what they had made and not sent.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.actors import Ref
from slither_actors.errors import ActorExitError
from slither_actors.stages import (
    Consumer,
    DemandFanOut,
    PartitionFanOut,
    Producer,
    ProducerConsumer,
    RoundRobinFanOut,
    Subscription,
    WeightedFanOut,
    ask,
    cancel,
    sync_resubscribe,
    sync_subscribe,
)
from tests.stages.probes import ended, settle

PARTITIONS = 2

FAN_OUTS: dict[str, Callable[[], Any]] = {
    "demand": DemandFanOut,
    "round robin": RoundRobinFanOut,
    "weighted": functools.partial(WeightedFanOut, lambda: 0.0),
    "partition": functools.partial(PartitionFanOut, PARTITIONS, max_consumers=None),
    "bounded": functools.partial(PartitionFanOut, PARTITIONS, max_consumers=None, buffer_size=3),
}


class Feed(Producer):
    """Emits what it is asked for, up to a number, and ends behind that once it may."""

    def init(self, size: int, kind: str) -> None:
        self.dispatcher = FAN_OUTS[kind]
        self.next, self.size, self.may_end = 0, size, False

    def handle_demand(self, demand: int) -> range:
        first, self.next = self.next, min(self.size, self.next + demand)
        if self.next == self.size and self.may_end:
            self.complete()
        return range(first, self.next)

    def handle_cast(self, message: str) -> None:
        self.may_end = True
        if self.next == self.size:
            self.complete()


class Pass(ProducerConsumer):
    """Hands on what it gets, and ends with the feed, whatever became of its subscriptions to it before."""

    def init(self, kind: str) -> None:
        self.dispatcher = FAN_OUTS[kind]

    def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        return events

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        if cause[0] == "down" and source.consumer is self.ref:
            self.complete()


class Taker(Consumer):
    """Notes what it has handled, and crashes at every `every`-th chunk; 0 is never."""

    def init(self, done: list[int], every: int, manual: int) -> None:
        self.done, self.every, self.manual = done, every, manual
        self.chunks = 0

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        if not self.manual:
            return None
        ask(source, self.manual)
        return "manual"

    def begin(self, events: Sequence[int]) -> None:
        self.chunks += 1
        if self.every and self.chunks % self.every == 0:
            raise RuntimeError(self.chunks)

    def handle_events(self, events: Sequence[int], source: Subscription) -> Any:
        self.begin(events)
        self.done += events
        if self.manual:
            ask(source, len(events))


class AsyncTaker(Taker):
    max_concurrency = 2
    ordered = False

    async def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        self.begin(events)
        for _ in range(events[0] % 3):
            await asyncio.sleep(0)
        self.done += events
        if self.manual:
            ask(source, len(events))


@attrs.frozen
class Step:
    """Something that is done to the graph while events flow."""

    what: str
    whom: int
    to: int
    max_demand: int
    min_share: float
    max_wait: float | None
    kind: type[Taker]
    every: int
    manual: int
    partition: int

    def options(self) -> dict[str, Any]:
        return {
            "max_demand": self.max_demand,
            "min_demand": int(self.min_share * (self.max_demand - 1)),
            "max_wait": self.max_wait,
            "partition": self.partition,
            "cancel": "temporary",
            "delivery": "at_least_once",
        }


steps = st.builds(
    Step,
    what=st.sampled_from(["add", "add", "kill", "stop", "cancel", "resubscribe", "wait", "move"]),
    whom=st.integers(0, 20),
    to=st.integers(0, 20),
    max_demand=st.one_of(st.integers(1, 6), st.integers(1, 60)),
    min_share=st.floats(0, 1),
    max_wait=st.sampled_from([None, None, 0.001, 0.01]),
    kind=st.sampled_from([Taker, AsyncTaker]),
    every=st.sampled_from([0, 0, 0, 1, 2, 5]),
    manual=st.sampled_from([0, 0, 0, 1, 4]),
    partition=st.integers(0, PARTITIONS - 1),
)


class Graph:
    """The stages and their subscriptions, as the test's thread knows them."""

    def __init__(self, kinds: list[str], size: int) -> None:
        self.done: list[int] = []
        self.feed = Feed.start(size, kinds[0])
        self.producers: list[Ref] = [self.feed]
        self.subscriptions: list[Subscription] = []
        for kind in kinds[1:]:
            middle = Pass.start(kind)
            self.producers.append(middle)
            self.inputs(middle)

    def inputs(self, middle: Ref) -> None:
        for partition in range(PARTITIONS):
            options = {"cancel": "temporary", "delivery": "at_least_once", "partition": partition}
            self.subscriptions.append(sync_subscribe(middle, to=self.feed, max_demand=20, **options))

    def add(self, step: Step) -> None:
        taker = step.kind.start(self.done, step.every, step.manual)
        to = self.producers[step.to % len(self.producers)]
        self.subscriptions.append(sync_subscribe(taker, to=to, **step.options()))

    def run(self, step: Step) -> None:
        takers = [each for each in self.subscriptions if issubclass(each.consumer.actor_class, Taker)]
        chosen = takers if step.what in ("kill", "stop") else self.subscriptions
        if step.what == "add" or not chosen:
            self.add(step)
            return
        victim = chosen[step.whom % len(chosen)]
        if step.what == "wait":
            settle(self.feed, rounds=step.to)
        elif step.what in ("kill", "stop"):
            getattr(victim.consumer, step.what)()
        elif step.what == "cancel":
            cancel(victim, "enough")
            if victim.consumer in self.producers:
                self.inputs(victim.consumer)
        elif victim.consumer.is_alive():
            to = victim.producer
            if step.what == "move" and victim.consumer not in self.producers:
                to = self.producers[step.to % len(self.producers)]
            self.anew(victim, to, step)

    def anew(self, old: Subscription, to: Ref, step: Step) -> None:
        partition = old.options.extra["partition"]
        try:
            new = sync_resubscribe(old.consumer, old, to=to, **{**step.options(), "partition": partition})
        except ActorExitError:
            return  # it crashes when it likes
        self.subscriptions.append(new)

    def finish(self) -> None:
        """Give every producer consumers that take what is left, and wait for its end."""
        for number, producer in enumerate(self.producers):
            for partition in range(PARTITIONS):
                taker = Taker.start(self.done, 0, 0)
                extra = {"cancel": "temporary", "delivery": "at_least_once", "partition": partition}
                sync_subscribe(taker, to=producer, max_demand=10 + number, **extra)
        self.feed.cast("end")
        for producer in self.producers:
            assert ended(producer) == "normal"


@settings(deadline=None, max_examples=2 * settings.default.max_examples)
@given(
    st.lists(st.sampled_from(sorted(FAN_OUTS)), min_size=1, max_size=3),
    st.integers(0, 400),
    st.lists(steps, max_size=25),
)
def test_no_event_is_lost_whatever_happens_to_the_consumers(
    kinds: list[str], size: int, script: list[Step]
) -> None:
    """Each is handled; the producers end, so each was acknowledged, and demand has not stalled."""
    graph = Graph(kinds, size)
    for step in script:
        graph.run(step)
    graph.finish()
    handled = Counter(graph.done)
    assert sorted(handled) == list(range(size))
    disturbed = any(step.what not in ("add", "wait") or step.every for step in script)
    if not disturbed:
        assert max(handled.values(), default=1) == 1
