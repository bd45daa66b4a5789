"""One reading of a stream: from the first request for an event to the end, or to the reader's leaving."""

from __future__ import annotations

import contextlib
import enum
import logging
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

from slither_actors.actors import Crash, Ref
from slither_actors.actors._handlers import _on_stop
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._runtime import current_cell
from slither_actors.errors import ForkedRuntimeError, NotRunningError, StreamError
from slither_actors.stages import _protocol
from slither_actors.stages._arrivals import Arrivals, End
from slither_actors.stages._stream_consumer import StreamConsumer
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["News", "Reading", "read", "read_chunks"]

logger = logging.getLogger("slither_actors.stages")


class News(enum.Enum):
    """What there may be instead of a chunk."""

    NOTHING = "nothing has come"
    OVER = "nothing will come"


class Finder(Protocol):
    """What knows the producers."""

    def __call__(self) -> list[SubscriptionOptions]:
        """Find them, when the reading begins."""

    def begin(self, found: list[SubscriptionOptions]) -> None:
        """All are subscribed to."""


class Reading:
    """The reader's side of a stream. One thread or task at a time; `close` may be called from any thread."""

    def __init__(self, finder: Finder) -> None:
        self.arrivals = Arrivals()
        self._finder = finder
        self._begun = False
        self._chunks: deque[tuple[Sequence[Any], int]] = deque()
        """What is left of the list that came last, and how much to ask for after each."""
        self._source: Subscription | None = None
        self._ask = 0
        """To be asked for when the reader wants another chunk."""
        self.turn = threading.Lock()
        """Held by the thread that waits for the next chunk. Nobody waits for it."""
        self.events: Iterator[Any] = iter(())
        """What is left of the chunk that is read event by event. Threads that take turns share it."""
        self.taken = 0
        """Events handed to the reader."""

    def next_chunk(self) -> Sequence[Any] | News:
        """Return what the reader gets next; ask for more in the place of what it got last.

        Raises:
            StreamError: a producer ended and the stream with it.
        """
        self.ask()
        if self.arrivals.closed:
            return News.OVER
        if not self._begun:
            self._begun = True
            try:
                self._begin()
            except BaseException:
                self.close()
                raise
        if not self._chunks:
            try:
                entry = self.arrivals.entries.popleft()
            except IndexError:
                return News.OVER if self.arrivals.closed else News.NOTHING
            if isinstance(entry, End):
                return self._end(entry)
            self._cut(*entry)
        chunk, self._ask = self._chunks.popleft()
        self.taken += len(chunk)
        return chunk

    def ask(self) -> None:
        """Ask for as many events as the chunk makes room for that the reader has done with."""
        ask, self._ask = self._ask, 0
        source = self._source
        if ask and source is not None and not source.closed and not self.arrivals.closed:
            source.producer_put((_protocol.ask, (source, ask)))

    def close(self) -> None:
        """End the reading and, without waiting for it, the consumer. May run in a finalizer."""
        self.arrivals.close()
        self.events = iter(())
        consumer = self.arrivals.consumer
        if consumer is not None and not consumer._cell.dead:
            # Not `consumer.stop`: an actor that was abandoned is to leave nothing behind, either.
            with contextlib.suppress(NotRunningError, ForkedRuntimeError):
                consumer._cell.put_system((_on_stop, "normal"))

    def end_here(self) -> None:
        """As `close`; the consumer ends in this thread if nothing runs in it now."""
        self.arrivals.close()
        consumer = self.arrivals.consumer
        if consumer is not None and not consumer._cell.dead and not consumer._cell.end_here("normal"):
            self.close()

    @property
    def waiting(self) -> int:
        """Events that have come and that the reader has not got."""
        return self.arrivals.waiting + sum(len(chunk) for chunk, _ in tuple(self._chunks))

    def _begin(self) -> None:
        wanted = self._finder()
        if not wanted:
            self.arrivals.put(End())
            return
        cell = current_cell()
        reader: Ref | None = None if cell is None else cell.ref
        StreamConsumer.start(self.arrivals, wanted, reader)
        self._finder.begin(wanted)
        if self.arrivals.closed:  # meanwhile, by another thread
            self.close()

    def _cut(self, subscription: Subscription, events: Sequence[Any]) -> None:
        self._source = subscription
        demand = subscription.demand
        self._chunks.extend(demand.split(events))
        if demand.excess:
            logger.error(
                "a stream received %d events in excess from %s", demand.excess, subscription.producer
            )

    def _end(self, end: End) -> News:
        self.close()
        if end.producer:
            cause = end.reason.exception if isinstance(end.reason, Crash) else None
            raise StreamError(end.producer, end.reason) from cause
        return News.OVER


@calls_out
def read_chunks(reading: Reading) -> Generator[Sequence[Any], None, None]:
    """Yield the chunks of a reading, and end it when the generator is closed, dropped or left.

    Raises:
        RuntimeError: another thread waits for the next one; the reading goes on.
    """
    arrivals = reading.arrivals
    reads = True
    try:
        while not arrivals.closed:
            reads = reading.turn.acquire(False)
            if not reads:
                raise _read_elsewhere()
            try:
                while (chunk := reading.next_chunk()) is News.NOTHING:
                    arrivals.wait()
            finally:
                reading.turn.release()
            if chunk is News.OVER:
                return
            yield chunk
    finally:
        if reads:
            reading.close()


@calls_out
def read(reading: Reading) -> Generator[Any, None, None]:
    """Yield the events of a reading; otherwise as `read_chunks`."""
    arrivals = reading.arrivals
    events = reading.events
    reads = True
    try:
        while True:
            yield from events
            if arrivals.closed:
                return
            reads = reading.turn.acquire(False)
            if not reads:
                raise _read_elsewhere()
            try:
                if reading.events is events:
                    while (chunk := reading.next_chunk()) is News.NOTHING:
                        arrivals.wait()
                    if chunk is News.OVER:
                        return
                    reading.events = iter(chunk)
                events = reading.events
            finally:
                reading.turn.release()
    finally:
        if reads:
            reading.close()


def _read_elsewhere() -> RuntimeError:
    return RuntimeError(
        "the stream is being read by another thread, which waits for the next event. A stream is for one "
        "reader: give each thread a `stages.stream(...)` of its own, among which the producer shares its "
        "events out, or have one thread read and put the events into a `queue.Queue`"
    )
