"""A coroutine function, for batches that wait for others: calls to an API, say."""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from slither_actors.config import one_of, positive_int
from slither_actors.dispatch._async_batches import AsyncBatches, AsyncCall
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._batch_function import checked_coroutine_function, function_name
from slither_actors.dispatch._executor import Executor, ExecutorStatistics
from slither_actors.errors import ForkedRuntimeError, NotRunningError

__all__ = ["AsyncExecutor"]

_WHERE = "AsyncExecutor"
_per = one_of("batch", "item")


class AsyncExecutor(Executor):
    """Runs a coroutine function on an event loop in a thread of its own.

    The loop is the executor's: all runs that use it share it. It is started when
    there is work for it and closed when no run needs it, its async generators
    with it. The caller may itself be in an event loop. A batch runs in a copy of
    the context variables of whoever made the run.

    A batch past its timeout, which counts from when it began, fails and is
    cancelled, as is one that is not wanted any more. A coroutine that swallows
    its cancellation is logged and counted as abandoned; its place is free for
    others. One that blocks its thread holds all others up: await, or use
    `ThreadExecutor`.

    Args:
        function: ``async def fn(payloads)``, which returns one result per payload, or with
            ``per="item"`` ``async def fn(payload)``, which returns the result. It gets the run's
            `Context` as well if it has a second parameter.
        concurrency: how many batches, or items, run at one time in all runs together.
        per: ``"batch"`` or ``"item"``. If one item fails, its batch does, and the batch's other items
            are cancelled.
    """

    keeps_time = True
    ends_what_runs = True

    def __init__(
        self, function: Callable[..., Awaitable[Any]], *, concurrency: int = 100, per: str = "batch"
    ) -> None:
        _per.check("per", per, _WHERE)
        first = "payload" if per == "item" else "payloads"
        self._function = checked_coroutine_function(function, _WHERE, first)
        self._concurrency = positive_int.check("concurrency", concurrency, _WHERE)
        self._per = per
        self._lock = threading.RLock()  # the collector may run a finalizer that closes a run at any place
        self._users = 0
        self._batches: AsyncBatches | None = None
        self._pid = os.getpid()

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return function_name(self._function)

    def open(self) -> None:
        """One run more."""
        self._refuse_fork()
        with self._lock:
            self._users += 1

    def close(self) -> None:
        """One run less; after the last one the loop ends, and cancels what is left in it."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._users -= 1
            if self._users or self._batches is None:
                return
            batches, self._batches = self._batches, None
        batches.stop()

    def submit(self, batch: Batch) -> None:
        """Have the batch run in the loop."""
        self._refuse_fork()
        with self._lock:
            if self._users == 0:
                msg = f"{self.name} is not open: no run uses it"
                raise NotRunningError(msg)
            if self._batches is None:
                self._batches = AsyncBatches(self._function, self.name, self._concurrency, self._per)
            self._batches.submit(batch)

    def cancel(self, batch: Batch) -> bool:
        """Cancel its coroutine, or do not start it. It does not answer any more."""
        call = batch.handle
        if isinstance(call, AsyncCall) and os.getpid() == self._pid:
            call.cancel()
        return True

    def take_back(self, batch: Batch) -> None:
        """Have the batch fail if it has not begun."""
        call = batch.handle
        if isinstance(call, AsyncCall) and os.getpid() == self._pid:
            call.take_back()

    def statistics(self) -> ExecutorStatistics:
        """Return a snapshot."""
        with self._lock:
            if self._batches is None:
                return ExecutorStatistics(
                    runs=self._users, threads=0, running=0, queued=0, abandoned=0, timeouts=0
                )
            return self._batches.statistics(self._users)

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            msg = f"the event loop of {self.name} is not in this process, which was made by os.fork"
            raise ForkedRuntimeError(msg)
