"""When the batches of an executor are past their timeouts: one alarm for all of them.

Batches of a run have the same timeout, so the alarm is set for the first of
them and finds those that came later when it rings: a batch that ends in time
costs two operations on a dict.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from typing import Any

from slither_actors.actors import _runtime

__all__ = ["Deadlines"]


class Deadlines:
    """Calls ``expire(entry)``, in the timer thread, for each entry that is not stopped in time.

    Usable from any thread. `expire` has to be a bound method; it is held weakly.
    """

    def __init__(self, expire: Callable[[Any], object]) -> None:
        self._expire = weakref.WeakMethod(expire)
        self._due: dict[Hashable, float] = {}
        self._armed = math.inf
        # Reentrant: the collector may run a finalizer that comes here at any place.
        self._lock = threading.RLock()

    def start(self, entry: Hashable, seconds: float | None) -> None:
        """Start the clock of `entry`, or start it again; None is no limit."""
        if seconds is None or seconds == math.inf:
            self._due.pop(entry, None)
            return
        due = time.monotonic() + seconds
        with self._lock:
            self._due[entry] = due
            self._arm(due)

    def stop(self, entry: Hashable) -> None:
        """Stop the clock of `entry`, if it runs."""
        with self._lock:
            self._due.pop(entry, None)

    def _arm(self, due: float) -> None:
        if due < self._armed:
            self._armed = due
            here = weakref.ref(self)
            _runtime.timers.call_after(max(0.0, due - time.monotonic()), lambda: _ring(here, due))

    def ring(self, due: float) -> None:
        """The alarm for `due`; in the timer thread."""
        now = time.monotonic()
        with self._lock:
            over = [entry for entry, its_due in self._due.items() if its_due <= now]
            for entry in over:
                del self._due[entry]
            if due == self._armed:
                self._armed = math.inf
                if self._due:
                    self._arm(min(self._due.values()))
        expire = self._expire()
        if expire is not None:
            for entry in over:
                expire(entry)


def _ring(deadlines: weakref.ref[Deadlines], due: float) -> None:
    found = deadlines()
    if found is not None:
        found.ring(due)
