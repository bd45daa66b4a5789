"""The protocol of what runs batches."""

from __future__ import annotations

import abc

import attrs

from slither_actors.dispatch._batch import Batch
from slither_actors.errors import ExecutorError, safe_text

__all__ = ["Executor", "ExecutorStatistics", "explained"]


class Executor(abc.ABC):
    """Runs batches. One instance serves one run after the other or several at one time."""

    keeps_time = False
    """Whether it fails a batch that is past its `Batch.timeout` by itself. For one that does not, the
    runner does: it fails the batch and calls `cancel`; the timeout then counts from `submit`."""

    measures = False
    """Whether it sets `Batch.timing` of each batch that is `Batch.timed` and that was answered by whoever ran
    it. For one that does not, insights count the time from `submit` to the answer as work."""

    runs_in_submit = False
    """Whether `submit` runs the batch before it returns. The next one is submitted when the answer has been
    taken, so that results and the end of the run do not wait for all that there is room for."""

    ends_what_runs = False
    """Whether `cancel` also ends a batch that runs. A run that is closed with ``on_close="wait"`` calls
    `take_back` instead then."""

    @abc.abstractmethod
    def submit(self, batch: Batch) -> None:
        """Take a batch and return at once; call ``batch.succeed`` or ``batch.fail`` later, once.

        Called in the runner's actor. An exception fails the batch; a bare `BaseException`, a SystemExit
        say, with an `ExecutorError` that names the executor.
        """

    def cancel(self, batch: Batch) -> bool | None:  # noqa: B027 - most have nothing to take back
        """Nobody waits for `batch` any more: do not start it. Running on is fine. In the runner's actor.

        Returns:
            True if it has not begun and will not. Else a run that is closed with ``on_close="wait"`` waits
            for its answer.
        """

    def take_back(self, batch: Batch) -> None:  # noqa: B027 - it is for those that `ends_what_runs`
        """Nobody wants `batch` any more if it has not begun: fail it then. Leave it alone if it runs.

        For an executor that `ends_what_runs`: the run is closed with ``on_close="wait"``, and waits for an
        answer. In the runner's actor.
        """

    def kill(self, batch: Batch) -> bool | None:
        """As `cancel`, and end the batch if it runs and can be ended."""
        return self.cancel(batch)

    def open(self) -> None:  # noqa: B027 - most need none
        """Prepare before the first batch of a run; a raise fails the start of the run.

        Called once per run in its runner's actor, also while other runs use the executor.
        """

    def close(self) -> None:  # noqa: B027 - most need none
        """A run has ended, however it did: free what nobody needs any more, and do not wait for it.

        Called once for each `open` that returned, from any thread. All batches of the run that have
        not been answered were cancelled before. A raise is logged and harms nobody.
        """

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return type(self).__name__


def explained(executor: Executor, error: BaseException) -> ExecutorError:
    """Take a SystemExit, say, that `submit` raised as what it is: a failure, and nobody's wish to end."""
    text = f"{type(error).__name__}: {safe_text(error)}".rstrip(": ")
    failure = ExecutorError(
        executor.name, f"raised {text} in submit, where it ends neither the program nor the run"
    )
    failure.__cause__ = error
    return failure


@attrs.frozen(kw_only=True)
class ExecutorStatistics:
    """What an executor held at one moment. Returned by the ``statistics`` of those that have threads."""

    runs: int
    """Runs that use it: those that opened it and have not closed it."""

    threads: int
    """Its threads, without those that are abandoned."""

    running: int
    """Batches that run, without those that are abandoned."""

    queued: int
    """Batches that wait for their turn."""

    abandoned: int
    """Batches whose code goes on although they are past their timeout, for it cannot be stopped."""

    timeouts: int
    """Batches that were past their timeout, ever."""
