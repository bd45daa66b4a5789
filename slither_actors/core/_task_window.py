"""A stream of tasks: how many may run, in which order results leave, and which are late."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

from slither_actors.core._window import Ordering, Window

__all__ = ["TaskWindow"]

R = TypeVar("R")


@attrs.define
class TaskWindow(Generic[R]):
    """Decide for one stream of tasks. Positions count up from zero in input order.

    A result that waits for an earlier one keeps its place, so that a slow
    first task stops the input instead of letting results pile up.

    Not thread-safe: the stream is the only caller.
    """

    max_concurrency: int = attrs.field(validator=attrs.validators.ge(1))
    ordering: Ordering = Ordering.PRESERVE
    timeout: float | None = None
    """Seconds that a task may run; None is no limit."""

    _window: Window[R] = attrs.field(init=False)
    _deadlines: dict[int, float] = attrs.field(factory=dict, init=False)
    """Of the tasks that run. All have the same timeout, so the first is the earliest."""

    @_window.default
    def _empty(self) -> Window[R]:
        return Window(self.max_concurrency, self.ordering)

    @property
    def room(self) -> int:
        """How many tasks may start now."""
        return self._window.room

    @property
    def is_empty(self) -> bool:
        """Whether every result has left."""
        return self._window.is_empty

    @property
    def next_deadline(self) -> float | None:
        """When the next task is late; None if none can be."""
        return None if self.timeout is None else next(iter(self._deadlines.values()), None)

    def start(self, now: float) -> int:
        """Admit a task that starts at monotonic `now`, in seconds, and return its position."""
        position = self._window.start()
        self._deadlines[position] = now + (self.timeout or 0.0)
        return position

    def runs(self, position: int) -> bool:
        """Whether a task was started and has no result yet."""
        return position in self._deadlines

    def late(self, now: float) -> list[int]:
        """Return the running tasks whose time is over, in input order."""
        if self.timeout is None:
            return []
        return [position for position, deadline in self._deadlines.items() if deadline <= now]

    def finish(self, position: int, result: R) -> list[R]:
        """Record the result of a running task; return all that may leave now, in order."""
        del self._deadlines[position]
        return [released for _, released in self._window.finish(position, result)]
