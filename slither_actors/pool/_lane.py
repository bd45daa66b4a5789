"""One slot with its present worker: what is in the worker's hands, and since when.

A lane performs what `core.Slot` decides and what the pool asks. It knows
nothing of queues, timers or other lanes.
"""

from __future__ import annotations

import enum
import math
import time
from pickle import PickleBuffer
from typing import Final

import attrs

from slither_actors.core._slot import Slot, SlotState
from slither_actors.pool import _wire as wire
from slither_actors.pool._job import Job
from slither_actors.pool._payloads import dumps_batch, main_can_be_imported
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._segments import Segments
from slither_actors.pool._sharing import pack_batch
from slither_actors.pool._timing import timing
from slither_actors.pool._worker_line import OutOfStepError, WorkerLine

__all__ = ["Doom", "Lane"]

_QUICK: Final = 0.01
"""Seconds: a second batch is put into the pipe of a worker whose batches take less. For longer
ones the pipe's latency is nothing, and a batch behind a slow one would better go elsewhere."""

_SMOOTHING: Final = 0.3
_KILL_GRACE: Final = 0.5
"""Seconds: a killed process ends at once, unless the kernel holds it."""

_EXIT_GRACE: Final = 0.25
"""Seconds between the end of a worker's connection and our helping the process to end."""


class Doom(enum.Enum):
    """Why the pool kills a worker."""

    TIMEOUT = "timeout"
    """Its batch ran too long."""
    CANCEL = "cancel"
    """Its batch is not wanted any more."""
    START = "start"
    """It was not ready in time."""
    RETIRE = "retire"
    """It is to end, and has no batch, but does not end by itself."""
    BROKEN = "broken"
    """It closed its connection, or sent what makes no sense."""


