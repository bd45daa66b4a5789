"""The bounded mailbox: a fuse that blows before the memory is full.

What users send is bounded: calls, casts, infos, tells and asks. Everything
else is let in always and takes no room: exit signals, ``Down``, timers, stop,
and what the library sends for itself. An actor without a bound has a plain
`Cell` and pays nothing for this one.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from pykka import messages
from pykka._envelope import Envelope

from slither_actors.actors import _runtime
from slither_actors.actors._cell import Cell, Message
from slither_actors.actors._class_options import check_class
from slither_actors.actors._handlers import _on_call, _on_cast, _on_envelope, _on_info
from slither_actors.actors._interrupts import waits
from slither_actors.actors._request import Request
from slither_actors.errors import MailboxFullError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._actor import Actor
    from slither_actors.actors._scheduler import Scheduler

__all__ = ["BoundedCell", "Box", "is_bounded"]

logger = GuardedLog("slither_actors.actors")

_BOUNDED = frozenset({_on_call, _on_cast, _on_info, _on_envelope})


def is_bounded(message: Message) -> bool:
    """Whether it is one of a user's, and takes room; an order of Pykka's to stop is not."""
    function, argument = message
    if function is _on_envelope and isinstance(argument.message, messages._ActorStop):
        return False
    return function in _BOUNDED


class Box(deque[Message]):
    """The messages, and how many of them are bounded. Usable from any thread."""

    def __init__(self) -> None:
        super().__init__()
        # Its lock is reentrant: the collector may run a finalizer that uses actors at any place.
        self.changed = threading.Condition()
        self.bounded = 0
        """How many take room. Those that the actor has taken out and keeps for later do, too."""
        self.keeping = False
        """Whether the actor may keep what it takes out."""
        self._taken = False
        # The message taken last still counts.

    def append(self, message: Message) -> None:
        with self.changed:
            super().append(message)

    def add(self, message: Message) -> None:
        """Append a message that takes room. The lock is held."""
        super().append(message)
        self.bounded += 1

    def popleft(self) -> Message:
        with self.changed:
            if self._taken:
                self.keep()
                self._leave()
            message = super().popleft()
            if is_bounded(message):
                if self.keeping:
                    self._taken = True
                else:
                    self._leave()
            return message

    def keep(self) -> bool:
        """Go on counting the message taken last, until `leave`; False if it takes no room. For the actor."""
        taken, self._taken = self._taken, False
        return taken

    def enter(self) -> None:
        """Count a message that the actor has taken out and does not handle yet, until `leave`."""
        with self.changed:
            self.bounded += 1

    def leave(self) -> None:
        """Count a message no more that was kept."""
        with self.changed:
            self._leave()

    def _leave(self) -> None:
        self.bounded -= 1
        self.changed.notify_all()

    def forget(self) -> None:
        """Have those look again who wait for room: the actor has ended, and with it what it kept."""
        with self.changed:
            self.keeping = False
            self.changed.notify_all()

    def take_oldest(self) -> Message | None:
        """Remove the first message that takes room, if the actor does not keep all. The lock is held."""
        index = next((index for index in range(len(self)) if is_bounded(self[index])), None)
        if index is None:
            return None
        message = self[index]
        del self[index]
        self.bounded -= 1
        return message

    def copy(self) -> deque[Message]:  # type: ignore[override]  # not another box
        with self.changed:
            return deque(self)


class BoundedCell(Cell):
    """The cell of an actor whose class has a `mailbox_size`."""

    __slots__ = ("_overflow", "dropped", "size")

    inbox: Box

    def __init__(self, actor: Actor, scheduler: Scheduler, parent: Cell | None) -> None:
        super().__init__(actor, scheduler, parent)
        kind = type(actor)
        # Once more: a class may have been changed since it was defined.
        check_class(kind)
        assert kind.mailbox_size is not None
        self.size, self._overflow = kind.mailbox_size, kind.mailbox_overflow
        self.inbox = Box()
        self._append = self.inbox.append
        self.dropped = 0

    def put(self, message: Message) -> None:
        """Send one message, or do with it what the overflow policy says."""
        if not is_bounded(message):
            self._append(message)
        elif not self._admit(message):
            return
        if self.acquire(False):
            self.scheduler.ready(self)

    @property
    def has_room(self) -> bool:
        """Whether a message may be put into the box."""
        return self.inbox.bounded < self.size or self.dead

    def _admit(self, message: Message) -> bool:
        """Put a message into the box if it may be there."""
        box = self.inbox
        while True:
            with box.changed:
                if self.has_room:
                    box.add(message)
                    return True
                if self._overflow in ("drop_new", "drop_old"):
                    self.dropped += 1
                    first = self.dropped == 1
                    refused = message
                    oldest = box.take_oldest() if self._overflow == "drop_old" else None
                    if oldest is not None:
                        refused = oldest
                        box.add(message)
                    break
            if self._overflow == "raise" or _runtime.current_cell() is self or self.actor._runs_here():
                raise self._error()
            self._wait_for_room()
        # Outside the lock: an answer and a log handler run other people's code.
        self._refuse(refused[1])
        if first:
            logger.warning(
                "the mailbox of %s is full (%d messages): messages are dropped", self.describe(), self.size
            )
        return refused is not message

    @waits
    def _wait_for_room(self) -> None:
        woken = threading.Event()

        def wake() -> None:
            woken.set()
            with self.inbox.changed:
                self.inbox.changed.notify_all()

        with _runtime.interruptible(wake) as refuse:
            _runtime.hand_over(_Room(self, woken))
            with self.inbox.changed:
                self.inbox.changed.wait_for(lambda: self.has_room or woken.is_set())
            if woken.is_set():
                refuse()

    def _refuse(self, argument: Any) -> None:
        if isinstance(argument, Request):
            argument.fail(self._error())
        elif isinstance(argument, Envelope) and argument.reply_to is not None:
            argument.reply_to.set_exception((MailboxFullError, self._error(), None))

    def _error(self) -> MailboxFullError:
        return MailboxFullError(self.describe(), self.size)


class _Room:
    """Room in a mailbox, waited for."""

    def __init__(self, cell: BoundedCell, woken: threading.Event) -> None:
        self.cell = cell
        self._woken = woken

    @property
    def answered(self) -> bool:
        return self.cell.has_room or self._woken.is_set()
