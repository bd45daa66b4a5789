"""The actor with Pykka's contract, run by the scheduler instead of a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import sys
from typing import Any, ClassVar, TypeVar

import pykka
from pykka import messages
from pykka._envelope import Envelope

from slither_actors.actors import _runtime
from slither_actors.actors._actor_ref import ActorRef
from slither_actors.actors._bounded_mailbox import BoundedCell
from slither_actors.actors._cell import Cell, Message, end, zombie_cells
from slither_actors.actors._class_options import Overflow, check_class
from slither_actors.actors._future import Future
from slither_actors.actors._handlers import _on_cast, _on_envelope, _on_info
from slither_actors.actors._inbox import Inbox
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._reasons import NORMAL, SHUTDOWN, Crash
from slither_actors.actors._stack import refuse_without_room
from slither_actors.actors._stopped import Stopped

__all__ = ["Actor"]

logger = logging.getLogger("pykka")

A = TypeVar("A", bound="Actor")

_OF_PYKKA = frozenset({"actor_urn", "actor_inbox", "actor_stopped"})

_KEPT = _OF_PYKKA | {"_actor_ref", "_cell"}

_MESSAGES = frozenset({messages._ActorStop, messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr})
"""Those that Pykka does not give to `on_receive`."""

_THREADS = 4
"""How many the first actor starts: see `Scheduler.reserve`."""


class Actor(pykka.Actor):
    """A `pykka.Actor` that needs no thread of its own.

    Subclass it, write methods, and use ``start``, ``tell``, ``ask``, ``proxy``
    and ``stop`` as with `pykka.ThreadingActor`. What differs is who runs it:
    the scheduler, a slice of messages at a time. An exception in an *ask* is
    the caller's; for OTP's contract, where it is a crash, use `Server`.
    """

    own_thread: ClassVar[bool] = False
    """Whether the actor gets a thread of its own, for handlers that block as a rule."""

    trap_exit: ClassVar[bool] = False
    """Whether exit signals arrive as `Exit` messages instead of ending the actor."""

    inline_calls: ClassVar[bool] = False
    """Whether a call to the idle server may run in the caller's thread; handlers must be short."""

    mailbox_size: ClassVar[int | None] = None
    """The most messages that wait for the actor at one time; None is any number. A fuse, not flow control."""

    mailbox_overflow: ClassVar[Overflow] = "raise"
    """What happens to a message for which a bounded mailbox has no room.

    ``"raise"`` raises `MailboxFullError` at the sender, ``"drop_new"`` drops the message, ``"drop_old"``
    the one that has waited longest, and ``"block"`` makes the sender wait, which deadlocks actors that send
    in a circle.
    """

    _cell: Cell
    actor_stopped: Stopped

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the options of a new class: `OptionError` for one that has a value that is not allowed."""
        super().__init_subclass__(**kwargs)
        check_class(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        """Create the actor, in the thread of whoever starts it."""
        cell = bind(self)
        # All that Pykka's constructor sets, in a third of its time and memory.
        self.actor_urn = _new_urn()
        self.actor_inbox = self._create_actor_inbox()
        self.actor_stopped = Stopped()
        cell.ref = self._actor_ref = ActorRef(cell)

    # -- what Pykka asks of an actor type --------------------------------------

    def _create_actor_inbox(self) -> Inbox:  # type: ignore[override]
        return Inbox(self._cell)

    @staticmethod
    def _create_future() -> Future[Any]:
        return Future()

    def _start_actor_loop(self) -> None:
        self._cell.admit()
        if type(self).on_start is not pykka.Actor.on_start:
            self._cell.put((_set_up, None))

    # -- what the cell asks of an actor ----------------------------------------

    @calls_out
    def _on_envelope(self, envelope: Envelope[Any]) -> None:
        if envelope.reply_to is None:
            self._on_info(envelope.message)
            return
        if self.actor_stopped.is_set():
            _reject(envelope, self)
            return
        try:
            response = self._handle_receive(envelope.message)
        except Exception as error:
            if self._cell.obeys(error):
                raise
            logger.info("Exception returned from %s to caller:", self, exc_info=True)
            envelope.reply_to.set_exception()
        except BaseException as error:  # noqa: BLE001
            envelope.reply_to.set_exception()
            self._stop_everybody(error)
        else:
            envelope.reply_to.set(response)

    def _on_info(self, message: Any) -> None:
        if self.actor_stopped.now:
            return
        try:
            self._handle_receive(message)
        except Exception as error:
            if self._cell.obeys(error):
                raise
            self._crash(error, Envelope(message))
        except BaseException as error:  # noqa: BLE001
            self._stop_everybody(error)

    @calls_out
    def _handle_receive(self, message: Any) -> Any:
        # As in Pykka, which looks four times for what is rarely there.
        if type(message) in _MESSAGES:
            return super()._handle_receive(message)
        return self.on_receive(message)

    def _stop_everybody(self, error: BaseException) -> None:
        logger.debug("%r in %s. Stopping all actors.", error, self)
        self._stop()
        pykka.ActorRegistry.stop_all(block=False)

    def _stop(self) -> None:
        super()._stop()
        end(self._cell, NORMAL)

    def _crash(self, error: BaseException, envelope: Envelope[Any]) -> None:
        info = sys.exc_info()
        self._handle_failure(*info)
        try:
            self.on_failure(*info)
        except Exception:  # noqa: BLE001 - as Pykka has it
            self._handle_failure(*sys.exc_info())
        reason = Crash.of(error)
        self._cell.tell_crash(reason, (_on_envelope, envelope))
        end(self._cell, reason)

    def _ends_silently(self) -> bool:
        """Whether no code of a subclass runs when the actor ends: then any thread may do it."""
        kind = type(self)
        return (
            kind.on_stop is pykka.Actor.on_stop
            and kind._stop is Actor._stop
            and kind._on_dead is Actor._on_dead
            and not self.own_thread
            and "on_stop" not in vars(self)
        )

    def _on_end(self, reason: Any) -> None:
        # The type first: a term of the user's is compared by code of the user's, which may raise.
        orderly = isinstance(reason, str) and reason in (NORMAL, SHUTDOWN)
        if orderly and not self.actor_stopped.is_set():
            super()._stop()

    def _on_dead(self) -> None:
        if not self.actor_stopped.is_set():
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()

    def _remains(self) -> Actor:
        """What the cell keeps after the end: an actor of the class without state, which rejects messages."""
        remains: Actor | None = without_state(self, Actor)
        if remains is None:
            return self
        vars(remains).update({name: value for name, value in vars(self).items() if name in _KEPT})
        return remains

    def format_state(self) -> object:
        """What a crash report shows of the state: the public attributes. Override it to leave out secrets.

        Runs in the actor that crashed. What is returned is shown in a few hundred characters.
        """
        return self._state()

    def _state(self) -> dict[str, Any]:
        """The public attributes that are the user's."""
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name not in _OF_PYKKA
        }

    def _runs_here(self) -> bool:
        """Whether code of the actor asks in another thread than its own, and must not wait for it."""
        return False

    def _on_rejected(self, message: Message, reason: Any) -> None:
        """Answer a message that will never be handled: an argument of the library's with a `reject`."""
        function, argument = message
        if isinstance(argument, Envelope):
            _reject(argument, self)
        elif function is not _on_cast and function is not _on_info and hasattr(argument, "reject"):
            argument.reject(reason)


