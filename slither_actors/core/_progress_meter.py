"""How far a run has come, how fast it is, and when it will be done. Time is an input."""

from __future__ import annotations

import math

import attrs

__all__ = ["ProgressMeter", "RunProgress"]

_TICK = 1e-6
"""In less time nothing can be said of a rate."""

_SMOOTH_SECONDS = 3.0
"""What happened this long ago counts for a third of what happens now."""


@attrs.frozen(kw_only=True)
class RunProgress:
    """How far a run had come at one moment."""

    done: int
    """Items that came out, whatever their outcome."""

    total: int | None
    """Items that will come out, if the input has a length."""

    seconds: float
    """Since the run began."""

    rate: float
    """Items a second, of late; at the end over the whole run."""

    eta: float | None
    """Seconds that are left, at this rate; None where the total or the rate is not known."""

    finished: bool
    """Whether the run has ended, at its end or before: this is the last report then."""

    @property
    def fraction(self) -> float | None:
        """How much is done, 0 to 1; None where the total is not known."""
        if self.total is None:
            return None
        return min(1.0, self.done / self.total) if self.total else 1.0


class ProgressMeter:
    """Counts, and smooths the rate. Not thread-safe: the owning actor is the only caller."""

    __slots__ = ("_began", "_counted", "_looked", "_rate", "done", "total")

    def __init__(self, total: int | None, now: float) -> None:
        self.total = total
        self.done = 0
        self._began = self._looked = now
        self._counted = 0
        """Items that are in the rate."""
        self._rate: float | None = None

    def add(self, count: int) -> None:
        """So many more are done."""
        self.done += count

    def report(self, now: float, *, finished: bool = False) -> RunProgress:
        """Look how things are."""
        seconds = max(0.0, now - self._began)
        rate = self.done / seconds if finished and seconds >= _TICK else self._smoothed(now)
        left = None
        if self.total is not None and (rate or self.done >= self.total):
            left = max(0, self.total - self.done) / rate if rate else 0.0
        return RunProgress(
            done=self.done,
            total=self.total,
            seconds=seconds,
            rate=rate,
            eta=0.0 if finished and left is not None else left,
            finished=finished,
        )

    def _smoothed(self, now: float) -> float:
        passed = now - self._looked
        if passed >= _TICK:
            latest = (self.done - self._counted) / passed
            # By the time that passed, so it does not matter how often somebody looks.
            weight = 1.0 if self._rate is None else 1.0 - math.exp(-passed / _SMOOTH_SECONDS)
            before = latest if self._rate is None else self._rate
            self._rate = before + weight * (latest - before)
            self._looked, self._counted = now, self.done
        return self._rate or 0.0
