"""One worker process: how it is started, killed, reaped and forgotten.

The driver holds five things of it: one end of a private socket pair, the ends
of what it says besides (`_outputs`), a page of shared memory (`_board`), a
descriptor that becomes readable when it has ended, and its process group.

A worker is never forked from the driver, whose threads may hold any lock at
that moment: a fork server makes it, or a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.process
import os
import select
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from multiprocessing import reduction
from pathlib import Path
from typing import Any, Final

from slither_actors.pool import _worker
from slither_actors.pool._board import Board
from slither_actors.pool._guard import guard
from slither_actors.pool._inherited import Inherited
from slither_actors.pool._log_levels import LogLevels
from slither_actors.pool._outputs import Outputs
from slither_actors.pool._preloading import PreloadedProcess, shared_preload, started_by
from slither_actors.pool._segments import AVAILABLE
from slither_actors.pool._vitals import Vitals

__all__ = ["START_METHODS", "WorkerProcess", "default_start_method"]

START_METHODS: Final = ("forkserver", "spawn")

# Runs in the worker before anything else does, the import of the user's __main__ included, so
# that what fails there is on the standard error that we read. Self-contained: sys.path is not set yet.
# Handlers that do nothing instead of SIG_IGN, which programs that the worker starts would inherit.
# SIGTERM is ignored too: service managers send it to every process, and a worker whose driver
# drains has to finish its batch; the driver ends it through the socket, or with SIGKILL.
_PRELUDE: Final = """
import faulthandler, os, signal
os.setsid()
signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
for fd, place in ((out.detach(), 1), (err.detach(), 2)):
    if fd != place:
        os.dup2(fd, place)
        os.close(fd)
faulthandler.enable(2)
"""

_live: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


def default_start_method() -> str:
    """The fork server where there is one; it starts a worker in milliseconds."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class _NameWithPrelude(str):
    """The process's name, whose unpickling runs the prelude.

    multiprocessing has no hook for what runs first in a child. The name is the
    first thing of ours that a child unpickles, before it imports ``__main__``.
    Were that to change, the prelude would run somewhat later and nothing break.
    """

    streams: tuple[int, int] | None = None
    """Standard output and standard error of the child."""

    def __reduce__(self) -> tuple[Any, ...]:
        if self.streams is None:
            return str, (str(self),)
        out, err = map(reduction.DupFd, self.streams)
        self.streams = None  # the name is pickled twice, the prelude runs once
        names = {"prelude": _PRELUDE, "out": out, "err": err, "name": str(self)}
        return eval, ("exec(prelude, {'out': out, 'err': err}) or name", names)


