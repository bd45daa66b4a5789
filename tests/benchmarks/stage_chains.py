"""The chain that stages are timed at, hand-written on what people use instead.

Every contender moves `count` integers from a producer through a stage that adds
one to a consumer that counts them, and returns the seconds from the first ask
to the last event. Pykka's does what ours does: it asks for `max_demand` events,
gets them in lists, and asks again for each half that it has handled. Queues and
generators move one event at a time, as people use them.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pykka

from slither_actors.actors import Ref
from slither_actors.stages import (
    Consumer,
    Producer,
    ProducerConsumer,
    Subscription,
    from_iterable,
    stream,
    sync_subscribe,
)

__all__ = [
    "on_async_queues",
    "on_async_stream",
    "on_generators",
    "on_handlers",
    "on_pykka",
    "on_stages",
    "on_stream",
    "on_thread_queues",
    "with_consumers",
]

PATIENCE = 300.0
"""Seconds after which a benchmark that hangs fails."""

CHUNK = 500
"""Events of one call of a handler when `max_demand` is 1000."""

QUEUE_SIZE = 1000
"""Events that fit into a queue."""


class Counter(Producer):
    """Counts up for ever."""

    def init(self) -> None:
        self.next = 0

    def handle_demand(self, demand: int) -> range:
        first, self.next = self.next, self.next + demand
        return range(first, self.next)


class HeldCounter(Counter):
    """Begins when it is told: the thread that subscribes a thousand consumers has no rival till then."""

    def init(self) -> None:
        super().init()
        self.held: int | None = 0

    def handle_demand(self, demand: int) -> range:
        if self.held is None:
            return super().handle_demand(demand)
        self.held += demand
        return range(0)

    def begin(self, _: None) -> None:
        held, self.held = self.held, None
        if held:
            self.emit(super().handle_demand(held))


class Increment(ProducerConsumer):
    """Adds one."""

    def handle_events(self, events: Sequence[int], source: Subscription) -> list[int]:
        return [event + 1 for event in events]


class Total:
    """Counts the events of several consumers of one scheduler, and says when enough have come."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.enough = threading.Event()

    def take(self, count: int) -> None:
        self.left -= count
        if self.left <= 0:
            self.enough.set()

    def wait(self) -> None:
        if not self.enough.wait(PATIENCE):
            msg = f"{self.left} events have not come after {PATIENCE:g} s"
            raise TimeoutError(msg)


class Count(Consumer):
    """Counts what comes."""

    def init(self, total: Total) -> None:
        self.total = total

    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        self.total.take(len(events))


def on_stages(count: int, max_demand: int, *, between: int = 1) -> float:
    """Time a chain with `between` stages that add one."""
    total = Total(count)
    chain: list[Ref] = [Counter.start(), *(Increment.start() for _ in range(between)), Count.start(total)]
    began = time.perf_counter()
    for producer, consumer in reversed(list(zip(chain, chain[1:], strict=False))):
        sync_subscribe(consumer, to=producer, max_demand=max_demand)
    total.wait()
    seconds = time.perf_counter() - began
    for stage in reversed(chain):
        stage.stop()
    return seconds


def on_stream(count: int, *, chunks: bool = False) -> float:
    """Time the chain with a loop in this thread in the place of the consumer."""
    increment = _chain_of(count)
    came = 0
    began = time.perf_counter()
    if chunks:
        for chunk in stream(increment, chunks=True):
            came += len(chunk)
    else:
        for _ in stream(increment):
            came += 1
    seconds = time.perf_counter() - began
    _check(came, count)
    return seconds


def on_async_stream(count: int) -> float:
    """Time the chain with a loop in a coroutine in the place of the consumer."""

    async def consume() -> float:
        increment = _chain_of(count)
        came = 0
        began = time.perf_counter()
        async for _ in stream(increment):
            came += 1
        seconds = time.perf_counter() - began
        _check(came, count)
        return seconds

    return asyncio.run(consume())


def _chain_of(count: int) -> Ref:
    """Start the part that emits."""
    increment = Increment.start()
    sync_subscribe(increment, to=from_iterable(range(count)), max_demand=1000)
    return increment


def with_consumers(count: int, max_demand: int, *, consumers: int, dispatcher: Any = None) -> float:
    """Time one producer with many consumers."""
    total = Total(count)
    options = {} if dispatcher is None else {"dispatcher": dispatcher}
    producer = type("Fanning", (HeldCounter,), options).start()
    sinks = [Count.start(total) for _ in range(consumers)]
    for sink in sinks:
        sync_subscribe(sink, to=producer, max_demand=max_demand)
    began = time.perf_counter()
    producer.send(HeldCounter.begin)
    total.wait()
    seconds = time.perf_counter() - began
    for stage in (*sinks, producer):
        stage.stop()
    return seconds


