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

import logging
import math
import pickle
import select
import time
import weakref
from typing import Any, Final

from slither_actors import config
from slither_actors.actors import Failure, Request, Server, Timer
from slither_actors.actors._interrupts import waits
from slither_actors.core._slot import Slot, SlotState
from slither_actors.errors import (
    PayloadError,
    PoolStoppedError,
    WorkerStartError,
)
from slither_actors.pool import _wire as wire
from slither_actors.pool._board import Phase
from slither_actors.pool._burial import bury, cancelled
from slither_actors.pool._calls import AnswerCalls, CallAnswer, CallRequest, take_call
from slither_actors.pool._job import Job
from slither_actors.pool._lane import Doom, Lane, OutOfStepError
from slither_actors.pool._options import PoolOptions
from slither_actors.pool._payloads import PROTOCOL, ErrorRecord, loads
from slither_actors.pool._placement import Placement
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._resources import Resources
from slither_actors.pool._signals import tell_exit, tell_start
from slither_actors.pool._statistics import PoolStatistics, SlotStatistics

__all__ = ["COMMANDS", "STATISTICS", "Pool"]

logger = logging.getLogger("slither_actors.pool")

STATISTICS: Final = "statistics"
"""The request of a `PoolStatistics`: ``pool_ref.call(STATISTICS)``."""

COMMANDS: Final = "commands"
"""The request of the adapter's commands with their timeouts, or None if the pool has no adapter."""

_DEATH_GRACE: Final = 2.0
"""Seconds that a killed process may take to be gone, before its slot goes on without it."""

_SUSPENDED: Final = 1.0
"""A timer this many seconds late means that this process did not run. Results may wait for us to read
them, so nobody is blamed before as many seconds have passed again."""


