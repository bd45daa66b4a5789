"""What is left to do when a worker has ended: settle its batches and say why."""

from __future__ import annotations

import signal
import time
from typing import Final

import attrs

from slither_actors.errors import BatchError, BatchTimeoutError, SlitherError, WorkerCrashError
from slither_actors.pool._board import Reading
from slither_actors.pool._job import Job
from slither_actors.pool._lane import Doom, Lane
from slither_actors.pool._obstacles import GUARD, NO_GUARD
from slither_actors.pool._postmortem import explain_exit, last_lines, leaves_stack, python_stack
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._vitals import oom_scope, shared_memory_free
from slither_actors.postmortem import Postmortem

__all__ = ["Burial", "bury", "cancelled"]

_USEFUL_AGE: Final = 1.0
"""A worker that was ready for this long did not fail to start, even if it never ran a batch."""


@attrs.frozen(kw_only=True)
class Burial:
    """The end of one worker."""

    postmortem: Postmortem
    """What is known about it."""

    loss: str
    """Why what the worker held is gone, a sentence without a full stop: we may have killed it ourselves."""

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
    def pid(self) -> int:
        """The process that it was."""
        return self.postmortem.pid

    @property
    def exitcode(self) -> int | None:
        """Minus the signal, or the exit status; None is unknown."""
        return self.postmortem.exitcode

    @property
    def cause(self) -> str:
        """The likely cause, a sentence without a full stop."""
        return self.postmortem.cause

    @property
    def age(self) -> float:
        """Seconds since the process was started."""
        return self.postmortem.age

    @property
    def explanation(self) -> str:
        """The cause and the last lines on standard error."""
        tail = self.postmortem.stderr_tail
        if NO_GUARD in tail and GUARD in self.cause:
            return self.cause  # the tail is a traceback that comes to the same
        return f"{self.cause}\nits last lines on standard error:\n{tail}" if tail else self.cause


def bury(lane: Lane, slot_is_stopping: bool) -> Burial:
    """Take the dead worker out of its lane. All frames that it had sent have been read.

    Its descriptors are closed; who watches them has stopped to.
    """
    process = lane.process
    assert process is not None
    assert process.board is not None
    now = time.monotonic()
    process.kill()  # whatever it had started goes with it, and says nothing more
    process.outputs.finish(process.board.dropped)  # first what it had said, then what became of its batch
    note = process.board.read()
    postmortem = _examine(lane, process, note, now)
    doom = lane.doom
    begun = lane.doomed_ref if lane.doomed_ref in lane.jobs else note.ref or None
    useful = lane.ready_at is not None and now - lane.ready_at >= _USEFUL_AGE
    process.close(0)
    killed = postmortem.exitcode == -signal.SIGKILL and doom is None and not postmortem.oom_kills
    failed_starts = lane.slot.failed_starts
    lost, back, delay = lane.die(begun, useful=useful, killed=killed)
    error = None
    if lost is not None:
        postmortem = attrs.evolve(
            postmortem,
            batch=lost.description,
            batch_ref=lost.ref,
            attempt=lost.attempt,
            ran_for=now - note.since if note.ref == lost.ref else None,
        )
        error = _error(lost, doom, postmortem)
    return Burial(
        postmortem=postmortem,
        loss=_loss(lost, doom, postmortem.cause),
        intended=doom in (Doom.TIMEOUT, Doom.CANCEL) or slot_is_stopping,
        lost=lost,
        error=error,
        given_back=back,
        delay=delay,
        failed_start=lane.slot.failed_starts > failed_starts,
    )


def _loss(job: Job | None, doom: Doom | None, cause: str) -> str:
    if doom is Doom.TIMEOUT and job is not None:
        return f"it was killed as {job.description} ran longer than {job.timeout or 0.0:g} s"
    if doom is Doom.CANCEL and job is not None:
        return f"it was killed as {job.description} was cancelled"
    return cause


def _examine(lane: Lane, process: WorkerProcess, note: Reading, now: float) -> Postmortem:
    """Put together what is known; what it ran is not known yet."""
    exitcode, vitals, stderr = process.exitcode, process.vitals, process.outputs.stderr_tail
    tail, stack = last_lines(stderr), python_stack(stderr) if leaves_stack(exitcode) else ""
    killed, bus_error = exitcode == -signal.SIGKILL and lane.doom is None, exitcode == -signal.SIGBUS
    oom_kills = vitals.oom_kills() if killed else None
    shared_memory = shared_memory_free() if bus_error else None
    peak = max(note.peak_memory, vitals.peak)
    cause = lane.problem or explain_exit(
        exitcode,
        stack=stack,
        stderr_tail=tail,
        peak_memory=peak,
        started=lane.ready_at is not None,
        oom_kills=oom_kills,
        oom_scope=oom_scope(),
        shared_memory=shared_memory,
    )
    return Postmortem(
        pool=lane.pool,
        slot=lane.slot.number,
        pid=process.pid,
        exitcode=exitcode,
        cause=cause,
        age=now - process.started_at,
        batches=lane.batches_done,
        rss=vitals.rss,
        peak_rss=peak,
        oom_kills=oom_kills,
        shared_memory_free=None if shared_memory is None else shared_memory[0],
        python_stack=stack,
        stderr_tail=tail,
    )


def _error(job: Job, doom: Doom | None, postmortem: Postmortem) -> SlitherError:
    found = postmortem
    if doom is Doom.TIMEOUT:
        return BatchTimeoutError(
            batch=job.description, timeout=job.timeout or 0.0, pool=found.pool, slot=found.slot, pid=found.pid
        )
    if doom is Doom.CANCEL:
        return cancelled(job)
    return WorkerCrashError(postmortem)


def cancelled(job: Job) -> BatchError:
    """Mark a job as cancelled and return its error."""
    job.cancelled = True
    return BatchError(f"{job.description} was cancelled")
