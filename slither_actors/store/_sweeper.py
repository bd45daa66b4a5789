"""When the server takes out rows that are over: one timer per table, and none where nothing ends."""

from __future__ import annotations

import math
import time
from typing import Any, Protocol

from slither_actors.actors import Server

__all__ = ["Sweeper"]

REST = 1.0
"""The least seconds between two sweeps of a table, but for what one sweep left over. A row that is over is
hidden at once; only its memory waits."""


class Sweeps(Protocol):
    """The server that sweeps."""

    def sweep(self, index: int) -> float:
        """Remove rows of a table; return when to come again."""


class Sweeper:
    """Start the timers of a store's server. For its turn only, whichever thread that runs in."""

    __slots__ = ("_armed", "_server")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._armed: dict[int, float] = {}

    def wake(self, index: int, at: float) -> None:
        """A row of the table is over at `at`, of `time.monotonic`."""
        if at == math.inf or self._armed.get(index, math.inf) <= at + REST:
            return
        self._armed[index] = at
        self._server.run_after(max(at - time.monotonic(), REST), _sweep, (self, index))

    def sweep(self, index: int) -> None:
        """Sweep, and come again if there is more."""
        self._armed.pop(index, None)
        server: Any = self._server
        earliest = server.sweep(index)
        if earliest <= time.monotonic():  # more than one sweep removes: let others have a turn
            self._armed[index] = earliest
            server.run_after(0, _sweep, (self, index))
        else:
            self.wake(index, earliest)


def _sweep(_: Any, what: tuple[Sweeper, int]) -> None:
    sweeper, index = what
    sweeper.sweep(index)
