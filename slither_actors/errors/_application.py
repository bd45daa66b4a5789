"""The start and the end of a program."""

from __future__ import annotations

from typing import Any

from slither_actors.errors._base import SlitherError

__all__ = [
    "ApplicationEndedError",
    "ForkedRuntimeError",
    "NotRunningError",
]


class NotRunningError(SlitherError):
    """Something was used before it started or after it stopped."""


class ApplicationEndedError(SlitherError):
    """The tree of an application that is run ended by itself: its root supervisor gave up or was killed."""

    def __init__(self, reason: Any, why: str = "") -> None:
        self.reason = reason
        self.why = why
        super().__init__(f"the application ended by itself ({reason}): {why or 'nobody asked it to'}")


class ForkedRuntimeError(SlitherError):
    """Actors were used in a child made by ``os.fork``; they live in the parent only."""
