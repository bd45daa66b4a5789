"""The caller's end of a run in an event loop.

Nothing here blocks the loop: the start of a run, which may have to start
workers, and the wait for its end happen in threads of asyncio's; items wake the
task that waits for them. The run itself is the same as any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from slither_actors.core import Insights
from slither_actors.dispatch._insights import insights_of
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._reader import Arrival, Ended
from slither_actors.dispatch._runner import Halted
from slither_actors.dispatch._stream import close_run, end_run, halted_by, start_run, statistics_of
from slither_actors.dispatch._topology import RunPlan
from slither_actors.errors import SlitherError
from slither_actors.item import Item

__all__ = ["AsyncOutlet", "AsyncRunStream"]

_INPUT_SECONDS = 1.0
"""How long the end of a run waits for an input of the same loop to tidy up."""


class AsyncOutlet:
    """An `Outlet` whose reader is a task in an event loop. Bounded by the demand that it has granted."""

    def __init__(self) -> None:
        self._entries: deque[Arrival | Ended] = deque()
        self._finished = False
        self.closed = False
        """Whether nobody reads any more."""
        self.wake: Callable[[], object] | None = None
        """Ends the wait of the reader. Set by the reader."""

    def put(self, arrival: Arrival) -> None:
        """Pass items on."""
        self._put(arrival)

    def finish(self, reason: Any) -> None:
        """Say that the run has ended; only the first reason counts."""
        if not self._finished:
            self._finished = True
            self._put(Ended(reason))

    def interrupt(self, run: RunLink) -> None:
        """Do nothing: a task that waits is cancelled, not interrupted."""

    def _put(self, entry: Arrival | Ended) -> None:
        if not self.closed:
            # In this order; who waits sets `wake` first and then looks at the entries.
            self._entries.append(entry)
            wake = self.wake
            if wake is not None:
                wake()

    @property
    def answered(self) -> bool:
        """Whether there is no need to wait."""
        return bool(self._entries) or self.closed

    def take(self) -> Arrival | Ended | None:
        """Return what came next, or None if nothing has come."""
        return self._entries.popleft() if self._entries else None

    def close(self) -> None:
        """Drop what there is and what comes, and wake the reader."""
        self.closed = True
        self._entries.clear()
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()


class _RunReading:
    """What an `AsyncReader` reads: a run instead of a stream of stages. See `stages._reading.Reading`."""

    def __init__(
        self, link: RunLink, outlet: AsyncOutlet, fail: Callable[[Halted, list[Item]], SlitherError]
    ) -> None:
        from slither_actors.stages._reading import News  # noqa: PLC0415 - with asyncio, on first use

        self._nothing, self._over = News.NOTHING, News.OVER
        self.arrivals = outlet
        self._link = link
        self._fail = fail
        self._arrival: Arrival | None = None

    def ask(self) -> None:
        """Pay for the items that the reader is done with."""
        arrival, self._arrival = self._arrival, None
        if arrival is not None and arrival.credit is not None:
            arrival.credit.consumed(len(arrival))

    def next_chunk(self) -> Sequence[Item] | Any:
        """Return what has come, or news that nothing has, or that nothing will.

        Raises:
            SlitherError: the run has halted.
        """
        if self.arrivals.closed:
            return self._over
        arrived = self.arrivals.take()
        if arrived is None:
            return self._nothing
        if isinstance(arrived, Ended):
            self.close()
            halted = halted_by(arrived.reason)
            if halted is not None:
                raise self._fail(halted, []) from halted.error
            return self._over
        self._arrival = arrived
        return list(arrived)

    def close(self) -> None:
        """End the run without waiting for it. May run in a finalizer."""
        self.arrivals.close()
        end_run(self._link)


class AsyncRunStream(AsyncIterator[Item]):
    """The items of a run, as they come, for ``async for``. The run starts at the first one asked for.

    One task reads at a time, in whichever loop. Leaving the ``async with``
    block, `aclose`, or dropping the last reference ends the run, its input and
    its batches; `aclose` and the block wait for that, and leave the loop free.
    """

    def __init__(
        self,
        plan: RunPlan,
        fail: Callable[[Halted, list[Item]], SlitherError],
        *,
        chunks: bool = False,
    ) -> None:
        from slither_actors.stages._async_stream import AsyncReader  # noqa: PLC0415 - imports asyncio

        assert isinstance(plan.outlet, AsyncOutlet)
        self._plan = plan
        reading = _RunReading(plan.link, plan.outlet, fail)
        self._end = reading.close
        self._reader = AsyncReader(reading, chunks=chunks)  # type: ignore[arg-type]
        self._started = self._ready = False

    def __anext__(self) -> Coroutine[Any, Any, Item]:
        return self._reader.__anext__() if self._ready else self._first()

    async def _first(self) -> Item:
        import asyncio  # noqa: PLC0415 - it takes its time

        if self._started:
            msg = "the stream is being read by another task, which waits for the run to start"
            raise RuntimeError(msg)
        self._started = True
        try:
            if not self._plan.outlet.closed:
                await asyncio.to_thread(start_run, self._plan)
        except BaseException:
            self._end()
            raise
        finally:
            self._ready = True
        item: Item = await self._reader.__anext__()
        return item

    async def aclose(self) -> None:
        """End the run and wait until nothing of it is left. Closing again does nothing."""
        import asyncio  # noqa: PLC0415 - as above

        was_closed = self._plan.outlet.closed
        self._end()
        if not self._started or (was_closed and self._plan.link.run is None):
            return
        await asyncio.to_thread(close_run, self._plan.link)
        task = None if self._plan.link.input_job is None else self._plan.link.input_job.task
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([task], timeout=_INPUT_SECONDS)

    async def statistics(self) -> dict[str, Any]:
        """Return the statistics of each stage that has some, by stage name; the last ones after the end.

        Raises:
            NotRunningError: the run has not started.
        """
        import asyncio  # noqa: PLC0415 - as above

        return await asyncio.to_thread(statistics_of, self._plan.link)

    async def insights(self) -> Insights:
        """Return where the time went so far, or in all after the end; with the option ``insights=True``.

        Raises:
            OptionError: the option is off.
            NotRunningError: the run has not started.
        """
        import asyncio  # noqa: PLC0415 - as above

        return await asyncio.to_thread(insights_of, self._plan.link, self._plan.insights)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
