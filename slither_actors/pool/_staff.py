"""The workers of a pool: which places there are, whose worker starts, retires or is replaced.

::

    place 0 ─▶ lane ready, idle, busy …             gets batches
               lane retiring (the predecessor)      ends its last batch, then its exit hook runs
    place 1 ─▶ lane …

A place has one lane that gets batches. A lane that leaves its place, because
its worker is recycled or the pool shrinks, stays among the `lanes` until its
worker has ended. Its successor may start meanwhile, but has its first batch
after the last one of the other, so a pool of n never runs more than n batches.
"""

from __future__ import annotations

import logging
import math
import pickle
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from slither_actors.core._slot import UNLIMITED, Slot, SlotState, Tally
from slither_actors.core._staffing import change_of_size, may_start
from slither_actors.errors import WorkerStartError
from slither_actors.pool import _wire as wire
from slither_actors.pool._lane import Doom, Lane
from slither_actors.pool._obstacles import explain_start
from slither_actors.pool._payloads import PROTOCOL
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._settings import WorkerSettings
from slither_actors.pool._signals import tell_recycle, tell_start

if TYPE_CHECKING:
    from slither_actors.pool._burial import Burial
    from slither_actors.pool._options import PoolOptions
    from slither_actors.pool._pool import Pool
    from slither_actors.pool._segments import Segments

__all__ = ["BATCHES", "MEMORY", "Staff"]

logger = logging.getLogger("slither_actors.pool")

BATCHES: Final = "max_batches_per_worker"
MEMORY: Final = "max_rss_per_worker"
_RESIZE: Final = "resize"


