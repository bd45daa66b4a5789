"""What a consumer does with events that it collects or acknowledges."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slither_actors.core import Collector

if TYPE_CHECKING:
    from slither_actors.stages._receiver import Receiver
    from slither_actors.stages._subscription import Subscription

__all__ = ["end_collecting", "flush_collected", "gather"]

logger = logging.getLogger("slither_actors.stages")


def gather(consumer: Receiver, subscription: Subscription, events: Sequence[Any]) -> None:
    """Take a list of a subscription that has a `Collector`."""
    collector = subscription.collector
    if collector is None or subscription.leaving:
        return  # the producer takes them back
    if subscription.manual:
        consumer._take_or_hold(subscription, [collector.put_uncut(events)])
        return
    chunks = collector.put(events, time.monotonic())
    if subscription.demand.excess:
        logger.error("%s received %d events in excess", consumer._cell.describe(), subscription.demand.excess)
    consumer._take_or_hold(subscription, chunks)
    if subscription.timer is None and len(collector):
        _wait_for_more(consumer, subscription, collector)


def _wait_for_more(consumer: Receiver, subscription: Subscription, collector: Collector) -> None:
    """Set the timer, which is left to run when a chunk gets full before: one is cheaper than many."""
    due_in = collector.due_in(time.monotonic())
    if due_in is not None:
        subscription.timer = consumer.run_after(due_in, _waited, subscription)


def _waited(consumer: Receiver, subscription: Subscription) -> None:
    subscription.timer = None
    collector = subscription.collector
    if collector is None or subscription.closed or consumer._is_over():
        return
    if collector.due_in(time.monotonic()) == 0:
        consumer._take_or_hold(subscription, collector.flush())
    else:
        _wait_for_more(consumer, subscription, collector)


def flush_collected(consumer: Receiver) -> None:
    """Handle what is collected now, whether it is due or not."""
    for subscription in tuple(consumer._producers):
        if subscription.collector is not None:
            consumer._take_or_hold(subscription, subscription.collector.flush())


def end_collecting(consumer: Receiver, subscription: Subscription, collector: Collector, kind: str) -> None:
    """The subscription has ended: handle what is collected, or drop what the producer takes back."""
    if subscription.timer is not None:
        subscription.timer.cancel()
        subscription.timer = None
    if kind == "cancel" and subscription.handover is not None:
        # The producer has taken them back.
        collector.drop()
        kept = [entry for entry in consumer._waiting if entry[0] is not subscription]
        consumer._waiting.clear()
        consumer._waiting += kept
    else:
        consumer._take_or_hold(subscription, collector.flush())
