"""What is left to do when a worker has ended: settle its batches and say why."""

from __future__ import annotations

import signal
import time
from typing import Final

import attrs

from slither_actors.errors import BatchError, BatchTimeoutError, SlitherError, WorkerCrashError
from slither_actors.pool._job import Job
from slither_actors.pool._lane import Doom, Lane
from slither_actors.pool._postmortem import explain_exit

__all__ = ["Burial", "bury", "cancelled"]

_USEFUL_AGE: Final = 1.0
"""A worker that was ready for this long did not fail to start, even if it never ran a batch."""


@attrs.frozen(kw_only=True)
class Burial:
    """The end of one worker."""

    pid: int
    exitcode: int | None
    cause: str
    """The likely cause, a sentence without a full stop."""

    stderr_tail: str
    age: float
    """Seconds since the process was started."""

    intended: bool
    """Whether the pool had killed it."""

    lost: Job | None
    """The batch that it had begun, which comes back with `error`."""

    error: SlitherError | None
    given_back: list[Job]
    """Batches that it had not begun."""

    delay: float
    """Seconds before its slot may start another."""

    failed_start: bool
    """It ended before it was of use."""

    @property
    def explanation(self) -> str:
        """The cause and the last lines on standard error."""
        tail = f"\nits last lines on standard error:\n{self.stderr_tail}" if self.stderr_tail else ""
        return f"{self.cause}{tail}"


def bury(lane: Lane, slot_is_stopping: bool) -> Burial:
    """Take the dead worker out of its lane. All frames that it had sent have been read.

    Its descriptors are closed; who watches them has stopped to.
    """
    process = lane.process
    assert process is not None
    assert process.board is not None
    now = time.monotonic()
    process.stderr.finish()
    note = process.board.read()
    pid, exitcode, tail = process.pid, process.exitcode, process.stderr.text
    was_ready = lane.ready_at is not None
    cause = lane.problem or explain_exit(
        exitcode, stderr_tail=tail, peak_memory=note.peak_memory, started=was_ready
    )
    doom = lane.doom
    begun = lane.doomed_ref if lane.doomed_ref in lane.jobs else note.ref or None
    useful = lane.ready_at is not None and now - lane.ready_at >= _USEFUL_AGE
    age = now - process.started_at
    process.close(0)  # whatever it had started goes with it
    killed = exitcode == -signal.SIGKILL and doom is None
    failed_starts = lane.slot.failed_starts
    lost, back, delay = lane.die(begun, useful=useful, killed=killed)
    error = (
        None if lost is None else _error(lane, lost, doom, pid=pid, exitcode=exitcode, cause=cause, tail=tail)
    )
    return Burial(
        pid=pid,
        exitcode=exitcode,
        cause=cause,
        stderr_tail=tail,
        age=age,
        intended=doom in (Doom.TIMEOUT, Doom.CANCEL) or slot_is_stopping,
        lost=lost,
        error=error,
        given_back=back,
        delay=delay,
        failed_start=lane.slot.failed_starts > failed_starts,
    )


def _error(
    lane: Lane, job: Job, doom: Doom | None, *, pid: int, exitcode: int | None, cause: str, tail: str
) -> SlitherError:
    if doom is Doom.TIMEOUT:
        return BatchTimeoutError(
            batch=job.description, timeout=job.timeout or 0.0, pool=lane.pool, slot=lane.slot.number, pid=pid
        )
    if doom is Doom.CANCEL:
        return cancelled(job)
    return WorkerCrashError(
        pool=lane.pool,
        slot=lane.slot.number,
        pid=pid,
        exitcode=exitcode,
        cause=cause,
        batch=job.description,
        attempt=job.attempt,
        stderr_tail=tail,
    )


def cancelled(job: Job) -> BatchError:
    """Mark a job as cancelled and return its error."""
    job.cancelled = True
    return BatchError(f"{job.description} was cancelled")
