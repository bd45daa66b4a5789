"""A pool of worker processes: a server that owns the slots and the queue.

    submit ─▶ queue ─▶ lane (slot, worker) ═socket═ worker process
                          │ one batch runs, one may wait in the pipe
    job ◀── reply_to ◀────┘ results, or why there are none

A job comes back exactly once, whatever happens to the worker, to the pool or
to the user's pickles. A worker's death costs the batch that it had begun; the
one that waited in its pipe goes back to the head of the queue.

The pool wakes for its descriptors and for one timer, which is set for the
first moment at which a lane has to be looked at: a batch past its timeout, a
worker that does not start, a killed one that does not die.
"""

from __future__ import annotations

import weakref
from typing import Any, ClassVar, Final

from slither_actors import config
from slither_actors.actors import Failure, Request, Server
from slither_actors.core import Affinity
from slither_actors.core._slot import SlotState
from slither_actors.errors import PoolStoppedError, WorkerStartError
from slither_actors.pool import _wire as wire
from slither_actors.pool._births import Births
from slither_actors.pool._burial import cancelled
from slither_actors.pool._calls import AnswerCalls, CallAnswer, CallRequest, take_call
from slither_actors.pool._clock import Clock
from slither_actors.pool._deaths import Deaths, on_sentinel
from slither_actors.pool._delivery import deliver
from slither_actors.pool._descriptors import Descriptors
from slither_actors.pool._function import is_loading
from slither_actors.pool._job import Job
from slither_actors.pool._lane import Doom, Lane
from slither_actors.pool._obstacles import GUARD, NO_GUARD
from slither_actors.pool._options import PoolOptions
from slither_actors.pool._outputs import SETTLE_SECONDS, Outputs
from slither_actors.pool._placement import Placement
from slither_actors.pool._pool_ref import STATISTICS, PoolRef
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._resources import Resources
from slither_actors.pool._rounds import Rounds
from slither_actors.pool._segments import Segments
from slither_actors.pool._sessions import set_default_affinity
from slither_actors.pool._staff import BATCHES, Staff
from slither_actors.pool._statistics import PoolStatistics
from slither_actors.pool._words import Words
from slither_actors.pool._worker_line import OutOfStepError

__all__ = ["COMMANDS", "STATISTICS", "Pool"]

COMMANDS: Final = "commands"
"""The request of the adapter's commands with their timeouts, or None if the pool has no adapter."""


