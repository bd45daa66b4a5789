"""Reading each output of a run by itself, in the tasks of one event loop. As `_output_reading`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._ack_reading import OutputAcks
from slither_actors.pipe._output_reading import OutputBuffers, _nothing

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncOutputReader", "AsyncOutputStream"]


class AsyncOutputStream(AsyncIterator[Item]):
    """The items of one output of a run, for ``async for``. Made by `AsyncPipeStream.output`.

    Raises:
        OutputFullError: the buffer of another output is full.
        PipeError: the run has halted, behind the last item of this output.
    """

    def __init__(self, name: str, reader: AsyncOutputReader) -> None:
        self.name = name
        """The output."""
        self._reader = reader

    async def __anext__(self) -> Item:
        return await self._reader.read(self.name)

    def __len__(self) -> int:
        return self._reader.buffers.waiting(self.name)


class AsyncOutputReader:
    """Reads a stream for the tasks that read its outputs: whichever finds nothing reads, the others wait."""

    def __init__(self, buffers: OutputBuffers, read: Callable[[], Coroutine[Any, Any, Item]]) -> None:
        self.buffers = buffers
        self._read = read
        self._reading = self._over = False
        self._error: Exception | None = None
        self._told: set[str] = set()
        self._acks: OutputAcks | None = None
        self._leave: Callable[[], object] = _nothing
        self._waiters: set[asyncio.Future[None]] = set()
        self.streams: Mapping[str, AsyncOutputStream] = MappingProxyType(
            {name: AsyncOutputStream(name, self) for name in buffers.outputs}
        )

    def follow(self, acks: AckKeeper, first: Item | None, leave: Callable[[], object]) -> None:
        """As `PipeOutputReader.follow`; `first` is what was read of the whole stream last."""
        self._acks = OutputAcks(acks, first, _reading_task)
        self._leave = leave
        self.buffers.dropped = self._acks.dropped

    async def read(self, name: str) -> Item:
        """Return the next item of an output. See `AsyncOutputStream`."""
        if self._acks is None:
            return await self._next(name)
        self._acks.asked(name)
        try:
            item = await self._next(name)
        except BaseException:
            self._leave_if_done()
            raise
        self._acks.gave(name, item)
        return item

    def _leave_if_done(self) -> None:
        if self._acks is not None and self._over and self.buffers.is_empty and self._acks.all_done:
            self._leave()

    async def _next(self, name: str) -> Item:
        deadline: float | None = None
        self.buffers.refuse_discarded(name)
        while True:
            item = self.buffers.take(name)
            if item is not None:
                self._wake()
                return item
            if self._reading:
                await self._changed(None)
                continue
            full = self.buffers.sort()
            if self.buffers.waiting(name):
                continue
            if full is not None:
                now = time.monotonic()
                deadline = now + self.buffers.wait if deadline is None else deadline
                if now >= deadline:
                    raise self.buffers.full(full, name, self.buffers.wait)
                await self._changed(deadline - now)
            elif self._over:
                self._end(name)
            else:
                await self._fetch()

    async def _changed(self, timeout: float | None) -> None:
        import asyncio  # noqa: PLC0415 - it takes its time

        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=timeout)
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _fetch(self) -> None:
        self._reading = True
        try:
            self.buffers.put([await self._read()])
        except StopAsyncIteration:
            self._over = True
        except Exception as error:  # noqa: BLE001 - it is told to the reader of each output
            self._over, self._error = True, error
        finally:
            self._reading = False
            self._wake()

    def _end(self, name: str) -> None:
        if self._error is not None and name not in self._told:
            self._told.add(name)
            raise self._error
        raise StopAsyncIteration

    def discard(self, name: str) -> None:
        """Drop what an output has and gets."""
        self.buffers.discard(name)
        self._wake()
        self._leave_if_done()

    def close(self) -> None:
        """Give nothing more."""
        self._over, self._error = True, None
        self.buffers.clear()
        self._wake()


def _reading_task() -> Any:
    """The task that reads; None for one that was made for this one item, as ``asyncio.wait_for`` does."""
    import asyncio  # noqa: PLC0415 - it takes its time

    task = asyncio.current_task()
    code = None if task is None else getattr(task.get_coro(), "cr_code", None)
    return None if code is AsyncOutputStream.__anext__.__code__ else task
