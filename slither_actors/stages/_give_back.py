"""What becomes of events that a consumer did not acknowledge before it was gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from slither_actors import telemetry
from slither_actors.stages import _protocol

if TYPE_CHECKING:
    from slither_actors.stages._emitter import Emitter
    from slither_actors.stages._subscription import Subscription

__all__ = ["give_back", "has_unacknowledged"]

logger = logging.getLogger("slither_actors.stages")


def give_back(producer: Emitter, subscription: Subscription, reason: Any) -> int:
    """Dispatch again what a consumer that is gone has not handled, ahead of the buffer.

    Returns the demand that is to be met then, as `FanOut.cancel` does.
    """
    handover = subscription.handover
    assert handover is not None
    fan_out, buffer = producer._fan_out, producer._buffer
    kept = handover.take_back()
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
    if kept:
        producer._redelivered += len(kept) - dropped
        _tell(producer, subscription, reason, len(kept), redelivered=not dropped)
    return demand


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


def has_unacknowledged(producer: Emitter) -> bool:
    """Whether events were sent that may come back: the producer does not end before they are handled."""
    return any(each.handover is not None and each.handover.length for each in producer._consumers)
