"""Stages under threads that switch as often as they can, and what an event costs as the graph grows."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Ref
from slither_actors.stages import Subscription, cancel, from_iterable, sync_subscribe
from tests.stages.probes import SECONDS, Middle, Sink, Source, ended, seen

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Summing(Sink):
    """Checks the order and keeps no events."""

    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        for event in events:
            assert event == self.count
            self.count += 1


class OwnSource(Source):
    own_thread = True


class OwnMiddle(Middle):
    own_thread = True

    def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        return events


class OwnSink(Summing):
    own_thread = True


@pytest.mark.usefixtures("_switching")
@pytest.mark.parametrize("kinds", [(Source, OwnMiddle, Summing), (OwnSource, OwnMiddle, OwnSink)])
@pytest.mark.parametrize(("max_demand", "count"), [(1000, 300_000), (50, 300_000), (2, 30_000)])
def test_stages_in_threads_of_their_own_lose_and_double_nothing(
    kinds: Any, max_demand: int, count: int
) -> None:
    """Events over two or three threads, in order."""
    source, middle, sink = kinds[0].start(count), kinds[1].start(), kinds[2].start()
    sync_subscribe(sink, to=middle, max_demand=max_demand)
    sync_subscribe(middle, to=source, max_demand=max_demand)
    assert sink.join(100)
    assert sink.exit_reason == "normal"
    assert seen(sink, "count") == count


@pytest.mark.usefixtures("_switching")
def test_consumers_that_come_and_go_get_every_event_once_between_them() -> None:
    """Four threads subscribe, take and cancel, all at the same producer."""
    count = 50_000
    source = from_iterable(range(count))
    taken: list[list[int]] = []
    rounds = itertools.count()

    class Visiting(Sink):
        """Cancels by itself when it has what it came for."""

        gone: threading.Event

        def handle_events(self, events: Sequence[int], source: Subscription) -> None:
            super().handle_events(events, source)
            if self.got.is_set():
                cancel(source)

        def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
            self.gone.set()

    def come_and_go() -> None:
        for _ in range(100):
            gone = threading.Event()
            size = 1 + next(rounds) % 40
            sink = Visiting.start(gone=gone, expected=size)
            sync_subscribe(sink, to=source, cancel="temporary", max_demand=size, timeout=SECONDS)
            assert gone.wait(SECONDS)
            taken.append(seen(sink, "events"))
            sink.stop()

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    last = Sink.start()
    sync_subscribe(last, to=source)
    assert ended(last) == "normal"
    taken.append(seen(last, "events"))
    assert all(events == sorted(events) for events in taken)
    assert sorted(event for events in taken for event in events) == list(range(count))


@pytest.mark.usefixtures("_switching")
def test_a_producer_killed_at_any_moment_ends_the_chain_behind_what_it_sent() -> None:
    """The consumer has the first events without a gap, and the reason."""
    for size in (1, 10, 100, 1000, 5000):
        source, middle, sink = OwnSource.start(10**9), OwnMiddle.start(), Sink.start(expected=size)
        got = seen(sink, "got")
        sync_subscribe(sink, to=middle, max_demand=20)
        sync_subscribe(middle, to=source, max_demand=20)
        assert got.wait(SECONDS)
        source.kill()
        assert ended(sink) == "killed"
        events = seen(sink, "events")
        assert len(events) >= size
        assert events == list(range(len(events)))


# -- the cost of an event ------------------------------------------------------


def cheapest(run: Callable[[], None], times: int = 3) -> float:
    """Return the least CPU seconds of a few runs: what else the machine does only adds to it."""

    def once() -> float:
        began = time.process_time()
        run()
        return time.process_time() - began

    return min(once() for _ in range(times))


def chain(events: int, stages: int, max_demand: int = 20) -> None:
    source, sink = Source.start(events), Summing.start()
    last: Ref = sink
    for _ in range(stages):
        middle = Passing.start()
        sync_subscribe(last, to=middle, max_demand=max_demand)
        last = middle
    sync_subscribe(last, to=source, max_demand=max_demand)
    assert sink.join(100)
    assert seen(sink, "count") == events


def crowd(events: int, consumers: int) -> None:
    source, middle = Source.start(events), Passing.start()
    sinks = [Counting.start() for _ in range(consumers)]
    for sink in sinks:
        sync_subscribe(sink, to=middle, max_demand=20)
    sync_subscribe(middle, to=source)
    for sink in sinks:
        assert sink.join(100)
    assert sum(seen(sink, "count") for sink in sinks) == events


class Passing(Middle):
    def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        return events


class Counting(Sink):
    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        self.count += len(events)


def test_an_event_costs_the_same_however_many_there_are() -> None:
    """Twenty times as many events take twenty times as long, not four hundred."""
    few = cheapest(lambda: chain(20_000, stages=1)) / 20_000
    many = cheapest(lambda: chain(400_000, stages=1), times=1) / 400_000
    assert many < 3 * few


def test_an_event_costs_the_same_at_every_stage_of_a_long_chain() -> None:
    """A hundred stages cost ten times what ten stages cost."""
    short = cheapest(lambda: chain(40_000, stages=10)) / 10
    long = cheapest(lambda: chain(40_000, stages=100), times=2) / 100
    assert long < 3 * short


def test_an_event_costs_the_same_however_many_consumers_share_the_producer() -> None:
    """A thousand consumers; starting and ending them is in it."""
    few = cheapest(lambda: crowd(200_000, consumers=10))
    many = cheapest(lambda: crowd(200_000, consumers=1000), times=2)
    assert many < 3 * few + 1000 * 500e-6
