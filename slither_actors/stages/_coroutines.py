"""The coroutines of one stage: started, read, cancelled and waited for.

The stage starts jobs and is told of their news by messages; everything between
happens in the event loop's thread. At the end of the stage they are cancelled
and waited for. What does not end then is abandoned, as a handler would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from slither_actors.actors import blocking, interruptible
from slither_actors.actors._interrupts import waits
from slither_actors.actors._zombie import abandon_work
from slither_actors.errors import ExitPendingError, NotRunningError
from slither_actors.stages._job import Job
from slither_actors.stages._loop import LoopThread, UserLoop, shared

if TYPE_CHECKING:
    from slither_actors.stages._async_server import AsyncServer

__all__ = ["Coroutines", "Quota"]

_GRACE = 0.05
"""Seconds that the end of a stage that was killed waits for its coroutines. Less than the supervisor waits
before it takes the stage itself for one that does not return."""

_PATIENCE = 1.0
"""Seconds after which those are told of that have not ended then: a busy machine is no reason to."""


class Quota:
    """How many events async generators may yield. Used in the loop's thread only.

    When the order is kept, only the first of the jobs that run draws on it. Each of the others may be one
    event ahead: so they all run, up to their first `yield`, and nothing piles up.
    """

    __slots__ = ("_ahead", "_waiting", "left")

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self._ahead: dict[Job, int] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    def grant(self, count: int) -> None:
        """Allow more."""
        self.left += count
        self._wake()

    def hold(self, job: Job) -> None:
        """It is not the first: it may be one event ahead."""
        self._ahead[job] = 0

    def promote(self, job: Job) -> None:
        """It is the first now."""
        self.left -= self._ahead.pop(job, 0)
        self._wake()

    async def take(self, job: Job) -> None:
        """Wait until the job may yield one more."""
        while not (self._ahead[job] < 1 if job in self._ahead else self.left > 0):
            allowed = asyncio.get_running_loop().create_future()
            self._waiting.add(allowed)
            try:
                await allowed
            finally:
                self._waiting.discard(allowed)
        self._count(job, 1)

    def give_back(self, job: Job) -> None:
        """It had nothing more to yield."""
        self._count(job, -1)
        self._wake()

    def _count(self, job: Job, count: int) -> None:
        if job in self._ahead:
            self._ahead[job] += count
        else:
            self.left -= count

    def _wake(self) -> None:
        for allowed in self._waiting:
            if not allowed.done():
                allowed.set_result(None)


class Coroutines:
    """Runs the jobs of one stage in the event loop.

    `start` and `close` are called in the stage; what begins with ``_`` runs in the loop's thread.
    """

    def __init__(
        self, stage: AsyncServer, context: Context, where: LoopThread | UserLoop | None = None
    ) -> None:
        self._cell = stage._cell
        self._where = shared if where is None else where
        self._context = context
        """Of whoever has started the stage; each coroutine gets a copy."""
        self._live: set[Job] = set()
        """Added to in the stage, taken from in the loop's thread."""
        self._closing = self._abandoned = False
        self._left = False
        """Whether they were cancelled in a loop of the program's, which ends them when it gets to it."""
        self._none_left = threading.Event()
        """Set when none runs any more, behind `close`."""

    @property
    def running(self) -> int:
        """How many coroutines have not ended."""
        return len(self._live)

    def start(self, job: Job) -> None:
        """Run a job.

        Raises:
            NotRunningError: the program is at its end.
        """
        self._live.add(job)
        self._where.call(self._start, job)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function in the loop's thread, behind what was started."""
        self._where.call(function, *args)

    def run(self, job: Job) -> Any:
        """Run a job and wait for it, in the stage; return its result or raise its error.

        Raises:
            RuntimeError: the code that asks is a coroutine in the loop's thread and would wait for itself.
        """
        if self._where.is_here:
            msg = f"{job!r} cannot be waited for by another coroutine: use `await asyncio.to_thread(...)`"
            raise RuntimeError(msg)
        return job.wait(self.start)

    # -- in the loop's thread ------------------------------------------------------

    def _start(self, job: Job) -> None:
        if self._closing and not job.force:
            self._forget(job)
            if job.last is not None:
                job.last()
            return
        context = self._context.copy()
        loop = asyncio.get_running_loop()
        running = self._run(job)
        job.task = context.run(job.run_as_current, self._make_task, loop, running, context, job)
        job.task.add_done_callback(lambda _: self._ended(job))

    @staticmethod
    def _make_task(
        loop: asyncio.AbstractEventLoop, running: Any, context: Context, job: Job
    ) -> asyncio.Task[None]:
        return loop.create_task(running, name=f"{job.stage}: {job.name}", context=context)

    async def _run(self, job: Job) -> None:
        try:
            called = job.call(*job.what)
            if job.quota is None:
                job.result = await called
            else:
                await self._read(job, job.quota, called)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this stage only
            job.error = error

    async def _read(self, job: Job, quota: Quota, stream: AsyncGenerator[Any, None]) -> None:
        async with contextlib.aclosing(stream):
            while True:
                await quota.take(job)
                try:
                    event = await anext(stream)
                except StopAsyncIteration:
                    quota.give_back(job)
                    return
                job.basket.append(event)
                # The stage clears the flag before it looks into the basket.
                if not job.told:
                    job.told = True
                    self._cell.put((_coroutine_yielded, job))

    def _ended(self, job: Job) -> None:
        if job.task is not None and job.task.cancelled() and job.error is None:
            job.error = asyncio.CancelledError()  # before its first step
        job.over = True
        self._forget(job)
        if job.last is not None:
            job.last()
        elif not self._closing:
            self._cell.put((_coroutine_ended, job))

    def _forget(self, job: Job) -> None:
        self._live.discard(job)
        if self._closing and not self._live:
            self._none_left.set()

    def _cancel(self) -> None:
        self._closing = True
        for job in tuple(self._live):
            if job.task is not None:
                job.task.cancel()
        if not self._live:
            self._none_left.set()

    # -- the end ---------------------------------------------------------------------

    @waits
    def close(self, seconds: float | None, *, killed: bool) -> None:
        """Cancel what runs and wait for it; abandon what has not ended then.

        Args:
            seconds: how long to wait; None waits until the stage is killed.
            killed: the stage is dead already, and its coroutines have a tenth of a second.

        Raises:
            ExitPendingError: the stage was killed meanwhile.
        """
        if not self._live or self._left:
            self._closing = True
            return
        ended = self._none_left
        try:
            self._where.call(self._cancel)
        except NotRunningError:
            for job in tuple(self._live):
                if job.task is not None:
                    # Nobody can end it any more. Asyncio need not say so when it finds it.
                    job.task._log_destroy_pending = False  # type: ignore[attr-defined]
            return
        self._left = not self._where.is_ours
        if self._abandoned or self._left:
            return
        try:
            if killed:
                blocking()
                ended.wait(_GRACE)
            else:
                with interruptible(ended.set) as refuse:
                    blocking()
                    ended.wait(seconds)
                    if self._live:
                        refuse()
        except ExitPendingError:
            ended.clear()
            ended.wait(_GRACE)
            raise
        finally:
            if self._live:
                self._abandoned = True
                abandon_work(self._cell, self._stacks, patience=_PATIENCE if killed else 0.0)

    def join(self, seconds: float) -> None:
        """Wait, in another thread, until those that were cancelled have ended."""
        if self._live and self._where.is_ours:
            blocking()
            self._none_left.wait(seconds)

    def _stacks(self) -> str:
        """Where the coroutines are that have not ended, as text; empty when all have. From any thread."""
        return "".join(
            f"{job!r}, which was cancelled:\n{_stack(job.task.get_coro())}"
            for job in tuple(self._live)
            if job.task is not None
        )


def _stack(coroutine: Any) -> str:
    """Where a coroutine waits: `Task.print_stack` would show the outermost function only."""
    frames = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return "".join(traceback.StackSummary.extract(iter(frames)).format())


def _coroutine_yielded(stage: AsyncServer, job: Job) -> None:
    stage._job_yielded(job)


def _coroutine_ended(stage: AsyncServer, job: Job) -> None:
    stage._job_ended(job)
