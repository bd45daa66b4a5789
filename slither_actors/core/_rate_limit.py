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
        self._limit = limit
        self._last: deque[float] = deque()
        """When the items of the last `per_seconds` came."""

    def room(self, now: float) -> int:
        """Return how many items may come now."""
        last, seconds = self._last, self._limit.per_seconds
        while last and last[0] + seconds <= now:
            last.popleft()
        return self._limit.count - len(last)

    def delay(self, now: float) -> float:
        """Return how many seconds the next item has to wait, 0 if it may come now."""
        return 0.0 if self.room(now) > 0 else self._last[0] + self._limit.per_seconds - now

    def took(self, now: float, count: int = 1) -> None:
        """Items have come."""
        self._last.extend([now] * count)
