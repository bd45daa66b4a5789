"""How much may pass within a second; the clock is the caller's.

Here and not among the cores, because workers use it and import none of those.
"""

from __future__ import annotations

import math

__all__ = ["Quota"]


class Quota:
    """An amount per window of time. Once something was refused, so is the rest of the window.

    So a flood has one gap a second, with one note about it, instead of a note between any two lines.
    Not thread-safe.
    """

    def __init__(self, limit: int, seconds: float = 1.0) -> None:
        """Let `limit` pass in each window of `seconds`."""
        self.limit = limit
        self.seconds = seconds
        self._used = 0
        self._since = -math.inf

    def take(self, amount: int, now: float) -> bool:
        """Whether so much more may pass."""
        if now - self._since >= self.seconds:
            self._since, self._used = now, 0
        self._used += amount
        if self._used <= self.limit:
            return True
        self._used = self.limit + 1
        return False

    def is_spent(self, now: float) -> bool:
        """Whether nothing passes at this moment."""
        return self._used > self.limit and now - self._since < self.seconds
