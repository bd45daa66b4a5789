"""SIGTERM and Ctrl-C while an application's ``with`` block runs in the main thread."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any, Final

__all__ = ["SignalGuard", "Terminated"]

_AGAIN_SECONDS: Final = 15.0
"""A signal this soon after another one says that its sender does not want to wait."""

_REPLACED: Final[dict[int, Any]] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
"""Signals, and the handlers of which ours take the place. Others are the program's own."""


class Terminated(SystemExit, KeyboardInterrupt):
    """The program was told to end by SIGTERM. Raised in the main thread, inside of ``with Application()``.

    A `KeyboardInterrupt`, so that what handles Ctrl-C handles it; a
    `SystemExit`, so that the program ends without a traceback and its status
    is 143, which is 128 and the number of the signal.
    """


class SignalGuard:
    """Handles signals between `install` and `restore`. For the main thread; elsewhere it does nothing."""

    def __init__(self) -> None:
        self._installed: list[int] = []
        self._last = -_AGAIN_SECONDS
        self.hurried = False
        """Whether a second signal has come soon after the first: do not wait for anybody."""

    def install(self) -> None:
        """Take the place of the handlers that every program begins with."""
        self.hurried = False
        if threading.current_thread() is not threading.main_thread():
            return
        for number, default in _REPLACED.items():
            if signal.getsignal(number) == default:
                signal.signal(number, self._handle)
                self._installed.append(number)

    def restore(self) -> None:
        """Put the handlers back, unless the program has set others since."""
        for number in self._installed:
            if signal.getsignal(number) == self._handle:
                signal.signal(number, _REPLACED[number])
        self._installed.clear()

    def _handle(self, number: int, _: FrameType | None) -> None:
        # Nothing here may take a lock: the main thread may hold it.
        now = time.monotonic()
        self.hurried = self.hurried or now - self._last < _AGAIN_SECONDS
        self._last = now
        if number == signal.SIGTERM:
            raise Terminated(128 + number)
        raise KeyboardInterrupt
