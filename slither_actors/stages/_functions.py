"""What is done to stages from outside."""

from __future__ import annotations

from typing import Any

from slither_actors.actors import Ref
from slither_actors.config import integer
from slither_actors.errors import OptionError, SubscriptionError
from slither_actors.stages import _protocol
from slither_actors.stages._options import subscription_options
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["ask", "async_resubscribe", "async_subscribe", "cancel", "sync_resubscribe", "sync_subscribe"]

_COUNT = integer(0)


def sync_subscribe(consumer: Ref, *, to: Any, timeout: float | None = 5.0, **options: Any) -> Subscription:
    """Subscribe `consumer` to a producer and return the subscription.

    Args:
        consumer: a `Consumer` or `ProducerConsumer`.
        to: the producer's ref or name.
        timeout: seconds to wait for the consumer to take the request.
        **options: those of `SubscriptionOptions`; others go to the producer's fan-out.

    The producer need not live any more: then the subscription ends at once with the reason ``"noproc"``, and
    takes the consumer along if `cancel` says so.

    Raises:
        OptionError: an option is wrong, or nobody has the name `to`.
        SubscriptionError: `consumer` is no consumer.
        ActorExitError: `consumer` is dead.
    """
    checked = _checked(consumer, to, options, where="sync_subscribe")
    subscription: Subscription = consumer.run(_subscribe, checked, timeout)
    return subscription


def async_subscribe(consumer: Ref, *, to: Any, **options: Any) -> None:
    """As `sync_subscribe`, without waiting for the consumer."""
    checked = _checked(consumer, to, options, where="async_subscribe")
    consumer.send(_subscribe, checked)


def sync_resubscribe(
    consumer: Ref,
    subscription: Subscription,
    *,
    to: Any,
    reason: Any = "normal",
    timeout: float | None = 5.0,
    **options: Any,
) -> Subscription:
    """Subscribe `consumer` to a producer in place of an older subscription, which ends with `reason`.

    The producer does both at once, so nobody else gets what this consumer had
    asked for: the demand of the old subscription counts for the new one. If the
    producer does not know the old one, only the new one is made. The old one's
    `cancel` says whether its end, which the consumer hears of, takes it along.

    Args:
        consumer: as in `sync_subscribe`, as the rest is.
        subscription: the old one.
        to: the producer's ref or name, mostly that of the old subscription.
        reason: why the old one ends.
        timeout: seconds to wait for the consumer to take the request.
        **options: of the new one; none are taken over.
    """
    _check_subscription(subscription, where="sync_resubscribe")
    checked = _checked(consumer, to, options, where="sync_resubscribe")
    made: Subscription = consumer.run(_resubscribe, (checked, subscription, reason), timeout)
    return made


def async_resubscribe(
    consumer: Ref, subscription: Subscription, *, to: Any, reason: Any = "normal", **options: Any
) -> None:
    """As `sync_resubscribe`, without waiting for the consumer."""
    _check_subscription(subscription, where="async_resubscribe")
    checked = _checked(consumer, to, options, where="async_resubscribe")
    consumer.send(_resubscribe, (checked, subscription, reason))


def ask(source: Subscription, count: int) -> None:
    """Ask for `count` more events on a manual subscription, from the consumer.

    Raises:
        OptionError: `count` is negative or no integer, or `source` is no subscription.
    """
    _check_subscription(source, where="ask", option="source")
    _COUNT.check("count", count, "ask")
    if count:
        source.asked = True
        source.producer_put((_protocol.ask, (source, count)))


def cancel(source: Subscription, reason: Any = "normal") -> None:
    """End a subscription, from either side: the producer confirms it to the consumer.

    What the producer has sent before is still handled; of a subscription that hands over at least once, it is
    not: the producer takes it back.

    Raises:
        OptionError: `source` is no subscription.
    """
    _check_subscription(source, where="cancel", option="source")
    source.leaving = source.handover is not None
    source.producer_put((_protocol.cancel, (source, reason)))


def _checked(consumer: Ref, to: Any, given: Any, where: str) -> SubscriptionOptions:
    if not isinstance(consumer, Ref):
        raise OptionError("consumer", f"is {consumer!r:.200}; allowed is the ref of a consumer", where=where)
    options = subscription_options({"to": to, **given}, where=where)
    kind = consumer.actor_class
    if not issubclass(kind, Receiver):
        msg = f"{consumer} is no consumer and cannot subscribe"
        raise SubscriptionError(msg)
    kind._check_subscribing(options, where)
    return options


def _check_subscription(given: object, where: str, option: str = "subscription") -> None:
    if not isinstance(given, Subscription):
        raise OptionError(option, f"is {given!r:.200}; allowed is a Subscription", where=where)


def _subscribe(consumer: Receiver, options: Any) -> Subscription:
    return consumer._subscribe(options)


def _resubscribe(consumer: Receiver, argument: tuple[Any, Subscription, Any]) -> Subscription:
    options, old, reason = argument
    old.leaving = old.handover is not None and old.producer is options.to
    return consumer._subscribe(options, (old, reason))
