"""The batches of strict sessions: each goes to the slot of its session, or fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from slither_actors.core import Affinity, SessionLoss, SessionOverflow, Sessions
from slither_actors.core._slot import SlotState
from slither_actors.errors import SessionBusyError, SessionLimitError, SessionLostError, SlitherError
from slither_actors.pool._job import Job
from slither_actors.pool._lane import Lane
from slither_actors.pool._sessions import MAX_SESSIONS

__all__ = ["StrictPlacement"]


_LEAVING = (SlotState.RETIRING, SlotState.STOPPED)


class StrictPlacement:
    """The queues of the slots. Its `Placement` is the only caller."""

    def __init__(self, lanes: list[Lane], assign: Callable[[Lane, Job], bool]) -> None:
        """Send jobs to `lanes` through `assign`, which says whether the job was sent."""
        self.sessions = Sessions(MAX_SESSIONS)
        self.waiting: dict[int, deque[Job]] = {}
        """Jobs by the number of their slot; no queue in it is empty."""
        self._lanes = lanes
        self._assign = assign

    @property
    def queued(self) -> int:
        """Batches that no worker holds."""
        return sum(map(len, self.waiting.values())) if self.waiting else 0

    def waits_for(self, lane: Lane) -> bool:
        """Whether a job waits for the lane."""
        return bool(self.waiting) and lane.slot.number in self.waiting

    def submit(self, job: Job) -> None:
        """Send the job to the slot of its session, queue it there, or fail it."""
        slot = self.sessions.place(_session(job))
        if isinstance(slot, (SessionLoss, SessionOverflow)):
            job.fail(_refusal(job, slot))
            return
        lane = self._lane(slot)
        if lane is None:
            lane = self._new_home()
            self.sessions.bind(_session(job), lane.slot.number)
        elif job.affinity is Affinity.STRICT_FAIL_FAST and not lane.is_idle:
            problem = "runs another batch" if lane.slot.is_live else f"is {lane.slot.state.value}"
            job.fail(SessionBusyError(_session(job), job.pool, lane.slot.number, problem))
            return
        if lane.is_idle and not self.waits_for(lane):
            self._send(lane, job)
        else:
            self.waiting.setdefault(lane.slot.number, deque()).append(job)

    def assign_next(self, lane: Lane) -> None:
        """Send the job that is first in the queue of an idle lane."""
        queue = self.waiting[lane.slot.number]
        job = queue.popleft()
        if not queue:
            del self.waiting[lane.slot.number]
        self._send(lane, job)

    def remove(self, job: Job) -> bool:
        """Take a job out of the queues; False if it is in none."""
        for number, queue in self.waiting.items():
            if job in queue:
                queue.remove(job)
                if not queue:
                    del self.waiting[number]
                return True
        return False

    def take_all(self) -> list[Job]:
        """Empty the queues."""
        jobs = [job for queue in self.waiting.values() for job in queue]
        self.waiting.clear()
        return jobs

    def give_back(self, job: Job) -> None:
        """A worker had not begun the job: it is first in its queue again."""
        session = _session(job)
        self.sessions.returned(session)
        slot = self.sessions.place(session)
        if not job.returned:
            if isinstance(slot, int):
                self.waiting.setdefault(slot, deque()).appendleft(job)
            else:
                self.submit(job)

    def worker_ended(self, lane: Lane, cause: str, pid: int) -> None:
        """The lane's worker is gone, or gets no further batch, and so is the state of its sessions."""
        if self.sessions.open and self.sessions.worker_ended(lane.slot.number, cause, pid=pid):
            self._resubmit(lane)  # those of lost sessions fail

    def slot_closed(self, lane: Lane) -> None:
        """There will be no worker in the lane any more."""
        if self.sessions.open:
            self.sessions.slot_closed(lane.slot.number)
            self._resubmit(lane)

    def end_session(self, session_id: str) -> bool:
        """Forget a session; its batches that wait fail. Returns whether it was known."""
        known = self.sessions.end(session_id)
        for lane in self._lanes if known else ():
            self._resubmit(lane)
        return known

    def _resubmit(self, lane: Lane) -> None:
        """Find out anew what is to become of the jobs that wait for the lane."""
        number = lane.slot.number
        kept: deque[Job] = deque()
        for job in self.waiting.pop(number, ()):
            if self.sessions.place(_session(job)) == number:
                kept.append(job)
            else:
                self.submit(job)
        if kept:
            self.waiting[number] = kept

    def _send(self, lane: Lane, job: Job) -> None:
        if self._assign(lane, job):
            self.sessions.sent(_session(job), lane.pid)

    def _lane(self, slot: int | None) -> Lane | None:
        if slot is None:
            return None
        # The last one: those before it have left the place, and end.
        return next((lane for lane in reversed(self._lanes) if lane.slot.number == slot), None)

    def _new_home(self) -> Lane:
        """An idle lane, else one with a worker, else one that will have one; that with fewest sessions."""
        usable = [lane for lane in self._lanes if lane.slot.state not in _LEAVING] or self._lanes
        live = [lane for lane in usable if lane.slot.is_live] or usable
        idle = [lane for lane in live if lane.is_idle] or live
        number = self.sessions.choose(lane.slot.number for lane in idle)
        return next(lane for lane in idle if lane.slot.number == number)


def _session(job: Job) -> str:
    return "" if job.context is None else job.context.session_id


def _refusal(job: Job, why: SessionLoss | SessionOverflow) -> SlitherError:
    if isinstance(why, SessionOverflow):
        return SessionLimitError(_session(job), job.pool, why.limit)
    return SessionLostError(_session(job), job.pool, why.pid, why.cause)
