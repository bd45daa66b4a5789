"""Consumer stages of a pipe that runs on which come and go: only what one is there to take is done."""

from __future__ import annotations

import time
from typing import Any

from slither_actors import Pipe, stage, start_pipe
from slither_actors.actors import Ref
from slither_actors.stages import async_subscribe
from tests.pipe.ack_sources import MemoryQueue
from tests.pipe.test_live import Taker, until


class Same(Pipe):
    same = stage(lambda item: item.payload)


def subscribe(taker: Any, producer: Ref) -> None:
    async_subscribe(taker.ref, to=producer, cancel="temporary")


def test_what_comes_when_the_consumer_is_gone_waits_for_the_next_one() -> None:
    """Though the one that is gone had asked for a thousand."""
    found: list[Any] = []
    consumer = Taker.start(found)
    queue = MemoryQueue(range(5))
    pipe = start_pipe(Same, source=queue, into=consumer)
    queue.wait_until(lambda: queue.done.total() == 5)
    until(lambda: len(found) == 5)
    consumer.stop()
    queue.put(range(5, 10))
    until(lambda: pipe.status().items_in == 10)
    time.sleep(0.1)
    assert queue.done.total() == 5
    other = Taker.start(found)
    other.run(subscribe, pipe.producer())
    queue.wait_until(lambda: queue.done.total() == 10)
    assert pipe.drain(10)
    assert found == list(range(10))
    other.stop()


def test_items_are_held_for_the_next_consumer_and_no_other() -> None:
    """Those of a source that wants no acknowledgements are counted as waiting meanwhile."""
    found: list[Any] = []
    first = Taker.start(found)
    pipe = start_pipe(Same, into=first)
    pipe.push(range(5))
    until(lambda: len(found) == 5)
    first.stop()
    pipe.push(range(5, 10))
    until(lambda: pipe.status().record.outputs["default"] == 10)  # type: ignore[union-attr]
    assert pipe.status().outputs == {"default": 5}
    second = Taker.start(found)
    second.run(subscribe, pipe.producer())
    until(lambda: len(found) == 10)
    assert pipe.drain(10)
    assert found == list(range(10))
    assert pipe.status().lost == 0
    second.stop()


def test_a_drain_gives_back_what_no_consumer_is_there_to_take() -> None:
    """It waits for none."""
    found: list[Any] = []
    consumer = Taker.start(found)
    queue = MemoryQueue(range(5))
    pipe = start_pipe(Same, source=queue, into=consumer)
    until(lambda: len(found) == 5)
    consumer.stop()
    queue.put(range(5, 10))
    until(lambda: pipe.status().items_in == 10)
    assert pipe.drain(10)
    queue.wait_until(lambda: not queue.out)
    assert sorted(token for token, _ in queue.waiting) == list(range(5, 10))
    status = pipe.status()
    assert (status.outputs, status.given_back, status.lost) == ({"default": 5}, 5, 0)
