"""The ends of workers: who is killed and why, and what is done when one is gone.

A worker that the pool kills is dead when the system says so, as any other: until
then its batch is not given back. `_burial` finds out what it died of.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from slither_actors.errors import BatchTimeoutError
from slither_actors.pool._burial import bury
from slither_actors.pool._lane import Doom, Lane
from slither_actors.pool._signals import tell_exit

if TYPE_CHECKING:
    from slither_actors.pool._descriptors import Descriptors
    from slither_actors.pool._job import Job
    from slither_actors.pool._pool import Pool
    from slither_actors.pool._resources import Resources

__all__ = ["Deaths", "on_sentinel"]

_GRACE: Final = 2.0
"""Seconds that a killed process may take to be gone, before its slot goes on without it."""


class Deaths:
    """The ends of one pool's workers. The pool is the only caller, in its actor."""

    __slots__ = ("_descriptors", "_pool", "_resources", "crashes", "timeouts")

    def __init__(self, pool: Pool, descriptors: Descriptors, resources: Resources) -> None:
        self.crashes = 0
        """Workers that ended while they ran a batch, without our doing."""
        self.timeouts = 0
        """Batches for which we killed their worker because they ran too long."""
        self._pool = pool
        self._descriptors = descriptors
        self._resources = resources

    def hear(self, fd: int) -> None:
        """A worker has ended, it seems."""
        lane = self._descriptors.ends.get(fd)
        if lane is None or lane.process is None:
            return
        if lane.process.wait(0):
            self.settle(lane)
        else:
            self._pool.rearm(fd)

    def break_off(self, lane: Lane, problem: str) -> None:
        """The worker is of no use any more."""
        lane.problem = problem
        self.doom(lane, Doom.BROKEN)

    def doom(self, lane: Lane, doom: Doom, job: Job | None = None) -> None:
        """Kill the worker, perhaps for the sake of a job, which comes back when the worker is dead."""
        if lane.process is None or lane.doom is not None:
            return
        lane.doom, lane.doomed_ref = doom, None if job is None else job.ref
        lane.slot.doom()
        lane.process.kill()
        lane.due = time.monotonic() + _GRACE
        self._pool.clock.arm(lane.due)

    def settle(self, lane: Lane) -> None:
        """The worker has ended, or never will: settle its batches and start another."""
        pool, process = self._pool, lane.process
        assert process is not None
        lane.line.end()  # it gets nothing more; what it had sent still counts
        while pool.read(lane):
            pass
        self._descriptors.close(process)
        if lane.told and process.exitcode in (0, None):
            lane.problem = f"it was told to end: {lane.retired or 'the pool stops'}"
        end = bury(lane, pool.is_stopping or lane.told)
        self._resources.processes.discard(process)
        tell_exit(pool.ref, lane, end)
        if end.lost is not None and end.error is not None:
            self.timeouts += isinstance(end.error, BatchTimeoutError)
            self.crashes += not end.intended
            end.lost.fail(end.error)
        pool.placement.give_back(end.given_back)
        pool.placement.worker_ended(lane, end.loss, end.pid)
        pool.staff.buried(lane, end)
        if not pool.is_stopping:
            pool.placement.drain()


def on_sentinel(pool: Any, fd: int) -> None:
    """Handle the descriptor that tells of a worker's end."""
    pool.deaths.hear(fd)
