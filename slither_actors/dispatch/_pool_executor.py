"""Batches that run in the worker processes of a pool."""

from __future__ import annotations

from typing import Any

from slither_actors.actors import Ref
from slither_actors.config import shown
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._default import find_pool, on_pool, pool_of
from slither_actors.dispatch._executor import Executor
from slither_actors.errors import OptionError, PoolError, PoolStoppedError
from slither_actors.pool import Job, Pool, Target

__all__ = ["PoolExecutor"]


class PoolExecutor(Executor):
    """Base of the executors that use a pool: what they run there is their `target`."""

    keeps_time = True
    measures = True

    _known: Ref | None = None
    """The pool, as it was found last."""

    _limit: float | None = None
    """Seconds that a batch may take, whatever the run says; None leaves it to the run."""

    def __init__(self, target: Target, pool: str) -> None:
        if not isinstance(pool, str) or not pool:
            raise OptionError(
                "pool", f"is {shown(pool)}; allowed is the name of a pool", where=type(self).__name__
            )
        self.target = target
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
        pool = self._known
        if pool is None or not pool.is_alive():
            pool = self._known = find_pool(self.pool)
            if pool is None:
                on_pool(self.pool, batch.runner, _submit_again, (self, batch))
                return
        origin = batch.origin
        job = batch.handle = Job(
            self.target if not origin.timed else self.target.with_stopwatch(),
            batch.sent,
            origin.reply_to,
            _job_done,
            origin.context,
            origin.timeout if self._limit is None else self._limit,
            batch,
            batch.attempt,
            origin.affinity,
            tag=(self, batch),
        )
        pool.send(Pool.submit, job)

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
    error = job.error
    if error is not None and isinstance(error, PoolStoppedError) and not job.started and not job.cancelled:
        # The pool died before a worker saw the batch. Its supervisor starts another.
        on_pool(executor.pool, batch.runner, _submit_again, job.tag)
        return
    batch.handle = None
    batch.took = job.took
    if job.timing is not None:
        batch.timing = job.timing
    batch.settle(runner, job.results, error)


def _submit_again(runner: Any, tag: tuple[PoolExecutor, Batch]) -> None:
    executor, batch = tag
    if not runner.waits_for(batch):
        return
    if find_pool(executor.pool) is None:
        batch.fail(PoolError(f"pool {executor.pool!r} has ended and did not come back"))
    else:
        executor.submit(batch)
