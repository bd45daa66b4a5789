"""Stages and their streams of events."""

from __future__ import annotations

from slither_actors.errors._actors import ActorError
from slither_actors.errors._text import safe_text

__all__ = [
    "BufferFullError",
    "FanOutError",
    "StreamError",
    "SubscriptionError",
]


class SubscriptionError(ActorError):
    """A subscription between two stages was refused."""


class StreamError(ActorError):
    """A stream of events has ended, and not in order: a producer was not there, or is down."""

    def __init__(self, producer: str, reason: object) -> None:
        self.producer = producer
        """Who ended it: a producer; or the actor that had begun to read, or the stream's own consumer."""
        self.reason = reason
        """The reason with which that one ended or cancelled; ``"noproc"`` if it was not there."""
        super().__init__(f"the stream was ended by {producer}: {safe_text(reason)}")


class BufferFullError(ActorError):
    """Events came for a full buffer that is to end its stage then: ``buffer_keep="error"``."""

    def __init__(self, buffer: str, size: int, over: int) -> None:
        self.buffer = buffer
        """Which one."""
        self.size = size
        """The most events that it keeps."""
        self.over = over
        """Events that it has no room for."""
        super().__init__(
            f"{buffer} keeps at most {size} events and {over} more came; make it larger, ask for less, "
            "or choose what it drops"
        )


class FanOutError(ActorError):
    """A fan-out that is not the library's raised, or returned what it must not; its stage ends."""
