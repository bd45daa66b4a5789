"""The options of a subscription, as users give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slither_actors.config import build
from slither_actors.errors import OptionError
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._subscription import SubscriptionOptions

__all__ = ["subscription_options"]

_KNOWN = ("to", "max_demand", "min_demand", "cancel", "max_wait", "delivery", "max_deliveries")


def subscription_options(given: Mapping[str, Any], *, where: str = "") -> SubscriptionOptions:
    """Check subscription options; unknown ones go to the producer's fan-out."""
    own = {name: value for name, value in given.items() if name in _KNOWN}
    extra = {name: value for name, value in given.items() if name not in _KNOWN}
    options = build(SubscriptionOptions, {**own, "extra": extra}, where=where)
    if not issubclass(options.to.actor_class, Emitter):
        raise OptionError("to", f"is {options.to}, which is no producer", where=where)
    return options
