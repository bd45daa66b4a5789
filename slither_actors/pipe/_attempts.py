"""How often a stage has tried what it tries again now."""

from __future__ import annotations

import random
import time

from slither_actors.core import may_retry, retry_delay
from slither_actors.item import Item
from slither_actors.policy import Retry

__all__ = ["Attempts"]


class Attempts:
    """The attempts of one item, or of a batch, which is known by its first. The stage's actor uses it."""

    __slots__ = ("_count", "_failing_since", "_of")

    def __init__(self) -> None:
        self._of: Item | None = None
        self._count = 1
        self._failing_since = 0.0

    def delay(self, first: Item, policy: Retry, error: BaseException) -> float | None:
        """An attempt has failed. Return in how many seconds there is another one; None if there is none."""
        now = time.monotonic()
        if self._of is not first:
            self._of, self._count, self._failing_since = first, 1, now
        delay = retry_delay(policy, self._count, random.random())
        if not may_retry(policy, self._count, error, now - self._failing_since + delay):
            return None
        self._count += 1
        return delay
