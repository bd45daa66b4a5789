"""Each event to one consumer: the next in turn that has asked for some.

The unit is `chunk_size` events, one by default: so many go to the first
consumer, so many to the next, whatever the sizes of the lists in which they
are emitted. A consumer's demand bounds its turn. Without any it is passed over,
and joins again behind the others when it asks.

So consumers that keep asking get the same number of events each, and not, as
with `DemandFanOut`, whole lists in turn. What waits for a slow consumer is at
most what it has asked for; the others take its turns meanwhile.

GenStage has no such dispatcher.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slither_actors.core._fan_out import (
    NO_EVENTS,
    NO_OPTIONS,
    FanOutDecision,
    FanOutStatistics,
    SubscriptionRefusedError,
)
from slither_actors.errors import OptionError

__all__ = ["RoundRobinFanOut"]

K = TypeVar("K", bound=Hashable)


class _Claim(Generic[K]):
    """One consumer and its demand."""

    __slots__ = ("demand", "key")

    def __init__(self, key: K) -> None:
        self.key = key
        self.demand = 0


class RoundRobinFanOut(Generic[K]):
    """See `slither_actors.core.FanOut` for the contract."""

    # An OrderedDict takes its first entry out, moves it behind the last one and
    # drops any in constant time; a deque does not drop, a dict does not begin.
    __slots__ = ("_chunk_size", "_claims", "_left", "_pending", "_ring", "outbox")

    def __init__(self, *, chunk_size: int = 1) -> None:
        """Give `chunk_size` events to a consumer before it is the next one's turn.

        Raises:
            OptionError: `chunk_size` is no integer of at least 1.
        """
        if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
            raise OptionError("chunk_size", f"is {chunk_size!r}; allowed is an integer of at least 1")
        self.outbox: list[FanOutDecision] = []
        self._chunk_size = chunk_size
        self._claims: dict[K, _Claim[K]] = {}
        # The consumers with demand; it is the first one's turn, for `_left` more events.
        self._ring: OrderedDict[K, _Claim[K]] = OrderedDict()
        self._left = chunk_size
        self._pending = 0

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take a consumer; the same one may subscribe several times under different keys."""
        if key in self._claims:
            raise SubscriptionRefusedError("already_subscribed", f"{key!r} is subscribed already")
        self._claims[key] = _Claim(key)

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Add to a consumer's demand; what a consumer now gone had asked for is not asked for again."""
        # None is a KeyError, as any unknown key.
        claim = self._claims[key]  # type: ignore[index]
        claim.demand += count
        if claim.demand:
            self._ring.setdefault(claim.key, claim)
        # What lies in the buffer is not on its way any more.
        covered = min(self._pending, max(0, count - buffered))
        self._pending -= covered
        return count - covered

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer; its demand stays owed by the producer."""
        self._pending += self._claims.pop(key).demand
        if key in self._ring:
            if key == next(iter(self._ring)):
                self._left = self._chunk_size
            del self._ring[key]
        return 0

    def give_back(self, key: K, events: Sequence[Any], buffered: int = 0) -> tuple[int, Sequence[Any], int]:
        """Forget a consumer, whose `events` are to be dispatched again: the demand that they met is owed."""
        demand = self.cancel(key, buffered)
        self._pending += len(events)
        return demand, events, 0

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Deal the events out, a list to every consumer that gets some."""
        ring = self._ring
        size = len(events)
        shares: dict[K, Sequence[Any]] = {}
        start = 0
        while ring and start < size:
            if len(ring) == 1:
                start = self._serve_the_only(events, start, shares)
            elif self._chunk_size == 1 and size - start >= len(ring):
                start = self._serve_rounds(events, start, shares)
            else:
                start = self._serve_the_first(events, start, shares)
        if start == size:
            return list(shares.items()), NO_EVENTS
        # Buffered, they meet what a consumer now gone had asked for.
        self._pending = max(0, self._pending - (size - start))
        return list(shares.items()), events[start:] if start else events

    def _serve_the_first(self, events: Sequence[Any], start: int, shares: dict[K, Sequence[Any]]) -> int:
        key, claim = next(iter(self._ring.items()))
        count = min(self._left, claim.demand, len(events) - start)
        _give(shares, key, events[start : start + count])
        claim.demand -= count
        self._left -= count
        if not claim.demand:
            del self._ring[key]
            self._left = self._chunk_size
        elif not self._left:
            self._ring.move_to_end(key)
            self._left = self._chunk_size
        return start + count

    def _serve_the_only(self, events: Sequence[Any], start: int, shares: dict[K, Sequence[Any]]) -> int:
        key, claim = next(iter(self._ring.items()))
        count = min(claim.demand, len(events) - start)
        _give(shares, key, events[start : start + count] if count < len(events) else events)
        claim.demand -= count
        # Turn after turn is its own.
        self._left = (self._left - count - 1) % self._chunk_size + 1
        if not claim.demand:
            del self._ring[key]
            self._left = self._chunk_size
        return start + count

    def _serve_rounds(self, events: Sequence[Any], start: int, shares: dict[K, Sequence[Any]]) -> int:
        """Serve everyone as often as all have demand: at least once, which the events pay for."""
        claims = list(self._ring.values())
        least = min(claim.demand for claim in claims)
        rounds = min((len(events) - start) // len(claims), least)
        stop = start + rounds * len(claims)
        for first, claim in enumerate(claims, start):
            _give(shares, claim.key, events[first : stop : len(claims)])
            claim.demand -= rounds
            if not claim.demand:
                del self._ring[claim.key]
        return stop

    def info(self, message: Any) -> bool:
        """Infos are delivered at once."""
        return True

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot for the dashboard and for tests."""
        outstanding = {claim.key: claim.demand for claim in self._claims.values()}
        return FanOutStatistics(outstanding=outstanding, owed=self._pending)


def _give(shares: dict[K, Any], key: K, events: Sequence[Any]) -> None:
    if key not in shares:
        shares[key] = events
        return
    if type(shares[key]) is not list:
        shares[key] = list(shares[key])
    shares[key] += events