class PykkaCounter(pykka.ThreadingActor):
    """Counts up when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.next = 0

    def on_receive(self, message: Any) -> None:
        consumer, demand = message
        first, self.next = self.next, self.next + demand
        consumer.tell(range(first, self.next))


class PykkaTaker(pykka.ThreadingActor):
    """Takes lists in chunks of half the demand and asks again after each."""

    def __init__(self, producer: Any, max_demand: int) -> None:
        super().__init__()
        self.producer = producer
        self.max_demand = max_demand
        self.min_demand = max_demand // 2
        self.outstanding = max_demand

    def subscribe(self) -> None:
        self.producer.tell((self.actor_ref, self.max_demand))

    def take(self, events: Sequence[int]) -> None:
        step = self.max_demand - self.min_demand
        for start in range(0, len(events), step):
            chunk = events[start : start + step]
            self.handle(chunk)
            self.outstanding -= len(chunk)
            if self.outstanding <= self.min_demand:
                self.producer.tell((self.actor_ref, self.max_demand - self.outstanding))
                self.outstanding = self.max_demand

    def handle(self, events: Sequence[int]) -> None:
        raise NotImplementedError


class PykkaIncrement(PykkaTaker):
    """Adds one as far as it is asked, and keeps the rest of what it gets."""

    def __init__(self, producer: Any, max_demand: int) -> None:
        super().__init__(producer, max_demand)
        self.consumer: Any = None
        self.wanted = 0
        self.waiting: list[Sequence[int]] = []

    def on_receive(self, message: Any) -> None:
        if type(message) is tuple:
            if self.consumer is None:
                self.subscribe()
            self.consumer, demand = message
            self.wanted += demand
        else:
            self.waiting.append(message)
        while self.waiting and self.wanted > 0:
            self.take(self.waiting.pop(0))

    def handle(self, events: Sequence[int]) -> None:
        self.wanted -= len(events)
        self.consumer.tell([event + 1 for event in events])


class PykkaCount(PykkaTaker):
    """Counts what comes."""

    def __init__(self, producer: Any, max_demand: int, total: Total) -> None:
        super().__init__(producer, max_demand)
        self.total = total

    def on_start(self) -> None:
        self.subscribe()

    def on_receive(self, message: Any) -> None:
        self.take(message)

    def handle(self, events: Sequence[int]) -> None:
        self.total.take(len(events))


def on_pykka(count: int, max_demand: int) -> float:
    """Time the chain on actors with a thread each."""
    total = Total(count)
    began = time.perf_counter()
    counter = PykkaCounter.start()
    increment = PykkaIncrement.start(counter, max_demand)
    sink = PykkaCount.start(increment, max_demand, total)
    total.wait()
    seconds = time.perf_counter() - began
    for actor in (sink, increment, counter):
        actor.stop()
    return seconds


def on_thread_queues(count: int) -> float:
    """Time threads with a `queue.Queue` between each two."""
    numbers: queue.Queue[int | None] = queue.Queue(QUEUE_SIZE)
    results: queue.Queue[int | None] = queue.Queue(QUEUE_SIZE)

    def produce() -> None:
        for number in range(count):
            numbers.put(number)
        numbers.put(None)

    def increment() -> None:
        while (number := numbers.get()) is not None:
            results.put(number + 1)
        results.put(None)

    began = time.perf_counter()
    threads = [threading.Thread(target=function) for function in (produce, increment)]
    for thread in threads:
        thread.start()
    came = 0
    while results.get() is not None:
        came += 1
    seconds = time.perf_counter() - began
    for thread in threads:
        thread.join()
    _check(came, count)
    return seconds


def on_async_queues(count: int) -> float:
    """Time tasks with an `asyncio.Queue` between each two."""

    async def produce(numbers: asyncio.Queue[int | None]) -> None:
        for number in range(count):
            await numbers.put(number)
        await numbers.put(None)

    async def increment(numbers: asyncio.Queue[int | None], results: asyncio.Queue[int | None]) -> None:
        while (number := await numbers.get()) is not None:
            await results.put(number + 1)
        await results.put(None)

    async def consume() -> float:
        numbers: asyncio.Queue[int | None] = asyncio.Queue(QUEUE_SIZE)
        results: asyncio.Queue[int | None] = asyncio.Queue(QUEUE_SIZE)
        began = time.perf_counter()
        tasks = [asyncio.create_task(produce(numbers)), asyncio.create_task(increment(numbers, results))]
        came = 0
        while await results.get() is not None:
            came += 1
        seconds = time.perf_counter() - began
        await asyncio.gather(*tasks)
        _check(came, count)
        return seconds

    return asyncio.run(consume())


def on_generators(count: int) -> float:
    """Time three generators, which is what Python's loops take: the limit."""

    def increment(numbers: Iterable[int]) -> Iterator[int]:
        for number in numbers:
            yield number + 1

    def produce() -> Iterator[int]:
        yield from range(count)

    began = time.perf_counter()
    came = 0
    for _ in increment(produce()):
        came += 1
    seconds = time.perf_counter() - began
    _check(came, count)
    return seconds


def on_handlers(count: int) -> float:
    """Time the handlers on lists as long as the chunks, with nothing between them: the limit for lists."""
    came = 0
    began = time.perf_counter()
    for first in range(0, count, CHUNK):
        came += len([event + 1 for event in range(first, min(count, first + CHUNK))])
    seconds = time.perf_counter() - began
    _check(came, count)
    return seconds


def _check(came: int, count: int) -> None:
    if came != count:
        msg = f"{came} of {count} events came"
        raise AssertionError(msg)


Chain = Callable[[int], float]
"""Takes how many events, returns the seconds that they took."""
