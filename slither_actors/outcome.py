"""What a stage's handler may return besides a bare payload.

The records are Slither's tagged tuples as values: ``{:ok, items}`` is `Ok`,
``{:skip, reason}`` is `Skip`, ``{:error, reason}`` is `Fail`, ``{:route, dest,
items}`` is `RouteTo`; `Many` turns one item into any number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

__all__ = ["Fail", "Many", "Ok", "Outcome", "RouteTo", "Skip"]


@attrs.frozen
class Ok:
    """Emit one item with this payload."""

    payload: Any


@attrs.frozen
class Skip:
    """Drop the item on purpose. It is counted and reaches telemetry; no policy runs."""

    reason: object = None


@attrs.frozen
class Fail:
    """The item failed: the stage's error policy decides what becomes of it."""

    reason: object


@attrs.frozen
class RouteTo:
    """Send one item by a route: to the stage that comes after it, or to the output of that name."""

    output: str
    payload: Any


@attrs.frozen
class Many:
    """Emit one item per payload; none at all drops the item as a `Skip` does."""

    payloads: Iterable[Any]


Outcome = Ok | Skip | Fail | RouteTo | Many
