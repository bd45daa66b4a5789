"""The consumer's side of a subscription that collects events, or that tells when it has handled them.

What arrives is cut into chunks of at most ``max_demand - min_demand``, as in
`SubscriptionDemand`. Two things differ:

* with a `max_wait`, what is left over is no chunk yet. It is kept until it is
  one, or until `max_wait` has passed since the first of these events came;
* an event is outstanding until it was handled, not until its chunk begins. So
  with several chunks at work at one time, too, there are never more than
  ``max_demand`` events sent and not handled.

A chunk that was cut short by the time asks for what it was made of at once,
whatever `min_demand` says. Otherwise so little could be left outstanding that
no chunk would ever be full again, and each would have to wait for its time.

Every event has a number, counted from the start of the subscription: the
producer counts the same way, so ``(first, count)`` says which were handled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.core._demand import SubscriptionDemand

__all__ = ["Collector"]

Chunk = tuple[Sequence[Any], int]
"""Events for one callback, and the number of the first of them."""


class Collector:
    """Not thread-safe: the consumer is the only caller. Times are seconds of any one clock."""

    __slots__ = ("_collected", "_demand", "_first", "_in_hand", "_max_wait", "_received", "_since")

    def __init__(self, demand: SubscriptionDemand, max_wait: float | None = None) -> None:
        """Count in `demand`, of which nothing else may be called; without `max_wait` nothing is kept."""
        self._demand = demand
        self._max_wait = max_wait
        self._collected: list[Any] = []
        # The number of the first of them, and when it came.
        self._first = 0
        self._since = 0.0
        self._received = 0
        # Arrived and not handled: collected, in a chunk that waits, or at work.
        self._in_hand = 0

    def __len__(self) -> int:
        """Return how many events are collected: arrived, and in no chunk yet."""
        return len(self._collected)

    def put(self, events: Sequence[Any], now: float = 0.0) -> list[Chunk]:
        """Take a list that has arrived; return the chunks to handle, in this order."""
        size, demand = len(events), self._demand
        self._in_hand += size
        # What nobody has asked for is outstanding as well, until it is handled.
        demand.excess = max(0, self._in_hand - demand.outstanding)
        demand.outstanding += demand.excess
        number, self._received = self._received, self._received + size
        start = min(size, demand.chunk_size - len(self._collected)) if self._collected else 0
        chunks: list[Chunk] = []
        if start:
            self._collected += events[:start]
            if len(self._collected) == demand.chunk_size:
                chunks += self._let_go()
        whole = size - (size - start) % demand.chunk_size if self._max_wait is not None else size
        for at in range(start, whole, demand.chunk_size):
            chunks.append((events[at : min(whole, at + demand.chunk_size)], number + at))
        if whole < size:
            self._collected = list(events[whole:])
            self._first, self._since = number + whole, now
        return chunks

    def put_uncut(self, events: Sequence[Any]) -> Chunk:
        """Take a list that was asked for by hand: it is one chunk, and no demand is counted."""
        number, self._received = self._received, self._received + len(events)
        return events[:], number

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds what is collected has to be handled; None if nothing is."""
        if not self._collected or self._max_wait is None:
            return None
        return max(0.0, self._since + self._max_wait - now)

    def flush(self) -> list[Chunk]:
        """Return what is collected as a chunk, if anything is."""
        return self._let_go() if self._collected else []

    def drop(self) -> None:
        """Forget what is collected: the subscription has ended, and the producer has it still."""
        self._collected = []

    def _let_go(self) -> list[Chunk]:
        collected, self._collected = self._collected, []
        return [(collected, self._first)]

    def handled(self, size: int) -> int:
        """Count a chunk of `size` events as handled; return how many to ask for now."""
        demand = self._demand
        self._in_hand -= size
        demand.outstanding -= size
        if demand.outstanding > demand.min_demand and self._max_wait is None:
            return 0
        ask = max(0, demand.max_demand - demand.outstanding)
        demand.outstanding += ask
        return ask
