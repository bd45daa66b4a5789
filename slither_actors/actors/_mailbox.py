"""The mailbox: what waits for an actor, and the token of who may run it.

A message is a pair ``(function, argument)``; running it is
``function(actor, argument)``. Whoever holds the token runs the actor, so it
runs one message at a time. The token is taken by whoever puts a message into
a mailbox that is not queued, and is released at the end of a slice; after that
the mailbox is looked at once more, so that no wake-up is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _life
from slither_actors.actors._message import Message
from slither_actors.actors._scheduler import Scheduler

if TYPE_CHECKING:
    from slither_actors.actors._actor import Actor

__all__ = ["Mailbox", "asked_ahead", "handled_while_suspended"]

handled_while_suspended: set[Callable[[Any, Any], object]] = set()
"""The functions of the messages that a suspended actor handles; to run one twice does nothing."""

asked_ahead: set[Callable[[Any, Any], object]] = set()
"""The functions of control messages that ask for something: an actor that ends calls ``argument.reject``."""


class Mailbox:
    """The part of a `Cell` that takes messages in. Usable from any thread."""

    __slots__ = (
        "__weakref__",
        "_append",
        "_release",
        "acquire",
        "actor",
        "attention",
        "control",
        "inbox",
        "scheduler",
        "suspended",
        "tracers",
    )

    actor: Actor
    scheduler: Scheduler
    inbox: deque[Message]
    _append: Callable[[Message], None]

    acquire: Callable[[bool], bool]
    """Takes the token, if nobody has it."""
    _release: Callable[[], None]

    control: list[Message]
    """Messages of the supervisor and the system, ahead of all others."""

    attention: bool
    """Something other than the next message is due: control, an end, a pause."""

    suspended: bool
    """Whether the messages stay where they are for now."""

    tracers: tuple[Callable[[Message], None], ...]
    """Told of each message before it runs; who has any is never without `attention`."""

    def put(self, message: Message) -> None:
        """Send one message. It never blocks; a dead cell rejects it."""
        self._append(message)
        if self.acquire(False):
            # As `scheduler.ready`, which would be one more call for each message.
            scheduler = self.scheduler
            scheduler.run_queue.append(self)
            if scheduler.active < scheduler.target:
                scheduler.add_thread()

    def put_control(self, message: Message) -> None:
        """Send one message ahead of the mailbox. For supervisors and the system only."""
        self.control.append(message)
        self.attention = True
        if self.acquire(False):
            self.scheduler.ready(self)

    def put_system(self, message: Message) -> None:
        """Send a message that a suspended actor handles too: one of `handled_while_suspended`."""
        self.put(message)
        # `suspend` sets the flag first and looks through the mailbox then: one of the two finds it.
        if self.suspended:
            self.put_control(message)

    def release(self) -> None:
        """Give the token back, then look again: a message may have come meanwhile."""
        self._release()
        if ((self.inbox and not self.suspended) or self.control) and self.acquire(False):
            self.scheduler.ready(self)

    def add_tracer(self, tell: Callable[[Message], None]) -> None:
        """Have `tell` called with each message before it runs."""
        with _life.lock:
            self.tracers = (*self.tracers, tell)
        self.attention = True

    def remove_tracer(self, tell: Callable[[Message], None]) -> None:
        """Undo `add_tracer`."""
        with _life.lock:
            self.tracers = tuple(other for other in self.tracers if other != tell)
