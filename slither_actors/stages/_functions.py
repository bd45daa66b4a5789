"""What is done to stages from outside."""

from __future__ import annotations

from typing import Any

from slither_actors.actors import Ref
from slither_actors.errors import OptionError, SubscriptionError
from slither_actors.stages import _protocol
from slither_actors.stages._receiver import Receiver, subscription_options
from slither_actors.stages._subscription import Subscription

__all__ = ["ask", "async_subscribe", "cancel", "sync_subscribe"]


def sync_subscribe(consumer: Ref, *, to: Any, timeout: float | None = 5.0, **options: Any) -> Subscription:
    """Subscribe `consumer` to a producer and return the subscription.

    Args:
        consumer: a `Consumer` or `ProducerConsumer`.
        to: the producer's ref or name.
        timeout: seconds to wait for the consumer to take the request.
        **options: ``max_demand``, ``min_demand``, ``cancel``; others go to the producer's fan-out.

    Raises:
        OptionError: an option is wrong.
        SubscriptionError: `consumer` is no consumer.
        ActorExitError: `consumer` is dead.
    """
    checked = subscription_options({"to": to, **options}, where="sync_subscribe")
    _check_consumer(consumer)
    subscription: Subscription = consumer.run(_subscribe, checked, timeout)
    return subscription


def async_subscribe(consumer: Ref, *, to: Any, **options: Any) -> None:
    """As `sync_subscribe`, without waiting for the consumer."""
    checked = subscription_options({"to": to, **options}, where="async_subscribe")
    _check_consumer(consumer)
    consumer.send(_subscribe, checked)


def ask(source: Subscription, count: int) -> None:
    """Ask for `count` more events on a manual subscription, from the consumer.

    Raises:
        OptionError: `count` is negative or no integer.
    """
    if not isinstance(count, int) or count < 0:
        raise OptionError("count", f"is {count!r}; allowed is an integer of at least 0", where="ask")
    if count:
        source.asked = True
        source.producer_put((_protocol.ask, (source, count)))


def cancel(source: Subscription, reason: Any = "normal") -> None:
    """End a subscription, from either side: the producer confirms it to the consumer."""
    source.producer_put((_protocol.cancel, (source, reason)))


def _check_consumer(consumer: Ref) -> None:
    if not issubclass(consumer.actor_class, Receiver):
        msg = f"{consumer} is no consumer and cannot subscribe"
        raise SubscriptionError(msg)


def _subscribe(consumer: Receiver, options: Any) -> Subscription:
    return consumer._subscribe(options)
