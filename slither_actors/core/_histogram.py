"""A histogram of durations that never grows and merges without loss.

Buckets are a constant factor apart, eight to a doubling, so a percentile is
within 4.5 % of the true one, from a microsecond to any length. Shorter
durations count as a microsecond.
"""

from __future__ import annotations

import math

import attrs

__all__ = ["Histogram", "HistogramStatistics"]

_LEAST = 1e-6
_PER_DOUBLING = 8


@attrs.frozen(kw_only=True)
class HistogramStatistics:
    """What a `Histogram` held at one moment, in seconds. All 0 while it is empty."""

    count: int
    total: float
    minimum: float
    maximum: float
    mean: float
    p50: float
    """Half of the durations were no longer than this; `p90` and `p99` likewise."""
    p90: float
    p99: float


class Histogram:
    """Durations of one kind.

    Not thread-safe: the owning actor is the only caller. For totals over several
    owners, merge their histograms.
    """

    __slots__ = ("_buckets", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = 0.0
        # Bucket number to count; about 300 of them at the very most in practice.
        self._buckets: dict[int, int] = {}

    def record(self, seconds: float) -> None:
        """Count one duration, finite and at least 0."""
        bucket = math.ceil(math.log2(seconds / _LEAST) * _PER_DOUBLING) if seconds > _LEAST else 0
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self.total += seconds
        self.minimum = min(self.minimum, seconds)
        self.maximum = max(self.maximum, seconds)

    def merge(self, other: Histogram) -> None:
        """Count all durations of `other`, which stays as it is."""
        for bucket, count in list(other._buckets.items()):
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def percentile(self, percent: float) -> float:
        """Return about the shortest duration that `percent` (0 to 100) of all do not exceed; 0 if empty."""
        rank = max(1, math.ceil(percent / 100 * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                # The middle of the bucket, as factors go.
                middle = _LEAST * 2 ** ((bucket - 0.5) / _PER_DOUBLING)
                return min(max(middle, self.minimum), self.maximum)
        return 0.0

    def statistics(self) -> HistogramStatistics:
        """Return a snapshot for the dashboard and for tests."""
        return HistogramStatistics(
            count=self.count,
            total=self.total,
            minimum=self.minimum if self.count else 0.0,
            maximum=self.maximum,
            mean=self.total / self.count if self.count else 0.0,
            p50=self.percentile(50),
            p90=self.percentile(90),
            p99=self.percentile(99),
        )
