"""Each event to one consumer: the one that is expected to be done with it first.

What is measured is how long a consumer takes for an event. An automatic
consumer asks for as many events as it has finished, so every ask but the first
is an answer: the time since the one before, or since events reached an idle
consumer, by the number of events, smoothed. With that, a consumer's expected
delay is ``(in flight + 1) * time per event``, and an event goes to the least.
It is the scheduling known as shortest expected delay,
http://kb.linuxvirtualserver.org/wiki/Shortest_Expected_Delay_Scheduling , with
weights that are measured; with equal ones it is join the shortest queue.

That alone would still fill the queue of a slow consumer whenever the others are
full. So a consumer has no more events in flight than it can work off in the
time in which the quickest works off its whole demand. The rest of its demand is
held: the producer does not hear of it. Nothing waits behind a slow consumer
for longer than that, but for what follows.

Progress is seen at the asks only. So a consumer always gets what it takes to
ask again, ``max_demand - min_demand`` events, and no more than these before it
has answered once. The smaller that number, the finer the measure, and the less
may wait behind a slow one: ``max_demand=10, min_demand=9`` is a good choice.
When events are rare, the time that they take to arrive is measured as well.
A consumer that was too slow to get any for a long time is measured anew, with
at most one event in a hundred.

GenStage has no such dispatcher.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slither_actors.core._fan_out import (
    NO_EVENTS,
    NO_OPTIONS,
    FanOutDecision,
    FanOutStatistics,
    SubscriptionRefusedError,
)
from slither_actors.errors import OptionError

__all__ = ["WeightedFanOut"]

K = TypeVar("K", bound=Hashable)

# Part of a new measurement in the smoothed one: one slow event does not cost a consumer its share.
_NEW = 0.25
# A clock may stand still between a delivery and its answer.
_SHORTEST = 1e-9
# Events that are sent for each that a consumer gets to be measured anew, having been too slow for any.
_PATIENCE = 100
_GONE = -1


def _never() -> bool:
    return False


class _Claim(Generic[K]):
    """One consumer: its demand, what it has in flight and how fast it is."""

    __slots__ = (
        "by_hand",
        "demand",
        "in_flight",
        "key",
        "last",
        "least",
        "room",
        "seconds",
        "since",
        "started",
        "turn",
        "window",
    )

    def __init__(self, key: K, least: int | None, by_hand: Callable[[], bool]) -> None:
        self.key = key
        self.least = least
        """Events after which it asks again for certain; None if that is not known."""
        self.by_hand = by_hand
        self.demand = 0
        self.in_flight = 0
        """Events sent to it and not yet answered."""
        self.window: int | None = least
        """The most events in flight; None is no limit but the demand."""
        self.room = 0
        """How many events it may be sent now."""
        self.seconds: float | None = None
        """Smoothed time per event; None before the first answer."""
        self.since = 0.0
        """When it began with the oldest event in flight, as far as can be seen."""
        self.started = False
        """Whether it has asked: the first ask is no answer."""
        self.turn = 0
        self.last = 0
        """`WeightedFanOut._sent` when it was last sent events or looked at by `_retry`."""


class WeightedFanOut(Generic[K]):
    """See `slither_actors.core.FanOut` for the contract.

    Options of a subscription: ``max_demand`` and ``min_demand``, without which, or for a consumer
    that asks by hand (``by_hand``), no demand is held.
    """

    # The heap has an entry (delay, turn, claim) for every change of a claim that has room; the one
    # with the claim's present turn is valid.
    __slots__ = (
        "_by_last",
        "_claims",
        "_clock",
        "_heap",
        "_horizon",
        "_quickest",
        "_requested",
        "_room",
        "_sent",
        "_turn",
        "outbox",
    )

    def __init__(self, clock: Callable[[], float]) -> None:
        """Measure with `clock`, in seconds: `time.monotonic`, but in tests.

        Raises:
            OptionError: `clock` cannot be called.
        """
        if not callable(clock):
            raise OptionError("clock", f"is {clock!r:.100}; allowed is a function such as time.monotonic")
        self.outbox: list[FanOutDecision] = []
        self._clock = clock
        self._claims: dict[K, _Claim[K]] = {}
        self._heap: list[tuple[float, int, _Claim[K]]] = []
        self._turn = 0
        # Events sent since the start; and the consumers, the one that was sent events last at the end.
        self._sent = 0
        self._by_last: OrderedDict[K, _Claim[K]] = OrderedDict()
        # Of all consumers together: how many events they may be sent, and how many are requested for that.
        self._room = 0
        self._requested = 0
        # The seconds in which the quickest consumer works off all that it takes.
        self._quickest: _Claim[K] | None = None
        self._horizon = 0.0

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take a consumer; the same one may subscribe several times under different keys."""
        if key in self._claims:
            raise SubscriptionRefusedError("already_subscribed", f"{key!r} is subscribed already")
        most, least = options.get("max_demand"), options.get("min_demand")
        chunk = None if most is None or least is None else most - least
        claim = _Claim(key, chunk, options.get("by_hand", _never))
        claim.last = self._sent
        self._claims[key] = self._by_last[key] = claim

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Take the answer and the demand; what may be sent, and is not on its way, goes on."""
        # None is a KeyError, as any unknown key.
        claim = self._claims[key]  # type: ignore[index]
        if claim.started:
            self._answered(claim, count)
        claim.started = True
        claim.demand += count
        self._resize(claim)
        self._arrange(claim)
        return self._request(buffered)

    def _answered(self, claim: _Claim[K], count: int) -> None:
        done = min(count, claim.in_flight)
        if not done:
            return
        now = self._clock()
        measured = max(_SHORTEST, (now - claim.since) / done)
        claim.since = now
        claim.in_flight -= done
        if claim.seconds is None:
            claim.seconds = measured
        else:
            claim.seconds += (measured - claim.seconds) * _NEW

    def _resize(self, claim: _Claim[K]) -> None:
        if claim.seconds is not None:
            # Whoever asks compares itself with the quickest, so that nobody looks through all of them.
            span = (claim.demand + claim.in_flight) * claim.seconds
            if self._quickest in (None, claim) or span < self._horizon:
                self._quickest, self._horizon = claim, span
        if claim.least is None or claim.by_hand():
            claim.window = None
        elif claim.seconds is not None:
            claim.window = max(claim.least, int(self._horizon / claim.seconds))

    def _request(self, buffered: int) -> int:
        # Nothing is buffered while there is room, so all of the room can be met from the buffer.
        from_buffer = min(self._room, buffered)
        request = from_buffer + max(0, self._room - from_buffer - self._requested)
        self._requested += request
        return request

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer; what was requested for it goes to the others."""
        claim = self._claims.pop(key)
        del self._by_last[key]
        claim.turn = _GONE
        self._room -= claim.room
        if self._quickest is claim:
            # The next one to ask takes its place.
            self._quickest = None
        return 0

    def give_back(self, key: K, events: Sequence[Any], buffered: int = 0) -> tuple[int, Sequence[Any], int]:
        """Forget a consumer, whose `events` are to be dispatched again."""
        demand = self.cancel(key, buffered)
        # The producer does not owe less because these come in.
        self._requested += len(events)
        return demand, events, 0

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Give every event to the consumer with the shortest expected delay, a list to each."""
        size = len(events)
        # Leftovers are buffered: whoever asks next has to ask for them again.
        self._requested = max(0, self._requested - size)
        shares: dict[K, list[Any]] = {}
        start = 0
        now = self._clock()
        if self._room:
            self._retry()
        while start < size and self._room:
            claim = self._soonest()
            count = min(size - start, self._burst(claim))
            shares.setdefault(claim.key, []).extend(events[start : start + count])
            start += count
            if not claim.in_flight:
                claim.since = now
            claim.in_flight += count
            claim.demand -= count
            self._sent += count
            claim.last = self._sent
            self._by_last.move_to_end(claim.key)
            self._arrange(claim)
        return list(shares.items()), events[start:] if start < size else NO_EVENTS

    def _soonest(self) -> _Claim[K]:
        """Take the entry with the shortest delay from the heap; there is one, as there is room."""
        self._drop_stale()
        return heapq.heappop(self._heap)[2]

    def _burst(self, claim: _Claim[K]) -> int:
        """How many events to send until another one's delay is shorter."""
        self._drop_stale()
        if not self._heap:
            return claim.room
        return max(1, min(claim.room, int(self._heap[0][0] / _pace(claim)) - claim.in_flight))

    def _drop_stale(self) -> None:
        heap = self._heap
        while heap and heap[0][1] != heap[0][2].turn:
            heapq.heappop(heap)

    def _retry(self) -> None:
        """Take the consumer that has been without an event for longest to be quick, if that is long."""
        key, claim = next(iter(self._by_last.items()))
        least = claim.least or 1
        if self._sent - claim.last < _PATIENCE * least * len(self._claims):
            return
        claim.last = self._sent
        self._by_last.move_to_end(key)
        # One that may be at work still is not asked to do more.
        if claim.seconds is not None and claim.in_flight < least and self._quickest is not None:
            claim.seconds = min(claim.seconds, self._quickest.seconds or claim.seconds)
            self._arrange(claim)

    def _arrange(self, claim: _Claim[K]) -> None:
        """Bring the room and the heap up to date after a change of the claim."""
        room = claim.demand
        if claim.window is not None:
            room = max(0, min(room, claim.window - claim.in_flight))
        self._room += room - claim.room
        claim.room = room
        self._turn += 1
        claim.turn = self._turn
        if room:
            delay = (claim.in_flight + 1) * _pace(claim)
            heapq.heappush(self._heap, (delay, self._turn, claim))
        if len(self._heap) > 2 * len(self._claims) + 32:
            self._heap = [entry for entry in self._heap if entry[1] == entry[2].turn]
            heapq.heapify(self._heap)

    def info(self, message: Any) -> bool:
        """Infos are delivered at once."""
        return True

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot for the dashboard and for tests."""
        outstanding = {claim.key: claim.demand for claim in self._claims.values()}
        return FanOutStatistics(
            outstanding=outstanding,
            owed=max(0, self._requested - self._room),
            held=sum(outstanding.values()) - self._room,
        )

    def seconds_per_event(self) -> dict[K, float]:
        """Return how long an event takes each consumer, as measured; without those that never answered."""
        return {claim.key: claim.seconds for claim in self._claims.values() if claim.seconds is not None}


def _pace(claim: _Claim[Any]) -> float:
    # A newcomer goes first, and has to wait when its window is full. It could not be measured else.
    return _SHORTEST if claim.seconds is None else claim.seconds
