"""The first stage of a run whose input is an async iterable, read in its event loop only when asked."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from slither_actors.actors import SHUTDOWN
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._runner import Halted
from slither_actors.dispatch._source import SourceStatistics
from slither_actors.errors import NotRunningError
from slither_actors.item import Item
from slither_actors.stages._async_iterable import AsyncIterableProducer
from slither_actors.stages._job import Job

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncItemSource"]


class AsyncItemSource(AsyncIterableProducer):
    """As `ItemSource`, for what is read with ``async for``, by one task in one loop."""

    def init(  # type: ignore[override]
        self,
        iterable: Callable[[], AsyncIterable[Any]],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        label: str = "the input",
        link: RunLink | None = None,
        wrap: bool = True,
    ) -> None:
        """Take a function that returns the input; nothing is read before the first demand.

        Args:
            iterable: returns the input.
            loop: where it is read; None is the loop of the stages.
            label: the input in words, for errors.
            link: shared with the run's other stages.
            wrap: emit items; False emits what was read.
        """
        super().init(iterable(), loop=loop)
        self._label = label
        self._link = link
        self._wrap = wrap

    @property
    def count(self) -> int:
        """Items read."""
        return self._count

    def _begin_reading(self) -> None:
        super()._begin_reading()
        if self._link is not None:
            self._link.input_job = self._job

    def _dispatch(self, events: Sequence[Any]) -> None:
        super()._dispatch(Item.wrap_many(events) if self._wrap else events)

    def _job_ended(self, job: Job) -> None:
        error, job.error = job.error, None
        if self._is_over():
            return
        self._emit_rest(job)
        if error is None:
            self.complete()
            return
        if type(error).__name__ == "CancelledError":
            msg = "the task that read the input was cancelled: has its event loop ended?"
            error = NotRunningError(msg)
        self.complete((SHUTDOWN, Halted(error=error, batch=f"{self._label}, after item {self._count}")))

    def _emit_rest(self, job: Job) -> None:
        rest = job.take()
        self._count += len(rest)
        self.emit(rest)

    def drain(self, _: None = None) -> None:
        """Read no more, and end normally behind what was read: as if the input had ended here."""
        if not self._is_over():
            if self._job is not None:
                self._emit_rest(self._job)
            self.complete()

    def terminate(self, reason: Any) -> None:
        """Leave the statistics with the run. The iterable is closed in its loop."""
        if self._link is not None:
            self._link.finished["source"] = SourceStatistics(items=self._count)
        super().terminate(reason)