class WorkerProcess:
    """A worker process, from the driver. Not thread-safe: its pool is the only caller.

    `close` may be called at any time, from anywhere, more than once.
    """

    def __init__(
        self,
        pool: str,
        slot: int,
        method: str,
        preload: tuple[str, ...] = (),
        *,
        segments: bool = AVAILABLE,
        logging: bool = False,
    ) -> None:
        """Start the process; it takes frames at once and says READY when it runs.

        A fork server is only asked for it: `pid` is 0 until `take_answer` has its answer.

        With `preload`, and the fork server, it is forked from the server of these modules, which is held.
        With `segments` it can be sent shared memory, with `logging` its log records come to this process's
        loggers.

        Raises:
            OSError: out of descriptors, processes or memory.
            RuntimeError: the program starts workers while it is being imported by one.
        """
        self.pid = 0
        self._label = (pool, slot)
        self.vitals = Vitals(0)
        self.started_at = time.monotonic()
        self.sock: socket.socket | None = None
        self.board: Board | None = None
        self.segment_sock: socket.socket | None = None
        """Only descriptors of shared memory go through it."""
        self.outputs = Outputs(logs=logging)
        self.sentinel = -1
        self._pidfd = -1
        self._exitcode: int | None = None
        self._ended = False
        self._process: Any = None
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            ours.callback(self.close)
            shared = self._open_lines(theirs, segments=segments)
            levels = LogLevels.read() if logging else None
            self._start(method, preload, (*shared, self.outputs.worker_log, levels))
            ours.pop_all()

    def _open_lines(self, theirs: contextlib.ExitStack, *, segments: bool) -> tuple[Any, ...]:
        """Open what driver and worker will share; return the worker's part, which `theirs` closes here."""
        theirs.callback(self.outputs.close_worker_ends)
        self.sock, worker_end = socket.socketpair()
        self.sock.setblocking(False)
        theirs.callback(worker_end.close)
        self.board = Board.create()
        theirs.callback(self.board.close_fd)
        worker_segments = None
        if segments:
            self.segment_sock, worker_segments = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.segment_sock.setblocking(False)
            theirs.callback(worker_segments.close)
        return worker_end, Inherited(self.board.fd), worker_segments

    def _start(self, method: str, preload: tuple[str, ...], arguments: tuple[Any, ...]) -> None:
        """Have multiprocessing start the process, or ask its fork server for it."""
        context: Any = multiprocessing.get_context(method)
        pool, slot = self._label
        out, err, *_ = self.outputs.worker_ends
        name = _NameWithPrelude(f"slither worker {pool}/{slot}")
        name.streams = (out, err)
        forked = method == "forkserver"
        kind: Any = PreloadedProcess if forked else context.Process
        process = kind(target=_worker.main, args=arguments, name=name)
        with contextlib.ExitStack() as server:
            if forked:
                if not preload:
                    _prepare_fork_server(context)
                server.enter_context(started_by(preload))
            _require_descriptors(out)
            with _sigint_blocked(method == "spawn"), _unimportable_main_hidden():
                process.start()
            # multiprocessing would join it at exit, and poll it whenever any process is started. At
            # exit the runtime stops the pools, and what that leaves over is the guard's.
            getattr(multiprocessing.process, "_children", set()).discard(process)
            self._process = process
            _live.add(self)
            if forked:
                self.sentinel = process.sentinel
            else:
                self._take_pid(process.pid)
                self.sentinel = self._open_sentinel()

    def _take_pid(self, pid: int) -> None:
        self.pid = pid
        guard.add(pid)
        self.outputs.open(*self._label, pid)
        self.vitals = Vitals(pid)

    def take_answer(self) -> bool:
        """Whether the process has been made, as far as is known now. Does not wait.

        The answer can be read from `sentinel`.

        Raises:
            OSError: it has not, and will not be.
        """
        if not self.pid and _is_readable(self.sentinel, 0):
            self._take_pid(self._process._popen.read_answer())
        return self.pid != 0

    def unanswered(self, timeout: float) -> TimeoutError:
        """Return why no process was made in `timeout` seconds; a fork server of ours is given up."""
        error: TimeoutError = self._process._popen.give_up(timeout)
        return error

    def _open_sentinel(self) -> int:
        if hasattr(os, "pidfd_open"):
            # The pipe of a spawned process stays open in whatever it forks; the process itself does not lie.
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(self.pid)
                return self._pidfd
        sentinel: int = self._process.sentinel
        return sentinel

    @property
    def exitcode(self) -> int | None:
        """The exit status, minus the signal; None while it runs, or where it was not to be had."""
        if self._exitcode is None and self._process is not None:
            self._exitcode = self._process.exitcode
        return self._exitcode

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._ended or self.wait(0)

    def wait(self, timeout: float) -> bool:
        """Wait until the process has ended; False if it has not in `timeout` seconds."""
        if self._ended or self.sentinel < 0:
            return True
        if not _is_readable(self.sentinel, timeout):
            return False
        self._ended = True
        _ = self.exitcode  # reaps
        return True

    def kill(self) -> None:
        """Kill the worker and everything in its process group."""
        if not self.pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if not self._ended:  # it may not have made its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self, timeout: float = 2.0) -> bool:
        """Kill what is left of it and free everything. False if it would not die in `timeout` seconds.

        One that is not made yet will end by itself, as nobody is at its socket.
        """
        if not self.pid and self.sentinel >= 0:
            with contextlib.suppress(OSError):
                self.take_answer()
        self.kill()
        died = self.wait(timeout) if self.pid else True
        if self.pid and died:
            guard.remove(self.pid)
        self._close_descriptors()
        process, self._process = self._process, None
        if process is not None:
            try:
                process.close()
            except ValueError:  # somebody else reaped it, or it does not die: only the descriptors are ours
                popen = getattr(process, "_popen", None)
                if popen is not None:
                    popen.close()
        _live.discard(self)
        return died

    def _close_descriptors(self) -> None:
        self.sentinel = -1
        for sock in (self.sock, self.segment_sock):
            if sock is not None:
                sock.close()
        self.outputs.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        if self.board is not None:
            self.board.close()
            self.board = None

    def forget_in_child(self) -> None:
        """In a fork of the driver: let go of what keeps the worker from seeing the driver's end."""
        self.pid = 0
        self._process = None
        with contextlib.suppress(OSError):
            self._close_descriptors()


def _is_readable(fd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout) * 1000))


_NEEDED_TO_START: Final = 10
"""A socket and two pipes, and as much again where multiprocessing starts a server of its own."""


def _require_descriptors(fd: int) -> None:
    """Fail before multiprocessing does: its client of the fork server loses a pipe with each failure.

    A pool tries again, and what is lost each time would make a shortage that passes one that stays.

    Raises:
        OSError: out of descriptors.
    """
    with contextlib.ExitStack() as spare:
        for _ in range(_NEEDED_TO_START):
            spare.callback(os.close, os.dup(fd))


def _prepare_fork_server(context: Any) -> None:
    """Have the fork server import what every worker needs, unless the program has its own list."""
    server = getattr(multiprocessing.forkserver, "_forkserver", None)
    if server is None or getattr(server, "_forkserver_pid", None) is not None:
        return
    if getattr(server, "_preload_modules", None) == ["__main__"]:
        context.set_forkserver_preload(shared_preload())


@contextlib.contextmanager
def _sigint_blocked(wanted: bool) -> Iterator[None]:
    """Start a process that cannot be interrupted before its prelude has run.

    Not for the fork server: it would pass the mask on to processes that are not ours.
    """
    if not wanted:
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


_hiding_main = threading.Lock()


@contextlib.contextmanager
def _unimportable_main_hidden() -> Iterator[None]:
    """Start a process of a program that is read from standard input.

    Its ``__main__.__file__`` is ``"<stdin>"``, which multiprocessing would have each child run.
    """
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or getattr(main, "__spec__", None) is not None or Path(path).exists():
        yield
        return
    with _hiding_main:
        del main.__file__
        try:
            yield
        finally:
            main.__file__ = path


def _after_fork_in_child() -> None:
    for process in list(_live):
        process.forget_in_child()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

if sys.platform == "win32":  # pragma: no cover
    raise ImportError("worker pools need process groups and Unix sockets; Windows has neither")