class Staff:
    """The lanes of one pool. The pool is the only caller, in its actor."""

    def __init__(self, pool: Pool, options: PoolOptions, segments: Segments) -> None:
        """Make the lanes; no worker starts yet.

        Raises:
            PayloadError: a hook cannot be pickled.
        """
        self.problem = ""
        """Why the last worker that did not start did not."""
        self.recycled: Counter[str] = Counter()
        """Workers recycled, by the option that wanted it."""
        self._pool = pool
        self._options = options
        self._segments = segments
        self._limit = options.max_batches_per_worker or UNLIMITED
        self._settings = WorkerSettings(
            pool=pool.pool,
            slot=-1,
            init=None if options.init is None else options.init.dumps(),
            exit=None if options.exit is None else options.exit.dumps(),
            adapter=None if options.adapter is None else options.adapter.dumps(),
            preload=options.preload,
            max_rss=options.max_rss_per_worker or 0,
            nice=options.nice,
        )
        self._starts: deque[Lane] = deque()
        """Those that wait because as many as may start at one time do."""
        self._gone = Tally()
        self._gone_restarts = 0
        self.places: dict[int, Lane] = {}
        """The lane that gets the batches of each slot."""
        self.lanes: list[Lane] = []
        """All of them, also those that have left their place and end."""
        for number in range(options.workers):
            self._add(number)

    def _add(self, number: int) -> Lane:
        """Make a lane for a place that is free, or that its lane leaves with this; it waits for that one."""
        leavers = [lane for lane in self.lanes if lane.slot.number == number]
        at_work = [lane for lane in leavers if lane.slot.outstanding]  # one at most
        slot = leavers[-1].slot.successor() if leavers else Slot(number, self._limit)
        lane = Lane(self._pool.pool, slot, self._segments)
        lane.predecessor = at_work[0] if at_work else None
        self.places[number] = lane
        self.lanes.append(lane)
        return lane

    @property
    def has_live(self) -> bool:
        """Whether a worker takes batches now."""
        return any(lane.slot.is_live for lane in self.places.values())

    @property
    def is_hopeless(self) -> bool:
        """Whether the last worker of every place ended before it was of use."""
        return not any(
            lane.slot.is_live or lane.slot.failed_starts == 0 or lane.waits for lane in self.places.values()
        )

    def lane_of(self, ref: int) -> Lane | None:
        """Find who holds a batch."""
        return next((lane for lane in self.lanes if ref in lane.jobs), None)

    def with_pid(self, pid: int) -> Lane | None:
        """Find the lane of a worker process."""
        for lane in self.lanes:  # on the way of each answer to a call back
            process = lane.process
            if process is not None and process.pid == pid:
                return lane
        return None

    # -- starting -----------------------------------------------------------------

    def start(self, lane: Lane) -> None:
        """Start a worker in the lane if it has none, now or when it is its turn."""
        if self._pool.is_stopping or lane.slot.state is not SlotState.WAITING:
            return
        if may_start((each.slot.state for each in self.lanes if not each.waits), self._options.start_batch):
            self._hire(lane)
        elif lane not in self._starts:
            self._starts.append(lane)

    def _start_further(self) -> None:
        """One start is over: it is the turn of others."""
        waiting, self._starts = self._starts, deque()
        for lane in waiting:
            self.start(lane)

    def _hire(self, lane: Lane) -> None:
        lane.slot.start()
        number, options = lane.slot.number, self._options
        try:
            process = WorkerProcess(
                self._pool.pool,
                number,
                options.start_method,
                options.preload,
                logging=options.logging,
            )
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            self.not_made(lane, error)
            return
        if process.pid:
            self.made(lane, process)
        else:
            self._pool.births.expect(lane, process)

    def made(self, lane: Lane, process: WorkerProcess) -> None:
        """The worker's process is there; it has to become ready."""
        lane.open(process)
        self._pool.watch_worker(lane, process)
        settings = self._settings.of_slot(lane.slot.number, self._options.pin)
        lane.line.write(wire.INIT, 0, pickle.dumps(settings, PROTOCOL))
        lane.due = time.monotonic() + self._options.start_timeout
        self._pool.written(lane)

    def not_made(self, lane: Lane, error: Exception) -> None:
        """The worker's process could not be made."""
        _, _, delay = lane.die(None, useful=False)
        self._note_failed_start(lane, explain_start(error))
        if lane.slot.state is SlotState.STOPPED:
            self._remove(lane)
        else:
            self._start_later(lane, delay)
        if self._starts:
            self._pool.run_after(delay, _start_further)

    def _start_later(self, lane: Lane, delay: float) -> None:
        if delay > 0:
            self._pool.run_after(delay, _start, lane)
        else:
            self._pool.ref.send(_start, lane)

    def ready(self, lane: Lane) -> None:
        """The worker takes batches, unless its predecessor still runs one."""
        if lane.doom is not None:
            return
        lane.due = math.inf
        lane.waits = lane.predecessor is not None and bool(lane.predecessor.slot.outstanding)
        if not lane.waits:
            lane.predecessor = None
            lane.slot.ready()
            lane.ready_at = time.monotonic()
            tell_start(self._pool.ref, lane)
            self._pool.fill(lane)
        self._start_further()

    def _note_failed_start(self, lane: Lane, explanation: str) -> None:
        """A worker ended before it was of use. If that goes on, nobody is to wait for ever."""
        self.problem = explanation
        logger.error("%s", WorkerStartError(self._pool.pool, lane.slot.number, explanation))
        if self.is_hopeless and lane.slot.failed_starts >= self._options.max_failed_starts:
            self._pool.refuse_queued(lane.slot.number, explanation)

    # -- retiring -----------------------------------------------------------------

    def recycle(self, lane: Lane, reason: str) -> None:
        """Replace a worker that retires. With `overlap`, another one starts at once."""
        if self._pool.is_stopping or lane.slot.state is not SlotState.RETIRING:
            return
        if lane.retired or self.places.get(lane.slot.number) is not lane:
            lane.retired = reason  # it was to leave in any case, and now cannot be kept
            return
        lane.retired = reason
        self.recycled[reason] += 1
        logger.info(
            "pool %s: worker %d (slot %d) is recycled: %s",
            self._pool.pool, lane.pid, lane.slot.number, reason,
        )  # fmt: skip
        tell_recycle(self._pool.ref, lane, reason)
        self._pool.placement.worker_ended(lane, f"it was recycled: {reason}", lane.pid)
        if self._options.overlap:
            self.start(self._add(lane.slot.number))

    def dismiss(self, lane: Lane) -> None:
        """Tell a worker that holds nothing to end."""
        if not lane.retired:
            self.recycle(lane, BATCHES)
        lane.told = True
        lane.line.write(wire.STOP, 0)
        if not lane.line.closed:
            lane.due = time.monotonic() + self._options.stop_timeout
        self._pool.written(lane)
        self._hand_over(lane)

    def _hand_over(self, leaver: Lane) -> None:
        """A lane runs no batch any more: who waits for that takes the place."""
        lane = self.places.get(leaver.slot.number)
        if lane is not None and lane.waits and lane.predecessor is leaver:
            self.ready(lane)

    def dismissal_is_late(self, lane: Lane) -> None:
        """A worker that was told to end has not."""
        logger.warning(
            "pool %s: worker %d (slot %d) was told to end, did not within %g s, and is killed; "
            "if its exit hook needs longer, raise stop_timeout; "
            "a thread that keeps it has to be a daemon",
            self._pool.pool, lane.pid, lane.slot.number, self._options.stop_timeout,
        )  # fmt: skip
        lane.problem = f"it was told to end and did not within {self._options.stop_timeout:g} s"

    def buried(self, lane: Lane, end: Burial) -> None:
        """The worker of a lane has ended, and its batches are settled: start another, or forget the lane."""
        if lane.told and end.exitcode not in (0, None) and lane.doom is None:
            logger.warning(
                "pool %s: worker %d (slot %d) was told to end, and died in its exit hook or after it: %s",
                self._pool.pool, end.pid, lane.slot.number, end.explanation,
            )  # fmt: skip
        if self._pool.is_stopping:
            return
        if lane.told:
            pass  # it did what it was to do
        elif lane.slot.state is SlotState.STOPPED:
            pass  # it left, and was killed
        elif end.failed_start:
            self._note_failed_start(lane, end.explanation)
        elif end.lost is None and not end.intended:
            logger.warning(
                "pool %s: worker %d (slot %d) ended while it ran no batch: %s",
                self._pool.pool, end.pid, lane.slot.number, end.cause,
            )  # fmt: skip
            self.problem = end.explanation
        if lane.slot.state is SlotState.STOPPED:
            self._remove(lane)
        else:
            self._start_later(lane, end.delay)
        if self._starts:
            self._pool.run_after(end.delay, _start_further)

    def _remove(self, lane: Lane) -> None:
        self.lanes.remove(lane)
        if lane.slot.number not in self.places:
            self._pool.placement.slot_closed(lane)
        self._hand_over(lane)
        tally = lane.slot.tally
        if all(each.slot.tally is not tally for each in self.lanes):
            self._gone.batches += tally.batches
            self._gone_restarts += max(0, tally.workers - 1)

    # -- resizing -----------------------------------------------------------------

    def resize(self, workers: int) -> None:
        """Have as many places as `workers`. What runs goes on, in workers that leave as well."""
        before = len(self.places)
        self._keep(workers - before)
        change = change_of_size({number: lane.slot.state for number, lane in self.places.items()}, workers)
        for number in change.drop:
            self._drop(self.places.pop(number))
        for number in change.add:
            self.start(self._add(number))
        logger.info("pool %s: resized from %d to %d workers", self._pool.pool, before, workers)

    def _keep(self, wanted: int) -> None:
        """Workers that a shrinking pool let go, and that have not ended their batch, are wanted again."""
        for lane in self.lanes:
            free = lane.slot.number not in self.places
            if wanted > 0 and free and lane.retired == _RESIZE and not lane.told and lane.slot.keep():
                lane.retired = ""
                self.places[lane.slot.number] = lane
                wanted -= 1
                self._pool.fill(lane)

    def _drop(self, lane: Lane) -> None:
        slot = lane.slot
        slot.leave()
        self._pool.placement.worker_ended(lane, "the pool was made smaller", lane.pid)
        if lane.waits:  # it is ready in truth, so its exit hook has to run
            lane.waits = False
            slot.ready()
        if slot.state is SlotState.WAITING:
            slot.stop()
            self._remove(lane)
        elif self._pool.births.cancel(lane):
            lane.die(None, useful=False)
            self._remove(lane)
            self._pool.ref.send(_start_further, None)
        elif slot.state is SlotState.STARTING:
            self._pool.deaths.doom(lane, Doom.RETIRE)
        elif slot.is_live:
            lane.retired = _RESIZE
            slot.retire()
            second = lane.take_back()
            if second is not None:
                self._pool.placement.give_back([second])
            if slot.is_done:
                self.dismiss(lane)
        self._pool.placement.slot_closed(lane)

    # -- statistics ---------------------------------------------------------------

    @property
    def batches(self) -> int:
        """Batches that ended, also in places that are gone."""
        return self._gone.batches + sum(tally.batches for tally in self._tallies())

    @property
    def restarts(self) -> int:
        """Workers started in place of another."""
        return self._gone_restarts + sum(max(0, tally.workers - 1) for tally in self._tallies())

    def _tallies(self) -> list[Tally]:
        return list({id(lane.slot.tally): lane.slot.tally for lane in self.lanes}.values())


def _start(pool: Pool, lane: Lane) -> None:
    pool.staff.start(lane)


def _start_further(pool: Pool, _: None) -> None:
    pool.staff._start_further()
