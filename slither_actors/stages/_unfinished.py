"""Calls of handlers that give their events by and by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.stages._subscription import Subscription

__all__ = ["OpenDemand", "Unfinished"]


class Unfinished:
    """A call that is not over, and what is to be done when it is."""

    __slots__ = ("ask", "chunk", "completes", "completion", "ending", "subscription")

    def __init__(self) -> None:
        self.subscription: Subscription | None = None
        """Where the events came from, and `ask`: how many more to ask for there."""
        self.ask = 0
        self.chunk: tuple[int, int] | None = None
        """The number of the first of the events and how many they are, if this is to be told there."""
        self.completes = False
        """Whether the handler has called `complete`, and `completion`: with which reason."""
        self.completion: tuple[Any] | None = None
        self.ending: tuple[Any] | None = None
        """The reason with which a coroutine has called `stop`."""


class OpenDemand:
    """The demand that one call of `handle_demand` is to meet, by and by."""

    __slots__ = ("_own", "left")

    def __init__(self, demand: int) -> None:
        self.left = demand
        """Events that may still be made."""
        self._own = demand

    def add(self, demand: int) -> None:
        """Meet what was asked for meanwhile as well."""
        self.left += demand

    def met(self, count: int) -> None:
        """Count events that were made."""
        self.left -= count
        self._own = max(0, self._own - count)

    @property
    def for_the_next_call(self) -> int:
        """What was asked for meanwhile and is not met. What the call itself was given is its debt."""
        return max(0, self.left - self._own)
