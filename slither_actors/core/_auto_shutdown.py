"""Whether a supervisor ends because its significant children have ended.

Only an end by itself that leads to no restart counts: not one that the
supervisor asked for, alone or in a group restart.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

__all__ = ["AutoShutdown", "auto_shutdown_due"]


class AutoShutdown(enum.Enum):
    """When a supervisor ends by itself, with the reason ``"shutdown"``."""

    NEVER = "never"
    """Significant children are refused."""

    ANY_SIGNIFICANT = "any_significant"
    """When the first significant child has ended for good."""

    ALL_SIGNIFICANT = "all_significant"
    """When a significant child has ended for good and no other is running or being restarted."""


def auto_shutdown_due(mode: AutoShutdown, *, significant: bool, others: Iterable[bool]) -> bool:
    """Whether the supervisor ends now that a child has ended for good.

    `significant` is of the child that ended; `others` has, for each other
    significant child, whether it is running or being restarted.
    """
    if mode is AutoShutdown.NEVER or not significant:
        return False
    return mode is AutoShutdown.ANY_SIGNIFICANT or not any(others)
