"""Where batches run.

An executor takes a batch and answers it later; it decides nothing about order,
room or failures, which are the runner's. Write one by subclassing `Executor`::

    class OnThreads(Executor):
        def __init__(self, function, threads):
            self._function = function
            self._threads = ThreadPoolExecutor(threads)

        def submit(self, batch):
            batch.handle = self._threads.submit(self._run, batch)

        def _run(self, batch):
            try:
                batch.succeed(self._function(batch.payloads))
            except Exception as error:
                batch.fail(error)

        def cancel(self, batch):
            return batch.handle.cancel()

What it answers is checked: another number of results, or an answer that is no
exception where one is due, fails the batch and not the run.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.dispatch._batch import Batch, checked_results
from slither_actors.dispatch._default import find_pool, on_pool, pool_of
from slither_actors.errors import OptionError, PoolError, PoolStoppedError
from slither_actors.pool import Job, Pool, Target, adapt

__all__ = ["Executor", "FunctionExecutor", "InlineExecutor", "executor_of"]


class Executor(abc.ABC):
    """Runs batches. One instance serves one run after the other or several at one time."""

    keeps_time = False
    """Whether it fails a batch that is past its `Batch.timeout` by itself. For one that does not, the
    runner does: it fails the batch and calls `cancel`; the timeout then counts from `submit`."""

    measures = False
    """Whether it sets `Batch.timing` of each batch that is `Batch.timed` and that was answered by whoever ran
    it. For one that does not, insights count the time from `submit` to the answer as work."""

    @abc.abstractmethod
    def submit(self, batch: Batch) -> None:
        """Take a batch and return at once; call ``batch.succeed`` or ``batch.fail`` later, once.

        Called in the runner's actor. An exception fails the batch.
        """

    def cancel(self, batch: Batch) -> bool | None:  # noqa: B027 - most have nothing to take back
        """Nobody waits for `batch` any more: do not start it. Running on is fine. In the runner's actor.

        Returns:
            True if it has not begun and will not. Else a run that is closed with ``on_close="wait"`` waits
            for its answer.
        """

    def kill(self, batch: Batch) -> bool | None:
        """As `cancel`, and end the batch if it runs and can be ended."""
        return self.cancel(batch)

    def open(self) -> None:  # noqa: B027 - most need none
        """Prepare before the first batch of a run; a raise fails the start of the run."""

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return type(self).__name__


class FunctionExecutor(Executor):
    """Runs a function in the worker processes of a pool.

    The function gets the list of a batch's payloads, and the run's `Context` if
    it has a second parameter, and returns one result per payload.

    Args:
        function: a callable that workers can import, or ``"module:function"``.
        pool: name of the pool.
        writable: whether it may write into the arrays that it gets, which are then its own copies.
            Otherwise they are read-only, and large ones are not copied in the worker.
    """

    keeps_time = True
    measures = True

    def __init__(
        self,
        function: str | Callable[..., Sequence[Any]],
        *,
        pool: str = "default",
        writable: bool = False,
    ) -> None:
        self.target = Target(function, writable=writable)
        self.pool = pool

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return self.target.name

    def open(self) -> None:
        """Make sure that the pool runs."""
        pool_of(self.pool)

    def submit(self, batch: Batch) -> None:
        """Hand the batch to the pool; if it is being restarted, as soon as it is back."""
        pool = find_pool(self.pool)
        if pool is None:
            on_pool(self.pool, batch.runner, _submit_again, (self, batch))
            return
        batch.handle = Job(
            target=self.target.with_stopwatch() if batch.timed else self.target,
            payloads=batch.payloads,
            reply_to=batch.runner,
            on_done=_job_done,
            context=batch.context,
            timeout=batch.timeout,
            description=batch.name,
            attempt=batch.attempt,
            affinity=batch.affinity,
            tag=(self, batch),
        )
        pool.send(Pool.submit, batch.handle)

    def cancel(self, batch: Batch) -> bool:
        """Take the batch back if no worker has begun it. It answers in any case, if the pool has it."""
        pool = find_pool(self.pool)
        if pool is None or batch.handle is None:
            return True
        pool.send(Pool.cancel, batch.handle)
        return False

    def kill(self, batch: Batch) -> bool:
        """Take the batch back, or kill the worker that runs it."""
        if batch.handle is not None:
            batch.handle.kill = True
        return self.cancel(batch)


def _job_done(runner: Any, job: Job) -> None:
    """Runs in the runner, when the pool has the outcome."""
    executor, batch = job.tag
    if isinstance(job.error, PoolStoppedError) and not job.started and not job.cancelled:
        # The pool died before a worker saw the batch. Its supervisor starts another.
        on_pool(executor.pool, batch.runner, _submit_again, job.tag)
        return
    batch.handle = None
    batch.timing = job.timing
    batch.settle(runner, job.results, job.error)


def _submit_again(runner: Any, tag: tuple[FunctionExecutor, Batch]) -> None:
    executor, batch = tag
    if not runner.waits_for(batch):
        return
    if find_pool(executor.pool) is None:
        batch.fail(PoolError(f"pool {executor.pool!r} has ended and did not come back"))
    else:
        executor.submit(batch)


class InlineExecutor(Executor):
    """Runs a function in the runner's own actor: for tests, and for work too small for a process.

    Towards policies it is as `FunctionExecutor`, except that a failure is the
    function's own exception. It cannot keep a timeout.
    """

    keeps_time = True

    def __init__(self, function: Callable[..., Sequence[Any]]) -> None:
        if not callable(function):
            raise OptionError("function", f"is {function!r:.200}; allowed is a callable")
        self._function = function
        self._call = adapt(function)

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return getattr(self._function, "__qualname__", type(self._function).__qualname__)

    def submit(self, batch: Batch) -> None:
        """Run the batch here and now."""
        try:
            results = self._call(batch.payloads, batch.context)
            if type(results) is not list or len(results) != batch.size:
                results = checked_results(results, batch.size, self.name)
        except BaseException as error:  # noqa: BLE001 - a SystemExit is the batch's too, as in a worker
            batch.fail(error)
        else:
            batch.succeed(results)


def executor_of(value: object, pool: str) -> Executor:
    """Take what a user gave as ``executor``: one, a callable, or ``"module:function"``."""
    if isinstance(value, Executor):
        return value
    if isinstance(value, str) or (callable(value) and not isinstance(value, type)):
        try:
            return FunctionExecutor(value, pool=pool)
        except OptionError:
            pass  # what is wrong is the same, but the option has another name here
    raise OptionError(
        "executor", f'is {value!r:.200}; allowed are an Executor, a callable and "module:function"'
    )
