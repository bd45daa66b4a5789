"""The rate limit of a pipe that runs on: all that comes in obeys it, over all its runs."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from slither_actors import Pipe, Producer, stage, start_pipe
from slither_actors.errors import OptionError, PushTimeoutError
from slither_actors.pipe import RateLimit
from tests.pipe.ack_sources import MemoryQueue
from tests.pipe.test_live import Counting, payloads, until
from tests.pipe.test_live_acknowledged import OFTEN, Same


class Inverse(Pipe):
    """Halts at zero."""

    @stage
    def divide(item: Any) -> Any:  # noqa: N805
        return 100 // item.payload


def test_a_push_waits_for_the_rate() -> None:
    """Each item does, and those of several pushes together."""
    found: list[Any] = []
    pipe = start_pipe(Same, into=found.extend, rate_limit=RateLimit(10, 0.1))
    began = time.monotonic()
    for first in (0, 15):
        assert pipe.push(range(first, first + 15), timeout=10) == 15
    assert time.monotonic() - began >= 0.2
    assert pipe.drain(10)
    assert payloads(found) == list(range(30))


def test_a_push_that_waits_too_long_for_the_rate_says_how_many_were_taken() -> None:
    """They are on their way."""
    pipe = start_pipe(Same, rate_limit=RateLimit(10, 60))
    with pytest.raises(PushTimeoutError, match="rate_limit") as info:
        pipe.push(range(30), timeout=0.05)
    assert info.value.pushed == 10
    assert pipe.drain(10)
    assert pipe.status().items_in == 10


def test_many_threads_push_no_more_than_may_come() -> None:
    """Whoever of them is first."""
    pipe = start_pipe(Same, rate_limit=RateLimit(1, 60))
    together = threading.Barrier(16)
    errors = []

    def push() -> None:
        together.wait(10)
        try:
            pipe.push([1], timeout=0.1)
        except PushTimeoutError as error:
            errors.append(error)

    threads = [threading.Thread(target=push) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 15
    assert pipe.drain(10)
    assert pipe.status().items_in == 1


def test_a_restart_is_no_way_round_the_rate() -> None:
    """What came into the run before counts."""
    found: list[Any] = []
    pipe = start_pipe(Inverse, into=found.extend, rate_limit=RateLimit(5, 0.5))
    began = time.monotonic()
    pipe.push([1, 1, 1, 1, 0])
    until(lambda: pipe.status().restarts == 1)
    pipe.push([2], timeout=10)
    assert time.monotonic() - began >= 0.5
    assert pipe.drain(10)
    assert payloads(found)[-1] == 50


def test_a_producer_is_asked_for_no_more_than_may_come() -> None:
    """Also when what it was asked for has come."""
    found: list[Any] = []
    producer = Counting.start()
    pipe = start_pipe(Same, source=producer, into=found.extend, rate_limit=RateLimit(10, 60))
    until(lambda: len(found) == 10)
    time.sleep(0.05)
    assert producer.run(_next) == 10
    assert pipe.stop(10)
    producer.stop()


def _next(producer: Any, _: None) -> int:
    found: int = producer.next
    return found


def test_a_producer_is_asked_for_more_in_time() -> None:
    """And not before, also over a pause."""
    found: list[Any] = []
    began = time.monotonic()
    limit = RateLimit(10, 0.1)
    producer = Counting.start(45)
    pipe = start_pipe(Same, source=producer, into=found.extend, rate_limit=limit, restart="transient")
    until(lambda: len(found) >= 10)
    pipe.pause()
    time.sleep(0.15)
    count = len(found)
    time.sleep(0.15)
    assert len(found) == count
    pipe.resume()
    assert pipe.ref.join(10)
    assert payloads(found) == list(range(45))
    assert time.monotonic() - began >= 0.4


def test_what_a_producer_gives_late_counts_when_it_comes() -> None:
    """Nothing was asked for meanwhile in its place."""

    class Late(Producer):
        def init(self) -> None:
            self.asked = 0

        def handle_demand(self, demand: int) -> list[int]:
            self.asked += demand
            return []

        def give(self, count: int) -> None:
            self.emit(range(count))

    late = Late.start()
    pipe = start_pipe(Same, source=late, rate_limit=RateLimit(10, 0.2))
    until(lambda: late.run(_asked) == 10)
    time.sleep(0.25)
    assert late.run(_asked) == 10
    began = time.monotonic()
    late.run(Late.give, 4)
    until(lambda: pipe.status().items_in == 4)
    assert late.run(_asked) == 10
    late.run(Late.give, 6)
    until(lambda: late.run(_asked) > 10)
    assert time.monotonic() - began >= 0.15
    assert pipe.stop(10)
    late.stop()


def _asked(producer: Any, _: None) -> int:
    found: int = producer.asked
    return found


@pytest.mark.parametrize("of", ["source", "pipe"])
def test_a_source_that_delivers_again_is_read_no_faster(of: str) -> None:
    """By its own limit, or that of the pipe; also by the run after a restart."""
    limit = RateLimit(5, 0.3)
    queue = MemoryQueue(range(15))
    options: dict[str, Any] = {}
    if of == "source":
        queue.rate_limit = limit
    else:
        queue.rate_limit = RateLimit(1, 60)
        options["rate_limit"] = limit
    began = time.monotonic()
    pipe = start_pipe(Same, source=queue, **options, **OFTEN)
    queue.wait_until(lambda: len(queue.done) >= 5)
    pipe._life.run.kill()  # type: ignore[union-attr]
    queue.wait_until(lambda: len(queue.done) == 15)
    assert time.monotonic() - began >= 0.6
    assert pipe.drain(10)


def test_a_pipe_that_waits_for_its_rate_stops_at_once() -> None:
    """And is drained at once."""
    for end in ("stop", "drain"):
        queue = MemoryQueue(range(5))
        pipe = start_pipe(Same, source=queue, rate_limit=RateLimit(1, 60))
        queue.wait_until(lambda queue=queue: queue.done)
        began = time.monotonic()
        assert getattr(pipe, end)(10)
        assert time.monotonic() - began < 1
        assert (len(queue.done), len(queue.waiting), queue.out) == (1, 4, {})


def test_a_limit_that_is_none_is_refused() -> None:
    """With the name of the option."""
    with pytest.raises(OptionError, match="rate_limit"):
        start_pipe(Same, rate_limit=10)
