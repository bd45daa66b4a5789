"""What has come for the reader of a stream, and how the reader waits for it.

One actor puts, one reader takes: a thread that waits on a lock, or a task that
waits for a future of its own event loop. Who puts wakes whoever waits, so there
is no poll and no thread for a reader.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors import Ref, interruptible
from slither_actors.actors._cell import release_once
from slither_actors.actors._interrupts import waits
from slither_actors.actors._runtime import hand_over
from slither_actors.stages._subscription import Subscription

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["Arrivals", "End"]


@attrs.frozen(eq=False)
class End:
    """The end of the stream, behind the events; without a `producer` an orderly one."""

    producer: str = ""
    reason: Any = None


Entry = tuple[Subscription, Sequence[Any]] | End


class Arrivals:
    """The events that a stream's consumer has got and its reader has not taken."""

    __slots__ = ("closed", "consumer", "entries", "subscriptions", "wake")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.consumer: Ref | None = None
        """The actor that puts."""
        self.subscriptions: set[Subscription] = set()
        """Its open ones."""
        self.closed = False
        """Whether nobody reads any more. Written by the reader's side."""
        self.wake: Callable[[], object] | None = None
        """Ends the wait of the reader. Set by the reader."""

    # -- in the consumer ---------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """Add an entry and wake the reader."""
        if not self.closed:
            # In this order; who waits sets `wake` first and then looks at the entries.
            self.entries.append(entry)
            wake = self.wake
            if wake is not None:
                wake()

    # -- from any thread -----------------------------------------------------------------

    def close(self) -> None:
        """Drop what there is and what comes, and wake the reader."""
        self.closed = True
        self.entries.clear()
        # Once: it may be what calls this, of a reader whose loop is gone.
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()

    @property
    def waiting(self) -> int:
        """Events that the reader has not taken."""
        return sum(len(entry[1]) for entry in tuple(self.entries) if not isinstance(entry, End))

    # -- in the reader -------------------------------------------------------------------

    @property
    def answered(self) -> bool:
        """Whether there is no need to wait, for the scheduler; see `Awaited`."""
        return bool(self.entries) or self.closed

    @property
    def cell(self) -> Cell | None:
        """Who has to run for that."""
        return None if self.consumer is None else self.consumer._cell

    @waits
    def wait(self) -> None:
        """Wait in this thread until there is something; it may wake up for nothing.

        Raises:
            ExitPendingError: the actor that reads is to end.
        """
        lock = threading.Lock()
        lock.acquire()
        wake = partial(release_once, lock)
        with interruptible(wake) as refuse:
            self.wake = wake
            try:
                if not self.answered:
                    hand_over(self)
                    lock.acquire()
            finally:
                self.wake = None
            if not self.answered:
                refuse()
