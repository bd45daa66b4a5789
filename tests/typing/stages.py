"""The callbacks of stages may be of every kind, and a strict checker takes them. Only checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from slither_actors.actors import Ref, Request
from slither_actors.stages import (
    Consumer,
    Producer,
    ProducerConsumer,
    Subscription,
    from_async_iterable,
    stream,
)


class Plain(Producer):
    def handle_demand(self, demand: int) -> range:
        return range(demand)


class Lazy(Producer):
    def handle_demand(self, demand: int) -> Iterator[int]:
        yield demand


class Async(Producer):
    async def handle_demand(self, demand: int) -> list[int]:
        return [demand]


class Stream(Producer):
    async def handle_demand(self, demand: int) -> AsyncIterator[int]:
        yield demand


class PlainMiddle(ProducerConsumer):
    def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        self.emit(events)


class LazyMiddle(ProducerConsumer):
    def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
        yield from events


class AsyncMiddle(ProducerConsumer):
    max_concurrency = 3
    ordered = False
    cancel_timeout = None

    async def handle_events(self, events: Sequence[int], source: Subscription) -> Sequence[int]:
        return events


class StreamMiddle(ProducerConsumer):
    async def handle_events(self, events: Sequence[int], source: Subscription) -> AsyncIterator[int]:
        for event in events:
            yield event


class AsyncConsumer(Consumer):
    # Of a server they are no coroutines, and a checker is to say so; of a stage they may be.
    async def init(self, total: int) -> None:  # type: ignore[override]
        self.total = total

    async def handle_events(self, events: Sequence[int], source: Subscription) -> None:
        self.total += sum(events)

    async def handle_call(self, request: str, sender: Request) -> int:
        return self.total

    async def handle_cast(self, message: str) -> None: ...  # type: ignore[override]

    async def handle_info(self, message: Any) -> None: ...  # type: ignore[override]

    async def terminate(self, reason: Any) -> None: ...  # type: ignore[override]


def streams(producer: Ref, numbers: AsyncIterator[int]) -> list[Any]:
    with stream(producer, {"to": "name", "max_demand": 5}, chunks=True) as chunks:
        first = next(chunks)
    return [first, *stream(from_async_iterable(numbers, buffer_size=5))]


async def async_streams(producer: Ref) -> list[Any]:
    async with stream(producer) as events:
        await anext(events)
    return [event async for event in stream(producer)]
