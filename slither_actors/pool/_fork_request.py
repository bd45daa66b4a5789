"""What a fork server is asked with, by somebody who must not wait for it.

multiprocessing waits twice where a server is stopped, or hangs in an import: for
its queue of connections to have room, which 128 requests fill, and for a pipe to
take what the new process is to read, which is more than a pipe holds when the
program has a long command line.
"""

from __future__ import annotations

import contextlib
import multiprocessing.forkserver
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from types import FunctionType, SimpleNamespace
from typing import Any, Final

__all__ = ["connect", "feeding"]

_CONNECT_SECONDS: Final = 0.5
"""How long a server may take to have room for a request. A healthy one takes some milliseconds for each."""

_PIPE_BYTES: Final = 65_536
"""A pipe takes as much while nobody reads. Where it takes less there is a reader, or none was needed."""


_full: set[int] = set()
"""Servers that had no room for the last request. They are not waited for a second time."""


class _ImpatientSocket(socket.socket):
    """A socket for a request. `settimeout` would not do: what connects to a full queue would fail at once."""

    patience = _CONNECT_SECONDS

    def connect(self, address: Any) -> None:
        microseconds = max(1, int(self.patience * 1_000_000))  # zero would be for ever
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, microseconds))
        super().connect(address)


class _HastySocket(_ImpatientSocket):
    patience = 0.0


def connect(server: Any, fds: Sequence[int]) -> tuple[int, int]:
    """As `server.connect_to_new_process`, but for a limited time.

    Raises:
        OSError: the server has no room for a request, or does not run.
    """
    server.ensure_running()
    pid = server._forkserver_pid
    kind = _HastySocket if pid in _full else _ImpatientSocket
    module = multiprocessing.forkserver
    ask = FunctionType(
        module.ForkServer.connect_to_new_process.__code__,
        {**vars(module), "socket": SimpleNamespace(socket=kind, AF_UNIX=socket.AF_UNIX)},
    )
    try:
        found: tuple[int, int] = ask(server, fds)
    except BlockingIOError as error:
        _full.add(pid)
        msg = (
            f"the fork server (process {pid}) takes no more requests: it is stopped, or hangs, and too many "
            "workers wait for it"
        )
        raise TimeoutError(msg) from error
    _full.discard(pid)
    return found


@contextlib.contextmanager
def feeding(fd: int, mode: str, *, closefd: bool = True) -> Iterator[Any]:
    """As `open(fd, "wb")`, for one `write`; one of more than a pipe holds is not waited for."""
    yield SimpleNamespace(write=lambda data: _write(fd, bytes(data)))


def _write(fd: int, data: bytes) -> None:
    if len(data) <= _PIPE_BYTES:
        _write_all(fd, data)
    else:
        thread = threading.Thread(target=_write_all, args=(fd, data), name="slither-feed", daemon=True)
        try:
            thread.start()
        except BaseException:
            os.close(fd)
            raise


def _write_all(fd: int, data: bytes) -> None:
    # One who has ended reads no more. That it has ended is for others to find.
    with contextlib.suppress(BrokenPipeError), open(fd, "wb") as file:
        file.write(data)
