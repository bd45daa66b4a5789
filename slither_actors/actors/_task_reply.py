"""What a task leaves for whoever waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._task_outcome import TaskOutcome

__all__ = ["TaskReply"]


class TaskReply:
    """What a task leaves: one outcome, for any number of waiters in any threads. The first one counts."""

    __slots__ = ("_claim", "_waiters", "linked_to", "outcome")

    def __init__(self, linked_to: Cell | None) -> None:
        self.linked_to = linked_to
        """Who is linked to the task before its function runs."""
        self.outcome: TaskOutcome[Any] | None = None
        self._claim = threading.Lock().acquire
        self._waiters: deque[Callable[[], object]] = deque()

    def settle(self, outcome: TaskOutcome[Any]) -> None:
        """Set the outcome and wake who waits. Only the first time."""
        if self._claim(False):
            self.outcome = outcome
            while self._waiters:
                try:
                    self._waiters.popleft()()
                except IndexError:  # `subscribe` or `unsubscribe` was faster
                    return

    def subscribe(self, wake: Callable[[], object]) -> None:
        """Have `wake` called when the outcome is there, which may be now; rarely twice."""
        # The waiter is added before the outcome is looked at; `settle` does it the other way round.
        self._waiters.append(wake)
        if self.outcome is not None:
            wake()

    def unsubscribe(self, wake: Callable[[], object]) -> None:
        """Undo `subscribe`."""
        if wake in self._waiters:
            try:
                self._waiters.remove(wake)
            except (ValueError, IndexError):  # `settle` was faster
                return
