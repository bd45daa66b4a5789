"""The restart limit of a supervisor, counted as OTP counts.

`max_restarts` restarts within `max_seconds` are allowed and one more is not.
Times are cut to whole seconds and the window includes its edge, so restarts
count together for up to just under ``max_seconds + 1`` seconds.
"""

from __future__ import annotations

import math
from collections import deque

import attrs

from slither_actors.config import integer, positive_seconds

__all__ = ["RestartIntensity"]


@attrs.define
class RestartIntensity:
    """Count the restarts of one supervisor.

    Not thread-safe: the supervisor is the only caller.
    """

    max_restarts: int = attrs.field(default=3, validator=integer(0))
    max_seconds: float = attrs.field(default=5, validator=positive_seconds)
    _restarts: deque[int] = attrs.field(factory=deque, init=False)

    def record(self, now: float) -> bool:
        """Count one restart attempt at monotonic `now`, in seconds; False when it is one too many.

        A failed attempt counts as well, a group restart counts once, a restart
        by hand is not counted.
        """
        second = math.floor(now)
        restarts = self._restarts
        while restarts and restarts[0] < second - self.max_seconds:
            restarts.popleft()
        restarts.append(second)
        if len(restarts) > self.max_restarts + 1:
            # One more than is allowed tells all there is to know, however long the caller goes on.
            restarts.popleft()
        return len(restarts) <= self.max_restarts

    @property
    def count(self) -> int:
        """Restarts inside the window at the last `record`, at most ``max_restarts + 1``."""
        return len(self._restarts)
