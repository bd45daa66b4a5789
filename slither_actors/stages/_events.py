"""What callbacks may return as events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["SEQUENCES", "as_events"]

SEQUENCES = frozenset({list, tuple, range})
"""What is taken as a list of events as it is."""


def as_events(returned: Iterable[Any] | None) -> Sequence[Any]:
    """Take what a callback returned as a sequence of events; None is none."""
    if type(returned) in SEQUENCES:
        return returned  # type: ignore[return-value]
    if returned is None:
        return ()
    if isinstance(returned, (str, bytes, dict)) or not isinstance(returned, Iterable):
        msg = f"a stage returned {returned!r:.100}; expected is an iterable of events, such as a list"
        raise TypeError(msg)
    return list(returned)
