"""Fork servers that have imported modules of a pool's own.

multiprocessing has one fork server for the whole program, and what that one
imports is settled when it starts, by whoever is first. So a pool with a
``preload`` list gets a server of its own, which pools with the same list
share and which ends with the last of them.
"""

from __future__ import annotations

import contextlib
import multiprocessing.context
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import os
import signal
import sys
import threading
from functools import partial
from types import FunctionType, SimpleNamespace
from typing import Any, Final

from slither_actors.pool._fork_request import connect, feeding
from slither_actors.pool._main_imports import imports_of_main

__all__ = ["PreloadedProcess", "drop_server", "hold_server", "shared_preload", "started_by"]

_OUR_PRELOAD: Final = [
    "slither_actors.pool._worker",
    "slither_actors.pool._inherited",
    "slither_actors.pool._fork_server",
    __name__,
]
"""What every worker needs."""

# Runs in the server before anything else does. It has to be self-contained, as the search path is not set.
# A failure is not told here: a worker imports the same list again, and that one has a driver to tell.
_IMPORTS: Final = """
import importlib, sys
sys.path[:] = path
for name in names:
    try:
        importlib.import_module(name)
    except BaseException:
        pass
"""


class _Modules(list[str]):
    """What a server is told to import; `repr` puts it into the server's command line as an expression.

    The list itself would not do: Python 3.11 looks for its modules before it has the search path, and any
    error but an ImportError ends the server.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(["__main__", *_OUR_PRELOAD])
        self._names = (*imports_of_main(), *names)

    def __repr__(self) -> str:
        path = [each for each in sys.path if isinstance(each, str)]
        given = f"{{'names': {list(self._names)!r}, 'path': {path!r}}}"
        return f"__import__('builtins').exec({_IMPORTS!r}, {given}) or {list(self)!r}"


def shared_preload() -> list[str]:
    """Return what the fork server of multiprocessing is told to import, if it is ours to tell."""
    return _Modules(())


class _Server(multiprocessing.forkserver.ForkServer):
    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.set_forkserver_preload(_Modules(names))
        self.holders = 0
        self.hung: tuple[int, str] = (0, "")
        """The last server process that was given up, and why: others wait for it too."""

    def end(self) -> None:
        """Kill it. A fork of the driver may hold what keeps it alive, so closing that is not enough."""
        with self._lock:  # type: ignore[attr-defined]
            pid = self._forkserver_pid  # type: ignore[attr-defined]
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError, FileNotFoundError):
                    self._stop_unlocked()  # type: ignore[attr-defined]


_lock = threading.Lock()
_servers: dict[tuple[str, ...], _Server] = {}
_chosen = threading.local()


def hold_server(names: tuple[str, ...]) -> None:
    """Have a server for these modules; it starts with the first worker."""
    with _lock:
        _servers.setdefault(names, _Server(names)).holders += 1


def drop_server(names: tuple[str, ...]) -> None:
    """End the server if nobody holds it any more. Its workers have ended."""
    with _lock:
        server = _servers.get(names)
        if server is None:  # this is a fork of the driver
            return
        server.holders -= 1
        if server.holders:
            return
        del _servers[names]
    server.end()


@contextlib.contextmanager
def started_by(names: tuple[str, ...]) -> Any:
    """Within it, a `PreloadedProcess` that this thread starts is forked from the server of these modules.

    Without any that is the one of multiprocessing.
    """
    _chosen.server = _servers[names] if names else multiprocessing.forkserver._forkserver
    try:
        yield
    finally:
        del _chosen.server


class _Popen(multiprocessing.popen_forkserver.Popen):
    """As the one of multiprocessing, but it asks the server that was chosen, and does not wait for it.

    A server that is stopped, or hangs in an import, must not hang its driver.
    """

    server: Any
    server_pid: int

    def _launch(self, process: Any) -> None:
        module = multiprocessing.popen_forkserver
        server = _chosen.server
        asked = SimpleNamespace(
            connect_to_new_process=partial(connect, server),
            read_signed=lambda _fd: 0,  # it is read later
        )
        # The same code with another server: `forkserver` is a global of its module.
        launch = FunctionType(
            module.Popen._launch.__code__,  # type: ignore[attr-defined]
            {**vars(module), "forkserver": asked, "open": feeding},
        )
        self.server = server
        launch(self, process)
        self.server_pid = server._forkserver_pid

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit status; None while there is none, also where the process is not made yet."""
        if not self.pid:
            return None
        found: int | None = super().poll(flag)
        return found

    def read_answer(self) -> int:
        """Return the pid of the new process, which the server writes as soon as it has forked it.

        Raises:
            OSError: the server has ended and made none.
        """
        try:
            self.pid = multiprocessing.forkserver.read_signed(self.sentinel)
        except EOFError:
            pid, why = getattr(self.server, "hung", (0, ""))
            if pid == self.server_pid:
                raise TimeoutError(why) from None
            msg = f"the fork server (process {self.server_pid}) ended before it had made the worker"
            raise ConnectionResetError(msg) from None
        return self.pid

    def give_up(self, timeout: float) -> TimeoutError:
        """Return the error of a server that did not answer in time. One of ours is ended."""
        own = isinstance(self.server, _Server)
        msg = f"the fork server (process {self.server_pid}) did not answer within {timeout:g} s: " + (
            "a module of the preload list hangs when it is imported, or something has stopped the process"
            if own
            else "it is stopped, or hangs in the import of the program's main module"
        )
        if own and self.server._forkserver_pid == self.server_pid:
            self.server.hung = (self.server_pid, msg)
            self.server.end()
        return TimeoutError(msg)


class PreloadedProcess(multiprocessing.context.ForkServerProcess):
    """A process that is forked from the server of `started_by`, which has to answer in time."""

    @staticmethod
    def _Popen(process: Any) -> Any:  # noqa: N802 - multiprocessing's name
        return _Popen(process)


def _after_fork_in_child() -> None:
    """The servers are the driver's: let go of what keeps them alive."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    for server in _servers.values():
        fd = server._forkserver_alive_fd  # type: ignore[attr-defined]
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
