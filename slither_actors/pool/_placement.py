"""Which batch goes to which worker, and when.

A batch goes to an idle worker if there is one, else into the pipe behind a
worker whose batches are quick, else it waits in the queue. A batch that got
behind one that turns out slow is taken back once somebody is idle.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from slither_actors.errors import SlitherError
from slither_actors.pool._job import Job
from slither_actors.pool._lane import Lane

__all__ = ["Placement"]

_STEAL_AFTER: Final = 0.02
"""Seconds after which a batch that waits behind another one is given to an idle worker."""


class Placement:
    """The queue of a pool and its idle lanes. Its pool is the only caller."""

    def __init__(self, lanes: list[Lane], written: Callable[[Lane], None]) -> None:
        """Place jobs on `lanes`; `written` is called after a batch was sent to one."""
        self.steal_due = math.inf
        """When to call `steal`, by `time.monotonic`."""
        self.stolen = 0
        self._lanes = lanes
        self._written = written
        self._queue: deque[Job] = deque()
        self._idle: deque[Lane] = deque()
        self._last_ref = 0

    @property
    def queued(self) -> int:
        """Batches that no worker holds."""
        return len(self._queue)

    def submit(self, job: Job) -> None:
        """Send the job to a worker, or queue it."""
        lane = None if self._queue else self._choose(job)
        if lane is None:
            self._queue.append(job)
        else:
            self._assign(lane, job)

    def remove(self, job: Job) -> bool:
        """Take a job out of the queue; False if it is not there."""
        try:
            self._queue.remove(job)
        except ValueError:
            return False
        return True

    def take_all(self) -> list[Job]:
        """Empty the queue."""
        jobs = list(self._queue)
        self._queue.clear()
        return jobs

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Put jobs that a worker had not begun at the head of the queue, in their order."""
        self._queue.extendleft(job for job in reversed(list(jobs)) if not job.returned)

    def fill(self, lane: Lane) -> None:
        """Give the lane what it has room for."""
        queue = self._queue
        while queue and (lane.is_idle or lane.takes_second):
            self._assign(lane, queue.popleft())
        if not queue and lane.is_idle:
            self._list_idle(lane)
            self._plan_steal()

    def drain(self) -> None:
        """Give queued jobs to whoever has room."""
        while self._queue:
            lane = self._choose(self._queue[0])
            if lane is None:
                return
            self._assign(lane, self._queue.popleft())

    def _choose(self, job: Job) -> Lane | None:  # the job's session will count
        """Choose the lane for a job that is first in the queue, if one has room."""
        while self._idle:
            lane = self._idle.popleft()
            lane.listed = False
            if lane.is_idle:
                return lane
        for lane in self._lanes:
            if lane.takes_second:
                return lane
        return None

    def _assign(self, lane: Lane, job: Job) -> None:
        self._last_ref += 1
        try:
            lane.assign(job, self._last_ref)
        except SlitherError as error:
            job.fail(error)
            self._list_idle(lane)
            return
        self._written(lane)

    def _list_idle(self, lane: Lane) -> None:
        if lane.is_idle and not lane.listed:
            lane.listed = True
            self._idle.append(lane)

    # -- stealing ---------------------------------------------------------------------

    def _plan_steal(self) -> None:
        """A batch behind a slow one is not to wait while somebody is idle: look again soon."""
        if self.steal_due == math.inf and any(len(lane.slot.outstanding) > 1 for lane in self._lanes):
            self.steal_due = time.monotonic() + _STEAL_AFTER

    def steal(self, now: float) -> None:
        """Take back what waits behind slow batches, as far as there are idle lanes for it."""
        self.steal_due = math.inf
        idle = sum(lane.is_idle for lane in self._lanes)
        for lane in self._lanes:
            if idle and len(lane.slot.outstanding) > 1 and now - lane.begun_at >= _STEAL_AFTER:
                job = lane.take_back()
                if job is not None:
                    self.stolen += 1
                    self._queue.append(job)
                    idle -= 1
        self.drain()
        if idle:
            self._plan_steal()
