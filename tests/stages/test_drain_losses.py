"""What is lost with stages that are killed at the deadline of a drain is counted, event by event."""

from __future__ import annotations

import asyncio
import functools
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Ref
from slither_actors.stages import (
    PartitionFanOut,
    Producer,
    RoundRobinFanOut,
    Subscription,
    ask,
    cancel,
    connected,
    drain,
    from_async_iterable,
    statistics,
    sync_subscribe,
)
from slither_actors.stages._losses import _from_the_source
from tests.stages.gates import Gate
from tests.stages.probes import SECONDS, Middle, Silent, Sink, Source, ended, inside, seen, settle, until


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads change after every few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class AsyncSink(Sink):
    """Has handled a chunk when its coroutine is at its end."""

    max_concurrency = 3

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.count += len(events)


class AsyncMiddle(Middle):
    max_concurrency = 2

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
        await asyncio.sleep(0)
        return events


class AsyncSource(Producer):
    """What it has made counts when it was returned."""

    def init(self) -> None:
        self.next = 0

    async def handle_demand(self, demand: int) -> range:
        await asyncio.sleep(0)
        first, self.next = self.next, self.next + demand
        return range(first, self.next)


def chain(middle: Any = Middle, sink: Any = Sink, **options: Any) -> tuple[Ref, list[Ref]]:
    source, between, last = Source.start(10**9), middle.start(), sink.start()
    sync_subscribe(last, to=between, **options)
    sync_subscribe(between, to=source, **options)
    return source, [last]


def spread(dispatcher: Any, **options: Any) -> tuple[Ref, list[Ref]]:
    source, sinks = Source.start(10**9, dispatcher=dispatcher), [Sink.start() for _ in range(3)]
    for number, sink in enumerate(sinks):
        own = {"partition": number} if dispatcher is not RoundRobinFanOut else {}
        sync_subscribe(sink, to=source, **own, **options)
    return source, sinks


def made_later() -> tuple[Ref, list[Ref]]:
    source, sink = AsyncSource.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    return source, [sink]


GRAPHS: dict[str, Callable[[], tuple[Ref, list[Ref]]]] = {
    "chain": functools.partial(chain, max_demand=10),
    "long lists": functools.partial(chain, max_demand=1000, min_demand=990),
    "at least once": functools.partial(chain, max_demand=10, delivery="at_least_once"),
    "collected": functools.partial(chain, max_demand=10, max_wait=0.001),
    "coroutines": functools.partial(chain, AsyncMiddle, AsyncSink, max_demand=12, min_demand=10),
    "coroutine at the end": functools.partial(chain, sink=AsyncSink, max_demand=12, min_demand=10),
    "coroutine at the source": made_later,
    "partitions": functools.partial(spread, functools.partial(PartitionFanOut, 3), max_demand=10),
    "round robin": functools.partial(spread, RoundRobinFanOut, max_demand=10),
}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("kind", GRAPHS)
def test_what_was_made_was_handled_or_is_counted_as_lost(kind: str) -> None:
    """Exactly, whatever the stages are at when the deadline comes; whether they hear of the drain or not."""
    chance = random.Random(kind)
    losses = 0
    for _ in range(40):
        source, sinks = GRAPHS[kind]()
        wanted = chance.randrange(1, 200)
        until(lambda sinks=sinks, wanted=wanted: sum(s._cell.actor.count for s in sinks) >= wanted)
        stages = connected(source)
        report = drain(*stages, timeout=chance.choice([0.0, 0.0, 0.0002, 0.001]))
        assert set(report.killed) | set(report.ended) == set(stages)
        for stage in stages:
            assert stage.join(SECONDS)
        handled = sum(seen(sink, "count") for sink in sinks)
        assert handled + report.lost == seen(source, "next"), report
        losses += report.lost
    assert losses


# -- one by one ------------------------------------------------------------------------------


class Stuck(Sink):
    """Stays in `handle_events` until the test lets it go."""

    def init(self, **options: Any) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        super().init(**options)

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        self.entered.set()
        self.go.wait(SECONDS)
        super().handle_events(events, source)


def stuck(**options: Any) -> tuple[Ref, Ref, Stuck]:
    source, sink = Silent.start(), Stuck.start()
    actor: Any = sink._cell.actor
    sync_subscribe(sink, to=source, **options)
    settle(source)
    return source, sink, actor


@pytest.mark.parametrize("options", [{}, {"max_wait": 60.0}, {"delivery": "at_least_once"}])
def test_the_rest_of_the_list_that_a_stuck_handler_is_in_is_lost(options: dict[str, Any]) -> None:
    """The chunk that it is at work on is not counted, and it begins no other."""
    source, sink, actor = stuck(max_demand=8, min_demand=6, **options)
    inside(source, lambda stage: stage.emit(range(8)))
    assert actor.entered.wait(SECONDS)
    assert drain(source, sink, timeout=0.05).killed[sink] == 6
    actor.go.set()
    assert ended(sink) == "killed"
    assert actor.count == 2


