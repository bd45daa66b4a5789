"""Which coroutines of a stage run at one time, and in which order their results count.

A stage has two lanes: one for its events or its demand, at most
`max_concurrency` at a time, and one for messages, one at a time. A job that
has ended and waits for an earlier one keeps its place: a first job that does
not end stops the lane, and nothing piles up behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from slither_actors.core import Ordering, Window
from slither_actors.stages._coroutines import Coroutines, Quota
from slither_actors.stages._job import Job

__all__ = ["Coroutines", "Lane", "MessageLane", "Quota"]


class Lane:
    """The jobs of a stage that handle events or demand. Used in the stage only."""

    def __init__(
        self, coroutines: Coroutines, max_concurrency: int, *, ordered: bool, quota: Quota | None = None
    ) -> None:
        self._coroutines = coroutines
        self._ordered = ordered
        self._window: Window[Job] = Window(
            max_concurrency, Ordering.PRESERVE if ordered else Ordering.AS_COMPLETED
        )
        self._jobs: dict[int, Job] = {}
        """Those that run or wait for an earlier one, in their order."""
        self.quota = quota
        """What all jobs draw on that are async generators; None if each has its own, or there are none."""

    @property
    def has_room(self) -> bool:
        """Whether a job may start now."""
        return self._window.has_room

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that run or wait for an earlier one, in their order."""
        return tuple(self._jobs.values())

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits."""
        return not self._jobs

    def start(self, job: Job) -> None:
        """Start a job, for which there has to be room."""
        job.lane = self
        job.number = self._window.start()
        if self.quota is not None:
            job.quota = self.quota
            if self._ordered and self._jobs:
                self._coroutines.call(self.quota.hold, job)
        self._jobs[job.number] = job
        self._coroutines.start(job)

    def grant(self, count: int) -> None:
        """Let the async generators yield more, if that is what runs here."""
        if self.quota is not None:
            self._coroutines.call(self.quota.grant, count)

    @staticmethod
    def new_quota(demand: int) -> Quota:
        """Make the quota of a job that has one of its own."""
        return Quota(demand)

    def is_first(self, job: Job) -> bool:
        """Whether it is the job's turn."""
        return not self._ordered or next(iter(self._jobs.values())) is job

    def yielded(self, job: Job) -> None:
        """A job has something in its basket."""
        if job.number in self._jobs and self.is_first(job):
            job.stage._take_yielded(job)

    def ended(self, job: Job) -> None:
        """A job is over: have it finished, and those that waited for it, in their turn."""
        for number, each in self._window.finish(job.number, job):
            if each.quota is not None:
                each.stage._take_yielded(each)
                self._promote(each)
            del self._jobs[number]
            each.finish(each)
        if self.quota is not None and self._ordered and self._jobs:
            first = next(iter(self._jobs.values()))
            self._promote(first)
            first.stage._take_yielded(first)

    def _promote(self, job: Job) -> None:
        if self.quota is not None and self._ordered:
            self._coroutines.call(self.quota.promote, job)


class MessageLane(Lane):
    """The jobs of a stage that handle messages: one at a time, in the order of their arrival.

    Those that wait are in no mailbox any more. They count as the mailbox's, if that has a bound, or it would
    be none for a stage that takes its messages out faster than it handles them.
    """

    def __init__(self, coroutines: Coroutines, box: Any = None) -> None:
        """Take the mailbox, if it has a bound."""
        super().__init__(coroutines, 1, ordered=True)
        self._box = box
        self._waiting: deque[Job | Callable[[], object]] = deque()
        self._held = False

    def hold(self, held: bool) -> None:
        """Start no job, or do so again."""
        self._held = held
        self._start_next()

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits."""
        return not self._waiting and super().is_idle

    def start(self, job: Job) -> None:
        """Start a job, now or in its turn."""
        self._waiting.append(job)
        if self._box is not None:
            self._box.enter()
        self._start_next()

    def put_behind(self, function: Callable[[], object]) -> None:
        """Call a function when all jobs that are here now have ended; it may be called now."""
        self._waiting.append(function)
        self._start_next()

    def forget(self) -> None:
        """The stage has ended: let those go who wait for room in its mailbox."""
        if self._box is not None:
            self._box.forget()

    def _start_next(self) -> None:
        while self._waiting and self.has_room:
            first = self._waiting[0]
            if not isinstance(first, Job):
                self._waiting.popleft()
                first()
                continue
            if self._held:
                return
            self._waiting.popleft()
            if self._box is not None:
                self._box.leave()
            super().start(first)

    def ended(self, job: Job) -> None:
        """Finish a job, and start the next."""
        super().ended(job)
        self._start_next()
