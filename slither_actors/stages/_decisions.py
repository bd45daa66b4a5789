"""What a producer does of what its fan-out has decided besides its return values."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from slither_actors import telemetry
from slither_actors.core import Deliver, DeliverInfo, DemandMismatch, Discarded, Reask
from slither_actors.stages import _protocol

if TYPE_CHECKING:
    from slither_actors.stages._emitter import Emitter
    from slither_actors.stages._subscription import Subscription

__all__ = ["perform", "tell_discarded"]

logger = logging.getLogger("slither_actors.stages")


def perform(producer: Emitter) -> None:
    """Empty the outbox of the fan-out."""
    outbox = producer._fan_out.outbox
    if not outbox:
        return
    decisions = outbox[:]
    outbox.clear()
    # By repr: the hash function may have named what cannot be a key.
    lost: dict[tuple[str, str], tuple[Discarded, int]] = {}
    for decision in decisions:
        if isinstance(decision, Deliver):
            subscription: Subscription = decision.key
            subscription.consumer_put((_protocol.deliver, (subscription, decision.events)))
        elif isinstance(decision, DeliverInfo):
            producer._deliver_info(decision.message)
        elif isinstance(decision, Reask):
            producer.ref.send(_protocol.reask, (decision.key, decision.count))
        elif isinstance(decision, DemandMismatch):
            _warn_of_mismatch(producer, decision)
        elif isinstance(decision, Discarded):
            first, count = lost.get(which := (repr(decision.partition), decision.reason), (decision, 0))
            lost[which] = first, count + decision.count
    for discarded, count in lost.values():
        # "none": the hash function has dropped them on purpose.
        if discarded.reason != "none":
            producer._tell_discarded(count, discarded)


def _warn_of_mismatch(producer: Emitter, mismatch: DemandMismatch[Subscription]) -> None:
    # Once per subscription, and not for a consumer that has nobody to share with.
    if mismatch.key.mismatched or len(producer._consumers) < 2:
        return
    mismatch.key.mismatched = True
    logger.warning(
        "%s expects asks of at most %d events, %r asked for %d and gets more than its share",
        producer._cell.describe(), mismatch.expected, mismatch.key, mismatch.asked,
    )  # fmt: skip


def tell_discarded(producer: Emitter, count: int, of: Discarded | None = None) -> None:
    """Log and signal events that were dropped from the buffer, or `of` a partition."""
    name, buffer = producer._cell.describe(), producer._buffer
    what = "from its buffer" if of is None else f"of partition {of.partition!r} ({of.reason})"
    if telemetry.STAGE_BUFFER_OVERFLOW.receivers:
        metadata: dict[str, Any] = {"stage": name}
        if of is None:
            metadata |= {"size": buffer.size, "keep": buffer.keep}
        else:
            metadata |= {"size": of.size, "keep": of.keep, "partition": of.partition, "reason": of.reason}
        telemetry.emit(
            telemetry.STAGE_BUFFER_OVERFLOW, producer.ref, measurements={"count": count}, metadata=metadata
        )
    if producer.format_discarded(count):
        logger.warning("%s has discarded %d events %s", name, count, what)
