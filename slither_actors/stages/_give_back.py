"""What becomes of events that a consumer did not acknowledge before it was gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from slither_actors import telemetry
from slither_actors.config import shown
from slither_actors.core import Deliveries
from slither_actors.errors import safe_text
from slither_actors.stages import _protocol

if TYPE_CHECKING:
    from slither_actors.stages._emitter import Emitter
    from slither_actors.stages._subscription import Subscription

__all__ = ["acknowledged", "end_if_acknowledged", "give_back"]

logger = logging.getLogger("slither_actors.stages")


def give_back(producer: Emitter, subscription: Subscription, reason: Any) -> int:
    """Forget a consumer that is gone, and dispatch again what it has not handled, ahead of the buffer.

    Returns the demand that is to be met then, as `FanOut.cancel` does.
    """
    handover = subscription.handover
    fan_out, buffer = producer._fan_out, producer._buffer
    if handover is None:
        return fan_out.cancel(subscription, buffer.length)
    kept = _limited(producer, subscription, reason)
    demand: int
    # The library's and the checked ones have it.
    demand, events, dropped = fan_out.give_back(subscription, kept, buffer.length)  # type: ignore[attr-defined]
    producer._perform()
    if events:
        # Not `producer._dispatch`: a producer-consumer has counted them when they were made.
        deliveries, leftovers = fan_out.dispatch(events)
        for consumer, chunk in deliveries:
            consumer.consumer_put((_protocol.deliver, (consumer, chunk)))
        buffer.put_back(leftovers)
        if producer._intake is not None:
            producer._intake.look(producer)
    if dropped and producer._deliveries is not None:
        producer._deliveries.forget(kept)
    if kept:
        producer._redelivered += len(kept) - dropped
        _tell(producer, subscription, reason, len(kept), redelivered=not dropped)
    return demand


def _limited(producer: Emitter, subscription: Subscription, reason: Any) -> list[Any]:
    """Take back what was not handled, but for what has come back as often as it may."""
    handover, most = subscription.handover, subscription.options.max_deliveries
    assert handover is not None
    begun = handover.begun(subscription.begun)
    kept = handover.take_back()
    if most is None or not begun:
        return kept
    if producer._deliveries is None:
        producer._deliveries = Deliveries()
    again, spent = producer._deliveries.came_back(kept[:begun], most)
    if spent:
        producer._undeliverable += len(spent)
        _tell_undeliverable(producer, subscription, reason, spent)
    return [*again, *kept[begun:]]


def _tell_undeliverable(
    producer: Emitter, subscription: Subscription, reason: Any, events: list[Any]
) -> None:
    name, most = producer._cell.describe(), subscription.options.max_deliveries
    if telemetry.STAGE_UNDELIVERABLE.receivers:
        telemetry.emit(
            telemetry.STAGE_UNDELIVERABLE,
            producer.ref,
            measurements={"count": len(events)},
            metadata={
                "stage": name,
                "consumer": str(subscription.consumer),
                "reason": reason,
                "max_deliveries": most,
                "events": tuple(events),
            },
        )
    logger.warning(
        "%s drops %d events that were handed over %s times (max_deliveries) and never handled; the last one "
        "that they were in the middle of is %s, which ended with %s: %s",
        name, len(events), most, subscription.consumer, safe_text(reason), shown(events),
    )  # fmt: skip


def _tell(
    producer: Emitter, subscription: Subscription, reason: Any, count: int, *, redelivered: bool
) -> None:
    name = producer._cell.describe()
    if telemetry.STAGE_REDELIVERY.receivers:
        telemetry.emit(
            telemetry.STAGE_REDELIVERY,
            producer.ref,
            measurements={"count": count},
            metadata={
                "stage": name,
                "consumer": str(subscription.consumer),
                "reason": reason,
                "redelivered": redelivered,
            },
        )
    what = "dispatches them again" if redelivered else "drops them: the others have them too"
    logger.info(
        "%s has %d events back that %s had not handled, and %s", name, count, subscription.consumer, what
    )


def acknowledged(producer: Emitter, subscription: Subscription, first: int, count: int) -> None:
    """A consumer has handled so many events from this number on."""
    # One that is gone may have sent this before it heard of its end.
    if subscription in producer._consumers and subscription.handover is not None:
        if producer._deliveries:
            producer._deliveries.forget(subscription.handover.kept(first, count))
        subscription.handover.acknowledge(first, count)
        if producer._last is not None:
            producer._end_if_acknowledged()


def end_if_acknowledged(producer: Emitter) -> None:
    """End, if all that was in front of the end is handled. Until then what was sent may come back."""
    last = producer._last
    if last is None:
        return
    waiting = [each for each in producer._consumers if each.handover is not None and each.handover.length]
    for subscription in waiting:
        if subscription.options.max_wait is not None:
            subscription.consumer_put((_protocol.flush, subscription))
    if waiting:
        return
    fan_out = producer._fan_out
    if producer._redelivered and (producer._buffer.length or fan_out.statistics().queued):
        producer._last = None
        producer._queue_info(last)  # behind what has come back
    else:
        producer.stop(last.reason)
