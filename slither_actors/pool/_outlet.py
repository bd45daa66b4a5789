"""What a worker says besides its results, from the worker: standard streams, log records, warnings.

Nothing of it goes through the socket of the results. Standard output and
standard error are pipes, so that native code and programs that the batch starts
are heard as well. Log records go through a socket of their own that keeps
messages apart: threads, signal handlers and forked children may log at any
moment without a lock and without a torn record, and a record that was sent is
there after a crash. It is no pipe also because a program that closes
descriptors which are not its own, and gets the number again for a file, is not
to find log records in that file.

Rejected: a handler on the root logger. It would make a ``logging.basicConfig``
of the user's worker code do nothing, ``dictConfig`` would take it off, and
loggers that do not propagate would never reach it. So records are sent where
every logger hands them out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import socket
import sys
import threading
import time
from typing import Any, Final

from slither_actors.pool._board import Board
from slither_actors.pool._log_levels import LogLevels
from slither_actors.pool._log_records import pack
from slither_actors.pool._quota import Quota

__all__ = ["RECORDS_PER_SECOND", "Outlet", "quiet_outlet"]

RECORDS_PER_SECOND: Final = 1000
"""Log records that one worker may send in a second; the rest is counted."""

_PATIENCE: Final = 0.5
"""Seconds for which a record waits for room. When nobody has read for so long, records are left out."""

_FLAGS: Final = getattr(socket, "MSG_NOSIGNAL", 0)


class _Noting(io.FileIO):
    """Standard output or error, that notes when something was said."""

    def __init__(self, fd: int, outlet: Outlet) -> None:
        super().__init__(fd, "wb", closefd=False)
        self.name = ("<stdin>", "<stdout>", "<stderr>")[fd]
        self._outlet = outlet

    def write(self, data: Any) -> int:
        self._outlet.said = True
        return super().write(data)


class Outlet:
    """The voice of one worker. From any of its threads."""

    def __init__(self, board: Board | None = None) -> None:
        self.said = False
        """Something was said since the last `settle`: the driver is to be told before the result is."""
        self._board = board
        self._sock: socket.socket | None = None
        self._dropped = self._told = 0
        self._quota = Quota(RECORDS_PER_SECOND)
        self._waits = True
        self._is_child = False
        # Reentrant: a signal handler may log while a record is being sent.
        self._lock = threading.RLock()

    def take_streams(self) -> None:
        """Make standard output and error line-buffered, in Python and in C, and notice what is said."""
        for fd, name in ((1, "stdout"), (2, "stderr")):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                getattr(sys, name).flush()
            with contextlib.suppress(OSError, ValueError):
                buffer = io.BufferedWriter(_Noting(fd, self))
                text = io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=True)
                setattr(sys, name, text)
                setattr(sys, f"__{name}__", text)
        _line_buffer_c_output()

    def take_logging(self, sock: socket.socket, levels: LogLevels) -> None:
        """Send the records of every logger, and warnings, to the driver."""
        self._sock = sock
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.setblocking(False)
        levels.apply()
        logging.captureWarnings(True)
        os.register_at_fork(after_in_child=self._after_fork_in_child)
        hand_out = logging.Logger.callHandlers

        def call_handlers(logger: Any, record: logging.LogRecord) -> None:
            self.send(record)
            hand_out(logger, record)

        setattr(logging.Logger, "callHandlers", call_handlers)  # noqa: B010
        # The driver shows it; without this, records that no handler of the worker takes would be shown twice.
        logging.lastResort = logging.NullHandler()

    def send(self, record: logging.LogRecord | None) -> None:
        """Send a record, or without one how many were left out. Never raises, never waits for long."""
        if self._sock is None:
            return
        self.said = True
        with self._lock:
            allowed = record is None or self._quota.take(1, time.monotonic())
            if not allowed:
                self._drop()
                return
            dropped = self._dropped
        ref = 0 if self._board is None else self._board.read().ref
        try:
            data = pack(record, ref, dropped)
            self._put(self._sock, data)
        except (ConnectionError, ValueError, MemoryError):
            return  # the driver is gone, or there is no socket any more
        except (OSError, RecursionError):  # nobody reads: do not wait again until somebody does
            with self._lock:
                self._waits = False
                if record is not None:
                    self._drop()
            return
        with self._lock:
            self._waits = True
            self._told = max(self._told, dropped)

    def _put(self, sock: socket.socket, data: bytes) -> None:
        try:
            sock.send(data, _FLAGS)
            return
        except BlockingIOError:
            if not self._waits:
                raise
        deadline = time.monotonic() + _PATIENCE
        room = select.poll()
        room.register(sock, select.POLLOUT)
        while True:
            room.poll(max(0.0, deadline - time.monotonic()) * 1000)
            try:
                sock.send(data, _FLAGS)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise

    def _drop(self) -> None:
        if self._is_child:  # the count is the worker's: one word on the board, written by one process
            return
        self._dropped += 1
        if self._board is not None:
            self._board.note_dropped(self._dropped)

    def settle(self) -> None:
        """The batch has ended: say what was left out."""
        self.said = False
        if self._dropped > self._told:
            self.send(None)
            self.said = False

    def _after_fork_in_child(self) -> None:
        self._lock = threading.RLock()  # another thread may hold the old one, and is not here
        self._is_child = True
        self._dropped = self._told = 0


def _line_buffer_c_output() -> None:
    """What native code prints is to be seen when it prints it: into a pipe, C would keep it for later.

    Kept for later it would be lost, too: workers end without C's clean-up.
    """
    try:
        import ctypes  # noqa: PLC0415 - the fork server has imported it

        libc = ctypes.CDLL(None)
        symbol = "__stdoutp" if sys.platform == "darwin" else "stdout"
        stream = ctypes.c_void_p.in_dll(libc, symbol)
        line_buffered = 1
        libc.setvbuf(stream, None, line_buffered, ctypes.c_size_t(0))
    except (ImportError, OSError, ValueError, AttributeError):
        return  # another C library: its output comes when its buffer is full


quiet_outlet: Final = Outlet()
"""An outlet that says nothing."""
