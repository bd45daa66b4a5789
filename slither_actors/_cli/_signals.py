"""Ending a command early: by a signal, or because nobody reads what it writes.

The first signal asks: a run reads no more of its input, and what it had read
may still be finished within `GRACE_SECONDS`. The second one ends the process
where it stands; the workers' guard kills what that leaves behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

__all__ = ["GRACE_SECONDS", "SIGNALS", "Interrupted", "Stopper", "leave_on_signal"]

T = TypeVar("T")

GRACE_SECONDS = 2.0
"""How long what was read may take to come out after the first signal."""

_LOOK_SECONDS = 0.005
"""How soon a main thread that was inside the runtime is looked at again."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_on_signal(number: int, _: FrameType | None) -> None:
    """End the process at once: for one that has started nothing yet, or stopped all it had."""
    with contextlib.suppress(OSError):  # there is nobody to tell
        os.write(2, f"stopped: {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


class Interrupted(KeyboardInterrupt):
    """The command is to end now; the `Stopper` knows why."""


class Stopper:
    """Knows whether the command is to end, and with which status.

    Made and used in the main thread, where signal handlers run; `stop` may be
    called from any thread once a `gently` block is entered.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self.status = 0
        """Exit status once the command is to end: 128 and the signal's number."""
        self.reason = ""
        """What ended it, in a word."""
        self._grace = grace
        self._gentle: Callable[[], object] | None = None
        self._last_words: Callable[[], object] = lambda: None
        self._give_up_output: Callable[[], object] = lambda: None
        self._waiting = False
        self._overdue = False
        # Here, and not at the top: signals are handled before there is time to import the library.
        from slither_actors.actors._interrupts import may_interrupt  # noqa: PLC0415

        self._may_interrupt = may_interrupt
        self._due = False
        """Whether `Interrupted` is to be raised as soon as the main thread has left the runtime."""

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals while the block runs. Those that the process was told to ignore stay ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {}
        ours = (signal.SIG_DFL, signal.default_int_handler, leave_on_signal)
        for number in SIGNALS:
            if signal.getsignal(number) in ours:
                previous[number] = signal.signal(number, self._on_signal)
        previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def gently(
        self,
        stop_input: Callable[[], object],
        last_words: Callable[[], object],
        give_up_output: Callable[[], object] = lambda: None,
    ) -> Iterator[None]:
        """End by `stop_input` while the block runs, not by an exception.

        Args:
            stop_input: makes the run's input end; called from a signal handler or another thread.
            last_words: called before the process is ended by a second signal; must not block.
            give_up_output: called when the grace is over, also after the block; must not block.
        """
        if self._due:
            self._interrupt()
        self._gentle, self._last_words = stop_input, last_words
        self._give_up_output = give_up_output
        try:
            yield
        finally:
            self._gentle = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.status:
            self._last_words()
            os._exit(self.status)
        if self._gentle is None and not self._may_interrupt(frame):
            self.status, self.reason = 128 + number, signal.Signals(number).name
            self._due = True
            signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
            return
        self.stop(128 + number, signal.Signals(number).name)

    def stop(self, status: int, reason: str, *, grace: float | None = None) -> None:
        """End the command with `status`. Only the first call counts."""
        anywhere = self._gentle is not None or threading.current_thread() is threading.main_thread()
        if self.status or not anywhere:
            return
        self.status, self.reason = status, reason
        if self._gentle is None:
            raise Interrupted
        self._gentle()
        # Again and again, because an alarm that comes while nobody waits only leaves a note.
        signal.setitimer(signal.ITIMER_REAL, self._grace if grace is None else max(grace, 1e-6), 0.1)

    def _interrupt(self) -> None:
        self._due = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Interrupted

    def _on_alarm(self, _: int, frame: FrameType | None) -> None:
        if self._due:
            if self._may_interrupt(frame):
                self._interrupt()
            return
        self._overdue = True
        self._give_up_output()
        if self._waiting and self._may_interrupt(frame):
            self._give_up()

    def _give_up(self) -> None:
        self._waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Interrupted

    def results(self, stream: Iterator[T]) -> Iterator[T]:
        """Yield from `stream`, at most for the grace once the command is to end.

        Raises:
            Interrupted: the grace is over.
        """
        while True:
            self._waiting = True
            if self._overdue:
                self._give_up()
            try:
                result = next(stream)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield result
