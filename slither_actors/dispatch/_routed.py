"""What a `Route` policy makes of a failed item."""

from __future__ import annotations

import contextlib

from slither_actors.item import Item
from slither_actors.policy import Route

__all__ = ["name_cause", "routed_by"]


def routed_by(policy: Route, item: Item, error: BaseException) -> Item:
    """Return the item that the policy's function makes of a failed one.

    Raises:
        TypeError: it returned something else.
    """
    routed = policy.fn(item, error)
    if not isinstance(routed, Item):
        msg = f"the function of a Route policy returned {routed!r:.100}; expected is an Item"
        raise TypeError(msg)
    return routed


def name_cause(error: BaseException, cause: BaseException | None) -> None:
    """Say why the function was called that raised `error`."""
    with contextlib.suppress(Exception):  # its class may be frozen, as that of a dataclass
        error.__cause__ = cause