@attrs.define(eq=False)
class Lane:
    """A slot, its worker and the batches that the worker holds. Its pool is the only caller."""

    pool: str
    slot: Slot
    segments: Segments
    process: WorkerProcess | None = attrs.field(default=None, init=False)
    line: WorkerLine = attrs.field(factory=WorkerLine, init=False)
    """The connection to the worker; closed if there is none."""

    jobs: dict[int, Job] = attrs.field(factory=dict, init=False)
    """By reference, those in `slot.outstanding`."""

    due: float = attrs.field(default=math.inf, init=False)
    """When the pool has to look at it, by `time.monotonic`."""

    doom: Doom | None = attrs.field(default=None, init=False)
    """Why the worker is being killed, if it is."""

    doomed_ref: int | None = attrs.field(default=None, init=False)
    """The batch for which we kill it."""

    listed: bool = attrs.field(default=False, init=False)
    """Whether it is in the pool's list of idle lanes."""

    pace: float | None = attrs.field(default=None, init=False)
    """Recent seconds per batch, smoothed."""

    opened_at: float = attrs.field(default=0.0, init=False)
    retired: str = attrs.field(default="", init=False)
    """Why the worker retires, if it does: the option, or ``"resize"``."""

    told: bool = attrs.field(default=False, init=False)
    """Whether the worker was told to end."""

    predecessor: Lane | None = attrs.field(default=None, init=False)
    """The one that leaves this place; this one is not ready before that one's last batch has ended."""

    waits: bool = attrs.field(default=False, init=False)
    """Whether the worker is ready, but its predecessor still runs a batch."""

    unborn: WorkerProcess | None = attrs.field(default=None, init=False)
    """The next worker, while a fork server has not made it yet."""

    ready_at: float | None = attrs.field(default=None, init=False)
    problem: str = attrs.field(default="", init=False)
    """What is wrong with the worker, where its exit status does not tell."""

    begun_at: float = attrs.field(default=0.0, init=False)
    revoked: int | None = attrs.field(default=None, init=False)
    """A batch that was taken back and that the worker has not met yet. The board has room for one,
    so until the worker says that it skipped it no second batch goes into the pipe."""

    _batches_before: int = attrs.field(default=0, init=False)
    _main_by_value: bool = attrs.field(default=False, init=False)

    # -- the worker ---------------------------------------------------------------

    def open(self, process: WorkerProcess) -> None:
        """Take a fresh process."""
        assert process.sock is not None
        self.process = process
        self.opened_at = time.monotonic()
        process.outputs.jobs = self.jobs
        self._batches_before = self.slot.batches
        self.doom = self.doomed_ref = self.ready_at = self.revoked = None
        self.told = self.waits = False
        self.problem = self.retired = ""
        self.line = WorkerLine(process, self._line_ended)
        self._main_by_value = not main_can_be_imported()

    @property
    def pid(self) -> int:
        """The worker's process, or 0."""
        return 0 if self.process is None else self.process.pid

    @property
    def batches_done(self) -> int:
        """Batches that ended under the present worker."""
        return self.slot.batches - self._batches_before

    @property
    def takes_second(self) -> bool:
        """Whether a batch may wait in the pipe behind the one that runs."""
        return self.slot.state is SlotState.BUSY and self.takes

    @property
    def takes(self) -> bool:
        """Whether it is to be given a batch if there is one: `is_idle` or `takes_second`, in one call."""
        slot = self.slot
        state = slot.state
        if state is SlotState.IDLE:
            return not self.line.closed
        return (
            state is SlotState.BUSY
            and len(slot.outstanding) == 1
            and self.pace is not None
            and self.pace < _QUICK
            and self.revoked is None
            and not self.line.closed
        )

    @property
    def is_idle(self) -> bool:
        """Whether the worker waits for a batch."""
        return self.slot.state is SlotState.IDLE and not self.line.closed

    @property
    def running(self) -> Job | None:
        """The batch that the worker runs, or is about to."""
        outstanding = self.slot.outstanding
        return self.jobs.get(outstanding[0]) if outstanding else None

    # -- batches --------------------------------------------------------------------

    def assign(self, job: Job, ref: int) -> None:
        """Send a batch.

        Raises:
            PayloadError: it, its function or its context cannot be pickled. Nothing was assigned.
        """
        line = self.line
        last_target, last_context, target, context = line.definitions.last
        if job.target is not last_target or job.context is not last_context:
            target, context = line.definitions.of(job, line.write)
        buffers: list[PickleBuffer] = []
        by_value = self._main_by_value
        body = dumps_batch(target, context, job.payloads, job.about, buffers, main_by_value=by_value)
        kind = wire.RUN
        if buffers or job.target.room or len(body) >= self.segments.threshold:
            kind, body = pack_batch(self, job, ref, body, buffers)
        slot = self.slot
        slot.assign(ref)
        self.jobs[ref] = job
        job.ref, job.slot, job.worker_pid = ref, slot.number, self.process.pid if self.process else 0
        if len(slot.outstanding) == 1:
            self.begin(job)
        if line.news is not None:
            line.tell_news()
        line.write(kind, ref, body)

    def begin(self, job: Job) -> None:
        """The batch's turn has come in the worker: its clock starts."""
        now = time.monotonic()
        self.begun_at = now
        job.started = True
        if not self.line.closed:
            self.due = math.inf if job.timeout is None else now + job.timeout

    def finish(self, ref: int) -> Job:
        """A batch has ended; return it. The next one in the pipe begins.

        Raises:
            OutOfStepError: the worker does not hold it, or not first.
        """
        try:
            following = self.slot.finish(ref)
        except ValueError as error:
            msg = f"it answered a batch that it was not running: {error}"
            raise OutOfStepError(msg) from error
        job = self.jobs.pop(ref)
        now = time.monotonic()
        took = job.took = now - self.begun_at
        self.pace = took if self.pace is None else self.pace + _SMOOTHING * (took - self.pace)
        if job.target.timed:
            job.timing = timing(self, ref, now)
        if following is not None:
            self.begin(self.jobs[following])
        else:
            self._set_due(now if self.slot.state is SlotState.RETIRING else math.inf)
        return job

    def take_back(self) -> Job | None:
        """Take the batch that waits in the pipe back, unless it has begun."""
        outstanding = self.slot.outstanding
        if len(outstanding) < 2 or self.process is None or self.process.board is None:
            return None
        ref = outstanding[1]
        if not self.process.board.revoke(ref):
            return None
        self.revoked = ref
        self.slot.withdraw(ref)
        return self._reset(self.jobs.pop(ref))

    def withdraw(self, ref: int) -> Job:
        """The worker says that it skipped a batch, which did not run."""
        self.slot.withdraw(ref)
        outstanding = self.slot.outstanding
        if outstanding:
            self.begin(self.jobs[outstanding[0]])
        else:
            self._set_due(time.monotonic() if self.slot.is_done else math.inf)
        return self._reset(self.jobs.pop(ref))

    def abandon(self) -> None:
        """Kill the worker, and mark the batches that it had begun, also one that was thought to wait."""
        process = self.process
        if process is None:
            return
        process.kill()
        process.wait(_KILL_GRACE)  # until then it may still begin the next one
        if process.board is not None:
            last = process.board.last_begun
            for ref, job in self.jobs.items():
                job.started = job.started or ref <= last

    def die(
        self, begun: int | None, *, useful: bool, killed: bool = False
    ) -> tuple[Job | None, list[Job], float]:
        """The worker is gone: return the lost batch, those given back, and the pause until the next one."""
        death = self.slot.die(begun, useful=useful, killed=killed)
        lost = None if death.lost is None else self.jobs.pop(death.lost)
        if lost is not None:
            lost.took = time.monotonic() - self.begun_at
        self.segments.line_gone(self.line)
        back = [self._reset(self.jobs.pop(ref)) for ref in death.given_back]
        self.process, self.line = None, WorkerLine()
        self.waits = False
        self.due = math.inf
        return lost, back, death.delay

    def _reset(self, job: Job) -> Job:
        """Make a job that no worker has begun as it was."""
        job.ref, job.slot, job.worker_pid, job.started = 0, -1, 0, False
        if job.segment is not None:
            self.segments.give_back(job.segment)
            job.segment = None
        return job

    def _line_ended(self) -> None:
        """The process is ending, as a rule. If it only closed its socket, the pool has to end it."""
        if self.doom is None:
            self.due = time.monotonic() + _EXIT_GRACE

    def _set_due(self, due: float) -> None:
        if not self.line.closed:
            self.due = due
