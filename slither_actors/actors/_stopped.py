"""Pykka's ``actor_stopped``: the event that says that an actor stops."""

from __future__ import annotations

import threading

from slither_actors.actors._interrupts import waits

__all__ = ["Stopped"]

_making = threading.Lock()
"""Two threads that are the first to wait make one event."""


class Stopped(threading.Event):
    """An event that is made with each actor, and waited for by nearly nobody.

    So it has no lock, condition and queue before somebody waits: those of an
    event are half of the memory of an actor. Usable from any thread.
    """

    def __init__(self) -> None:  # not that of `Event`, which makes them
        self.now = False
        """Whether it is set: what `is_set` returns, without a call."""
        self._event: threading.Event | None = None

    def __repr__(self) -> str:
        return f"<actor_stopped: {'set' if self.now else 'unset'}>"

    def is_set(self) -> bool:
        """Whether the actor stops or has stopped."""
        return self.now

    def set(self) -> None:
        """Set it and wake who waits."""
        # `now` is written before the event is looked for; `wait` does it the other way round.
        self.now = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        """Undo `set`. Nobody does; it is here because events have it."""
        self.now = False
        if self._event is not None:
            self._event.clear()

    @waits
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; False if it is not after `timeout` seconds."""
        with _making:
            if self._event is None:
                self._event = threading.Event()
        return self.now or self._event.wait(timeout)
