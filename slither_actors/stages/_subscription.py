"""A subscription: one consumer's claim on one producer's events."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from slither_actors.actors import Ref, is_abnormal, whereis
from slither_actors.config import one_of
from slither_actors.core import SubscriptionDemand, check_demand
from slither_actors.errors import OptionError

if TYPE_CHECKING:
    from slither_actors.actors import Monitor

__all__ = ["CancelMode", "Subscription", "SubscriptionOptions"]

CancelMode = Literal["permanent", "transient", "temporary"]


def _target(value: Any) -> Ref:
    if isinstance(value, Ref):
        return value
    found = whereis(value) if isinstance(value, Hashable) else None
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

    cancel: CancelMode = attrs.field(
        default="permanent", validator=one_of("permanent", "transient", "temporary")
    )
    """When the end of the producer ends the consumer: always, after an abnormal end, never."""

    extra: Mapping[str, Any] = attrs.field(factory=dict)
    """Options of the producer's fan-out: ``partition``, ``selector``."""

    def __attrs_post_init__(self) -> None:
        """Check the demands together."""
        check_demand(self.max_demand, self.min_demand)

    def ends_with(self, reason: Any) -> bool:
        """Whether the consumer ends when the producer ended with `reason`."""
        if self.cancel == "permanent":
            return True
        return self.cancel == "transient" and is_abnormal(reason)


class Subscription:
    """One subscription, known to both ends; the `source` of ``handle_events``.

    Each side touches only its own fields: the producer `producer_watch` and
    `mismatched`, the consumer the rest.
    """

    __slots__ = (
        "asked",
        "closed",
        "consumer",
        "consumer_put",
        "demand",
        "manual",
        "mismatched",
        "options",
        "producer",
        "producer_put",
        "producer_watch",
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
        self.watch: Monitor | None = None
        """The consumer's monitor of the producer."""
        self.producer_watch: Monitor | None = None
        """The producer's monitor of the consumer."""
        self.mismatched = False
        """Whether the producer has warned of asks larger than it expects."""

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
