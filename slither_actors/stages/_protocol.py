"""The messages between stages.

Upstream: `subscribe`, `resubscribe`, `ask`, `acknowledge`, `cancel`. Downstream:
`deliver`, `hand_over`, `flush`, `cancelled`. Each is the function of a message
pair; its argument is or starts with the subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.stages._emitter import Emitter
    from slither_actors.stages._receiver import Receiver
    from slither_actors.stages._subscription import Subscription

__all__ = [
    "acknowledge",
    "ask",
    "cancel",
    "cancelled",
    "deliver",
    "flush",
    "hand_over",
    "ordered",
    "reask",
    "release",
    "resubscribe",
    "subscribe",
]


def subscribe(producer: Emitter, subscription: Subscription) -> None:
    """Consumer to producer: here I am."""
    producer._accept(subscription)


def resubscribe(producer: Emitter, argument: tuple[Subscription, Subscription, Any]) -> None:
    """Consumer to producer: here I am, in place of an older subscription, which ends for this reason."""
    subscription, old, reason = argument
    if old in producer._consumers:
        producer._cancel(old, reason)
    if producer._cell.ending is None:
        producer._accept(subscription)


def ask(producer: Emitter, argument: tuple[Subscription, int]) -> None:
    """Consumer to producer: I take this many more."""
    producer._asked(argument[0], argument[1])


def reask(producer: Emitter, argument: tuple[Subscription | None, int]) -> None:
    """Producer to itself: events that were asked for reached nobody."""
    producer._reasked(argument[0], argument[1])


def release(producer: Emitter, _: object) -> None:
    """Producer to itself: there is room in the buffer for what ordinary messages may emit."""
    if producer._intake is not None:
        producer._intake.release(producer)


def ordered(producer: Emitter, message: Any) -> None:
    """Producer to itself: an info, whose turn has come."""
    type(producer)._on_info(producer, message)  # not the object's, which keeps what comes for a full buffer


def acknowledge(producer: Emitter, argument: tuple[Subscription, int, int]) -> None:
    """Consumer to producer: these events are handled, so many from this number on."""
    producer._acknowledged(*argument)


def cancel(producer: Emitter, argument: tuple[Subscription, Any]) -> None:
    """Consumer to producer: send me nothing more."""
    producer._cancel(argument[0], argument[1])


def deliver(consumer: Receiver, argument: tuple[Subscription, Sequence[Any]]) -> None:
    """Producer to consumer: events."""
    if not argument[0].closed:
        consumer._receive(argument[0], argument[1])
    else:
        argument[0].producer_put((cancel, (argument[0], "unknown_subscription")))


def hand_over(consumer: Receiver, argument: tuple[Subscription, Sequence[Any]]) -> None:
    """Producer to consumer: events, of a subscription that collects or acknowledges them."""
    if not argument[0].closed:
        consumer._gather(argument[0], argument[1])
    else:
        argument[0].producer_put((cancel, (argument[0], "unknown_subscription")))


def flush(consumer: Receiver, subscription: Subscription) -> None:
    """Producer to consumer: do not wait for a full chunk; I end when these are handled."""
    if subscription.collector is not None and not subscription.closed:
        consumer._take_or_hold(subscription, subscription.collector.flush())


def cancelled(consumer: Receiver, argument: tuple[Subscription, Any]) -> None:
    """Producer to consumer: nothing more will come."""
    consumer._source_ended(argument[0], "cancel", argument[1])
