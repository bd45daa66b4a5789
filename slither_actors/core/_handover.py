"""What a producer has sent on one subscription and the consumer has not handled yet.

The events of a subscription are numbered from 0, in the order in which they
are sent. The consumer tells of each chunk that it has handled, in any order.
What it has not told of when it is gone is taken back, in the order in which it
was sent. There is never more of it than the consumer has asked for and not
handled: ``max_demand``.

What comes back may be what has ended its consumer, and end the next one as
well. `Deliveries` counts how often that was so of each event, and says which
have had as many as they may. Only events that a handler had begun with count:
the others, behind them in the same list, had no part in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

__all__ = ["Deliveries", "Handover", "HandoverStatistics"]

_MOST_COUNTED = 10_000
"""The most events that `Deliveries` remembers: some may be gone in ways that it does not hear of."""


@attrs.frozen(kw_only=True)
class HandoverStatistics:
    """What a `Handover` held at one moment. Returned by `Handover.statistics`."""

    unacknowledged: int
    """Events sent and not handled, as far as the producer knows."""

    peak: int
    """The most of them at one time."""

    sent: int
    """Events sent since the start."""

    returned: int
    """Events taken back at the end."""


class Handover:
    """Not thread-safe: the producer is the only caller."""

    __slots__ = ("_base", "_done", "_first", "_lists", "_peak", "_returned", "_sent", "length")

    def __init__(self) -> None:
        self.length = 0
        """Events sent and not acknowledged."""
        self._lists: deque[Sequence[Any]] = deque()
        # The number of the first event in the lists, and of the first that is not acknowledged.
        self._base = 0
        self._first = 0
        # Chunks acknowledged ahead of their turn: where they end, by where they begin.
        self._done: dict[int, int] = {}
        self._sent = 0
        self._peak = 0
        self._returned = 0

    def send(self, events: Sequence[Any]) -> None:
        """Keep a list that is being sent. It must not be changed afterwards."""
        if not events:
            return
        self._lists.append(events)
        self._sent += len(events)
        self.length += len(events)
        self._peak = max(self._peak, self.length)

    def acknowledge(self, first: int, count: int) -> None:
        """Forget the `count` events from number `first` on: they were handled.

        Raises:
            ValueError: some of them were not sent, or are forgotten already.
        """
        stop = first + count
        if not self._first <= first < stop <= self._sent or first in self._done:
            msg = f"events {first} to {stop - 1} are not kept: {self._first} to {self._sent - 1} are"
            raise ValueError(msg)
        self.length -= count
        if first != self._first:
            self._done[first] = stop
            return
        while stop in self._done:
            stop = self._done.pop(stop)
        self._first = stop
        lists = self._lists
        while lists and self._base + len(lists[0]) <= stop:
            self._base += len(lists.popleft())

    def kept(self, first: int, count: int) -> list[Any]:
        """Return the `count` events from number `first` on, as far as they are in the lists."""
        found: list[Any] = []
        base = self._base
        for sent in self._lists:
            if base >= first + count:
                break
            found += sent[max(0, first - base) : max(0, first + count - base)]
            base += len(sent)
        return found

    def begun(self, stop: int) -> int:
        """Return how many events before number `stop` are not acknowledged: the first that come back."""
        done = sum(min(stop, end) - first for first, end in self._done.items() if first < stop)
        return max(0, min(stop, self._sent) - self._first - done)

    def take_back(self) -> list[Any]:
        """Return, in order, what was not acknowledged, and forget it."""
        events = [event for sent in self._lists for event in sent]
        kept: list[Any] = []
        at = self._first
        for first in sorted(self._done):
            kept += events[at - self._base : first - self._base]
            at = self._done[first]
        kept += events[at - self._base :]
        self._lists.clear()
        self._done.clear()
        self._base = self._first = self._sent
        self.length = 0
        self._returned += len(kept)
        return kept

    def statistics(self) -> HandoverStatistics:
        """Return a snapshot for the dashboard and for tests."""
        return HandoverStatistics(
            unacknowledged=self.length, peak=self._peak, sent=self._sent, returned=self._returned
        )


class Deliveries:
    """How often the events of a producer have come back that a handler had begun with.

    An event is known by its identity: the same object emitted twice is one event here. Not thread-safe: the
    producer is the only caller.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        # By the id of the event, which is kept so that no other one can get that.
        self._counts: dict[int, tuple[Any, int]] = {}

    def __len__(self) -> int:
        """Return how many events are counted now."""
        return len(self._counts)

    def came_back(self, events: Sequence[Any], most: int) -> tuple[list[Any], list[Any]]:
        """Count a delivery of each; return those that may have another, and those that have had `most`."""
        counted = {id(event): event for event in events}
        for key, event in counted.items():
            self._counts[key] = event, self._counts.pop(key, (event, 0))[1] + 1
        again = [event for event in events if self._counts[id(event)][1] < most]
        spent = [event for event in events if self._counts[id(event)][1] >= most]
        self.forget(spent)
        while len(self._counts) > _MOST_COUNTED:
            del self._counts[next(iter(self._counts))]
        return again, spent

    def forget(self, events: Sequence[Any]) -> None:
        """Count these no more: they were handled or dropped."""
        for event in events:
            self._counts.pop(id(event), None)
