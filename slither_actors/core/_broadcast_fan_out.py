"""Every event to every consumer, at the pace of the slowest.

What all consumers have asked for is common demand: it is asked of the producer
once and used up together. A consumer that joins gives the common demand back
to the others, and nothing flows until it has asked too.

A consumer's `selector` option, a predicate, keeps events from it; the consumer
asks for as many others.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slither_actors.core._fan_out import (
    NO_EVENTS,
    NO_OPTIONS,
    FanOutDecision,
    FanOutStatistics,
    Reask,
    SubscriptionRefusedError,
)

__all__ = ["BroadcastFanOut"]

K = TypeVar("K", bound=Hashable)


class _Listener(Generic[K]):
    """One consumer. `asked` counts all that it has asked for, on the scale of `BroadcastFanOut._granted`."""

    __slots__ = ("asked", "consumer", "gone", "key", "selector")

    def __init__(
        self, key: K, consumer: Hashable, selector: Callable[[Any], object] | None, asked: int
    ) -> None:
        self.key = key
        self.consumer = consumer
        self.selector = selector
        self.asked = asked
        self.gone = False


class BroadcastFanOut(Generic[K]):
    """See `slither_actors.core.FanOut` for the contract."""

    # `_granted` is the common demand since the start; a consumer's own demand
    # beyond it is `asked - _granted`, so granting costs the same for any number
    # of consumers. The heap finds the least `asked`: its entries are lower
    # bounds, brought up to date when they reach the top.
    __slots__ = (
        "_consumers",
        "_discarded",
        "_granted",
        "_heap",
        "_listeners",
        "_requested",
        "_serial",
        "_waiting",
        "outbox",
    )

    def __init__(self) -> None:
        self.outbox: list[FanOutDecision] = []
        self._listeners: dict[K, _Listener[K]] = {}
        self._consumers: set[Hashable] = set()
        self._heap: list[tuple[int, int, _Listener[K]]] = []
        self._serial = 0
        self._granted = 0
        # Common demand not yet used up, and the events that the producer still owes for it.
        self._waiting = 0
        self._requested = 0
        self._discarded = 0

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take a consumer that is not there yet, with an optional ``selector``."""
        consumer = key if consumer is None else consumer
        if key in self._listeners or consumer in self._consumers:
            raise SubscriptionRefusedError("already_subscribed", f"{consumer!r} is subscribed already")
        selector = options.get("selector")
        if selector is not None and not callable(selector):
            raise SubscriptionRefusedError(
                "bad_options", f"option 'selector' is {selector!r}; allowed is a function of one event"
            )
        self._granted -= self._waiting
        self._waiting = 0
        listener = _Listener(key, consumer, selector, self._granted)
        self._listeners[key] = listener
        self._consumers.add(consumer)
        self._push(listener)

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Add to a consumer's demand; only what all have asked for, and is not on its way, goes on."""
        # None is a KeyError, as any unknown key.
        self._listeners[key].asked += count  # type: ignore[index]
        return self._grant(buffered)

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer; if the others waited for it, their demand comes free."""
        listener = self._listeners.pop(key)
        listener.gone = True
        self._consumers.remove(listener.consumer)
        if self._listeners:
            return self._grant(buffered)
        self._heap.clear()
        self._waiting = 0
        return 0

    def give_back(self, key: K, events: Sequence[Any], buffered: int = 0) -> tuple[int, Sequence[Any], int]:
        """Forget a consumer; its `events` went to the others too, so nobody needs them."""
        self._discarded += len(events)
        return self.cancel(key, buffered), NO_EVENTS, len(events)

    def _grant(self, buffered: int) -> int:
        more = self._least_asked() - self._granted
        if more <= 0:
            return 0
        self._granted += more
        self._waiting += more
        # Nothing is buffered while there is common demand, so all of `more` can be met from the buffer.
        from_buffer = min(more, buffered)
        request = from_buffer + max(0, self._waiting - from_buffer - self._requested)
        self._requested += request
        return request

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Give as many events as there is common demand to everyone who selects them."""
        size = len(events)
        count = min(size, self._waiting)
        # Leftovers are buffered: whoever asks next has to ask for them again.
        self._requested = max(0, self._requested - size)
        if not count:
            return [], events
        self._waiting -= count
        now = events if count == size else events[:count]
        deliveries: list[tuple[K, Sequence[Any]]] = []
        for listener in self._listeners.values():
            selected = self._select(listener, now)
            if selected:
                # Consumers do not share a list: one of them may change it.
                deliveries.append((listener.key, now[:] if deliveries and selected is now else selected))
        return deliveries, events[count:] if count < size else NO_EVENTS

    def _select(self, listener: _Listener[K], events: Sequence[Any]) -> Sequence[Any]:
        selector = listener.selector
        if selector is None:
            return events
        try:
            selected = [event for event in events if selector(event)]
        except Exception as error:
            error.add_note(f"raised by the selector of {listener.key!r}, which runs in the producer")
            raise
        if len(selected) < len(events):
            self.outbox.append(Reask(listener.key, len(events) - len(selected)))
        return selected

    def info(self, message: Any) -> bool:
        """Infos are delivered at once."""
        return True

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot; the common demand is part of every consumer's."""
        spare = self._waiting - self._granted
        outstanding = {listener.key: listener.asked + spare for listener in self._listeners.values()}
        return FanOutStatistics(outstanding=outstanding, owed=self._requested, discarded=self._discarded)

    def _push(self, listener: _Listener[K]) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (listener.asked, self._serial, listener))
        if len(self._heap) > 2 * len(self._listeners) + 32:
            alive = [entry for entry in self._heap if not entry[2].gone]
            self._heap = alive
            heapq.heapify(alive)

    def _least_asked(self) -> int:
        heap = self._heap
        while True:
            asked, serial, listener = heap[0]
            if listener.gone:
                heapq.heappop(heap)
            elif asked < listener.asked:
                heapq.heapreplace(heap, (listener.asked, serial, listener))
            else:
                return asked
