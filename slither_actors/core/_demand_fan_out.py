"""Each event to one consumer: the one that has asked for most.

A list goes to the consumer with the highest demand up to that demand, then to
the next one; among equals to the one whose demand changed least recently. The
demand of a consumer that leaves is still owed by the producer: asks of others
are met from it before the producer hears of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slither_actors.config import shown
from slither_actors.core._demand import check_demand
from slither_actors.core._fan_out import (
    NO_EVENTS,
    NO_OPTIONS,
    DemandMismatch,
    FanOutDecision,
    FanOutStatistics,
    SubscriptionRefusedError,
)
from slither_actors.errors import OptionError

__all__ = ["DemandFanOut"]

K = TypeVar("K", bound=Hashable)

# No heap entry has this turn.
_GONE = -1


class _Claim(Generic[K]):
    """One consumer and its demand."""

    __slots__ = ("demand", "key", "turn")

    def __init__(self, key: K) -> None:
        self.key = key
        self.demand = 0
        # Grows with every change of the demand; the order among equals.
        self.turn = 0


class DemandFanOut(Generic[K]):
    """The default fan-out. See `slither_actors.core.FanOut` for the contract."""

    # `ask` and `dispatch` run for every list of events, so they are written out.
    # With one consumer no order is kept: `_only` is its claim. With more, the
    # heap has an entry (-demand, turn, claim) for every change of a demand to
    # something above zero; the one with the claim's present turn is valid.
    __slots__ = ("_claims", "_heap", "_max_demand", "_only", "_pending", "_shuffle", "_turn", "outbox")

    def __init__(
        self, *, max_demand: int | None = None, shuffle: Callable[[list[Any]], object] | None = None
    ) -> None:
        """Expect asks of at most `max_demand`; by default of what is asked first.

        `shuffle` (such as `random.shuffle`) is called once, before the first
        dispatch, to draw the order among consumers of equal demand, so that not
        every producer starts with the consumer that subscribed first.

        Raises:
            OptionError: `max_demand` is no integer of at least 1, or `shuffle` no function.
        """
        if max_demand is not None:
            check_demand(max_demand)
        if shuffle is not None and not callable(shuffle):
            raise OptionError("shuffle", f"is {shown(shuffle)}; allowed is a function of a list, or None")
        self.outbox: list[FanOutDecision] = []
        self._claims: dict[K, _Claim[K]] = {}
        self._only: _Claim[K] | None = None
        self._heap: list[tuple[int, int, _Claim[K]]] = []
        self._turn = 0
        self._pending = 0
        self._max_demand = max_demand
        self._shuffle = shuffle

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take a consumer; the same one may subscribe several times under different keys."""
        if key in self._claims:
            raise SubscriptionRefusedError("already_subscribed", f"{key!r} is subscribed already")
        self._claims[key] = _Claim(key)
        self._arrange()

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Add to a consumer's demand; what a consumer now gone had asked for is not asked for again."""
        # None is a KeyError, as any unknown key.
        claim = self._claims[key]  # type: ignore[index]
        claim.demand += count
        if claim is not self._only:
            self._push(claim)
        if self._max_demand is None:
            self._max_demand = count
        elif count > self._max_demand:
            self.outbox.append(DemandMismatch(claim.key, self._max_demand, count))
        pending = self._pending
        if not pending:
            return count
        # What lies in the buffer is not on its way any more.
        covered = min(pending, max(0, count - buffered))
        self._pending = pending - covered
        return count - covered

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer; its demand stays owed by the producer."""
        claim = self._claims.pop(key)
        claim.turn = _GONE
        self._pending += claim.demand
        self._arrange()
        return 0

    def give_back(self, key: K, events: Sequence[Any], buffered: int = 0) -> tuple[int, Sequence[Any], int]:
        """Forget a consumer, whose `events` are to be dispatched again: the demand that they met is owed."""
        demand = self.cancel(key, buffered)
        self._pending += len(events)
        return demand, events, 0

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Give the events to the highest demands in turn."""
        only = self._only
        size = len(events)
        if only is not None and 0 < size <= only.demand:
            only.demand -= size
            return [(only.key, events)], NO_EVENTS
        if self._shuffle is not None:
            self._shuffle_once()
        return self._dispatch_many(events, size) if size else ([], NO_EVENTS)

    def _dispatch_many(
        self, events: Sequence[Any], size: int
    ) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        deliveries: list[tuple[K, Sequence[Any]]] = []
        start = 0
        while start < size:
            claim = self._highest()
            if claim is None:
                # Buffered, they meet what a consumer now gone had asked for.
                self._pending = max(0, self._pending - (size - start))
                return deliveries, events[start:]
            stop = min(size, start + claim.demand)
            deliveries.append((claim.key, events[start:stop] if stop - start < size else events))
            claim.demand -= stop - start
            start = stop
            if claim is not self._only:
                heapq.heappop(self._heap)
                self._push(claim)
        return deliveries, NO_EVENTS

    def info(self, message: Any) -> bool:
        """Infos are delivered at once."""
        return True

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot for the dashboard and for tests."""
        outstanding = {claim.key: claim.demand for claim in self._claims.values()}
        return FanOutStatistics(outstanding=outstanding, owed=self._pending)

    def demand_of(self, key: K) -> int:
        """Return what a consumer has asked for and not been sent."""
        return self._claims[key].demand

    # -- the order of the consumers ------------------------------------------

    def _highest(self) -> _Claim[K] | None:
        if self._only is not None:
            return self._only if self._only.demand else None
        heap = self._heap
        while heap and heap[0][1] != heap[0][2].turn:
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def _push(self, claim: _Claim[K]) -> None:
        self._turn += 1
        claim.turn = self._turn
        if claim.demand:
            heapq.heappush(self._heap, (-claim.demand, self._turn, claim))
        if len(self._heap) > 2 * len(self._claims) + 32:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(-claim.demand, claim.turn, claim) for claim in self._claims.values() if claim.demand]
        heapq.heapify(self._heap)

    def _arrange(self) -> None:
        """Keep `_only` and the heap in step with the set of consumers."""
        if len(self._claims) == 1 and self._shuffle is None:
            (self._only,) = self._claims.values()
            self._heap.clear()
        elif self._only is not None:
            self._only = None
            self._rebuild()

    def _shuffle_once(self) -> None:
        shuffle, self._shuffle = self._shuffle, None
        claims = list(self._claims.values())
        if shuffle is not None:
            shuffle(claims)
        for claim in claims:
            self._turn += 1
            claim.turn = self._turn
        self._rebuild()
        self._arrange()
