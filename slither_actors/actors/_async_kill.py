"""Breaking off a handler that does not return, by an exception out of nowhere.

CPython can raise an exception in another thread. It arrives between any two
steps of the interpreter: in the middle of a ``with``, or between the taking of
a lock and the line that would give it back. So it is never done unless asked
for, and never to a thread that has other things to do:

* only in the thread of an actor that has one of its own;
* only after the actor was fenced and declared dead, so that it holds nothing
  of the runtime's and can take nothing any more;
* only while the innermost frames of the thread are the handler's own, and
  below them there is nothing but the runtime that called it. A call that runs
  another server's handler in this thread is left alone;
* what was not delivered when the handler returns is taken back, before the
  runtime does anything else in the thread.

A strike may be lost: what is raised while the collector runs a ``__del__`` or a
callback of a weak reference in the thread is printed and goes no further. So a
handler that is still there is struck again, after longer and longer times.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Container
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["HandlerBrokenOff", "disarm", "force_return"]

_SECONDS = 0.7
"""How long a place to strike is looked for, and how long the handler has to return."""

_AGAIN_SECONDS = 0.1
"""From the first strike to the second, then twice as long each time: a handler's ``finally`` has this
for what it has to clean up."""

_PAUSE = 0.001

_NO_HANDLERS = {*sys.stdlib_module_names, "pykka", "blinker"} - {"__main__"}
"""Modules that the runtime calls for itself; a handler is in none of them."""

_lock = threading.Lock()
"""Between the strike and the return of the handler."""

_struck: dict[int, int] = {}
"""The numbers of the actors whose threads were struck, and the threads. Empty as a rule."""


class HandlerBrokenOff(BaseException):
    """Raised in a handler that did not return, for `ChildSpec.async_kill`."""


def force_return(cell: Cell, thread: int, zombies: Container[int], has_returned: Callable[[], bool]) -> bool:
    """Break off the handler of a dead and fenced cell. True if it has returned."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False  # another thread's frames must not be looked at there
    now = time.monotonic()
    deadline, due, pause = now + _SECONDS, now, _AGAIN_SECONDS
    while now < deadline:
        if now >= due and _strike(cell, thread, zombies):
            due, pause = now + pause, 2 * pause
        time.sleep(_PAUSE)
        if has_returned():
            return True
        now = time.monotonic()
    _call_off_search()
    return False


def _strike(cell: Cell, thread: int, zombies: Container[int]) -> bool:
    """Raise in the handler if it is in its own code now. A strike that has not arrived yet is replaced."""
    with _lock:
        # Noted first and looked at then: a handler that returns meanwhile finds the note and
        # waits for the lock, one that had returned before is not there to be struck.
        pending = cell.id in _struck
        _struck[cell.id] = thread
        if cell.id in zombies and _is_in_handler(sys._current_frames().get(thread), cell):
            _raise_in(thread, HandlerBrokenOff)
            return True
        if not pending:
            del _struck[cell.id]
        return False


def disarm(cell: Cell) -> None:
    """Take the exception back if it did not arrive. Called by the cell when the handler has returned."""
    while cell.id in _struck:
        try:
            with _lock:
                _struck.pop(cell.id, None)
                _call_off_search()  # in place of one that has not arrived
        except HandlerBrokenOff:
            continue  # it has arrived just now


def _call_off_search() -> None:
    """Have no thread look for an exception any more.

    Until Python 3.12 one that is raised in a thread has all of them look, at every call and every turn of
    a loop, until one has found its own. Taken back, it is never found: all threads are slower for good, and
    with 3.11 a function that is traced by a debugger never begins. So let this thread find one.
    """
    with contextlib.suppress(HandlerBrokenOff):
        _raise_in(threading.get_ident(), HandlerBrokenOff)
        for _ in range(_LOOKS):
            pass


_LOOKS = 100
"""More than enough turns of a loop for an exception to arrive."""


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _is_in_handler(frame: FrameType | None, cell: Cell) -> bool:
    """Whether a thread is in user code that the runtime called for `cell`, and in nothing else."""
    if frame is None or _is_ours(frame):
        return False
    called = ""
    while frame is not None and not _is_ours(frame):
        called = frame.f_globals.get("__name__", "")
        frame = frame.f_back
    if str(called).partition(".")[0] in _NO_HANDLERS:
        return False  # the runtime itself waits, logs or makes a traceback
    while frame is not None and _is_ours(frame):
        if frame.f_code.co_name in ("crash", "die"):
            return False
        if frame.f_code.co_name == "run" and frame.f_locals.get("self") is cell:
            return True
        frame = frame.f_back
    return False


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return isinstance(name, str) and name.partition(".")[0] == "slither_actors"
