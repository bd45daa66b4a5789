"""The caller's ends of a pipe's run: an iterator, and an async one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import Any

from slither_actors.dispatch import RunStream
from slither_actors.dispatch._async_stream import AsyncRunStream
from slither_actors.dispatch._link import enclosing_run
from slither_actors.dispatch._topology import RunPlan
from slither_actors.errors import NameTakenError
from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._ack_reading import FollowedItems, OutputAcks
from slither_actors.pipe._async_output_reading import AsyncOutputReader, AsyncOutputStream
from slither_actors.pipe._output_reading import (
    OutputBuffers,
    OutputStream,
    PipeOutputReader,
    refuse_late_options,
)
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._plan import link_of, pipe_error, session_in_use
from slither_actors.pipe._record import PipeRecord, look

__all__ = ["AsyncPipeStream", "PipeStream"]


class PipeStream(RunStream):
    """The items of a run as they come. ``item.route`` is the output that an item left by.

    Read it as a whole, or each output by itself: see `outputs`. A halted run
    raises `PipeError` after the last item that came out.
    """

    def __init__(self, pipe: type[Pipe], plan: RunPlan) -> None:
        super().__init__(plan, partial(pipe_error, link_of(plan)))
        self._pipe = pipe.definition
        self._outputs: PipeOutputReader | None = None
        self._fetcher: int | None = None
        """The thread that reads for an output."""
        self._acks_end: weakref.finalize[Any, Any] | None = None

    def outputs(self, **options: Any) -> Mapping[str, OutputStream]:
        """Return an iterator per output, by name; from then on the stream itself is not read.

        Their readers may take turns in one thread, or have a thread each. Items
        of an output wait in its buffer while another one is read. When that
        is full and the next item is for it, whoever reads another one gets an
        `OutputFullError`, which says what to do; the item stays.

        Args:
            **options: ``buffer_size`` (10,000), the items of each output that may wait; ``wait`` (0.0), the
                seconds that a reader waits for another thread to make room, before the error.

        Raises:
            OptionError: an option is wrong, or they are given after the first call.
        """
        if self._outputs is not None:
            refuse_late_options(options)
        else:
            buffers = OutputBuffers(self._pipe, options)
            self._outputs = PipeOutputReader(buffers, self._fetch, self._refuse_own_actors)
            first, chunk = None, self._chunk  # what came already, if somebody has read the stream itself
            if isinstance(chunk, FollowedItems):
                first, chunk = chunk.hand_over()
            buffers.put(chunk)
            self._chunk = iter(())
            acks = self._plan.link.acks
            if acks is not None:
                self._outputs.follow(OutputAcks(acks, first), self._leave)
        return self._outputs.streams

    def output(self, name: str) -> OutputStream:
        """Return the iterator over one output: see `outputs`.

        Raises:
            OptionError: the pipe has no such output.
        """
        streams = self.outputs()
        assert self._outputs is not None
        return streams[self._outputs.buffers.check(name)]

    def discard(self, *names: str) -> None:
        """Drop the items of these outputs, those that wait and those that come, so that they fill no buffer.

        An `AckSource` is told that they are done.

        Raises:
            OptionError: the pipe has no such output.
        """
        self.outputs()
        assert self._outputs is not None
        for name in names:
            self._outputs.discard(name)

    def close(self) -> None:
        """End the run. What is on its way is dropped; closing again does nothing.

        An `AckSource` gets that back as interrupted, and the item that was read last, too: ask for the next
        one, or read to the end.
        """
        super().close()
        if self._fetcher == threading.get_ident():
            return  # the run has ended; what waits in the buffers of outputs is still to be read
        if self._outputs is not None:
            self._outputs.close()
        self._leave()

    def _leave(self) -> None:
        if self._acks_end is not None and self._acks_end.alive:
            self._acks_end()
            self._plan.link.acks.join()

    def _start(self) -> None:
        acks = self._plan.link.acks
        if acks is not None:
            self._acks_end = weakref.finalize(self, acks.leave, "reader")
            self._acks_end.atexit = False
        super()._start()

    def _fetch(self) -> Iterator[Item]:
        self._fetcher = threading.get_ident()
        try:
            self._next_chunk()
            chunk, self._chunk = self._chunk, iter(())
            return chunk
        finally:
            self._fetcher = None

    def _refuse_own_actors(self) -> None:
        if enclosing_run() is self._plan.link:
            msg = (
                f"a stage or the input of {self._pipe.name} reads the stream of its own run, which waits for "
                "it: read in another thread, or give that what it needs by a store"
            )
            raise RuntimeError(msg)

    def _next_chunk(self) -> None:
        if self._outputs is not None and self._fetcher != threading.get_ident() and not self._closed:
            msg = "the outputs of this stream are read one by one: read stream.output(name), not the stream"
            raise RuntimeError(msg)
        try:
            super()._next_chunk()
        except NameTakenError as error:
            raise session_in_use(self._plan) from error
        acks = self._plan.link.acks
        if acks is not None and self._outputs is None:
            self._chunk = FollowedItems(self._chunk, acks)

    def record(self) -> PipeRecord:
        """Return what the run has done so far, or in all."""
        return look(link_of(self._plan))

    @property
    def finished(self) -> Mapping[str, Any]:
        """Stage name to what the stage did, complete once the run has ended."""
        return self._plan.link.finished


class AsyncPipeStream(AsyncRunStream):
    """The items of a run as they come, for ``async for``. ``item.route`` is the output that an item left by.

    A halted run raises `PipeError` after the last item that came out.
    """

    _outputs: AsyncOutputReader | None = None
    _given: Item | None = None
    """What the reader is at, for an input that wants to know."""
    _acks_end: weakref.finalize[Any, Any] | None = None

    def outputs(self, **options: Any) -> Mapping[str, AsyncOutputStream]:
        """Return an async iterator per output, by name, for the tasks of one loop: see `PipeStream.outputs`.

        Raises:
            OptionError: an option is wrong, or they are given after the first call.
        """
        if self._outputs is not None:
            refuse_late_options(options)
        else:
            buffers = OutputBuffers(link_of(self._plan).definition, options)
            self._outputs = AsyncOutputReader(buffers, super().__anext__)
            acks = self._acks
            if acks is not None:
                given, self._given = self._given, None
                self._outputs.follow(acks, given, self._leave)
        return self._outputs.streams

    def output(self, name: str) -> AsyncOutputStream:
        """Return the async iterator over one output: see `outputs`.

        Raises:
            OptionError: the pipe has no such output.
        """
        streams = self.outputs()
        assert self._outputs is not None
        return streams[self._outputs.buffers.check(name)]

    def discard(self, *names: str) -> None:
        """Drop the items of these outputs: see `PipeStream.discard`.

        Raises:
            OptionError: the pipe has no such output.
        """
        self.outputs()
        assert self._outputs is not None
        for name in names:
            self._outputs.discard(name)

    def __anext__(self) -> Coroutine[Any, Any, Item]:
        if self._outputs is not None:
            msg = "the outputs of this stream are read one by one: read stream.output(name), not the stream"
            raise RuntimeError(msg)
        return super().__anext__() if self._acks is None else self._next_followed()

    @property
    def _acks(self) -> AckKeeper | None:
        """What wants to know of the items that are read; a run that is collected says so itself."""
        acks = self._plan.link.acks
        return acks if acks is not None and acks.has_reader else None

    async def _next_followed(self) -> Item:
        assert self._acks is not None
        if self._given is not None:
            self._acks.ended((self._given,))
            self._given = None
        try:
            self._given = await super().__anext__()
        except Exception:  # a task that is cancelled may go on reading
            self._leave()
            await self._join_acks()
            raise
        return self._given

    async def aclose(self) -> None:
        """End the run and wait until nothing of it is left. Closing again does nothing.

        An `AckSource` gets back what is on its way, and the item that was read last: see `PipeStream.close`.
        """
        if self._outputs is not None:
            self._outputs.close()
        try:
            await super().aclose()
        finally:
            self._leave()
        await self._join_acks()

    def _leave(self) -> None:
        if self._acks_end is not None:
            self._acks_end()

    async def _join_acks(self) -> None:
        import asyncio  # noqa: PLC0415 - it takes its time

        acks = self._plan.link.acks
        if acks is not None and acks.is_open:
            await asyncio.to_thread(acks.join)

    async def _first(self) -> Item:
        acks = self._acks
        if acks is not None and self._acks_end is None:
            self._acks_end = weakref.finalize(self, acks.leave, "reader")
            self._acks_end.atexit = False
        try:
            return await super()._first()
        except NameTakenError as error:
            raise session_in_use(self._plan) from error

    @property
    def finished(self) -> Mapping[str, Any]:
        """Stage name to what the stage did, complete once the run has ended."""
        return self._plan.link.finished

    async def record(self) -> PipeRecord:
        """Return what the run has done so far, or in all."""
        import asyncio  # noqa: PLC0415 - it takes its time

        return await asyncio.to_thread(look, link_of(self._plan))
