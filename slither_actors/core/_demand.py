"""The consumer's side of a subscription: how much it has asked for and when it asks again.

A consumer asks for ``max_demand`` events at first. What arrives is cut into
chunks of at most ``max_demand - min_demand``, and after a chunk that brings the
outstanding demand down to ``min_demand`` it asks for what is missing to
``max_demand``. So there are never more than ``max_demand`` events on their way,
and the producer can work on the next ones while the consumer is still at the
later chunks. A list smaller than what was asked for is no reason to ask again:
the rest stays asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.errors import OptionError

__all__ = ["DEFAULT_MAX_DEMAND", "SubscriptionDemand", "check_demand"]

DEFAULT_MAX_DEMAND = 1000


def check_demand(max_demand: object = None, min_demand: object = None, *, where: str = "") -> tuple[int, int]:
    """Return ``(max_demand, min_demand)`` with the defaults filled in: 1000 and half of the first.

    Raises:
        OptionError: not ``max_demand >= 1``, or not ``0 <= min_demand < max_demand``.
    """
    if max_demand is None:
        max_demand = DEFAULT_MAX_DEMAND
    if isinstance(max_demand, bool) or not isinstance(max_demand, int) or max_demand < 1:
        raise OptionError(
            "max_demand", f"is {max_demand!r}; allowed is an integer of at least 1", where=where
        )
    if min_demand is None:
        min_demand = max_demand // 2
    if isinstance(min_demand, bool) or not isinstance(min_demand, int) or not 0 <= min_demand < max_demand:
        allowed = f"an integer from 0 to max_demand - 1 = {max_demand - 1}"
        raise OptionError("min_demand", f"is {min_demand!r}; allowed is {allowed}", where=where)
    return max_demand, min_demand


class SubscriptionDemand:
    """What one consumer has asked of one producer, in the automatic mode.

    Not thread-safe: the consumer is the only caller.
    """

    # A plain class: `take` runs for every list of events that a consumer gets.
    __slots__ = ("chunk_size", "excess", "max_demand", "min_demand", "outstanding")

    def __init__(self, max_demand: int | None = None, min_demand: int | None = None) -> None:
        """Check the two as `check_demand` does."""
        self.max_demand, self.min_demand = check_demand(max_demand, min_demand)
        self.chunk_size = self.max_demand - self.min_demand
        """The most events handed to one callback."""
        self.outstanding = self.max_demand
        """Events asked for and not yet taken by `split`; `max_demand` is asked at the start."""
        self.excess = 0
        """Events beyond the demand in the list last given to `split`; they are chunks like the others."""

    def split(self, events: Sequence[Any]) -> list[tuple[Sequence[Any], int]]:
        """Cut `events` into ``(chunk, ask)``: run the callback, hand on its output, then ask if ``ask > 0``.

        A list that is one chunk comes back as it is, not copied.
        """
        size = len(events)
        self.excess = 0
        ask = self.take(size)
        return self._split_many(events, size) if ask is None else [(events, ask)]

    def take(self, size: int) -> int | None:
        """Count a list of `size` events that is a single chunk; return what to ask for after its callback.

        None, and nothing is counted, if there are none, too many for one chunk,
        or more than were asked for: `split` them.
        """
        left = self.outstanding - size
        if not 0 < size <= self.chunk_size or left < 0:
            return None
        if left > self.min_demand:
            self.outstanding = left
            return 0
        self.outstanding = self.max_demand
        return self.max_demand - left

    def _split_many(self, events: Sequence[Any], size: int) -> list[tuple[Sequence[Any], int]]:
        # Only what was asked for before the list arrived counts as demanded: an
        # ask between two of its chunks is for later lists.
        due = self.outstanding
        self.excess = max(0, size - due)
        chunks: list[tuple[Sequence[Any], int]] = []
        for start in range(0, size, self.chunk_size):
            chunk = events[start : start + self.chunk_size] if size > self.chunk_size else events
            counted = min(len(chunk), due)
            due -= counted
            left = self.outstanding - counted
            ask = self.max_demand - left if left <= self.min_demand else 0
            self.outstanding = left + ask
            chunks.append((chunk, ask))
        return chunks
