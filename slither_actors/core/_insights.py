"""Where the time of a run went: in which worker, to wait, to transfer or to work. Time is an input."""

from __future__ import annotations

import heapq
import math

import attrs

__all__ = ["BatchTiming", "InsightTally", "Insights", "SlowBatch", "WorkerInsights"]

_SLOWEST = 10


@attrs.frozen
class BatchTiming:
    """What was measured of one batch. Times are those of one monotonic clock, in seconds."""

    pid: int
    slot: int
    """The worker's slot in its pool; -1 for a batch that ran in this process."""

    began: float
    """When its turn came: it was sent, or the one before it in the worker's pipe had ended."""

    ended: float
    """When its answer was here."""

    working: float
    """Seconds that its function ran."""

    ready: float
    """When the worker was ready for its first batch."""

    start: float
    """Seconds that the worker took for that."""


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


@attrs.frozen(kw_only=True)
class WorkerInsights:
    """The time of one worker in one run, in seconds."""

    pid: int
    slot: int
    """Its slot in the pool; -1 is this process, for executors that run batches in it."""

    batches: int
    items: int

    start: float
    """From the start of the process to its readiness: imports, the init hook. It may be before the run."""

    waiting: float
    """In the run, with no batch of it: the input, the reader, the window or other runs kept it waiting."""

    transfer: float
    """Payloads on their way there and results on their way back, with their pickling on the worker's side."""

    working: float
    """In the function, as measured in the worker."""


@attrs.frozen(kw_only=True)
class SlowBatch:
    """One of the batches that took longest."""

    ref: int
    """Its number in the run, from 0."""

    size: int
    """Items."""

    attempt: int
    seconds: float
    """From when its turn came to its answer."""

    working: float
    """Seconds in the function."""

    pid: int
    slot: int


@attrs.frozen(kw_only=True)
class Insights:
    """Where the time of a run went. ``print`` shows it as a table."""

    seconds: float
    """Since the run began, to its end if it has ended."""

    workers: tuple[WorkerInsights, ...]
    """One per process that ran batches of the run, by slot."""

    slowest: tuple[SlowBatch, ...]
    """At most ten, the slowest first."""

    @property
    def start(self) -> float:
        """Of all workers."""
        return math.fsum(worker.start for worker in self.workers)

    @property
    def waiting(self) -> float:
        """Of all workers."""
        return math.fsum(worker.waiting for worker in self.workers)

    @property
    def transfer(self) -> float:
        """Of all workers."""
        return math.fsum(worker.transfer for worker in self.workers)

    @property
    def working(self) -> float:
        """Of all workers."""
        return math.fsum(worker.working for worker in self.workers)

    @property
    def _whole(self) -> float:
        return self.waiting + self.transfer + self.working

    @property
    def waiting_ratio(self) -> float:
        """Share of the workers' time in the run, 0 to 1."""
        return _ratio(self.waiting, self._whole)

    @property
    def transfer_ratio(self) -> float:
        """Share of the workers' time in the run, 0 to 1."""
        return _ratio(self.transfer, self._whole)

    @property
    def working_ratio(self) -> float:
        """Share of the workers' time in the run, 0 to 1."""
        return _ratio(self.working, self._whole)

    def __str__(self) -> str:
        lines = [f"{self.seconds:.3f} s in {len(self.workers)} workers"]
        for name in ("waiting", "transfer", "working"):
            lines.append(f"  {name:<9} {getattr(self, name):10.3f} s  {getattr(self, f'{name}_ratio'):6.1%}")
        for worker in self.workers:
            where = f"worker {worker.slot} (pid {worker.pid})" if worker.slot >= 0 else f"pid {worker.pid}"
            lines.append(
                f"{where}: {worker.batches} batches, {worker.items} items; start {worker.start:.3f} s, "
                f"waiting {worker.waiting:.3f}, transfer {worker.transfer:.3f}, working {worker.working:.3f}"
            )
        lines += [
            f"slow: batch {slow.ref} of {slow.size} items, {slow.seconds:.3f} s, "
            f"{slow.working:.3f} of them working, pid {slow.pid}"
            for slow in self.slowest
        ]
        return "\n".join(lines)


@attrs.define
class _Sum:
    slot: int
    start: float
    ready: float
    batches: int = 0
    items: int = 0
    transfer: float = 0.0
    working: float = 0.0
    last: float = 0.0


class InsightTally:
    """Adds up the batches of one run. Not thread-safe: the owning actor is the only caller."""

    __slots__ = ("_began", "_count", "_slowest", "_sums")

    def __init__(self, now: float) -> None:
        self._began = now
        self._sums: dict[int, _Sum] = {}
        self._slowest: list[tuple[float, int, SlowBatch]] = []
        """A heap, the quickest of them first."""
        self._count = 0

    def add(self, ref: int, size: int, attempt: int, timing: BatchTiming) -> None:
        """A batch has been answered."""
        found = self._sums.get(timing.pid)
        if found is None:
            found = self._sums[timing.pid] = _Sum(timing.slot, timing.start, timing.ready)
        seconds = max(0.0, timing.ended - timing.began)
        working = min(timing.working, seconds)
        found.batches += 1
        found.items += size
        found.working += working
        found.transfer += seconds - working
        found.last = max(found.last, timing.ended)
        self._count += 1
        if len(self._slowest) < _SLOWEST or seconds > self._slowest[0][0]:
            slow = SlowBatch(
                ref=ref, size=size, attempt=attempt, seconds=seconds, working=working,
                pid=timing.pid, slot=timing.slot,
            )  # fmt: skip
            push = heapq.heappush if len(self._slowest) < _SLOWEST else heapq.heapreplace
            push(self._slowest, (seconds, -self._count, slow))

    def insights(self, now: float) -> Insights:
        """Look how things are."""
        successor: dict[int, int] = {}
        for pid, each in sorted(self._sums.items(), key=lambda entry: entry[1].ready):
            successor[each.slot] = pid
        workers = []
        for pid, each in sorted(self._sums.items(), key=lambda entry: (entry[1].slot, entry[1].ready)):
            # A worker in whose slot is another one by now has waited for nothing since its last batch.
            until = now if successor[each.slot] == pid else each.last
            present = max(0.0, until - max(self._began, each.ready))
            workers.append(
                WorkerInsights(
                    pid=pid,
                    slot=each.slot,
                    batches=each.batches,
                    items=each.items,
                    start=each.start,
                    waiting=max(0.0, present - each.transfer - each.working),
                    transfer=each.transfer,
                    working=each.working,
                )
            )
        return Insights(
            seconds=max(0.0, now - self._began),
            workers=tuple(workers),
            slowest=tuple(
                slow for _, _, slow in sorted(self._slowest, key=lambda entry: (-entry[0], -entry[1]))
            ),
        )