def test_a_handler_that_returns_in_time_has_handled_its_events() -> None:
    """The message at work is finished; what waits behind it is lost."""
    source, sink, actor = stuck(max_demand=8, min_demand=0)
    inside(source, lambda stage: stage.emit([1, 2]))
    inside(source, lambda stage: stage.emit([3]))
    assert actor.entered.wait(SECONDS)
    timer = threading.Timer(0.1, actor.go.set)
    timer.start()
    assert drain(source, sink, timeout=0.0).killed[sink] == 1
    timer.join()
    assert actor.count == 2


def test_what_comes_back_to_a_producer_that_lives_is_not_lost() -> None:
    """It is in its buffer, for the next consumer; the chunk at work was handled in the end."""
    source, sink, actor = stuck(max_demand=8, min_demand=6, delivery="at_least_once")
    inside(source, lambda stage: stage.emit(range(8)))
    assert actor.entered.wait(SECONDS)
    assert drain(sink, timeout=0.05).killed == {sink: 0}
    actor.go.set()
    ended(sink)
    settle(source)
    assert (statistics(source).buffered, actor.count) == (6, 2)


def test_what_would_have_come_back_to_a_producer_that_is_killed_is_lost() -> None:
    """Its consumer is gone, or has left, and it has not heard of it."""
    release, entered = threading.Event(), threading.Event()

    class Busy(Silent):
        def handle_cast(self, message: Any) -> None:
            entered.set()
            release.wait(SECONDS)

    source, gone, leaving = Busy.start(dispatcher=RoundRobinFanOut), Sink.start(), Sink.start()
    options: dict[str, Any] = {
        "max_demand": 20,
        "min_demand": 0,
        "delivery": "at_least_once",
        "max_wait": 60.0,
    }
    sync_subscribe(gone, to=source, **options)
    settle(source)
    inside(source, lambda stage: stage.emit(range(2)))
    left = sync_subscribe(leaving, to=source, **options)
    settle(source)
    inside(source, lambda stage: stage.emit(range(8)))
    settle(gone, leaving)
    kept = statistics(source).unacknowledged
    source.cast("wait")
    assert entered.wait(SECONDS)
    gone.kill()
    ended(gone)
    cancel(left)
    assert drain(source, leaving, timeout=0.05).lost == kept == 10
    release.set()


def test_the_events_of_a_generator_that_is_not_at_its_end_are_lost() -> None:
    """All that it was made of: nobody knows what it has done with."""

    class Twice(Middle):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> Iterator[Any]:
            for event in events:
                yield event
                yield event

    source, middle, sink = Silent.start(), Twice.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    ask(subscription, 3)
    settle(sink, middle, source)
    inside(source, lambda stage: stage.emit(range(5)))
    settle(middle, sink)
    assert statistics(middle).in_flight == 5
    assert drain(middle, sink, timeout=0.0).killed[middle] == 5


def test_what_was_read_ahead_of_an_async_iterable_is_lost() -> None:
    """It was taken out of there."""

    async def numbers() -> Any:
        for number in range(100):
            yield number

    source, sink = from_async_iterable(numbers(), buffer_size=7), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    settle(sink, source)
    job = inside(source, lambda stage: stage._job)
    until(lambda: len(job.basket) == 7)
    settle(sink)
    source.suspend()
    assert drain(source, sink, timeout=0.0).killed[source] == 7
    assert seen(sink, "count") == 3


def test_what_a_coroutine_of_a_message_has_emitted_and_nobody_has_seen_is_lost() -> None:
    """It is on its way to the stage itself."""
    gate = Gate()

    class Late(Silent):
        async def handle_cast(self, message: Any) -> None:
            self.emit([message] * 3)
            await gate.wait()

    source = Late.start()
    source.cast(1)
    gate.await_waiting(None)
    settle(source)
    source.suspend()
    source.cast(2)
    inside_loop = statistics(source).buffered
    assert inside_loop == 3
    gate.open()
    source.resume()
    until(lambda: statistics(source).buffered == 6)
    source.suspend()
    assert drain(source, timeout=0.0).lost == 6


def test_stages_are_halted_from_the_source_on() -> None:
    """Rings and those that were named last included."""
    source, middles, sink = Silent.start(), [Middle.start() for _ in range(4)], Sink.start()
    line = [source, *middles, sink]
    for producer, consumer in zip(line, line[1:], strict=False):
        sync_subscribe(consumer, to=producer)
    assert _from_the_source(reversed(line)) == _from_the_source(line) == line
    sync_subscribe(middles[0], to=middles[-1])
    assert set(_from_the_source(reversed(line))) == set(line)
    assert _from_the_source(line)[0] is source
