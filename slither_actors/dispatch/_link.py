"""What the stages and the caller of one run share.

The way out for routed items, the stages' last statistics, and the word that
the run is to end, which has to reach also those who do not listen: an actor of
the run that reads another run waits for that one, not for its own mailbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, Protocol

from slither_actors.actors import Ref, current_actors
from slither_actors.core import Insights
from slither_actors.item import Item

__all__ = ["SIDE_CREDIT", "RunLink", "SideOutput", "enclosing_run"]

SIDE_CREDIT = 1000
"""Routed items of one stage on their way to the caller at one time."""


class Wait(Protocol):
    """Somebody's wait for the items of another run."""

    def interrupt(self, run: RunLink) -> None:
        """Make the wait end, if an actor of `run` waits."""
        ...


class RunLink:
    """One per run. The supervisor of the run sets `reader` before any demand flows."""

    __slots__ = (
        "acks",
        "close_timeout",
        "closing",
        "collected",
        "contextvars",
        "ended",
        "finished",
        "input_job",
        "insights",
        "on_close",
        "reader",
        "run",
        "waits",
    )

    def __init__(self, on_close: str = "abandon", close_timeout: float = 0.0) -> None:
        self.on_close = on_close
        """What becomes of the batches that run when the run is closed: see `RunOptions`."""
        self.acks: Any = None
        """What follows the items to their end; None where the input does not want to know."""
        self.close_timeout = close_timeout if on_close != "abandon" else 0.0
        """Seconds that they may take."""
        self.run: Ref | None = None
        """The supervisor of the run, once it has started."""
        self.reader: Ref | None = None
        self.collected: list[Sequence[Item]] = []
        """What the reader keeps until the end, where it does."""
        self.ended: Any = None
        """The reason with which the last stage ended; None while it runs, and for a run that was closed."""
        self.finished: dict[str, Any] = {}
        """Stage name to its last statistics, written when the stage ends."""
        self.input_job: Any = None
        """What reads the input in an event loop, if one does."""
        self.insights: Insights | None = None
        """The last ones, where somebody wanted them."""
        self.contextvars = copy_context()
        """The context variables of whoever made the run, for the executors that pass them on."""
        self.closing = False
        """Whether nobody wants anything of the run any more."""
        self.waits: set[Wait] = set()
        """What the actors of this run wait for in other runs."""

    def broke(self, reason: Any) -> None:
        """Note that the run has ended because an actor of it that tells its end was killed."""
        if self.ended is None and not self.closing:
            self.ended = reason

    def close(self) -> None:
        """Say that the run is to end. From any thread, a finalizer included."""
        self.closing = True
        for wait in tuple(self.waits):
            wait.interrupt(self)


def enclosing_run() -> RunLink | None:
    """The run whose actor runs in this thread."""
    for actor in current_actors():
        link = getattr(actor, "run_link", None)
        if link is not None:
            return link  # type: ignore[no-any-return]
    return None


class SideOutput:
    """The output of one stage past the stages that follow it, straight to the reader.

    It is a small subscription: the reader grants as many items as the caller
    has consumed, and a stage whose `blocked` is true takes nothing new. Owned
    by the stage's actor; `granted` arrives there as a message.
    """

    __slots__ = ("_credit", "_link", "_owner", "_receive", "_waiting", "sent")

    def __init__(self, link: RunLink, owner: Ref, receive: Callable[[Any, Any], object]) -> None:
        self._link = link
        self._owner = owner
        self._receive = receive
        self._credit = SIDE_CREDIT
        self._waiting: deque[Sequence[Item]] = deque()
        self.sent = 0
        """Items that have left by this way."""

    @property
    def blocked(self) -> bool:
        """Whether items wait for the reader."""
        return bool(self._waiting)

    def send(self, items: Sequence[Item]) -> None:
        """Pass items to the reader, in order, as far as it has granted."""
        self._waiting.append(items)
        self._flush()

    def granted(self, count: int) -> None:
        """The caller has consumed `count` items of this output."""
        self._credit += count
        self._flush()

    def _flush(self) -> None:
        reader = self._link.reader
        while self._waiting and self._credit > 0 and reader is not None:
            items = self._waiting.popleft()
            if len(items) > self._credit:
                self._waiting.appendleft(items[self._credit :])
                items = items[: self._credit]
            self._credit -= len(items)
            self.sent += len(items)
            reader.send(self._receive, (self._owner, items))
