"""`max_in_flight`: a hard bound, used to the full."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import Retry, dispatch
from slither_actors.dispatch import Batch, Executor, FixedBatch, KeyPartition, WeightedBatch
from tests.dispatch.manual import Manual, double, in_thread, payloads, statistics

pytestmark = pytest.mark.usefixtures("application")


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_as_many_batches_run_as_are_allowed_and_no_more(limit: int, ordering: Any) -> None:
    """The limit is reached where there is input enough; one more starts when one has finished."""
    with (
        Manual() as manual,
        in_thread(
            dispatch.run, range(40), executor=manual, batch_size=2, max_in_flight=limit, ordering=ordering
        ) as result,
    ):
        running = manual.take(limit)
        for _ in range(20 - limit):
            seen = statistics(running[0])
            assert (seen.window.running, seen.window.held, seen.window.peak) == (limit, 0, limit)
            assert manual.submitted.empty()
            double(running.pop(0))
            running.append(manual.next())
        for batch in running:
            double(batch)
        assert len(result.result()) == 40


def test_batches_that_wait_for_their_turn_count() -> None:
    """A stalled first batch stops admission, so held results cannot pile up."""
    with (
        Manual() as manual,
        in_thread(dispatch.run, range(10), executor=manual, batch_size=1, max_in_flight=3) as result,
    ):
        first, *others = manual.take(3)
        for batch in others:
            double(batch)
        seen = statistics(first)
        assert (seen.window.running, seen.window.held, seen.window.peak) == (1, 2, 3)
        assert manual.submitted.empty()
        double(first)
        manual.answer(7)
        assert payloads(result.result()) == list(range(0, 20, 2))


def test_the_input_is_read_no_further_than_the_window() -> None:
    """What is read is what the batches in flight hold."""
    counter = itertools.count()
    stream = dispatch.stream(counter, executor=(manual := Manual()), batch_size=3, max_in_flight=4)
    with in_thread(next, stream) as result, manual:
        first = manual.take(4)[0]
        statistics(first)
        assert next(counter) == 12
        double(first)
        assert result.result().payload == 0
        stream.close()


def test_a_failed_attempt_keeps_its_place() -> None:
    """While a batch waits for its next attempt nothing starts in its stead."""
    policy = Retry(max_attempts=3, backoff=0)
    with (
        Manual() as manual,
        in_thread(
            dispatch.run, range(4), executor=manual, batch_size=1, max_in_flight=2, on_error=policy
        ) as result,
    ):
        one, two = manual.take(2)
        one.fail(ValueError("no"))
        again = manual.next()
        assert (again.ref, again.attempt) == (one.ref, 2)
        assert statistics(two).window.running == 2
        assert manual.submitted.empty()
        double(again)
        double(two)
        manual.answer(2)
        assert payloads(result.result()) == [0, 2, 4, 6]


class Counting(Executor):
    """Counts by itself how many batches run at one time, on threads."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.threads = threads
        self.lock = threading.Lock()
        self.now = self.most = 0

    def submit(self, batch: Batch) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.threads.submit(self.run, batch)

    def run(self, batch: Batch) -> None:
        if random.random() < 0.1:
            threading.Event().wait(0.001)
        with self.lock:
            self.now -= 1
        batch.succeed(batch.payloads)


STRATEGIES = [
    FixedBatch(3),
    WeightedBatch(max_weight=5, weight=lambda item: item.payload % 7),
    KeyPartition(key=lambda item: item.payload % 5, batch_size=4, max_pending=10),
]


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=["fixed", "weighted", "key"])
def test_an_executor_that_counts_agrees(strategy: Any, ordering: Any) -> None:
    """Seen from outside: never more than the limit, with any strategy, however answers come."""
    with ThreadPoolExecutor(8) as threads:
        executor = Counting(threads)
        stream = dispatch.stream(
            range(2000), executor=executor, strategy=strategy, max_in_flight=5, ordering=ordering
        )
        found = payloads(stream)
    assert sorted(found) == list(range(2000))
    seen = stream.statistics()["dispatch"]
    assert executor.most <= seen.window.peak == 5
    assert seen.emitted == seen.items_in == 2000
