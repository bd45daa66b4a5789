"""Where an exception of a signal handler may be raised in the main thread.

A signal handler runs between any two instructions of the main thread, so what
it raises may strike inside the runtime: after a message was put into a mailbox
and before a thread was woken for it, say. `may_interrupt` looks at the frames
that were interrupted, and says yes in the program's own code, in a wait, and in
a callback of the user's that runs in the main thread; everywhere else the
handler has to come back a moment later. The marks below are sets of code
objects: they cost nothing until a signal comes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

import pykka

__all__ = ["calls_out", "is_critical", "may_interrupt", "waits"]

F = TypeVar("F", bound=Callable[..., Any])

_waiting: set[CodeType] = set()
_calling: set[CodeType] = set()


def waits(function: F) -> F:
    """Mark a function that waits, and that an exception may leave from any line of its own."""
    _waiting.add(function.__code__)
    return function


def calls_out(function: F) -> F:
    """Mark a function whose callers are prepared for whatever the user's code that it calls raises."""
    code = function.__code__
    # Comprehensions in it as well: until Python 3.12 they are functions of their own.
    _calling.update((code, *(each for each in code.co_consts if isinstance(each, CodeType))))
    return function


def may_interrupt(frame: FrameType | None) -> bool:
    """Whether an exception may be raised in the interrupted `frame`."""
    each = frame
    while each is not None:
        if each.f_code.co_name == "__del__":
            return False  # it would be printed and lost
        each = each.f_back
    return not is_critical(frame)


def is_critical(frame: FrameType | None) -> bool:
    """Whether the code in `frame`, or what called it, is in the middle of something of the runtime's."""
    innermost, users = frame, False
    while frame is not None:
        code = frame.f_code
        if _is_ours(code):
            if users:
                return code.co_filename.startswith(_STRICT) and code not in _calling and code not in _waiting
            at_rest = frame is innermost or _waits_for_condition(innermost)
            return not (at_rest and code in _waiting)
        users = users or not _is_neutral(code)
        frame = frame.f_back
    return False


def _folder(module: Any) -> str:
    return f"{Path(module.__file__).parent}{os.sep}"


_OURS = f"{Path(__file__).parent.parent}{os.sep}"
_USERS = (f"{_OURS}examples{os.sep}", f"{_OURS}_cli{os.sep}")
"""Programs that come with the package, and are like any other one."""

_STRICT = (f"{_OURS}actors{os.sep}", f"{_OURS}telemetry{os.sep}")
"""Where code of the user's that is called is not let raise, unless the caller is marked: a log handler,
a receiver of events, the ``__eq__`` of a name. On other floors it may raise anything at any time."""

_STANDARD = _folder(threading)
_INSTALLED = (f"{_STANDARD}site-packages{os.sep}", f"{_STANDARD}dist-packages{os.sep}")
_NEUTRAL = (_folder(pykka), "<frozen ", "<attrs generated")
"""Code that belongs to whoever called it, as the standard library's does."""


def _is_ours(code: CodeType) -> bool:
    name = code.co_filename
    return name.startswith(_OURS) and not name.startswith(_USERS)


def _is_neutral(code: CodeType) -> bool:
    name = code.co_filename
    return name.startswith(_NEUTRAL) or (name.startswith(_STANDARD) and not name.startswith(_INSTALLED))


def _first_try(code: CodeType) -> range:
    """The instructions of the first ``try`` block of a function, from its exception table.

    Source: https://github.com/python/cpython/blob/main/InternalDocs/exception_handling.md
    """
    numbers, value = [], 0
    for byte in code.co_exceptiontable:
        value = value << 6 | byte & 0o77
        if not byte & 0o100:
            numbers.append(value * 2)
            value = 0
    start, length = numbers[:2]
    return range(start, start + length)


_CONDITION_WAIT = threading.Condition.wait.__code__
_CONDITION_TRY = _first_try(_CONDITION_WAIT)
"""Here a condition has given its lock away, and whatever is raised takes it again."""


def _waits_for_condition(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code is _CONDITION_WAIT and frame.f_lasti in _CONDITION_TRY