def bind(actor: Actor, *, linked: bool = False) -> Cell:
    """Give an actor object its cell.

    Raises:
        NotRunningError: the program is at its end and the runtime has stopped.
        ForkedRuntimeError: this is the child of a fork.
        AbandonedError: an actor that was abandoned wants to start another.
        RecursionError: there is too little room on the stack.
    """
    refuse_without_room()
    if zombie_cells:
        _runtime.refuse_zombie()
    if _runtime.scheduler.closed:
        raise _runtime.scheduler.refusal()
    if not _runtime.scheduler.started:
        _runtime.scheduler.reserve(_THREADS)
    current = _runtime.current_cell() if linked else None
    own = type(actor).own_thread
    if own:
        check_class(type(actor))
    scheduler = _runtime.own_scheduler(type(actor).__name__) if own else _runtime.scheduler
    kind = Cell if type(actor).mailbox_size is None else BoundedCell
    cell = kind(actor, scheduler, current)
    actor._cell = cell
    return cell


def without_state(actor: A, base: type[A]) -> A | None:
    """Return an object of the actor's class that has no attributes; None if there can be none.

    One whose class has a ``__del__``, which would miss them, is replaced by one of the name and of `base`.
    """
    kind = type(actor)
    if hasattr(kind, "__del__"):
        kind = type(kind.__name__, (base,), {"__module__": kind.__module__})
    try:
        return object.__new__(kind)
    except TypeError:  # it is made of a class in C, a dict for example
        return None


_random_bits = random.Random().getrandbits
"""Seeded by the system once, which takes longer than all the rest to ask again for each actor."""


def _new_urn() -> str:
    """Return a random UUID as a URN: `uuid.uuid4` takes four times as long to say it."""
    digits = f"{_random_bits(128):032x}"
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


@calls_out
def _set_up(actor: Actor, _: None) -> None:
    try:
        actor.on_start()
    except Exception as error:
        if actor._cell.obeys(error):
            raise
        # Pykka logs it and the actor is dead.
        actor._handle_failure(*sys.exc_info())
        reason = Crash.of(error)
        actor._cell.tell_crash(reason, None)
        end(actor._cell, reason)


def _reject(envelope: Envelope[Any], actor: Actor) -> None:
    if envelope.reply_to is None:
        return
    with contextlib.suppress(queue.Full):  # it was answered before its handler raised
        if isinstance(envelope.message, messages._ActorStop):
            envelope.reply_to.set(None)
            return
        error = pykka.ActorDeadError(f"{actor.actor_ref} stopped before handling the message")
        envelope.reply_to.set_exception((pykka.ActorDeadError, error, None))
