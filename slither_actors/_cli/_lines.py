"""The lines of a file or of standard input, in constant memory, stoppable from outside.

Read by one thread, an actor's; `stop` and the counters are for any other.
Not a file object: a thread that waits in one for a quiet pipe cannot be told
to give up, and holds a lock that the interpreter wants at its end.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from slither_actors.errors import InputError

__all__ = ["MAX_LINE", "Line", "LineSource"]

MAX_LINE: Final = 16 * 2**20
"""Bytes of the longest line that is taken."""

_CHUNK: Final = 2**18


@attrs.frozen
class Line:
    """One line."""

    number: int
    """Counts from one."""

    data: bytes | None
    """Without its end; None where it is longer than `MAX_LINE`."""


class LineSource:
    """An open input.

    Args:
        path: a file, or ``"-"`` for standard input.

    Raises:
        InputError: it is missing, not readable, or a folder.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        """How messages call it."""
        self._fd, self._owned = _open(path)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        status = os.fstat(self._fd)
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
        """Bytes of a regular file, else None."""
        self._waits = self.size is None
        self.bytes_read = 0
        self.stopped = False
        """Whether `stop` was called."""

    def fraction(self) -> float | None:
        """How much of the input is read, 0 to 1; None where that is not known."""
        return self.bytes_read / self.size if self.size else None

    def is_same_file(self, path: Path) -> bool:
        """Whether `path` is the file that is read."""
        try:
            return self.size is not None and os.path.samestat(os.fstat(self._fd), path.stat())
        except OSError:
            return False

    def stop(self) -> None:
        """Make the input end here. Safe in a signal handler."""
        self.stopped = True
        try:
            os.write(self._wake_write, b"!")
        except OSError:  # full or closed: it is awake already
            return

    def close(self) -> None:
        """Free the descriptors. Nobody may read any more."""
        fds = [self._wake_read, self._wake_write, *([self._fd] if self._owned else [])]
        self._fd = self._wake_read = self._wake_write = -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def _chunks(self) -> Iterator[bytes]:
        while not self.stopped:
            if self._waits:
                ready, _, _ = select.select([self._fd, self._wake_read], [], [])
                if self._wake_read in ready:
                    return
            try:
                chunk = os.read(self._fd, _CHUNK)
            except BlockingIOError:  # somebody else took it
                continue
            except OSError as error:
                raise InputError(self.name, f"cannot be read: {error.strerror}") from error
            if not chunk:
                return
            self.bytes_read += len(chunk)
            yield chunk

    def __iter__(self) -> Iterator[Line]:
        number = 0
        rest: list[bytes] = []  # the beginning of a line whose end has not come
        held = 0
        too_long = False  # such a line is given out before its end
        for chunk in self._chunks():
            first, *others = chunk.split(b"\n")
            if not others:
                told = too_long
                rest, held, too_long = _extended(rest, held, too_long, first)
                if too_long and not told:  # at once: it may never end
                    yield Line(number + 1, None)
                continue
            number += 1
            told = too_long
            rest, held, too_long = _extended(rest, held, too_long, first)
            if not told:
                yield Line(number, None if too_long else b"".join(rest))
            for data in others[:-1]:
                if self.stopped:
                    return
                number += 1
                yield Line(number, data)
            rest, held, too_long = _extended([], 0, False, others[-1])
        # Half a line, of an input that was stopped, is none.
        if held and not too_long and not self.stopped:
            yield Line(number + 1, b"".join(rest))


def _extended(rest: list[bytes], held: int, too_long: bool, more: bytes) -> tuple[list[bytes], int, bool]:
    held += len(more)
    if too_long or held > MAX_LINE:
        return [], 0, True
    if more:
        rest.append(more)
    return rest, held, False


def _open(path: str) -> tuple[int, bool]:
    if path == "-":
        try:
            return _standard_input(), False
        except (OSError, ValueError, AttributeError):
            raise InputError("standard input", "is closed") from None
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null byte in the name
        raise InputError(repr(path), f"cannot be read: {error}") from error
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise InputError(path, "is a folder; give a file")
    return fd, True


def _standard_input() -> int:
    fd = sys.stdin.fileno()
    os.fstat(fd)
    return fd
