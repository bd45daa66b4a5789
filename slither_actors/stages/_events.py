"""What counts as events when a callback returns it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slither_actors.config import shown

__all__ = ["SEQUENCES", "as_events"]

SEQUENCES = frozenset({list, tuple, range})
"""What is taken as a list of events as it is."""


_TEXT = (str, bytes, bytearray, memoryview, dict)
"""Iterable, but taken for one event by whoever returns it."""


def as_events(returned: Iterable[Any] | None, stage: object, name: str) -> Sequence[Any]:
    """Take what the stage's method `name` returned, or was given, as a sequence of events; None is none.

    Raises:
        TypeError: it is no iterable, or one that is meant as one event.
    """
    if type(returned) in SEQUENCES:
        return returned  # type: ignore[return-value]
    if returned is None:
        return ()
    if isinstance(returned, _TEXT) or not isinstance(returned, Iterable):
        got = "was given" if name == "emit" else "returned"
        msg = (
            f"{type(stage).__name__}.{name} {got} {shown(returned)}; "
            "expected is an iterable of events, such as a list"
        )
        raise TypeError(msg)
    return list(returned)
