"""Batches of one key: one after the other, and out in order."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import Retry, dispatch
from slither_actors.dispatch import Batch, Executor, KeyPartition
from tests.dispatch.manual import SECONDS, Manual, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")


def by(count: int, **options: Any) -> KeyPartition:
    return KeyPartition(key=lambda item: item.payload % count, **options)


class Threads(Executor):
    """Answers in any order, and notes which batches ran at one time."""

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self._threads = ThreadPoolExecutor(4)
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self.together = 0
        self.peak = 0

    def submit(self, batch: Batch) -> None:
        self._threads.submit(self._run, batch)

    def _run(self, batch: Batch) -> None:
        key = batch.payloads[0] % self._keys
        with self._lock:
            self.together += key in self._running
            self._running.add(key)
            self.peak = max(self.peak, len(self._running))
        threading.Event().wait(random.random() / 500)
        with self._lock:
            self._running.discard(key)
        batch.succeed(batch.payloads)

    def close(self) -> None:
        self._threads.shutdown()


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_the_order_of_each_key_is_kept_and_its_batches_never_run_at_one_time(ordering: str) -> None:
    """Those of different keys do."""
    executor = Threads(3)
    strategy = by(3, batch_size=4, max_pending=12)
    found = payloads(dispatch.run(range(600), executor=executor, strategy=strategy, ordering=ordering))
    executor.close()
    assert sorted(found) == list(range(600))
    for key in range(3):
        assert [value for value in found if value % 3 == key] == list(range(key, 600, 3))
    assert executor.together == 0
    assert executor.peak > 1


def test_a_batch_waits_for_the_last_attempt_of_the_one_before_it() -> None:
    """Its outcome is final only then. Another key is not held up."""
    strategy = by(2, batch_size=2)
    policy = Retry(max_attempts=2, backoff=0)
    options = {"strategy": strategy, "on_error": policy, "max_in_flight": 4}
    with Manual() as manual, in_thread(dispatch.run, range(8), executor=manual, **options) as result:
        even, odd = manual.take(2)
        assert (even.payloads, odd.payloads) == ([0, 2], [1, 3])
        assert manual.submitted.empty()
        even.fail(ValueError("once"))
        again = manual.next()
        assert (again.payloads, again.attempt) == ([0, 2], 2)
        odd.succeed([1, 3])
        last_odd = manual.next()
        assert last_odd.payloads == [5, 7]
        again.succeed([0, 2])
        last_even = manual.next()
        assert last_even.payloads == [4, 6]
        last_even.succeed([4, 6])
        last_odd.succeed([5, 7])
        assert sorted(payloads(result.result(SECONDS))) == list(range(8))


def test_batches_of_a_key_run_at_one_time_if_one_says_so() -> None:
    """With the order of the results preserved, as that of all batches is."""
    options = {"strategy": by(1, batch_size=2, serial=False), "max_in_flight": 4}
    with Manual() as manual, in_thread(dispatch.run, range(6), executor=manual, **options) as result:
        for batch in reversed(manual.take(3)):
            batch.succeed(batch.payloads)
        assert payloads(result.result(SECONDS)) == list(range(6))


def test_a_key_that_has_many_batches_does_not_make_the_run_read_on() -> None:
    """What waits for its key has its place in the window."""
    read: list[int] = []

    def items() -> Any:
        for value in range(0, 2000, 2):
            read.append(value)
            yield value

    options = {"strategy": by(2, batch_size=5, max_pending=5), "max_in_flight": 3}
    with Manual() as manual, dispatch.stream(items(), executor=manual, **options) as stream:
        with in_thread(next, stream) as first:
            batch = manual.next()
            batch.succeed(batch.payloads)
            manual.next()
            assert first.result(SECONDS).payload == 0
        assert len(read) <= 5 * (1 + 3 + 1)


def test_a_failing_batch_lets_the_next_one_of_its_key_start() -> None:
    """Under "skip" the run goes on."""
    options = {"strategy": by(1, batch_size=1, max_pending=1), "on_error": "skip"}
    with Manual() as manual, in_thread(dispatch.run, range(3), executor=manual, **options) as result:
        for _ in range(3):
            manual.next().fail(ValueError("no"))
        assert [bool(item.meta["skipped"]) for item in result.result(SECONDS)] == [True] * 3
