"""How many items may come in, in how much time."""

from __future__ import annotations

from collections import deque

import attrs

from slither_actors.config import positive_int, positive_seconds

__all__ = ["Pace", "RateLimit"]


@attrs.frozen
class RateLimit:
    """At most `count` items in any `per_seconds` seconds."""

    count: int = attrs.field(validator=positive_int)
    per_seconds: float = attrs.field(default=1.0, validator=positive_seconds)


class Pace:
    """Keeps one limit. One thread at a time uses it."""

    def __init__(self, limit: RateLimit) -> None:
        self._per_seconds = limit.per_seconds
        self._last: deque[float] = deque(maxlen=limit.count)

    def delay(self, now: float) -> float:
        """Return how many seconds the next item has to wait, 0 if it may come now."""
        last = self._last
        if len(last) < (last.maxlen or 0):
            return 0.0
        return max(0.0, last[0] + self._per_seconds - now)

    def took(self, now: float) -> None:
        """An item has come."""
        self._last.append(now)
