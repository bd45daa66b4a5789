"""What the thread hears that is parked in `Application.run`, and how it is woken for it.

CPython's signal handlers run in the main thread, between two instructions. A
wait for a lock may sleep over a signal: one that another thread got, or that
came in the instant before the wait. So the main thread waits for a byte, which
is written by whoever has something to say and by CPython itself in the moment
in which a signal comes. Until then nothing wakes it.

Source: https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

__all__ = ["Bell", "Inbox"]

_MANY: Final = 4096

_bells: weakref.WeakSet[Bell] = weakref.WeakSet()
"""Those that hear signals, for the child of a fork."""


class Bell:
    """Ends the wait of one thread. Made, waited for and closed by that one; any may ring.

    In the main thread signals ring it as well. Whoever was told of them before, an event loop for one,
    is told by this one meanwhile.

    Raises:
        OSError: there are no descriptors left.
    """

    def __init__(self) -> None:
        self._ear, self._button = socket.socketpair()
        self._button.setblocking(False)
        self._before: int | None = None
        """The descriptor that got the signals before; -1 for none, None outside of the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.set_wakeup_fd(self._button.fileno(), warn_on_full_buffer=False)
            _bells.add(self)

    def ring(self) -> None:
        """End the wait, or the next one. It takes no lock and never blocks."""
        with contextlib.suppress(OSError):  # full, so it rings already; or closed, so nobody waits
            self._button.send(b"\0")

    def wait(self, timeout: float | None) -> bool:
        """Wait until it rings, without end if `timeout` (seconds) is None. False if it did not."""
        try:
            self._ear.settimeout(timeout)
            heard = self._ear.recv(_MANY)
        except (TimeoutError, BlockingIOError):
            return False
        numbers = heard.replace(b"\0", b"")
        if numbers and self._before is not None and self._before >= 0:
            with contextlib.suppress(OSError):  # it is full or closed, or a socket on Windows
                os.write(self._before, numbers)
        return True

    def close(self) -> None:
        """Have signals written to where they were before, unless somebody has changed that since."""
        self.give_back()
        self._ear.close()
        self._button.close()

    def give_back(self) -> None:
        """Take no notice of signals any more."""
        _bells.discard(self)
        before, self._before = self._before, None
        if before is None:
            return
        found = signal.set_wakeup_fd(-1)
        if found != self._button.fileno():
            before = found
        with contextlib.suppress(ValueError, OSError):  # it was closed meanwhile
            signal.set_wakeup_fd(before)


class Inbox:
    """Words for one thread, from any thread, from signal handlers and from finalizers."""

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._bell: Bell | None = None
        """What the thread waits for, once it does."""

    def put(self, word: Any) -> None:
        """Say something. This may be done at any place whatever."""
        # In this order: who waits has looked for words after it made the bell.
        self._words.put(word)
        bell = self._bell
        if bell is not None:
            bell.ring()

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[float | None], Any]]:
        """Give the function that waits for the next word, so many seconds; it returns None if there was none.

        Raises:
            OSError: there are no descriptors left.
        """
        bell = self._bell = Bell()
        try:
            yield partial(self._get, bell)
        finally:
            self._bell = None
            bell.close()

    def _get(self, bell: Bell, timeout: float | None) -> Any:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with contextlib.suppress(queue.Empty):
                return self._words.get_nowait()
            if not bell.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return None


def _after_fork_in_child() -> None:
    # Signals of the child's would ring in its parent.
    for bell in tuple(_bells):
        bell.give_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
