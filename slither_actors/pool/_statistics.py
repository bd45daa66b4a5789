"""What a pool holds and has done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from slither_actors.pool._segments import SegmentStatistics

if TYPE_CHECKING:
    from slither_actors.pool._lane import Lane
    from slither_actors.pool._pool import Pool

__all__ = ["PoolStatistics", "SlotStatistics"]


@attrs.frozen(kw_only=True)
class SlotStatistics:
    """One slot at one moment."""

    slot: int
    pid: int | None
    """The worker's process, or None between two workers."""

    state: str
    """``waiting``, ``starting``, ``idle``, ``busy``, ``retiring``, ``stopping`` or ``stopped``."""

    batches: int
    """Batches that ended in this slot, under all of its workers."""

    outstanding: int
    """Batches that the worker holds: at most one that runs and one that waits in the pipe."""

    workers: int
    """Workers started so far."""

    seconds_per_batch: float | None
    """Recent running time of a batch, smoothed; None before the first."""

    @classmethod
    def of(cls, lane: Lane) -> SlotStatistics:
        """Read one lane."""
        slot = lane.slot
        return cls(
            slot=slot.number,
            pid=lane.pid or None,
            state=slot.state.value,
            batches=slot.batches,
            outstanding=len(slot.outstanding),
            workers=slot.workers,
            seconds_per_batch=lane.pace,
        )


@attrs.frozen(kw_only=True)
class PoolStatistics:
    """A pool at one moment. Returned by a call with `STATISTICS`."""

    pool: str
    slots: tuple[SlotStatistics, ...]
    """Those that get batches: as many as the pool is large."""

    retiring: tuple[SlotStatistics, ...]
    """Workers that were recycled or let go and have not ended. Their counts are those of the place, which
    may be another's by now."""

    queued: int
    """Batches that no worker holds yet."""

    running: int
    """Batches that a worker runs now."""

    batches: int
    """Batches that ended, with results or an error of their own."""

    crashes: int
    """Workers that ended while they ran a batch, timeouts not counted."""

    restarts: int
    """Workers started in place of another."""

    recycled: Mapping[str, int]
    """Workers replaced on purpose, by the option that wanted it."""

    timeouts: int
    """Batches that ran longer than they might."""

    segments: SegmentStatistics
    """The shared memory through which large payloads and results go."""

    stolen: int
    """Batches taken back from behind a slow one and given to an idle worker."""

    sessions: int = 0
    """Strict sessions that are open."""

    sessions_lost: int = 0
    """Strict sessions whose worker ended, with their state."""

    @classmethod
    def of(cls, pool: Pool) -> PoolStatistics:
        """Read a pool, in its actor."""
        staff, placement = pool.staff, pool.placement
        present = staff.places
        leaving = (lane for lane in staff.lanes if present.get(lane.slot.number) is not lane)
        return cls(
            pool=pool.pool,
            slots=tuple(SlotStatistics.of(present[number]) for number in sorted(present)),
            retiring=tuple(SlotStatistics.of(lane) for lane in leaving),
            queued=placement.queued,
            running=sum(1 for lane in staff.lanes if lane.slot.outstanding),
            batches=staff.batches,
            crashes=pool.deaths.crashes,
            restarts=staff.restarts,
            recycled=dict(staff.recycled),
            timeouts=pool.deaths.timeouts,
            stolen=placement.stolen,
            segments=pool.segments.statistics(),
            sessions=placement.sessions.open,
            sessions_lost=placement.sessions.lost,
        )
