"""Why one batch fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slither_actors.errors._base import SlitherError
from slither_actors.errors._text import excerpt

if TYPE_CHECKING:
    from slither_actors.postmortem import Postmortem

__all__ = [
    "BatchError",
    "BatchTimeoutError",
    "CircuitOpenError",
    "ExecutorError",
    "PayloadError",
    "PoisonBatchError",
    "RemoteError",
    "ResultError",
    "TargetError",
    "WorkerCrashError",
]


class BatchError(SlitherError):
    """Base of the reasons for which one batch fails."""


class WorkerCrashError(BatchError):
    """The worker process died while it ran the batch.

    Only this batch is lost; the slot starts another worker.
    """

    def __init__(self, postmortem: Postmortem) -> None:
        self.postmortem = postmortem
        """All that is known about the death."""
        self.pool = postmortem.pool
        self.slot = postmortem.slot
        self.pid = postmortem.pid
        self.exitcode = postmortem.exitcode
        """As `multiprocessing.Process.exitcode`: negative is minus the signal, None is unknown."""
        self.cause = postmortem.cause
        """The likely cause, a sentence without a full stop."""
        self.batch = postmortem.batch
        self.attempt = postmortem.attempt
        self.stderr_tail = postmortem.stderr_tail
        """The worker's last lines on standard error."""
        super().__init__(postmortem)

    @property
    def signal(self) -> int | None:
        """The number of the signal that killed the worker, if one did."""
        return self.postmortem.signal


class BatchTimeoutError(BatchError, TimeoutError):
    """The batch ran longer than its timeout; its worker was killed and replaced."""

    def __init__(self, *, batch: str, timeout: float, pool: str = "", slot: int = -1, pid: int = 0) -> None:
        self.batch = batch
        self.timeout = timeout
        self.pool = pool
        self.slot = slot
        self.pid = pid
        where = f" in worker {pid} (pool {pool!r}, slot {slot}), which was killed" if pid else ""
        super().__init__(f"{batch} ran longer than {timeout:g} s{where}")


class PoisonBatchError(BatchError):
    """The batch killed one worker after the other and is not tried again.

    ``__cause__`` is the last `WorkerCrashError`.
    """

    def __init__(self, *, batch: str, kills: Sequence[WorkerCrashError]) -> None:
        self.batch = batch
        self.kills = tuple(kills)
        """How its workers died, in order; each with `pid`, `signal` and `cause`."""
        deaths = "; ".join(f"worker {kill.pid}: {kill.cause}" for kill in self.kills)
        plural = "workers" if len(self.kills) != 1 else "worker"
        super().__init__(
            f"{batch} killed {len(self.kills)} {plural} and is not tried again ({deaths}); run its items one "
            "by one to find the one that does it, or raise poison_after if the workers died of something else"
        )


class CircuitOpenError(BatchError):
    """The batch was not tried: the last ones of its target all failed, and it is left alone for a while."""

    def __init__(
        self, *, target: str, pool: str, batch: str, open_since: float, retry_in: float, last_error: str
    ) -> None:
        self.target = target
        self.pool = pool
        """Name of the pool; empty for an executor without one."""
        self.batch = batch
        self.open_since = open_since
        """Seconds for which the circuit has been open."""
        self.retry_in = retry_in
        """Seconds until it lets the next batch pass for a trial."""
        self.last_error = last_error
        where = f" in pool {pool!r}" if pool else ""
        super().__init__(
            f"{batch} was not tried: the circuit of {target}{where} has been open for {open_since:.1f} s, "
            f"and is tried again in {retry_in:.1f} s; the last error was: {excerpt(last_error)}"
        )


class RemoteError(BatchError):
    """The user's function raised in a worker.

    ``__cause__`` is the original exception when it can cross processes.
    """

    def __init__(self, type_name: str, message: str, traceback_text: str) -> None:
        self.type_name = type_name
        """Qualified name of the original class, such as ``builtins.ValueError``."""
        self.message = message
        self.traceback_text = traceback_text
        """The remote traceback, formatted."""
        super().__init__(f"{type_name}: {message}\n\n--- remote traceback ---\n{traceback_text}")


class PayloadError(BatchError):
    """A payload or a result cannot be pickled; the message names the part that cannot."""


class ResultError(BatchError):
    """A worker function returned something other than one result per payload."""


class TargetError(BatchError):
    """A worker could not import the function that it was told to run."""


class ExecutorError(BatchError):
    """An executor cannot run the batch, whatever is in it: it is broken, shut down or used up."""

    def __init__(self, executor: str, problem: str) -> None:
        self.executor = executor
        """Its name."""
        self.problem = problem
        """The end of the sentence."""
        super().__init__(f"{executor} {problem}")
