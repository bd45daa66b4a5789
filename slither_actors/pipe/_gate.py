"""Whether an item may come into a pipe now: as its rate limit allows, and not while it is paused.

One gate serves all runs of a pipe that runs on, so a restart is no way round the
limit. Who waits is woken; nobody polls.
"""

from __future__ import annotations

import sys
import threading
import time

from slither_actors.actors import blocking
from slither_actors.core import Pace, RateLimit

__all__ = ["Gate"]


class Gate:
    """Any thread may use it. `room`, `delay` and `took` are for who holds `changed`."""

    def __init__(self, limit: RateLimit | None) -> None:
        self.changed = threading.Condition()
        """Guards the gate, and what its user wants guarded with it; told of each change."""
        self.held = False
        """Whether nothing may come in, whatever the limit."""
        self.is_limited = limit is not None
        self._pace = None if limit is None else Pace(limit)

    def room(self) -> int:
        """Return how many items may come in now."""
        if self.held:
            return 0
        return sys.maxsize if self._pace is None else self._pace.room(time.monotonic())

    def delay(self) -> float | None:
        """Return how many seconds the next item has to wait; None if time alone does not let it in."""
        if self.held:
            return None
        return 0.0 if self._pace is None else self._pace.delay(time.monotonic())

    def took(self, count: int) -> None:
        """Items have come in."""
        if self._pace is not None:
            self._pace.took(time.monotonic(), count)

    def hold(self, held: bool) -> None:
        """Let nothing in, or go on."""
        with self.changed:
            self.held = held
            self.changed.notify_all()

    def wake(self) -> None:
        """Have those who wait look at why they do."""
        with self.changed:
            self.changed.notify_all()

    def wait(self, stopping: threading.Event) -> bool:
        """Wait until an item may come in; return False if that is over. `wake` follows a set `stopping`."""
        with self.changed:
            while not stopping.is_set():
                if self.room() > 0:
                    return True
                blocking()
                self.changed.wait(self.delay())
        return False

    def passed(self, stopping: threading.Event) -> bool:
        """Count an item that has come, and wait while the gate is held; return False if that is over."""
        with self.changed:
            while self.held and not stopping.is_set():
                blocking()
                self.changed.wait()
            self.took(1)
            return not self.held
