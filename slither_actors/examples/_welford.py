"""Mean and variance in one pass, and of parts put together.

Source: B. P. Welford, Technometrics 4 (1962); `merge` is Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

__all__ = ["Welford"]


@attrs.define
class Welford:
    """Count, mean and sum of squared deviations of the values so far."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Iterable[float]) -> Welford:
        """Take values; return itself."""
        for value in values:
            self.count += 1
            away = value - self.mean
            self.mean += away / self.count
            self.squares += away * (value - self.mean)
        return self

    def merge(self, other: Welford) -> Welford:
        """Take what another has seen; return itself."""
        if other.count:
            count = self.count + other.count
            away = other.mean - self.mean
            self.squares += other.squares + away * away * self.count * other.count / count
            self.mean += away * other.count / count
            self.count = count
        return self

    @property
    def deviation(self) -> float:
        """The standard deviation of the population; 0 for no values."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def is_close(self, other: Welford) -> bool:
        """Whether both have seen as many values, and the same but for rounding."""
        scale = max(1.0, abs(self.mean), self.deviation)
        return (
            self.count == other.count
            and math.isclose(self.mean, other.mean, rel_tol=1e-9, abs_tol=1e-9 * scale)
            and math.isclose(self.deviation, other.deviation, rel_tol=1e-6, abs_tol=1e-9 * scale)
        )
