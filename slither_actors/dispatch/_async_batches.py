"""The batches of an `AsyncExecutor` in its event loop.

A batch has begun when its first permit was given: then its clock starts. The
clock runs in another thread, so it also ends a batch whose loop is blocked by
a coroutine that does not await.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from slither_actors.dispatch._batch import Batch, checked_results
from slither_actors.dispatch._deadlines import Deadlines
from slither_actors.dispatch._executor import ExecutorStatistics
from slither_actors.dispatch._loop_thread import LoopThread, place_of
from slither_actors.errors import BatchTimeoutError, ExecutorError, NotRunningError
from slither_actors.pool import context_style

__all__ = ["AsyncBatches", "AsyncCall"]

logger = logging.getLogger("slither_actors.dispatch")

_GRACE: Final = 1.0
"""Seconds that a cancelled coroutine may take to end, before it is said to swallow its cancellation."""


class _Permit:
    """A place among those that run at one time. Given back once, perhaps before its coroutine ends."""

    __slots__ = ("_places",)

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places

    def give_back(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.release()


class AsyncCall:
    """One batch. `wanted` is written from other threads, all else in the loop."""

    __slots__ = ("_batches", "abandoned", "alive", "batch", "begun", "permits", "tasks", "wanted")

    def __init__(self, batch: Batch, batches: AsyncBatches) -> None:
        self.batch = batch
        self.wanted = True
        """Whether somebody waits for its answer."""
        self.begun = False
        self.alive = True
        """Whether the loop has run since we asked; it does not while a coroutine blocks it."""
        self.abandoned = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.permits: dict[asyncio.Task[Any], _Permit] = {}
        self._batches = batches

    def cancel(self) -> None:
        """Nobody waits for it: end its coroutines. From any thread."""
        self._batches.end(self)

    def take_back(self) -> None:
        """Its run is closed: fail it if it has not begun. From any thread."""
        self._batches.take_back(self)

    def show_life(self) -> None:
        """Runs in the loop."""
        self.alive = True


class AsyncBatches:
    """The loop of one executor while it is in use, and the batches in it."""

    def __init__(
        self, function: Callable[..., Awaitable[Any]], name: str, concurrency: int, per: str
    ) -> None:
        self._function = function
        self._name = name
        self._style = context_style(function)
        self._concurrency = concurrency
        self._per_item = per == "item"
        self._places = asyncio.Semaphore(concurrency)
        self._calls: set[AsyncCall] = set()
        self._timeouts = 0
        self._deadlines = Deadlines(self._expire)
        self._thread = LoopThread(name)

    # -- from any thread -----------------------------------------------------------

    def submit(self, batch: Batch) -> None:
        """Have the batch run; its answer comes through itself."""
        call = batch.handle = AsyncCall(batch, self)
        self._deadlines.start(call, batch.timeout)  # of the wait, until it begins
        if not self._thread.call(self._begin, call):
            raise ExecutorError(self._name, "has lost its event loop")

    def end(self, call: AsyncCall) -> None:
        """The call has its answer, or needs none: end what runs of it."""
        call.wanted = False
        self._deadlines.stop(call)
        self._thread.call(self._cancel, call)

    def take_back(self, call: AsyncCall) -> None:
        """Fail the call if it has not begun."""
        self._thread.call(self._take_back, call)

    def stop(self) -> None:
        """End the loop."""
        self._thread.stop()

    def statistics(self, runs: int) -> ExecutorStatistics:
        """Return a snapshot, not quite of one moment."""
        calls = tuple(self._calls.copy())
        abandoned = sum(call.abandoned for call in calls)
        running = sum(call.begun and not call.abandoned for call in calls)
        return ExecutorStatistics(
            runs=runs,
            threads=1,
            running=running,
            queued=len(calls) - running - abandoned,
            abandoned=abandoned,
            timeouts=self._timeouts,
        )

    def _expire(self, call: AsyncCall) -> None:
        """The call's time is over; in the timer thread."""
        batch, note = call.batch, ""
        if not call.wanted:
            return
        if not call.begun:
            if call.alive:
                # It waits for its turn, as it should; unless the loop says nothing until next time.
                call.alive = False
                self._deadlines.start(call, batch.timeout)
                self._thread.call(call.show_life)
                return
            note = f"it could not begin: the event loop is blocked {self._thread.place}, which does not await"
        self._timeouts += 1
        error = BatchTimeoutError(batch=batch.description, timeout=batch.timeout or 0.0)
        if note:
            error.add_note(note)
        batch.fail(error)
        self.end(call)

    # -- in the loop ---------------------------------------------------------------

    def _begin(self, call: AsyncCall) -> None:
        if not call.wanted:
            return
        self._calls.add(call)
        run = self._run_items(call) if self._per_item else self._run_batch(call)
        self._start(call, run)

    def _start(self, call: AsyncCall, run: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(run, context=call.batch.variables)
        call.tasks.add(task)
        task.add_done_callback(lambda task: self._ended(call, task))
        return task

    def _ended(self, call: AsyncCall, task: asyncio.Task[Any]) -> None:
        permit = call.permits.pop(task, None)
        if permit is not None:
            permit.give_back()
        call.tasks.discard(task)
        if not call.tasks:
            self._calls.discard(call)
            self._deadlines.stop(call)
            call.batch.handle = None  # which is the call: without the collector, too, the payloads go
            if call.abandoned:
                logger.info("%s: %s, which was cancelled, has ended now", self._name, call.batch.description)

    async def _permit(self, call: AsyncCall) -> None:
        """Wait for a place for this task."""
        task = asyncio.current_task()
        assert task is not None
        await self._places.acquire()
        call.permits[task] = _Permit(self._places)
        if not call.begun:
            call.begun = True
            if call.wanted:
                self._deadlines.start(call, call.batch.timeout)

    async def _run_batch(self, call: AsyncCall) -> None:
        batch = call.batch
        try:
            await self._permit(call)
            results = checked_results(await self._call(batch.payloads, batch.context), batch.size, self._name)
        except BaseException as error:  # noqa: BLE001 - a SystemExit is the batch's too, as in a worker
            self._fail(call, error)
        else:
            self._succeed(call, results)

    def _call(self, payload: Any, context: Any) -> Awaitable[Any]:
        if self._style == "none":
            return self._function(payload)
        if self._style == "keyword":
            return self._function(payload, ctx=context)
        return self._function(payload, context)

    async def _run_items(self, call: AsyncCall) -> None:
        """As many tasks as there may be at one time, each for one item after the other."""
        payloads = call.batch.payloads
        results = [None] * len(payloads)
        rest = iter(enumerate(payloads))
        tasks = [
            self._start(call, self._run_some(call, rest, results))
            for _ in range(min(self._concurrency, len(payloads)))
        ]
        try:
            await asyncio.wait(tasks)
        except BaseException as error:  # noqa: BLE001 - cancelled, as a rule; the items' tasks are too
            self._fail(call, error)
        else:
            self._succeed(call, results)

    async def _run_some(self, call: AsyncCall, rest: Any, results: list[Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        context, index = call.batch.context, -1
        try:
            for index, payload in rest:
                await self._permit(call)
                results[index] = await self._call(payload, context)
                # And to the end of the line: other batches wait, too.
                call.permits.pop(task).give_back()
        except BaseException as error:  # noqa: BLE001 - as for a batch
            if call.wanted:
                with contextlib.suppress(
                    Exception
                ):  # its notes are the user's, who may have made none of a list
                    error.add_note(f"item {index} of {call.batch.description}")
                self._fail(call, error)
                self._cancel(call)

    def _succeed(self, call: AsyncCall, results: list[Any]) -> None:
        if call.wanted:
            call.wanted = False
            call.batch.succeed(results)

    def _fail(self, call: AsyncCall, error: BaseException) -> None:
        """What the coroutine raised is the answer, unless we had cancelled it."""
        if call.wanted:
            call.wanted = False
            call.batch.fail(error)

    def _take_back(self, call: AsyncCall) -> None:
        if call.wanted and not call.begun:
            call.batch.fail(NotRunningError(f"the run of {call.batch.description} ended before it began"))
            call.wanted = False
            self._deadlines.stop(call)
            self._cancel(call)

    def _cancel(self, call: AsyncCall) -> None:
        here = asyncio.current_task()
        for task in call.tasks:
            if task is not here:
                task.cancel()
        if call.tasks:
            self._thread.call_later(_GRACE, self._look_at, call)

    def _look_at(self, call: AsyncCall) -> None:
        """The call was cancelled a while ago."""
        if not call.tasks or call.abandoned:
            return
        call.abandoned = True
        for permit in call.permits.values():
            permit.give_back()
        places = ", ".join(sorted(place_of(task) for task in call.tasks))
        logger.warning(
            "%s: %s was cancelled and goes on all the same (%s): a coroutine has to let CancelledError "
            "through. Its place is given to another batch",
            self._name, call.batch.description, places,
        )  # fmt: skip
