"""Workers that a fork server was asked for and has not made yet.

The server answers with the process's number as soon as it has forked. One
that is stopped, or hangs in an import, does not answer; meanwhile the pool
does everything else, and after `start_timeout` the start has failed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from slither_actors.pool._lane import Lane
from slither_actors.pool._process import WorkerProcess

if TYPE_CHECKING:
    from slither_actors.pool._descriptors import Descriptors
    from slither_actors.pool._pool import Pool
    from slither_actors.pool._resources import Resources

__all__ = ["Births"]


class Births:
    """The starts of one pool that a fork server has to answer. The pool is the only caller, in its actor."""

    __slots__ = ("_descriptors", "_pool", "_resources")

    def __init__(self, pool: Pool, descriptors: Descriptors, resources: Resources) -> None:
        self._pool = pool
        self._descriptors = descriptors
        self._resources = resources

    def expect(self, lane: Lane, process: WorkerProcess) -> None:
        """The server was asked for a worker of this lane."""
        lane.unborn = process
        self._resources.processes.add(process)
        self._descriptors.answers[process.sentinel] = lane
        self._pool.watch(process.sentinel, _on_answer)
        lane.due = time.monotonic() + self._pool.options.start_timeout
        self._pool.clock.arm(lane.due)

    def hear(self, fd: int) -> None:
        """The server says something, or is gone."""
        lane = self._descriptors.answers.get(fd)
        if lane is None or lane.unborn is None:
            return
        process = lane.unborn
        try:
            made = process.take_answer()
        except OSError as error:
            self._fail(lane, process, error)
            return
        if not made:
            self._pool.rearm(fd)
            return
        self._forget(lane, process)
        self._pool.staff.made(lane, process)

    def expire(self, lane: Lane) -> None:
        """The server has had its time, unless its answer is there."""
        process = lane.unborn
        if process is None:
            return
        self.hear(process.sentinel)
        if lane.unborn is not None:
            self._fail(lane, process, process.unanswered(self._pool.options.start_timeout))

    def cancel(self, lane: Lane) -> bool:
        """Nobody wants the worker any more. False if the lane waits for none.

        What the server makes of it later finds nobody at its socket, and ends.
        """
        process = lane.unborn
        if process is None:
            return False
        self._release(lane, process)
        return True

    def _fail(self, lane: Lane, process: WorkerProcess, error: OSError) -> None:
        self._release(lane, process)
        self._pool.staff.not_made(lane, error)

    def _release(self, lane: Lane, process: WorkerProcess) -> None:
        self._forget(lane, process)
        self._resources.processes.discard(process)
        process.close()

    def _forget(self, lane: Lane, process: WorkerProcess) -> None:
        lane.unborn = None
        self._pool.unwatch(process.sentinel)
        self._descriptors.answers.pop(process.sentinel, None)


def _on_answer(pool: Any, fd: int) -> None:
    pool.births.hear(fd)
