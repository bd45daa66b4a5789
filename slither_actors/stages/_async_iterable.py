"""A producer over any async iterable, read in an event loop no further than it may be."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from slither_actors.actors import Ref
from slither_actors.config import integer
from slither_actors.core import DemandFanOut
from slither_actors.errors import NotRunningError, OptionError
from slither_actors.stages._job import Job
from slither_actors.stages._producer import Mode, Producer
from slither_actors.stages._subscription import Subscription

if TYPE_CHECKING:
    import asyncio

    from slither_actors.stages._pump import Pump

__all__ = ["AsyncIterableProducer", "from_async_iterable"]

_SIZE = integer(0)


class _Failed:
    """Behind the last events: the iterator raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class AsyncIterableProducer(Producer):
    """Emits the elements of an async iterable and ends normally after the last one was taken."""

    _has_coroutines = True

    # It holds what was read ahead when the iterable ends, which has a limit.
    buffer_size = None

    def init(
        self,
        iterable: AsyncIterable[Any],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        dispatcher: Any = DemandFanOut,
        buffer_size: int = 0,
        on_cancel: str = "continue",
        demand: Mode = "forward",
    ) -> None:
        """Take the iterable; nothing is read before the first demand."""
        if on_cancel not in ("continue", "stop"):
            raise OptionError("on_cancel", f"is {on_cancel!r}; allowed are 'continue', 'stop'")
        if not hasattr(iterable, "__aiter__"):
            msg = f"{iterable!r:.100} is no async iterable; for an iterable there is `from_iterable`"
            raise TypeError(msg)
        if loop is not None:
            self._use(loop)
        self.dispatcher = dispatcher
        self.on_cancel = on_cancel
        self.demand = demand
        self._count = 0
        self._iterable = iterable
        self._ahead = _SIZE.check("buffer_size", buffer_size)
        self._owed = 0
        """Demand that is not met."""
        self._pump: Pump | None = None
        self._job: Job | None = None

    def _use(self, loop: asyncio.AbstractEventLoop) -> None:
        from slither_actors.stages import _coroutines, _loop  # noqa: PLC0415 - asyncio takes its time to import

        if not hasattr(loop, "call_soon_threadsafe"):
            raise OptionError("loop", f"is {loop!r:.100}; allowed are an asyncio event loop, None")
        self._coroutines = _coroutines.Coroutines(self, self._start_context, _loop.UserLoop(loop))

    def handle_demand(self, demand: int) -> None:
        """Have as many elements more read, and emit what is there."""
        self._owed += demand
        if self._pump is None:
            self._begin_reading()
        else:
            self._call_loop(self._pump.grant, demand)
        self._hand_on()

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """End with the last consumer, if told so."""
        was_accepted = source.producer_watch is not None
        if self.on_cancel == "stop" and was_accepted and not self._consumers:
            self.stop()

    def handle_info(self, message: Any) -> None:
        """End as the iterator did."""
        if type(message) is _Failed:
            raise message.error
        super().handle_info(message)

    def _begin_reading(self) -> None:
        from slither_actors.stages._pump import Pump  # noqa: PLC0415 - as above

        assert self._coroutines is not None
        self._pump = Pump(self._owed + self._ahead)
        self._job = Job(self, "read", (self._iterable,), call=self._read, finish=self._call_over)
        self._coroutines.start(self._job)

    def _read(self, iterable: AsyncIterable[Any]) -> Any:
        """Make the coroutine that reads, in the loop."""
        from slither_actors.stages._coroutines import _coroutine_yielded  # noqa: PLC0415 - as above

        job, pump, send = self._job, self._pump, self._cell.put
        assert job is not None
        assert pump is not None

        def put(element: Any) -> None:
            job.basket.append(element)
            # The stage clears the flag before it looks into the basket.
            if not job.told:
                job.told = True
                send((_coroutine_yielded, job))

        return pump.read(iterable, put)

    def _job_yielded(self, job: Job) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        """Emit what was read, as far as there is demand."""
        job = self._job
        if job is None or self._is_over():
            return
        job.told = False
        events = [job.basket.popleft() for _ in range(min(self._owed, len(job.basket)))]
        if events:
            self._owed -= len(events)
            self._count += len(events)
            self._dispatch(events)

    def _job_ended(self, job: Job) -> None:
        error, job.error = job.error, None
        if self._is_over():
            return
        rest = job.take()
        self._count += len(rest)
        self.emit(rest)
        if error is None:
            self.complete()
            return
        if type(error).__name__ == "CancelledError":
            msg = "the task that read the async iterable was cancelled: has its event loop ended?"
            error = NotRunningError(msg)
        elif isinstance(error, Exception):
            where = f"its async iterable raised this for element {self._count} (from 0)"
            error.add_note(f"{self._cell.describe()}: {where}")
        self._finishing = True
        self._queue_info(_Failed(error))


def from_async_iterable(
    iterable: AsyncIterable[Any],
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    name: object = None,
    dispatcher: Any = DemandFanOut,
    buffer_size: int = 0,
    on_cancel: str = "continue",
    demand: Mode = "forward",
) -> Ref:
    """Start a producer that emits the elements of an async iterable and then ends.

    It is read by one task, in an event loop: `loop`, or else the one that runs where this function is
    called, to which such objects belong as a rule, or else the loop of the stages. If it raises, what was
    read before is still delivered, and the producer ends with the exception as its reason. An async
    generator is closed in its loop at the end, also when the producer is stopped or crashes; in the loop
    of the stages, `stop` waits for that. A loop of the program's that ends while it is read, as at the end
    of `asyncio.run`, ends the producer with a `NotRunningError`.

    Args:
        iterable: read once; not before the first demand.
        loop: where it is read.
        name: see `Server.start`.
        dispatcher: see `Producer.dispatcher`.
        buffer_size: elements that may be read ahead of the demand, from the first demand on; with 0 not
            one is read that nobody has asked for.
        on_cancel: ``"stop"`` ends the producer when its last consumer leaves.
        demand: see `Producer.demand`; with ``"accumulate"`` nothing is read before `stages.demand`.
    """
    if loop is None:
        asyncio = sys.modules.get("asyncio")
        loop = None if asyncio is None else asyncio._get_running_loop()
    return AsyncIterableProducer.start(
        iterable,
        name=name,
        loop=loop,
        dispatcher=dispatcher,
        buffer_size=buffer_size,
        on_cancel=on_cancel,
        demand=demand,
    )
