"""Streams under threads that switch as often as they can: readers leave, producers end, both at once."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from slither_actors.actors import zombies
from slither_actors.actors._cell import live_cells
from slither_actors.errors import StreamError
from slither_actors.stages import from_async_iterable, from_iterable, stream, sync_subscribe
from tests.stages.probes import SECONDS, Middle, Source, until

pytestmark = [pytest.mark.stress, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def _no_actor_is_left() -> Iterator[None]:
    """Before the fixture of the package kills what there is."""
    before = {cell.id for cell in live_cells()}
    yield
    until(lambda: {cell.id for cell in live_cells()} <= before)
    assert zombies() == []


def graph(rng: random.Random) -> tuple[Any, list[Any]]:
    """Start a chain that counts, and return its end and its stages."""
    source = rng.choice([Source.start, from_some])(rng.choice([0, 50, 10**9]))
    if rng.random() < 0.5:
        return source, [source]
    middle = Middle.start(lambda events: events)
    sync_subscribe(middle, to=source, max_demand=rng.choice([2, 10, 100]))
    return middle, [middle, source]


def from_some(limit: int) -> Any:
    return from_iterable(iter(range(limit)))


def disturb(rng: random.Random, stages: list[Any], events: Any) -> threading.Thread | None:
    """Have another thread end something, at some moment or other."""
    acts = [
        None,
        events.close,
        stages[-1].stop,
        stages[0].kill,
        lambda: stages[0].stop("broken"),
    ]
    act = rng.choice(acts)
    if act is None:
        return None
    delay = threading.Event()
    pause = rng.choice([0, 0, 1e-5, 1e-3])
    thread = threading.Thread(target=lambda: (pause and delay.wait(pause), act()))
    thread.start()
    return thread


@pytest.mark.parametrize("seed", range(8))
def test_readers_that_leave_at_any_moment_leave_nothing_behind(seed: int) -> None:
    """What they got is what was counted, in order, without a gap."""
    rng = random.Random(seed)
    for _ in range(40):
        end, stages = graph(rng)
        options = {"max_demand": rng.choice([1, 2, 7, 100])}
        chunks = rng.random() < 0.3
        events = stream({"to": end, **options}, chunks=chunks)
        limit = rng.choice([0, 1, 3, 50, 120])
        other = disturb(rng, stages, events)
        got: list[int] = []
        try:
            for event in events:
                got.extend(event if chunks else [event])
                if len(got) > limit:
                    break
        except StreamError as error:
            assert error.reason in ("broken", "killed", "noproc"), error  # noqa: PT017
        assert got == list(range(len(got)))
        del events
        if other is not None:
            other.join(SECONDS)
            assert not other.is_alive()
        for stage in stages:
            stage.kill()


@pytest.mark.parametrize("seed", range(8))
def test_async_readers_that_leave_at_any_moment_leave_nothing_behind(seed: int) -> None:
    """By a break, by a cancellation of their task, with one another in one loop."""
    rng = random.Random(seed)

    async def read(events: Any, limit: int) -> None:
        got = []
        try:
            async for event in events:
                got.append(event)
                if len(got) > limit:
                    break
        except StreamError as error:
            assert error.reason in ("broken", "killed", "noproc"), error  # noqa: PT017
        finally:
            assert got == list(range(len(got)))

    async def one() -> None:
        end, stages = graph(rng)
        events = stream({"to": end, "max_demand": rng.choice([1, 2, 7, 100])})
        task = asyncio.create_task(read(events, rng.choice([0, 1, 3, 50, 10**9])))
        other = disturb(rng, stages, events)
        for _ in range(rng.choice([0, 1, 3, 30])):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=SECONDS)
        assert task.done()
        assert task.cancelled() or task.exception() is None
        events.close()
        for stage in stages:
            stage.kill()
        if other is not None:
            await asyncio.to_thread(other.join, SECONDS)

    async def main() -> None:
        for _ in range(15):
            await asyncio.gather(*(one() for _ in range(3)))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("where", ["here", "the loop of the stages"])
def test_async_generators_are_closed_whoever_leaves(where: str) -> None:
    """Whatever ends them, and when: each that began has ended."""
    rng = random.Random(where)
    begun, closed = [], []

    async def counting() -> AsyncIterator[int]:
        begun.append(True)
        try:
            for number in range(10**9):
                if rng.random() < 0.1:
                    await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main() -> None:
        for _ in range(100):
            source = from_async_iterable(
                counting(), buffer_size=rng.choice([0, 5]), on_cancel="stop", loop=shared_loop
            )
            count = 0
            limit = rng.choice([0, 1, 30])
            try:
                async for event in stream({"to": source, "max_demand": 4}):
                    assert event == count
                    count += 1
                    if count > limit:
                        break
                    if rng.random() < 0.05:
                        source.kill()
            except StreamError as error:
                assert error.reason == "killed"  # noqa: PT017
        while len(closed) < len(begun):
            await asyncio.sleep(0)

    shared_loop = None
    if where != "here":
        from slither_actors.stages._loop import shared

        shared.call(lambda: None)
        shared_loop = shared.loop
    asyncio.run(asyncio.wait_for(main(), 60))
    assert len(closed) == len(begun) > 50
    gc.collect()


def test_a_thousand_streams_one_after_the_other_leave_nothing() -> None:
    """Neither actors nor monitors; the fixtures look for threads and descriptors."""
    source = Source.start(10**9)
    threads = threading.active_count()
    for _ in range(1000):
        for _ in stream({"to": source, "max_demand": 10}):
            break
    assert threading.active_count() <= threads + 4
    until(lambda: len(source._cell.monitors or ()) == 0)
    source.stop()


def test_a_thousand_async_streams_one_after_the_other_leave_nothing() -> None:
    """The same."""
    source = Source.start(10**9)

    async def main() -> None:
        for _ in range(1000):
            async for _ in stream({"to": source, "max_demand": 10}):
                break

    threads = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= threads + 4
    until(lambda: len(source._cell.monitors or ()) == 0)
    source.stop()


def test_a_wake_up_is_never_lost() -> None:
    """A reader that waits and a producer that emits meet in each possible order."""

    class Slow(Source):
        def handle_demand(self, demand: int) -> None:  # type: ignore[override]
            for _ in range(demand):
                self.ref.send(_emit_one)

    def _emit_one(stage: Slow, _: None) -> None:
        stage.emit([stage.next])
        stage.next += 1

    source = Slow.start(0)
    for number, event in enumerate(stream({"to": source, "max_demand": 2})):
        assert event == number
        if number == 5000:
            break
    source.stop()
