"""The exit signals of linked actors that have ended, until they are handled or taken back.

A signal counts while it is in here. `Exits.unlink` removes it, so that the
message which is in the mailbox already does nothing. After a wait of the actor
was ended for a signal, that one stays: it has had an effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slither_actors.actors._reasons import Exit

if TYPE_CHECKING:
    from slither_actors.actors._exits import Exits

__all__ = ["Departures"]


class Departures:
    """What one actor is still to hear of. Every use holds the lock of all lives."""

    __slots__ = ("_final", "_signals")

    def __init__(self) -> None:
        self._signals: dict[Exits, Exit] = {}
        self._final: set[Exits] | None = None

    def __len__(self) -> int:
        return len(self._signals)

    def __contains__(self, other: Exits) -> bool:
        return other in self._signals

    def add(self, other: Exits, reason: Any) -> Exit:
        """Note that a linked actor has ended; return the signal to send."""
        signal = self._signals[other] = Exit(other.ref, reason)
        return signal

    def wants(self, signal: Exit) -> bool:
        """Whether the signal was neither handled nor taken back."""
        return signal.ref is not None and self._signals.get(signal.ref._cell) is signal

    def take(self, signal: Exit) -> bool:
        """Remove the signal, which is handled now; False if it is not wanted."""
        if signal.ref is None or not self.wants(signal):
            return False
        del self._signals[signal.ref._cell]
        if self._final is not None:
            self._final.discard(signal.ref._cell)
        return True

    def take_back(self, other: Exits) -> None:
        """Remove the signal of `other`, unless it is final."""
        if self._final is None or other not in self._final:
            self._signals.pop(other, None)

    def make_final(self, signal: Exit) -> None:
        """Keep the signal, if it is still here, whatever comes."""
        if signal.ref is not None and self.wants(signal):
            self._final = self._final or set()
            self._final.add(signal.ref._cell)
