"""Where batches run.

An executor takes a batch and answers it later; it decides nothing about order,
room or failures, which are the runner's. Write one by subclassing `Executor`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from slither_actors.dispatch._default import find_pool, on_pool, pool_of
from slither_actors.errors import OptionError, PoolError, PoolStoppedError, ResultError
from slither_actors.pool import Job, Pool, Target, adapt

if TYPE_CHECKING:
    from slither_actors.dispatch._batch import Batch

__all__ = ["Executor", "FunctionExecutor", "InlineExecutor", "checked_results", "executor_of"]


class Executor(abc.ABC):
    """Runs batches. One instance serves one run after the other or several at one time."""

    @abc.abstractmethod
    def submit(self, batch: Batch) -> None:
        """Take a batch and return at once; call ``batch.succeed`` or ``batch.fail`` later, once.

        Called in the runner's actor. An exception fails the batch.
        """

    def cancel(self, batch: Batch) -> None:  # noqa: B027 - most have nothing to take back
        """Nobody waits for `batch` any more: do not start it. Running on is fine."""

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
    """

    def __init__(self, function: str | Callable[..., Sequence[Any]], *, pool: str = "default") -> None:
        self.target = Target(function)
        self.pool = pool

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return self.target.name

    def open(self) -> None:
        """Make sure that the pool runs."""
        pool_of(self.pool)

    def submit(self, batch: Batch) -> None:
        """Hand the batch to the pool."""
        batch.handle = Job(
            target=self.target,
            payloads=batch.payloads,
            reply_to=batch.runner,
            on_done=_job_done,
            context=batch.context,
            timeout=batch.timeout,
            description=batch.description,
            attempt=batch.attempt,
            tag=(self, batch),
        )
        pool_of(self.pool).send(Pool.submit, batch.handle)

    def cancel(self, batch: Batch) -> None:
        """Take the batch back if no worker has begun it."""
        pool = find_pool(self.pool)
        if pool is not None and batch.handle is not None:
            pool.send(Pool.cancel, batch.handle)


def _job_done(runner: Any, job: Job) -> None:
    """Runs in the runner, when the pool has the outcome."""
    executor, batch = job.tag
    if isinstance(job.error, PoolStoppedError) and not job.started and not job.cancelled:
        # The pool died before a worker saw the batch. Its supervisor starts another.
        on_pool(executor.pool, batch.runner, _submit_again, job.tag)
        return
    batch.handle = None
    batch.settle(runner, job.results, job.error)


def _submit_again(_: Any, tag: tuple[FunctionExecutor, Batch]) -> None:
    executor, batch = tag
    try:
        executor.submit(batch)
    except PoolError as error:
        batch.fail(error)


class InlineExecutor(Executor):
    """Runs a function in the runner's own actor: for tests, and for work too small for a process."""

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
        payloads = batch.payloads
        results = self._call(payloads, batch.context)
        batch.succeed(checked_results(results, len(payloads), self.name))


def checked_results(results: Any, expected: int, name: str) -> list[Any]:
    """Take what a batch function returned as a list of `expected` results.

    Raises:
        ResultError: it is no sequence of results, or has another length.
    """
    if isinstance(results, (str, bytes, dict)) or not hasattr(results, "__iter__"):
        msg = (
            f"{name} returned {results!r:.100} for {expected} payloads; expected is a list of as many results"
        )
        raise ResultError(msg)
    made = results if isinstance(results, list) else list(results)
    if len(made) != expected:
        msg = f"{name} returned {len(made)} results for {expected} payloads"
        raise ResultError(msg)
    return made


def executor_of(value: object, pool: str) -> Executor:
    """Take what a user gave as ``executor``: one, a callable, or ``"module:function"``."""
    if isinstance(value, Executor):
        return value
    if isinstance(value, str) or (callable(value) and not isinstance(value, type)):
        return FunctionExecutor(value, pool=pool)
    raise OptionError(
        "executor", f'is {value!r:.200}; allowed are an Executor, a callable and "module:function"'
    )
