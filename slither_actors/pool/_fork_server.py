"""Imported by the fork server only: it outlives a SIGTERM that reaches the whole program.

A service manager sends SIGTERM to every process of a program, and to the fork
server among them. Its end would be its children's, in the middle of their
batches, while their driver still drains. It ends when its driver does; that
needs no signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

import slither_actors.context  # noqa: F401 - a worker whose function takes its context unpickles one

with contextlib.suppress(ImportError):
    import ctypes  # noqa: F401 - every worker wants it, for the standard output of native code


def _stay(_number: int, _frame: FrameType | None) -> None:
    """Not SIG_IGN, which programs that a child starts would inherit."""


def _hold() -> None:
    """Before a fork: what is sent to the child before it has its handler has to wait, not to be ignored."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _forget() -> None:
    # What the fork server starts may not be ours, and has to be as it would be without us.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _release()


if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, _stay)
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_forget)