class Pool(Server):
    """A named pool of worker processes.

    Start it with ``Pool.start("default", workers=2)``; options are those of
    `PoolOptions`. `submit` and `cancel` are messages, see `Job`.
    """

    # -- life -----------------------------------------------------------------------

    def init(self, pool: str = "default", *, calls: AnswerCalls | None = None, **options: Any) -> None:
        """Start the workers and wait until one is ready.

        Args:
            pool: the pool's name.
            calls: answers what workers ask while they run a batch.
            **options: see `PoolOptions`.

        Raises:
            OptionError: an option is wrong.
            PayloadError: the init hook cannot be pickled.
            WorkerStartError: no worker could start.
        """
        self.pool = pool
        self.options = config.build(PoolOptions, options, where=f"pool {pool!r}")
        self._calls = calls
        self._init_hook = None if self.options.init is None else self.options.init.dumps()
        self._adapter = None if self.options.adapter is None else self.options.adapter.dumps()
        self._commands: dict[str, float | None] | None = None
        self._lanes = [Lane(pool, Slot(number)) for number in range(self.options.workers)]
        self._sockets: dict[int, Lane] = {}
        self._stderrs: dict[int, Lane] = {}
        self._sentinels: dict[int, Lane] = {}
        self._placement = Placement(self._lanes, self._written)
        self._stopping = False
        self._timer: Timer | None = None
        self._timer_due = math.inf
        self._problem = ""
        self._crashes = self._timeouts = 0
        self._resources = Resources()
        self._free = weakref.finalize(self, self._resources.close)
        self._free.atexit = False  # the runtime stops us before, in its own order
        try:
            self._start_first()
        except BaseException:
            self._close()
            raise

    @waits
    def _start_first(self) -> None:
        """Start a worker in each slot; return when one is ready, raise when none can be."""
        for lane in self._lanes:
            self._start_worker(lane)
        deadline = time.monotonic() + self.options.start_timeout
        while not any(lane.slot.is_live for lane in self._lanes):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self._problem = f"no worker was ready within {self.options.start_timeout:g} s"
            if remaining <= 0 or not self._sentinels:
                raise WorkerStartError(self.pool, 0, self._problem)
            poll = select.poll()
            for fd in (*self._sockets, *self._stderrs, *self._sentinels):
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(remaining * 1000):
                for handler in (self._on_stderr, self._on_socket, self._on_sentinel):
                    handler(fd)

    def terminate(self, reason: Any) -> None:
        """End the workers: idle ones are told to, busy ones are killed. What is queued or runs is refused."""
        self._stopping = True
        for lane in self._lanes:
            if lane.process is not None and lane.is_idle:
                lane.write(wire.STOP, 0)
            else:
                lane.abandon()
            lane.slot.stop()
        self._refuse_all()
        deadline = time.monotonic() + self.options.stop_timeout
        for lane in self._lanes:
            if lane.process is not None and lane.process.wait(deadline - time.monotonic()):
                self._on_death(lane)
        self._close()

    def _on_dead(self) -> None:
        """The actor is gone, killed perhaps: so are its workers, and its jobs go back."""
        if hasattr(self, "_free"):
            for lane in self._lanes:
                lane.abandon()
            self._free()  # first: who is refused may try elsewhere, and nothing is to run twice at a time
            self._refuse_all()

    def _close(self) -> None:
        for fd in (*self._sockets, *self._stderrs, *self._sentinels):
            self.unwatch(fd)
        self._free()

    def _refuse_all(self) -> None:
        self._stopping = True
        held = [job for lane in self._lanes for job in lane.jobs.values()]
        for job in held + self._placement.take_all():
            job.fail(PoolStoppedError(self.pool))

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Answer `STATISTICS` and `COMMANDS`."""
        if request == STATISTICS:
            return self._statistics()
        if request == COMMANDS:
            return self._commands
        return Failure(ValueError(f"pool {self.pool!r} does not know the request {request!r:.100}"))

    # -- jobs -------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Take a job: ``pool_ref.send(Pool.submit, job)``. It comes back through its `reply_to`."""
        job.pool = self.pool
        if self._stopping:
            job.fail(PoolStoppedError(self.pool))
            return
        self._placement.submit(job)

    def cancel(self, job: Job) -> None:
        """Take a job back: ``pool_ref.send(Pool.cancel, job)``.

        One that has not begun comes back with an error and `Job.cancelled`. One
        that runs goes on, unless `Job.kill` is set: then its worker is killed.
        """
        if job.returned:
            return
        if job.ref == 0:
            if self._placement.remove(job):
                job.fail(cancelled(job))
            return
        lane = self._lanes[job.slot]
        if lane.running is not job and lane.take_back() is job:
            job.fail(cancelled(job))
            self._fill(lane)
        elif job.kill:
            self._doom(lane, Doom.CANCEL, job)

    def _fill(self, lane: Lane) -> None:
        """The lane has room: give it what is queued."""
        self._placement.fill(lane)
        if self._placement.steal_due < self._timer_due:
            self._arm(self._placement.steal_due)

    # -- frames -----------------------------------------------------------------------

    def _on_socket(self, fd: int) -> None:
        lane = self._sockets.get(fd)
        if lane is None:
            return
        if self._read(lane):
            self.ref.send(Pool._on_socket, fd)  # others first; there is more
        else:
            self.rearm(fd)

    def _read(self, lane: Lane) -> bool:
        try:
            more = lane.read(self._on_frame)
        except OutOfStepError as error:
            self._break(lane, str(error))
            return False
        if lane.closed:
            self._arm(lane.due)
        return more

    def _on_frame(self, lane: Lane, kind: int, ref: int, body: bytes | bytearray) -> None:
        if kind == wire.DONE or kind == wire.FAILED:  # noqa: PLR1714 - faster, and this is the hot path
            job = lane.finish(ref)
            if lane.due < self._timer_due:
                self._arm(lane.due)
            self._fill(lane)
            _deliver(job, kind, body)
        elif kind == wire.CALL:
            self._on_call(lane, ref, body)
        elif kind == wire.SKIPPED:
            if lane.revoked == ref:
                lane.revoked = None
            if ref in lane.jobs:  # both sides saw the other's word: it did not run after all
                self._placement.give_back([lane.withdraw(ref)])
            self._fill(lane)
        elif kind == wire.READY:
            self._commands = pickle.loads(body) if body else None  # from our own worker
            self._on_ready(lane)
        elif kind == wire.START_FAILED:
            what = "adapter" if ref else "init hook"
            lane.problem = f"its {what} failed: {ErrorRecord.loads(body).to_error()}"
        else:
            msg = f"it sent a frame of the unknown kind {kind}"
            raise OutOfStepError(msg)

    def _on_writable(self, fd: int) -> None:
        lane = self._sockets.get(fd)
        if lane is not None:
            lane.flush()
            self._written(lane)

    def _written(self, lane: Lane) -> None:
        """Something was written: perhaps not all of it, perhaps there is a new moment to look at the lane."""
        if lane.writing and lane.process is not None and lane.process.sock is not None:
            self.watch_write(lane.process.sock.fileno(), Pool._on_writable)
        if lane.due < self._timer_due:
            self._arm(lane.due)

    def _on_stderr(self, fd: int) -> None:
        lane = self._stderrs.get(fd)
        if lane is None or lane.process is None:
            return
        if lane.process.stderr.pump():
            self.ref.send(Pool._on_stderr, fd)
        else:
            self.rearm(fd)

    # -- calls back -------------------------------------------------------------------

    def _on_call(self, lane: Lane, ref: int, body: bytes | bytearray) -> None:
        job = lane.running
        session = None if job is None or job.context is None else job.context.session_id
        worker = (lane.slot.number, lane.pid, ref)
        take_call(CallRequest(session, pool=self.ref, send=Pool._on_answer, worker=worker), body, self._calls)

    def _on_answer(self, answer: CallAnswer) -> None:
        lane = self._lanes[answer.slot]
        if lane.pid == answer.pid:
            lane.write(answer.kind, answer.ref, answer.body)
            self._written(lane)

    # -- workers ----------------------------------------------------------------------

    def _start_worker(self, lane: Lane) -> None:
        if self._stopping or lane.slot.state is not SlotState.WAITING:
            return
        lane.slot.start()
        try:
            process = WorkerProcess(self.pool, lane.slot.number, self.options.start_method)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            _, _, delay = lane.die(None, useful=False)
            self._after_failed_start(lane, f"{type(error).__name__}: {error}")
            self._start_later(lane, delay)
            return
        assert process.sock is not None
        self._resources.processes.add(process)
        lane.open(process)
        for fd, lanes, handler in (
            (process.sock.fileno(), self._sockets, Pool._on_socket),
            (process.stderr_fd, self._stderrs, Pool._on_stderr),
            (process.sentinel, self._sentinels, Pool._on_sentinel),
        ):
            lanes[fd] = lane
            self.watch(fd, handler)
        lane.write(
            wire.INIT,
            0,
            pickle.dumps((self.pool, lane.slot.number, self._init_hook, self._adapter), PROTOCOL),
        )
        lane.due = time.monotonic() + self.options.start_timeout
        self._written(lane)

    def _start_later(self, lane: Lane, delay: float) -> None:
        if delay > 0:
            self.run_after(delay, Pool._start_worker, lane)
        else:
            self.ref.send(Pool._start_worker, lane)

    def _on_ready(self, lane: Lane) -> None:
        lane.slot.ready()
        lane.due = math.inf
        lane.ready_at = time.monotonic()
        tell_start(self.ref, lane)
        self._fill(lane)

    def _on_sentinel(self, fd: int) -> None:
        lane = self._sentinels.get(fd)
        if lane is None or lane.process is None:
            return
        if lane.process.wait(0):
            self._on_death(lane)
        else:
            self.rearm(fd)

    def _break(self, lane: Lane, problem: str) -> None:
        lane.problem = problem
        self._doom(lane, Doom.BROKEN)

    def _doom(self, lane: Lane, doom: Doom, job: Job | None = None) -> None:
        """Kill the worker, perhaps for the sake of a job, which comes back when the worker is dead."""
        if lane.process is None or lane.doom is not None:
            return
        lane.doom, lane.doomed_ref = doom, None if job is None else job.ref
        lane.slot.doom()
        lane.process.kill()
        lane.due = time.monotonic() + _DEATH_GRACE
        self._arm(lane.due)

    def _on_death(self, lane: Lane) -> None:
        """The worker has ended, or never will: settle its batches and start another."""
        process = lane.process
        assert process is not None
        assert process.sock is not None
        lane.end()  # it gets nothing more; what it had sent still counts
        while self._read(lane):
            pass
        for fd, lanes in (
            (process.sock.fileno(), self._sockets),
            (process.stderr_fd, self._stderrs),
            (process.sentinel, self._sentinels),
        ):
            self.unwatch(fd)
            lanes.pop(fd, None)
        end = bury(lane, self._stopping)
        self._resources.processes.discard(process)
        tell_exit(self.ref, lane, end)
        if end.lost is not None and end.error is not None:
            self._timeouts += end.error.__class__.__name__ == "BatchTimeoutError"
            self._crashes += not end.intended
            end.lost.fail(end.error)
        self._placement.give_back(end.given_back)
        if self._stopping:
            return
        if end.failed_start:
            self._after_failed_start(lane, end.explanation)
        elif end.lost is None and not end.intended:
            logger.warning(
                "pool %s: worker %d (slot %d) ended while it ran no batch: %s",
                self.pool, end.pid, lane.slot.number, end.cause,
            )  # fmt: skip
        self._start_later(lane, end.delay)
        self._placement.drain()

    def _after_failed_start(self, lane: Lane, explanation: str) -> None:
        """A worker ended before it was of use. If that goes on, nobody is to wait for ever."""
        self._problem = explanation
        error = WorkerStartError(self.pool, lane.slot.number, explanation)
        logger.error("%s", error)
        hopeless = not any(one.slot.is_live or one.slot.failed_starts == 0 for one in self._lanes)
        if hopeless and lane.slot.failed_starts >= self.options.max_failed_starts:
            for job in self._placement.take_all():
                job.fail(WorkerStartError(self.pool, lane.slot.number, explanation))

    # -- the clock --------------------------------------------------------------------

    def _arm(self, due: float) -> None:
        if due >= self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self.run_after(due - time.monotonic(), Pool._on_tick)

    def _on_tick(self, _: None) -> None:
        now = time.monotonic()
        late = now - self._timer_due
        self._timer, self._timer_due = None, math.inf
        for lane in self._lanes:
            if late > _SUSPENDED:
                lane.due = max(lane.due, now + _SUSPENDED)
            if lane.due <= now:
                self._look_at(lane, now)
        if self._placement.steal_due <= now:
            self._placement.steal(now)
        due = min(self._placement.steal_due, *(lane.due for lane in self._lanes))
        if due < math.inf:
            self._arm(due)

    def _look_at(self, lane: Lane, now: float) -> None:
        """Something about the lane is due."""
        lane.due = math.inf
        if lane.process is None:
            return
        if lane.doom is not None:
            logger.error(
                "pool %s: worker %d was killed and does not end; going on without it", self.pool, lane.pid
            )
            self._on_death(lane)
        elif lane.closed:
            self._break(lane, "it closed its connection to the driver")
        elif lane.slot.state is SlotState.STARTING:
            lane.problem = f"it was not ready within {self.options.start_timeout:g} s"
            self._doom(lane, Doom.START)
        else:
            self._expire(lane, now)

    def _expire(self, lane: Lane, now: float) -> None:
        """The batch is past its timeout, unless it has just ended or began later than we thought."""
        job = lane.running
        while self._read(lane):
            pass
        if job is None or lane.running is not job or job.timeout is None or lane.process is None:
            return
        board = lane.process.board
        note = None if board is None else board.read()
        if note is not None and note.ref == job.ref:
            allowed = self.options.start_timeout if note.phase is Phase.LOADING else job.timeout
            if note.since + allowed > now:
                # Once it is loaded it may run for its timeout, and nobody tells us when that is.
                lane.due = min(note.since + allowed, now + job.timeout)
                return
        second = lane.take_back()
        if second is not None:
            self._placement.give_back([second])
        elif len(lane.slot.outstanding) > 1:
            lane.due = now + 0.01  # the second batch has begun, so the first one's result is on its way
            return
        self._doom(lane, Doom.TIMEOUT, job)
        self._placement.drain()

    # -- statistics -------------------------------------------------------------------

    def _statistics(self) -> PoolStatistics:
        slots = [lane.slot for lane in self._lanes]
        return PoolStatistics(
            pool=self.pool,
            slots=tuple(SlotStatistics.of(lane) for lane in self._lanes),
            queued=self._placement.queued,
            running=sum(1 for slot in slots if slot.outstanding),
            batches=sum(slot.batches for slot in slots),
            crashes=self._crashes,
            restarts=sum(max(0, slot.workers - 1) for slot in slots),
            timeouts=self._timeouts,
            stolen=self._placement.stolen,
        )


def _deliver(job: Job, kind: int, body: bytes | bytearray) -> None:
    """Send a job back with what the worker said about it."""
    if kind == wire.FAILED:
        job.fail(ErrorRecord.loads(body).to_error())
        return
    try:
        results = loads(body, f"{job.description}: the results", "driver")
    except PayloadError as error:
        job.fail(error)
        return
    job.succeed(results)
