"""A subscription: one consumer's claim on one producer's events."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from slither_actors.actors import Named, Ref, is_abnormal, whereis
from slither_actors.config import integer, one_of, period_seconds
from slither_actors.core import Collector, Handover, SubscriptionDemand, check_demand
from slither_actors.errors import OptionError
from slither_actors.stages import _protocol

if TYPE_CHECKING:
    from slither_actors.actors import Monitor
    from slither_actors.actors._timers import Timer

__all__ = [
    "CANCEL_MODES",
    "CancelMode",
    "Delivery",
    "Subscription",
    "SubscriptionOptions",
    "SubscriptionStatistics",
]

CancelMode = Literal["permanent", "transient", "temporary"]

Delivery = Literal["at_most_once", "at_least_once"]

CANCEL_MODES = one_of("permanent", "transient", "temporary")


def _target(value: Any) -> Ref:
    if isinstance(value, Ref):
        return value
    name = value.name if isinstance(value, Named) else value
    found = whereis(name) if isinstance(name, Hashable) else None
    if found is None:
        raise OptionError("to", f"is {value!r:.200}; allowed is the ref or the name of a running producer")
    return found


@attrs.frozen(kw_only=True)
class SubscriptionOptions:
    """What a consumer wants of a producer. Source: ``GenStage.sync_subscribe/3``."""

    to: Ref = attrs.field(converter=_target)
    """The producer: its ref or its name."""

    max_demand: int | None = None
    """The most events on their way at one time; 1000 by default."""

    min_demand: int | None = None
    """The demand is filled up to `max_demand` when it is down to this; half of `max_demand` by default."""

    cancel: CancelMode = attrs.field(default="permanent", validator=CANCEL_MODES)
    """When the end of the producer ends the consumer: always, after an abnormal end, never."""

    max_wait: float | None = attrs.field(default=None, validator=period_seconds)
    """Collect what comes until there are ``max_demand - min_demand`` events, or this many seconds have
    passed since the first of them came; then handle them. None handles what comes when it comes."""

    delivery: Delivery = attrs.field(
        default="at_most_once", validator=one_of("at_most_once", "at_least_once")
    )
    """``"at_least_once"``: the producer keeps what it has sent until the consumer has handled it, and
    takes it back if the consumer is gone before."""

    max_deliveries: int | None = attrs.field(default=None, validator=integer(1, none=True))
    """At least once: how often an event may be handed over that its consumer ends with, in the middle of
    handling it. After that many times the producer drops it, counts it and tells of it. None is no limit: it
    is handed over until it is handled."""

    extra: Mapping[str, Any] = attrs.field(factory=dict)
    """Options of the producer's fan-out: ``partition``, ``selector``."""

    def __attrs_post_init__(self) -> None:
        """Check the demands together."""
        check_demand(self.max_demand, self.min_demand)
        if self.max_deliveries is not None and self.delivery != "at_least_once":
            problem = f"is {self.max_deliveries}, but delivery={self.delivery!r} hands over once"
            raise OptionError("max_deliveries", f"{problem}; it goes with delivery='at_least_once'")

    def ends_with(self, reason: Any) -> bool:
        """Whether the consumer ends when the producer ended with `reason`."""
        if self.cancel == "permanent":
            return True
        return self.cancel == "transient" and is_abnormal(reason)


@attrs.frozen(kw_only=True)
class SubscriptionStatistics:
    """What a `Subscription` held at one moment. Returned by `Subscription.statistics`."""

    outstanding: int
    """Events asked for and not yet in a chunk; with ``max_wait`` or at least once, not yet handled. 0 if it
    asks by hand."""

    collected: int
    """Events that wait for a full chunk or for ``max_wait``."""

    unacknowledged: int
    """Events sent at least once, and not yet handled as far as the producer knows."""

    returned: int
    """Events that the producer took back at the end, because they had not been handled."""


class Subscription:
    """One subscription, known to both ends; the `source` of ``handle_events``.

    Each side touches only its own fields: the producer `producer_watch`,
    `mismatched` and `handover`, the consumer the rest.
    """

    __slots__ = (
        "_put",
        "asked",
        "begun",
        "closed",
        "collector",
        "consumer",
        "consumer_put",
        "demand",
        "handover",
        "leaving",
        "manual",
        "mismatched",
        "options",
        "producer",
        "producer_put",
        "producer_watch",
        "timer",
        "watch",
    )

    def __init__(self, consumer: Ref, options: SubscriptionOptions) -> None:
        self.consumer = consumer
        self.producer = options.to
        self.consumer_put = consumer._cell.put
        self.producer_put = options.to._cell.put
        self.options = options
        self.demand = SubscriptionDemand(options.max_demand, options.min_demand)
        self.manual = True
        """Whether the consumer asks by hand, with `ask`; so until it has said otherwise."""
        self.asked = False
        """Whether it has asked by hand."""
        self.closed = False
        """Whether the consumer knows that nothing more will come."""
        self.leaving = False
        """Whether the end was asked for, and the producer will take back what is not handled."""
        self.watch: Monitor | None = None
        """The consumer's monitor of the producer."""
        self.producer_watch: Monitor | None = None
        """The producer's monitor of the consumer."""
        self.mismatched = False
        """Whether the producer has warned of asks larger than it expects."""
        self.handover = Handover() if options.delivery == "at_least_once" else None
        """What was sent and is not handled, at least once."""
        self.begun = 0
        """The number behind the last event that a handler was called with, if they are acknowledged. Read by
        the producer once the consumer handles no more."""
        self.collector: Collector | None = None
        """Cuts what comes, if it is collected or acknowledged."""
        self.timer: Timer | None = None
        """Wakes the consumer when what it collects is due."""
        if self.handover is not None or options.max_wait is not None:
            self.collector = Collector(self.demand, options.max_wait)
            # Chosen here, once, so that other subscriptions do not pay for it with each list.
            self._put, self.consumer_put = self.consumer_put, self._hand_over

    def _hand_over(self, message: tuple[Any, Any]) -> None:
        """Send to the consumer, and keep events until they are acknowledged. Runs in the producer."""
        if message[0] is _protocol.deliver:
            if self.handover is not None:
                self.handover.send(message[1][1])
            message = _protocol.hand_over, message[1]
        self._put(message)

    def handled(self, first: int, count: int) -> None:
        """Tell the producer of a chunk whose handler has returned, and ask for more. Runs in the consumer."""
        if self.closed:
            return
        # In this order: else there would be more than `max_demand` to keep.
        if self.handover is not None:
            self.producer_put((_protocol.acknowledge, (self, first, count)))
        ask = 0 if self.manual or self.collector is None else self.collector.handled(count)
        if ask:
            self.producer_put((_protocol.ask, (self, ask)))

    def statistics(self) -> SubscriptionStatistics:
        """Return its numbers. Neither side is asked: while events flow they are of different moments."""
        kept = None if self.handover is None else self.handover.statistics()
        return SubscriptionStatistics(
            outstanding=0 if self.manual else self.demand.outstanding,
            collected=0 if self.collector is None else len(self.collector),
            unacknowledged=0 if kept is None else kept.unacknowledged,
            returned=0 if kept is None else kept.returned,
        )

    def fan_out_options(self) -> dict[str, Any]:
        """Return what the producer's fan-out is told of the subscription; see `FanOut.subscribe`."""
        return {
            "max_demand": self.demand.max_demand,
            "min_demand": self.demand.min_demand,
            "cancel": self.options.cancel,
            "by_hand": lambda: self.manual,
            **self.options.extra,
        }

    def __repr__(self) -> str:
        return f"<Subscription of {self.consumer} to {self.producer}>"
