"""How a producer splits its events among its consumers.

A fan-out keeps the demand of every consumer and decides who gets which events
and how much demand goes on to the producer. It performs nothing: what a call
decides beyond its return value is appended to `FanOut.outbox`, in the order in
which to perform it.

The consumers are known by keys (a number or any object hashed by identity;
hashing is on the hot path). An unknown key is a `KeyError`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

import attrs

from slither_actors.errors import SubscriptionError

__all__ = [
    "Deliver",
    "DeliverInfo",
    "DemandMismatch",
    "Discarded",
    "FanOut",
    "FanOutDecision",
    "FanOutStatistics",
    "Reask",
    "SubscriptionRefusedError",
]

K = TypeVar("K", bound=Hashable)

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
NO_EVENTS: tuple[Any, ...] = ()


@attrs.frozen
class Deliver(Generic[K]):
    """Send `events` to the consumer `key`."""

    key: K
    events: Sequence[Any]


@attrs.frozen
class DeliverInfo:
    """Hand `message` to the producer's ``handle_info``: the events in front of it are gone."""

    message: Any


@attrs.frozen
class Reask(Generic[K]):
    """Call ``ask(key, count)`` later, by a message of the producer to itself.

    It gives back the demand of events that reached nobody. None is no consumer
    in particular. If the consumer is gone by then, the ask is dropped.
    """

    key: K | None
    count: int


@attrs.frozen
class DemandMismatch(Generic[K]):
    """Log a warning: a consumer asked for more than is expected, so it will get more than its share."""

    key: K
    expected: int
    asked: int


@attrs.frozen
class Discarded:
    """Count and tell: events of a partition reached nobody."""

    partition: Hashable
    count: int
    reason: str
    """``"cancelled"`` (they were queued for a consumer that left), ``"overflow"`` (the queue was full),
    ``"none"`` (the hash function chose no partition: not told) or ``"unknown"`` (it chose one that
    does not exist)."""

    size: int | None = None
    """The most events that the queue keeps, where it overflowed."""

    keep: str | None = None
    """What it keeps then."""


FanOutDecision = Deliver[Any] | DeliverInfo | Reask[Any] | DemandMismatch[Any] | Discarded


class SubscriptionRefusedError(SubscriptionError):
    """A fan-out does not take this consumer. The producer goes on."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        """The reason to cancel the subscription with: ``"already_subscribed"`` or ``"bad_options"``. A stage
        cancels with ``("bad_options", sentence)``, which names both stages and has the message."""
        super().__init__(message)


@attrs.frozen(kw_only=True)
class FanOutStatistics(Generic[K]):
    """What a fan-out held at one moment."""

    outstanding: Mapping[K, int]
    """Events that each consumer has asked for and not been sent."""

    owed: int
    """Demand without a consumer of its own: left by consumers that are gone, or common to all."""

    queued: int = 0
    """Events kept in the fan-out for consumers that have not asked for them."""

    held: int = 0
    """Demand that the consumers have and the producer is not to hear of yet."""

    discarded: int = 0
    """Events dropped since the start: what `Discarded` told, but for ``"none"``."""


class FanOut(Protocol[K]):
    """Splits the events of one producer. Not thread-safe: the producer is the only caller.

    A fan-out of one's own is any class with these six methods and this attribute. A seventh is optional,
    for subscriptions that hand over at least once::

        def give_back(self, key, events, buffered=0): ...

    It is called instead of `cancel`: forget the consumer, which has not handled these `events`, and return
    ``(demand, events, dropped)``: the demand as `cancel` does, the events to be dispatched again, and how
    many are not needed by anybody. Leftovers of that dispatch go to the front of the buffer. The producer
    does not owe less for what is dispatched again. Without the method `cancel` is called and all of them
    are dispatched again, so that the producer may make as many too many.
    """

    outbox: list[FanOutDecision]
    """Decisions to perform and remove after each call. Mostly empty."""

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take a consumer, with no demand yet. `consumer` is who it is, where one may not subscribe twice.

        In a stage, `options` has the subscription's ``max_demand``, ``min_demand`` and ``cancel``,
        whatever other options the consumer gave, and ``by_hand``: a function that says, once the
        consumer has asked, whether it asks by hand.

        Raises:
            SubscriptionRefusedError: the options are wrong or the consumer is there already.
        """
        ...

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Add `count` to a consumer's demand; return the demand that is to be met now.

        It is met from the producer's buffer first, and the rest by the producer.
        `buffered` is the number of events in that buffer. GenStage does not look
        at it and can therefore keep events buffered while a consumer waits for
        those that a consumer now gone had asked for; with 0 that is done here too.
        """
        ...

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer; return the demand that is to be met now, as `ask` does."""
        ...

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Return ``(deliveries, leftovers)``: who gets what, and the events to buffer.

        What is left over has to be asked for again: `ask` returns the demand that it meets. It must be
        the end of `events`, and nothing of a later list may be delivered while it is buffered.
        """
        ...

    def info(self, message: Any) -> bool:
        """Whether to deliver the info at once; if not, it comes through the outbox later."""
        ...

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot for the dashboard and for tests."""
        ...
