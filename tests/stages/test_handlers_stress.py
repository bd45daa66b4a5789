"""Handlers of every kind under threads that switch as often as they can, with crashes, kills and cancels."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Crash, Ref, zombies
from slither_actors.stages import Subscription, cancel, sync_subscribe
from slither_actors.stages._loop import shared
from tests.stages.probes import SECONDS, Middle, Sink, Source, ended, seen, until

pytestmark = [pytest.mark.stress, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Checking(Sink):
    """Checks the order; says when it has `expected` events."""

    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        for event in events:
            assert event == self.count
            self.count += 1
        if self.count >= self.expected:
            self.got.set()


class AsyncChecking(Checking):
    async def handle_events(self, events: Sequence[int], source: Subscription) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().handle_events(events, source)


class Plain(Middle):
    def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        return events


class Lazy(Middle):
    def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
        yield from events


class Awaiting(Middle):
    max_concurrency = 3

    async def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:  # type: ignore[override]
        for _ in range(events[0] % 3):
            await asyncio.sleep(0)
        return events


class Streaming(Middle):
    max_concurrency = 3

    async def handle_events(self, events: Sequence[int], source: Subscription) -> AsyncIterator[int]:  # type: ignore[override]
        for event in events:
            await asyncio.sleep(0)
            yield event


class AsyncSource(Source):
    async def handle_demand(self, demand: int) -> range:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().handle_demand(demand)


def chain(*stages: Ref, max_demand: int = 20) -> list[Subscription]:
    """Connect stages, the last one first; return the subscriptions."""
    pairs = list(zip(stages, stages[1:], strict=False))
    return [
        sync_subscribe(to, to=source, max_demand=max_demand, min_demand=max_demand // 3, timeout=SECONDS)
        for source, to in reversed(pairs)
    ]


@pytest.mark.parametrize("max_demand", [1000, 50, 2])
def test_a_graph_of_all_kinds_loses_and_doubles_nothing(max_demand: int) -> None:
    """In order, through every kind of handler."""
    count = 200 * max_demand if max_demand < 1000 else 20_000
    stages = [kind.start() for kind in (Streaming, Plain, Lazy, Awaiting)]
    sink = AsyncChecking.start()
    chain(AsyncSource.start(count), *stages, sink, max_demand=max_demand)
    assert sink.join(100)
    assert sink.exit_reason == "normal"
    assert seen(sink, "count") == count


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("end", ["kill", "stop", "crash", "cancel"])
def test_async_stages_that_end_at_any_moment_leave_nothing(end: str, seed: int) -> None:
    """The consumer has the first events without a gap; no task, no zombie and no wait is left."""
    dice = random.Random(f"{end}{seed}")
    kinds = dice.choices([Plain, Lazy, Awaiting, Streaming], k=3)
    expected = dice.choice([1, 10, 100, 500])
    sink = dice.choice([Checking, AsyncChecking]).start(expected=expected)
    source = dice.choice([Source, AsyncSource]).start(10**9)
    stages = [source, *(kind.start() for kind in kinds), sink]
    got = seen(sink, "got")
    subscriptions = chain(*stages, max_demand=dice.choice([3, 20, 100]))
    assert got.wait(SECONDS)
    victim = dice.randrange(len(stages) - 1)
    if end == "cancel":
        cancel(subscriptions[victim])
    elif end == "crash":
        stages[victim].send(crash)
    else:
        getattr(stages[victim], end)()
    reason = ended(sink)
    if end == "crash":
        assert isinstance(reason, Crash)
        assert isinstance(reason.exception, LookupError)
    else:
        assert reason == {"kill": "killed"}.get(end, "normal")
    assert seen(sink, "count") >= expected
    for stage in stages:
        stage.kill()
    for stage in stages:
        assert stage.join(SECONDS)
    until(lambda: shared.loop is None or not asyncio.all_tasks(shared.loop))
    assert not zombies()


def crash(stage: Any, _: None) -> None:
    raise LookupError


def test_coroutines_beside_handlers_that_block() -> None:
    """A `def` that waits in C is the scheduler's affair; the others go on in time."""
    blocked = threading.Event()

    class Blocking(Middle):
        def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
            if events[0] == 0:
                blocked.set()
                time.sleep(0.5)
            return events

    slow = Checking.start(expected=1)
    chain(AsyncSource.start(100), Awaiting.start(), Blocking.start(), slow)
    assert blocked.wait(SECONDS)
    began = time.monotonic()
    sink = AsyncChecking.start()
    chain(AsyncSource.start(100), Streaming.start(), Lazy.start(), Plain.start(), sink)
    assert ended(sink) == "normal"
    assert time.monotonic() - began < 0.4 or seen(slow, "count") == 0
    assert ended(slow) == "normal"
    assert seen(slow, "count") == 100
