"""The reader of a stream that is a coroutine."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

from slither_actors.stages._reading import News, Reading

__all__ = ["AsyncReader"]

_YEAR = 365 * 86400.0


class AsyncReader(AsyncIterator[Any]):
    """Reads in an event loop, in whichever task asks. Dropped, it ends the reading, without the loop's help.

    Not an async generator: what one leaves to be done when it is dropped becomes a task of the loop. And no
    frame refers to it, so that it is dropped at once also where a traceback is kept.
    """

    def __init__(self, reading: Reading, *, chunks: bool) -> None:
        self._close = reading.close
        reader = _Reader(reading)
        self._next = reader.next_chunk if chunks else reader.next_event

    def __del__(self) -> None:
        self._close()

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        return self._next()


class _Reader:
    """What there is to an `AsyncReader`, but for its end."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._events: Iterator[Any] = iter(())
        self._is_read = False
        self._waited = True

    async def next_event(self) -> Any:
        while True:
            for event in self._events:
                if self._reading.arrivals.closed:
                    break
                return event
            self._events = iter(await self.next_chunk())

    async def next_chunk(self) -> Sequence[Any]:
        if self._is_read:
            msg = "the stream is being read by another task, which waits for the next event"
            raise RuntimeError(msg)
        self._is_read = True
        try:
            self._reading.ask()
            await self._let_others_run()
            while (chunk := self._reading.next_chunk()) is News.NOTHING:
                self._waited = True
                await self._wait()
        finally:
            self._is_read = False
        if isinstance(chunk, News):
            raise StopAsyncIteration
        return chunk

    async def _let_others_run(self) -> None:
        # The events come from other threads: a reader that never waits would have the loop for itself.
        waited, self._waited = self._waited, False
        if not waited:
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Wait until there is something; it may wake up for nothing."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        arrivals = self._reading.arrivals
        # Who waits in a loop that is closed must be garbage, so the loop holds the future and not the actor.
        # Nobody else would: a task that waits is held by what it waits for.
        hold = loop.call_later(_YEAR, woken.done)
        arrivals.wake = partial(_wake, loop, weakref.ref(woken), self._reading.close)
        try:
            if not arrivals.answered:
                await woken
        finally:
            arrivals.wake = None
            hold.cancel()


def _wake(
    loop: asyncio.AbstractEventLoop, woken: weakref.ref[asyncio.Future[None]], lost: Callable[[], object]
) -> None:
    try:
        loop.call_soon_threadsafe(_set, woken)
    except RuntimeError:  # it is closed, and nobody will ever go on with the reader
        lost()


def _set(woken: weakref.ref[asyncio.Future[None]]) -> None:
    future = woken()
    if future is not None and not future.done():
        future.set_result(None)