class Pool(Server):
    """A named pool of worker processes.

    Start it with ``Pool.start("default", workers=2)``; options are those of
    `PoolOptions`. `submit` and `cancel` are messages, see `Job`.
    """

    ref_class: ClassVar[type[PoolRef]] = PoolRef

    # -- life -----------------------------------------------------------------------

    def init(self, pool: str = "default", *, calls: AnswerCalls | None = None, **options: Any) -> None:
        """Start the workers and wait until one is ready.

        Args:
            pool: the pool's name.
            calls: answers what workers ask while they run a batch.
            **options: see `PoolOptions`.

        Raises:
            OptionError: an option is wrong.
            PayloadError: a hook cannot be pickled.
            WorkerStartError: no worker could start.
        """
        self.pool = pool
        self.options = config.build(PoolOptions, options, where=f"pool {pool!r}")
        set_default_affinity(self.ref, Affinity(self.options.affinity))
        self._calls = calls
        segments = self.segments = Segments(self.options.segment_threshold, self.options.max_segment_bytes)
        self.staff = Staff(self, self.options, segments)
        self.clock = Clock(self)
        self._descriptors = Descriptors(self)
        limited = self.options.max_batches_per_worker is not None
        self.placement = Placement(self.staff.lanes, self._written_limited if limited else self.written)
        self.is_stopping = False
        self._resources = Resources(segments, self.options.preload)
        self.births = Births(self, self._descriptors, self._resources)
        self.deaths = Deaths(self, self._descriptors, self._resources)
        self._words = Words(self)
        self.rounds = Rounds(self)
        self._free = weakref.finalize(self, self._resources.close)
        self._free.atexit = False  # the runtime stops us before, in its own order
        try:
            self._start_first()
        except BaseException:
            self._close()
            raise

    def _start_first(self) -> None:
        """Start a worker in each slot; return when one is ready, raise when none can be."""
        staff = self.staff
        if is_loading():  # its workers would import the same, and so would theirs
            problem = f"the module that a worker imports for its function {NO_GUARD}; {GUARD}"
            raise WorkerStartError(self.pool, 0, problem)
        for lane in tuple(staff.lanes):
            staff.start(lane)
        self._resources.watch_over()
        ends, answers, timeout = self._descriptors.ends, self._descriptors.answers, self.options.start_timeout
        if self._descriptors.serve(self._hear, lambda: staff.has_live or bool(ends), timeout):
            # A fork server that has made one makes the others at once; who starts a pool finds them all.
            self._descriptors.serve(self._hear, lambda: staff.has_live and not answers, timeout)
        if staff.has_live:
            return
        for lane in () if ends else tuple(answers.values()):
            self.births.expire(lane)
        if ends or not staff.problem:
            staff.problem = f"no worker was ready within {timeout:g} s{self.options.start_advice}"
        raise WorkerStartError(self.pool, 0, staff.problem)

    def _hear(self, fd: int) -> None:
        for handler in (self.births.hear, self._on_output, self._on_socket, self.deaths.hear):
            handler(fd)

    def terminate(self, reason: Any) -> None:
        """End the workers: idle ones are told to, busy ones are killed. What is queued or runs is refused."""
        self.is_stopping = True
        for lane in self.staff.lanes:
            self.births.cancel(lane)
            if lane.process is not None and (lane.is_idle or lane.waits or lane.slot.is_done):
                if not lane.told:
                    lane.told = True
                    lane.line.write(wire.STOP, 0)
            else:
                lane.abandon()
            lane.slot.stop()
        self._refuse_all()
        ends = self._descriptors.ends
        self._descriptors.serve(self._hear, lambda: not ends, self.options.stop_timeout)
        for lane in ends.values():
            if lane.told:
                self.staff.dismissal_is_late(lane)
        self._close()

    def _on_dead(self) -> None:
        """The actor is gone, killed perhaps: so are its workers, and its jobs go back."""
        if hasattr(self, "_free"):
            for lane in self.staff.lanes:
                lane.abandon()
            self._free()  # first: who is refused may try elsewhere, and nothing is to run twice at a time
            self._refuse_all()

    def _close(self) -> None:
        self._descriptors.close_all()
        self._free()

    def _refuse_all(self) -> None:
        self.is_stopping = True
        held = [job for lane in self.staff.lanes for job in lane.jobs.values()]
        for job in held + self.placement.take_all():
            job.fail(PoolStoppedError(self.pool))

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Answer `STATISTICS`, `COMMANDS`, and what a `PoolRef` asks."""
        if request == STATISTICS:
            return PoolStatistics.of(self)
        if request == COMMANDS:
            return self._words.commands
        match request:
            case ("resize", int(workers)):
                return self._resize(workers)
        return Failure(ValueError(f"pool {self.pool!r} does not know the request {request!r:.100}"))

    # -- jobs -------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Take a job: ``pool_ref.send(Pool.submit, job)``. It comes back through its `reply_to`."""
        job.pool = self.pool
        if not self.rounds.go_on:
            self.rounds.begin()
        if self.is_stopping:
            job.fail(PoolStoppedError(self.pool))
            return
        self.placement.submit(job)

    def cancel(self, job: Job) -> None:
        """Take a job back: ``pool_ref.send(Pool.cancel, job)``.

        One that has not begun comes back with an error and `Job.cancelled`. One
        that runs goes on, unless `Job.kill` is set: then its worker is killed.
        """
        if job.returned:
            return
        if job.ref == 0:
            if self.placement.remove(job):
                job.fail(cancelled(job))
            return
        lane = self.staff.lane_of(job.ref)
        if lane is None:
            return
        if lane.running is not job and lane.take_back() is job:
            job.fail(cancelled(job))
            self.fill(lane)
        elif job.kill:
            self.deaths.doom(lane, Doom.CANCEL, job)

    def fill(self, lane: Lane) -> None:
        """The lane has room: give it what is queued."""
        self.placement.fill(lane)
        if self.placement.steal_due < self.clock.due:
            self.clock.arm(self.placement.steal_due)

    # -- frames -----------------------------------------------------------------------

    def _on_socket(self, fd: int) -> None:
        lane = self._descriptors.sockets.get(fd)
        if lane is None:
            return
        if self.read(lane):
            self.ref.send(Pool._on_socket, fd)  # others first; there is more
        else:
            self.rearm(fd)

    def read(self, lane: Lane) -> bool:
        """Take what the worker has sent; whether there may be more at once."""
        if lane.doom is Doom.BROKEN:
            return False
        try:
            more = lane.line.read(lane, self._on_frame)
        except (OutOfStepError, wire.WireError) as error:
            self.deaths.break_off(lane, str(error))
            return False
        if lane.line.closed:
            self.clock.arm(lane.due)
        return more

    def _on_frame(self, lane: Lane, kind: int, ref: int, body: bytes | bytearray) -> None:
        # Not "in": this is the hot path.
        if kind == wire.DONE or kind == wire.FAILED or kind == wire.DONE_ENVELOPE:  # noqa: PLR1714
            job = lane.finish(ref)
            if lane.due < self.clock.due:
                self.clock.arm(lane.due)
            self.fill(lane)
            deliver(self.segments, job, kind, body)
        elif kind == wire.CALL:
            self._on_call(lane, ref, body)
        elif kind == wire.SKIPPED:
            if lane.revoked == ref:
                lane.revoked = None
            if ref in lane.jobs:  # both sides saw the other's word, or it retires: it did not run after all
                self.placement.give_back([lane.withdraw(ref)])
                if lane.due < self.clock.due:
                    self.clock.arm(lane.due)
            self.fill(lane)
            self.placement.drain()
        elif kind == wire.SAID:
            if lane.process is not None:
                lane.process.outputs.catch_up()
        else:
            self._words.hear(lane, kind, ref, body)

    def _on_writable(self, fd: int) -> None:
        lane = self._descriptors.sockets.get(fd)
        if lane is not None:
            lane.line.flush()
            self.written(lane)

    def written(self, lane: Lane) -> None:
        """Something was written: perhaps not all of it, perhaps there is a new moment to look at the lane."""
        if lane.line.writing and lane.process is not None and lane.process.sock is not None:
            self.watch_write(lane.process.sock.fileno(), Pool._on_writable)
        if lane.due < self.clock.due:
            self.clock.arm(lane.due)

    def _written_limited(self, lane: Lane) -> None:
        """As `written`, where a worker retires as it gets the last batch of its life."""
        self.written(lane)
        if lane.slot.state is SlotState.RETIRING and not lane.retired:
            self.ref.send(_recycle_used_up, lane)

    def _on_output(self, fd: int) -> None:
        lane = self._descriptors.outputs.get(fd)
        if lane is None or lane.process is None:
            return
        outputs = lane.process.outputs
        if outputs.pump(fd):
            self.ref.send(Pool._on_output, fd)
        elif outputs.ended(fd):
            self._descriptors.close_output(fd)
        else:
            self.rearm(fd)
        if outputs.wants_settling():
            self.run_after(SETTLE_SECONDS, Pool._settle, outputs)

    def _settle(self, outputs: Outputs) -> None:
        outputs.settle()

    # -- calls back -------------------------------------------------------------------

    def _on_call(self, lane: Lane, ref: int, body: bytes | bytearray) -> None:
        job = lane.running
        session = None if job is None or job.context is None else job.context.session_id
        worker = (lane.slot.number, lane.pid, ref)
        take_call(CallRequest(session, pool=self.ref, send=Pool._on_answer, worker=worker), body, self._calls)

    def _on_answer(self, answer: CallAnswer) -> None:
        lane = self.staff.with_pid(answer.pid)
        if lane is not None:
            if answer.follows is not None:
                lane.line.follow(*answer.follows)
            elif lane.line.news is not None:
                lane.line.tell_news()
            lane.line.write(answer.kind, answer.ref, answer.body)
            self.written(lane)

    # -- workers ----------------------------------------------------------------------

    def watch_worker(self, lane: Lane, process: WorkerProcess) -> None:
        """Listen to a fresh worker."""
        self._resources.processes.add(process)
        if not self.rounds.go_on:
            self.rounds.begin()
        self._descriptors.open(lane, process, (Pool._on_socket, Pool._on_output, on_sentinel))

    def refuse_queued(self, slot: int, explanation: str) -> None:
        """No worker starts, time and again: nobody is to wait for that."""
        for job in self.placement.take_all():
            job.fail(WorkerStartError(self.pool, slot, explanation))

    def _resize(self, workers: int) -> Any:
        if self.is_stopping:
            return Failure(PoolStoppedError(self.pool))
        self.staff.resize(workers)
        self.placement.drain()
        return None


def _recycle_used_up(pool: Pool, lane: Lane) -> None:
    """The worker has its last batch: its successor may start while it runs that."""
    pool.staff.recycle(lane, BATCHES)
