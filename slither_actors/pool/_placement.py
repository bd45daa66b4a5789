"""Which batch goes to which worker, and when.

A batch goes to the idle worker of its session, else to any idle one, else into
the pipe behind a worker whose batches are quick, else it waits in the queue. A
batch that got behind one that turns out slow is taken back once somebody is
idle.

Batches of strict sessions wait in a queue of their slot (`_strict`), and are
sent to an idle worker only: so none of them ever has to be taken back.
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
from slither_actors.pool._strict import StrictPlacement

__all__ = ["Placement"]

_STEAL_AFTER: Final = 0.02
"""Seconds after which a batch that waits behind another one is given to an idle worker."""

_HINTS: Final = 1024
"""Sessions without strictness whose slots are remembered; the oldest is forgotten first."""


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
        self._hints: dict[str, Lane] = {}
        self._strict = StrictPlacement(lanes, self._assign)
        self._strict_had_its_turn = False
        self.sessions = self._strict.sessions
        self._last_ref = 0

    @property
    def queued(self) -> int:
        """Batches that no worker holds."""
        return len(self._queue) + self._strict.queued

    def submit(self, job: Job) -> None:
        """Send the job to a worker, or queue it."""
        if job.affinity is not None:
            self._strict.submit(job)
            return
        lane = None if self._queue else self._choose(job)
        if lane is None:
            self._queue.append(job)
        else:
            self._assign(lane, job)

    def remove(self, job: Job) -> bool:
        """Take a job out of the queue; False if it is not there."""
        if job.affinity is not None:
            return self._strict.remove(job)
        try:
            self._queue.remove(job)
        except ValueError:
            return False
        return True

    def take_all(self) -> list[Job]:
        """Empty the queue."""
        jobs = [*self._queue, *self._strict.take_all()]
        self._queue.clear()
        return jobs

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Put jobs that a worker had not begun at the head of the queue, in their order."""
        for job in reversed(list(jobs)):
            if job.affinity is not None:
                self._strict.give_back(job)
            elif not job.returned:
                self._queue.appendleft(job)

    def fill(self, lane: Lane) -> None:
        """Give the lane what it has room for."""
        if self._strict.waiting and not self._fill_in_turn(lane):
            return
        queue = self._queue
        while queue and lane.takes:
            self._assign(lane, queue.popleft())
        if not queue and lane.is_idle:
            self._list_idle(lane)
            self._plan_steal()

    def _fill_in_turn(self, lane: Lane) -> bool:
        """Let the lane's strict jobs and the others take turns; False if a strict one waits on."""
        while self._strict.waits_for(lane):
            if self._queue and self._strict_had_its_turn:
                if not (lane.is_idle or lane.takes_second):
                    return False
                self._strict_had_its_turn = False
                self._assign(lane, self._queue.popleft())
            elif lane.is_idle:
                self._strict_had_its_turn = True
                self._strict.assign_next(lane)
            else:
                return False
        return True

    def drain(self) -> None:
        """Give queued jobs to whoever has room."""
        while self._queue:
            lane = self._choose(self._queue[0])
            if lane is None:
                return
            self._assign(lane, self._queue.popleft())

    def worker_ended(self, lane: Lane, cause: str, pid: int) -> None:
        """The lane's worker gets no further batch, and has given back what it held: its sessions are lost."""
        self._strict.worker_ended(lane, cause, pid)

    def slot_closed(self, lane: Lane) -> None:
        """No worker will start in the lane any more: what waits for it goes elsewhere."""
        self._strict.slot_closed(lane)

    def end_session(self, session_id: str) -> bool:
        """Forget a session; its batches that wait fail. Returns whether it was known."""
        return self._strict.end_session(session_id)

    def _choose(self, job: Job) -> Lane | None:
        """Choose the lane for a job that is first in the queue, if one has room."""
        home = None
        if job.context is not None:
            home = self._hints.get(job.context.session_id)
            if home is not None and home.is_idle:
                return home
        while self._idle:
            lane = self._idle.popleft()
            lane.listed = False
            if lane.is_idle:
                if home is None and job.context is not None:
                    self._note_home(job.context.session_id, lane)
                return lane
        if home is not None and home.takes_second and not self._strict.waits_for(home):
            return home
        for lane in self._lanes:
            if lane.takes_second and not self._strict.waits_for(lane):
                return lane
        return None

    def _note_home(self, session_id: str, lane: Lane) -> None:
        hints = self._hints
        hints[session_id] = lane
        if len(hints) > _HINTS:
            del hints[next(iter(hints))]

    def _assign(self, lane: Lane, job: Job) -> bool:
        self._last_ref += 1
        try:
            lane.assign(job, self._last_ref)
        except SlitherError as error:
            job.fail(error)
            self._list_idle(lane)
            return False
        self._written(lane)
        return True

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
