"""Where the input of a run comes in: as fast as it may, and followed if its source wants to know."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from typing import Any

from slither_actors.actors import blocking
from slither_actors.core import Pace, RateLimit
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._stream import RunStream
from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._ack_source import AckSource
from slither_actors.pipe._gate import Gate
from slither_actors.pipe._link import PipeLink

__all__ = ["Entry"]


class Entry:
    """The input of one run."""

    def __init__(
        self, items: Any, rate_limit: RateLimit | None, link: PipeLink, gate: Gate | None = None
    ) -> None:
        """Take the input.

        Args:
            items: the input.
            rate_limit: how fast it may come; of an `AckSource`, by default its own.
            link: of the run.
            gate: what lets items in instead; it may be closed.
        """
        self._items = items
        self._rate_limit = rate_limit
        self._link = link
        self._stopping = threading.Event()
        """Set when the run wants no more."""
        self._turn = threading.Event()
        """Set when the run before this one has let go of the source, or this one wants no more."""
        if isinstance(items, AckSource) and rate_limit is None:
            self._rate_limit = items.rate_limit
        self._gate = Gate(self._rate_limit) if gate is None else gate

    def open(self) -> Any:
        """Return the input as it is read, an iterable or an async one; nothing is read yet."""
        if isinstance(self._items, AckSource):
            items: Iterable[Any] = self._followed(self._items, self._link.acks)
        elif self._rate_limit is None:
            return self._items
        elif not isinstance(self._items, Iterable):
            return _paced_async(self._items, Pace(self._rate_limit))
        else:
            items = self._admitted(self._items)
        self._link.entry = self
        self._link.waits.add(self)
        if self._link.closing:
            self.close()
        return items

    def interrupt(self, run: RunLink) -> None:
        """End a wait, as the run ends."""
        self.close()

    def close(self) -> None:
        """Want no more: end the wait for the next item, and have the source end. From any thread."""
        self._stopping.set()
        self._turn.set()
        self._gate.wake()

    def _followed(self, source: AckSource, acks: AckKeeper) -> Iterator[Item]:
        acks.call_at_turn(self._turn.set)
        if not self._turn.is_set():
            blocking()
            self._turn.wait()
        deliveries = source.deliveries(self._stopping)
        try:
            iterator = iter(deliveries)
            while self._gate.wait(self._stopping):
                for delivery in iterator:
                    item = Item.wrap(delivery.payload)
                    if item is delivery.payload:
                        item = item.spawn(item.payload)  # it may come again while the first is on its way
                    acks.read(item, delivery.token)
                    if not self._gate.passed(self._stopping):
                        return  # while it was held; it is given back
                    yield item
                    acks.keep_up(self._stopping)
                    break
                else:
                    return
        finally:
            _close(deliveries)

    def _admitted(self, items: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(items)
        try:
            while self._gate.wait(self._stopping):
                for item in iterator:
                    self._gate.passed(self._stopping)
                    yield item
                    break
                else:
                    return
        finally:
            _close(iterator)


def _close(items: Iterable[Any]) -> None:
    """Close what would be closed if it were the input itself."""
    if isinstance(items, (Generator, RunStream)):
        items.close()


async def _paced_async(items: AsyncIterable[Any], pace: Pace) -> AsyncIterator[Any]:
    """As `Entry._admitted`. The task that reads is cancelled as the run ends, and its wait with it."""
    import asyncio  # noqa: PLC0415 - it takes its time

    iterator = aiter(items)
    try:
        while True:
            delay = pace.delay(time.monotonic())
            if delay > 0:
                await asyncio.sleep(delay)
                continue
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                return
            pace.took(time.monotonic())
            yield item
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
