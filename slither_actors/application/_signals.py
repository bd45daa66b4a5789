"""SIGTERM and Ctrl-C while an application owns the main thread: raised in it, or told to `Application.run`.

What is raised never strikes inside the runtime. A signal that comes while the
main thread is in there is *due*: a thread of its own nudges the main thread,
by a signal that means nothing to anybody else, until it is found outside.
"""

from __future__ import annotations

import _thread
import contextlib
import faulthandler
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from slither_actors.actors._interrupts import may_interrupt
from slither_actors.application._inbox import Inbox

__all__ = ["SignalGuard", "Terminated"]

_AGAIN_SECONDS: Final = 15.0
"""A signal this soon after another one says that its sender does not want to wait."""

_REPLACED: Final[dict[int, Any]] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
"""Signals, and the handlers of which ours take the place. Others are the program's own."""

_NUDGES: Final = ("SIGURG", "SIGWINCH")
"""Signals that are ignored by default, so that one too many does no harm."""

_DUMP: Final = getattr(signal, "SIGUSR1", None)

_FIRST_NUDGE: Final = 0.0005
_LAST_NUDGE: Final = 0.01
"""Seconds between two nudges: more and more, because what the main thread is in may take a while."""

_PATIENCE: Final = 1.0
"""Seconds after which a signal is raised anyhow. Nothing of the runtime's takes as long; what may is code of
the user's in a place where none was expected, and a program that heeds no Ctrl-C would be worse."""

_LOOKS: Final = 50
"""Times that the main thread was looked at meanwhile: a process that was halted is not impatient."""

_guards: weakref.WeakSet[SignalGuard] = weakref.WeakSet()
"""All of them, for the child of a fork."""


class Terminated(SystemExit, KeyboardInterrupt):
    """The program was told to end by a signal. Raised in the main thread, by `Application`.

    A `KeyboardInterrupt`, so that what handles Ctrl-C handles it; a
    `SystemExit`, so that the program ends without a traceback and its status
    is 128 and the number of the signal: 143 for SIGTERM.
    """


class _Due:
    """A signal that has come and was not raised yet."""

    __slots__ = ("looks", "number", "since")

    def __init__(self, number: int) -> None:
        self.number = number
        self.since = time.monotonic()
        self.looks = 0

    def look_again(self) -> bool:
        """Whether the main thread has been where it is for too long. Not because nothing ran at all."""
        self.looks += 1
        return self.looks > _LOOKS and time.monotonic() - self.since > _PATIENCE


