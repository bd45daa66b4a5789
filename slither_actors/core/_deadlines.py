"""When the rows of a table end: decides which are over, and when to look again.

One entry per key, however often its deadline is moved: an entry that comes due
too early is put back with the deadline that the row has by then. So a row that
is written all the time costs no more than one that is written once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable
from typing import Any

import attrs

__all__ = ["Deadlines"]


@attrs.define
class Deadlines:
    """The keys that have a deadline, soonest first. Not thread-safe: the writer is the only caller."""

    _heap: list[tuple[float, int, Any]] = attrs.field(factory=list)
    _entry: dict[Any, float] = attrs.field(factory=dict)
    _count: int = 0

    @property
    def earliest(self) -> float:
        """No row ends before this; infinity where none ends."""
        return self._heap[0][0] if self._heap else math.inf

    def set(self, key: Hashable, at: float) -> None:
        """The row ends at `at`, on whatever clock the caller reads; infinity is never."""
        known = self._entry.get(key, math.inf)
        if at < known:
            self._entry[key] = at
            self._count += 1  # keys need not be comparable
            heapq.heappush(self._heap, (at, self._count, key))

    def discard(self, key: Hashable) -> None:
        """There is no such row any more."""
        if self._entry.pop(key, None) is not None and len(self._heap) > 2 * len(self._entry) + 64:
            self._heap = [entry for entry in self._heap if self._entry.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def due(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """Forget and return at most `most` keys whose ``deadline_of(key)`` is not after `now`."""
        over: list[Any] = []
        while self._heap and self._heap[0][0] <= now and len(over) < most:
            at, _, key = heapq.heappop(self._heap)
            if self._entry.get(key) != at:
                continue  # moved to an earlier one, or discarded
            del self._entry[key]
            deadline = deadline_of(key)
            if deadline <= now:
                over.append(key)
            else:
                self.set(key, deadline)
        return over

    def peek(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """As `due`, and forget nothing."""
        over: list[Any] = []
        at = [0]
        while at and len(over) < most:
            place = at.pop()
            if place >= len(self._heap) or self._heap[place][0] > now:
                continue
            key = self._heap[place][2]
            if deadline_of(key) <= now:
                over.append(key)
            at += (2 * place + 1, 2 * place + 2)
        return list(dict.fromkeys(over))

    def copy(self) -> Deadlines:
        """The same deadlines, to be changed apart."""
        return Deadlines(self._heap.copy(), self._entry.copy(), self._count)
