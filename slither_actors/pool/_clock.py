"""What is due in a pool, and when: one timer, set for the first moment at which a lane has to be looked at.

A batch past its timeout, a worker that does not start, a killed one that does
not die, one that was told to end and does not.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Final

from slither_actors.core._slot import SlotState
from slither_actors.pool._board import Phase
from slither_actors.pool._lane import Doom, Lane

if TYPE_CHECKING:
    from slither_actors.actors import Timer
    from slither_actors.pool._pool import Pool

__all__ = ["Clock"]

logger = logging.getLogger("slither_actors.pool")

_SUSPENDED: Final = 1.0
"""A timer this many seconds late means that this process did not run. Results may wait for us to read
them, so nobody is blamed before as many seconds have passed again."""


class Clock:
    """The clock of one pool, which is the only caller, in its actor."""

    __slots__ = ("_pool", "_timer", "due")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._timer: Timer | None = None
        self.due = math.inf
        """For when the timer is set, by `time.monotonic`."""

    def arm(self, due: float) -> None:
        """Look at the lanes at that moment, if not earlier."""
        if due >= self.due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.due = due
        self._timer = self._pool.run_after(due - time.monotonic(), _tick)

    def tick(self) -> None:
        """The time has come: see to what is due."""
        placement, lanes = self._pool.placement, self._pool.staff.lanes
        now = time.monotonic()
        late = now - self.due
        self._timer, self.due = None, math.inf
        for lane in tuple(lanes):
            if late > _SUSPENDED:
                lane.due = max(lane.due, now + _SUSPENDED)
            if lane.due <= now:
                self.look_at(lane, now)
        if placement.steal_due <= now:
            placement.steal(now)
        due = min(placement.steal_due, *(lane.due for lane in lanes))
        if due < math.inf:
            self.arm(due)

    def look_at(self, lane: Lane, now: float) -> None:
        """Something about the lane is due."""
        lane.due = math.inf
        if lane.unborn is not None:
            self._pool.births.expire(lane)
            return
        if lane.process is None:
            return
        if lane.doom is not None:
            logger.error(
                "pool %s: worker %d was killed and does not end; going on without it",
                self._pool.pool,
                lane.pid,
            )
            self._pool.deaths.settle(lane)
        elif lane.line.closed:
            self._pool.deaths.break_off(lane, "it closed its connection to the driver")
        elif lane.slot.state is SlotState.STARTING:
            options = self._pool.options
            lane.problem = f"it was not ready within {options.start_timeout:g} s{options.start_advice}"
            self._pool.deaths.doom(lane, Doom.START)
        elif lane.told:
            self._pool.staff.dismissal_is_late(lane)
            self._pool.deaths.doom(lane, Doom.RETIRE)
        elif lane.slot.is_done:
            self._pool.staff.dismiss(lane)
        else:
            self._expire(lane, now)

    def _expire(self, lane: Lane, now: float) -> None:
        """The batch is past its timeout, unless it has just ended or began later than we thought."""
        job = lane.running
        while self._pool.read(lane):
            pass
        if job is None or lane.running is not job or job.timeout is None or lane.process is None:
            return
        board = lane.process.board
        note = None if board is None else board.read()
        if note is not None and note.ref == job.ref:
            allowed = self._pool.options.start_timeout if note.phase is Phase.LOADING else job.timeout
            if note.since + allowed > now:
                # Once it is loaded it may run for its timeout, and nobody tells us when that is.
                lane.due = min(note.since + allowed, now + job.timeout)
                return
        second = lane.take_back()
        if second is not None:
            self._pool.placement.give_back([second])
        elif len(lane.slot.outstanding) > 1:
            lane.due = now + 0.01  # the second batch has begun, so the first one's result is on its way
            return
        self._pool.deaths.doom(lane, Doom.TIMEOUT, job)
        self._pool.placement.drain()


def _tick(pool: Pool, _: None) -> None:
    pool.clock.tick()