class SignalGuard:
    """Handles signals between `install` and `restore`. For the main thread; elsewhere it does nothing."""

    def __init__(self) -> None:
        self._installed: dict[int, Any] = {}
        self._nudge: int | None = None
        self._last = -_AGAIN_SECONDS
        self._count = 0
        self._due: _Due | None = None
        self._inbox: Inbox | None = None
        self._exits = False
        self._hurry: Callable[[], object] | None = None
        """Set while the block is being left: then nothing is raised that might cut the stop off."""
        self.hurried = False
        """Whether a second signal has come soon after the first: do not wait for anybody."""
        _guards.add(self)

    def install(self, *, exits: bool = False) -> dict[int, Any]:
        """Take the place of the handlers that every program begins with. Return what was replaced.

        Args:
            exits: raise `Terminated` for Ctrl-C as well, and end at the third signal.
        """
        if not self._installed:
            self.hurried = False
            self._count = 0
        self._exits = exits
        if threading.current_thread() is not threading.main_thread():
            return {}
        fresh: dict[int, Any] = {}
        for number, default in _REPLACED.items():
            self._take(number, default, self._handle, fresh)
        if exits and _DUMP is not None:
            self._take(_DUMP, signal.SIG_DFL, self._handle_dump, fresh)
        if fresh and self._nudge is None:
            self._take_nudge(fresh)
        self._installed |= fresh
        return fresh

    def _take(self, number: int, default: Any, handler: Any, fresh: dict[int, Any]) -> bool:
        # Ours may be there already: `run` inside of a ``with`` block.
        if signal.getsignal(number) != default:
            return False
        fresh[number] = (handler, default)
        signal.signal(number, handler)
        return True

    def _take_nudge(self, fresh: dict[int, Any]) -> None:
        if not hasattr(signal, "pthread_kill"):
            return
        for name in _NUDGES:
            number = getattr(signal, name, None)
            if number is not None and self._take(number, signal.SIG_DFL, self._handle_nudge, fresh):
                self._nudge = number
                return

    def restore(self, fresh: dict[int, Any] | None = None) -> None:
        """Put the handlers back, all or those that `install` replaced, unless others were set since.

        Raises:
            KeyboardInterrupt: a signal that was due.
        """
        self._exits = False
        for number, (handler, default) in (self._installed if fresh is None else fresh).copy().items():
            if signal.getsignal(number) == handler:
                signal.signal(number, default)
            self._installed.pop(number, None)
            if number == self._nudge:
                self._nudge = None
        if not self._installed:
            self._hurry = None
            self.raise_due()

    def shield(self, hurry: Callable[[], object], *, begun: bool) -> None:
        """Raise nothing until `restore`, for the stop is going on; what comes is due then.

        Args:
            hurry: called for a signal, in the handler: what is being stopped is to end at once.
            begun: whether it was a signal that began it. The third in all ends the process.
        """
        self._count = int(begun)
        self._hurry = hurry

    @property
    def shielded(self) -> bool:
        """Whether nothing is raised, in this thread: it is the one that handles signals."""
        return self._hurry is not None and threading.current_thread() is threading.main_thread()

    def raise_due(self) -> None:
        """Raise what is due, if anything is. Called by code that is prepared for it."""
        due, self._due = self._due, None
        if due is not None:
            self._raise(due.number)

    def tell(self, inbox: Inbox | None) -> None:
        """Put the numbers of signals into `inbox` from now on; with None, raise again."""
        self._inbox = inbox
        due, self._due = self._due, None
        if due is not None and inbox is not None:
            inbox.put(due.number)

    def _raise(self, number: int) -> None:
        if number == signal.SIGTERM or self._exits:
            raise Terminated(128 + number)
        raise KeyboardInterrupt

    # -- in the signal handlers: nothing here may take a lock, for the main thread may hold it -----

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._inbox is not None:
            self._inbox.put(number)
            return
        now = time.monotonic()
        self._count += 1
        self.hurried = self.hurried or now - self._last < _AGAIN_SECONDS
        self._last = now
        if (self._exits or self._hurry) and self._count > 2:
            os._exit(128 + number)
        if self._hurry is not None:
            self.hurried = True
            self._due = self._due or _Due(number)
            self._hurry()
            return
        if self._due is None and (may_interrupt(frame) or not self._defer(number)):
            self._raise(number)

    def _defer(self, number: int) -> bool:
        if self._nudge is None:
            return False
        self._due = _Due(number)
        arguments = (self._due, self._nudge, threading.main_thread().ident or 0)
        try:
            # Not by `threading`: the main thread may be in there and hold its lock.
            _thread.start_new_thread(self._nudge_main, arguments)
        except RuntimeError:  # none can be started
            self._due = None
        return self._due is not None

    def _nudge_main(self, due: _Due, number: int, main: int) -> None:
        """Body of a thread that makes the main thread look again whether it may be interrupted."""
        pause = _FIRST_NUDGE
        while True:
            time.sleep(pause)
            if self._due is not due:
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pthread_kill(main, number)
            pause = min(_LAST_NUDGE, 1.5 * pause)

    def _handle_nudge(self, _: int, frame: FrameType | None) -> None:
        due = self._due
        if due is not None and self._hurry is None and (may_interrupt(frame) or due.look_again()):
            self._due = None
            self._raise(due.number)

    def _handle_dump(self, number: int, _: FrameType | None) -> None:
        if self._inbox is not None:
            self._inbox.put(number)
        else:
            dump_threads()

    def after_fork_in_child(self) -> None:
        """Let signals do to the child what they do to any process: it has no application to stop."""
        for number, (handler, default) in self._installed.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, default)
        self.__init__()  # type: ignore[misc]


def dump_threads() -> None:
    """Write where each thread is to standard error, without a lock and without the help of any."""
    with contextlib.suppress(OSError, ValueError):  # there is no standard error
        faulthandler.dump_traceback(2, all_threads=True)


def _after_fork_in_child() -> None:
    for guard in tuple(_guards):
        guard.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
