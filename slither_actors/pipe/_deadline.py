"""Ends a run when its time is over."""

from __future__ import annotations

from typing import Any

from slither_actors.actors import Server
from slither_actors.dispatch._link import RunLink
from slither_actors.pipe._link import Expired, interrupt_run

__all__ = ["Deadline"]


class Deadline(Server):
    """Waits for the deadline of one run. An actor of its own: the run's others may be held up."""

    def init(self, seconds: float, outlet: Any, link: RunLink) -> None:
        """Start to count."""
        self._seconds = seconds
        self._outlet = outlet
        self._link = link
        self.run_after(seconds, Deadline.expire)

    def expire(self, _: None) -> None:
        """It is time."""
        interrupt_run(self._outlet, self._link, Expired(self._seconds))
        self.stop()
