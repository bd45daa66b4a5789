"""What a scheduler tells of itself."""

from __future__ import annotations

import attrs

__all__ = ["SchedulerStatistics"]


@attrs.frozen(kw_only=True)
class SchedulerStatistics:
    """What a scheduler held and had done at one moment. Returned by `Scheduler.statistics`."""

    run_queue: int
    """Actors that are ready and wait for a thread."""

    threads: int
    """Threads that exist, blocked and parked ones included."""

    attached: int
    """Threads that take slices from the run queue."""

    blocked: int
    """Threads inside a handler that waits or does not return."""

    parked: int
    """Threads that wait for work."""

    slices: int
    """Slices run so far; approximate while threads run."""

    hand_overs: int
    """Times a thread gave up the run queue before a framework wait."""

    stalls: int
    """Times the monitor found a handler that did not return and went around it."""

    longest_stall: float
    """Seconds of the longest stall so far, to the monitor's resolution."""

    thread_limit: int
    """The most threads for handlers that block; there are more only while all wait for other actors."""
