"""A worker's standard error: passed on line by line, its end kept for the post-mortem."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import Final

__all__ = ["StderrTail"]

_LINES: Final = 40
_LINE: Final = 4096
_PIECE: Final = 65536
_PIECES: Final = 16


class StderrTail:
    """The driver's end of one worker's standard error. One owner reads it.

    Binary garbage is shown escaped and a line without end is cut, so that
    whatever a worker writes costs a bounded amount of memory here.
    """

    __slots__ = ("_fd", "_label", "_partial", "_tail")

    def __init__(self, fd: int, label: str) -> None:
        self._fd = fd
        self._label = label
        self._partial = b""
        self._tail: deque[str] = deque(maxlen=_LINES)

    @property
    def text(self) -> str:
        """The last lines, those without a line end included."""
        last = [self._decode(self._partial)] if self._partial else []
        return "\n".join([*self._tail, *last])

    def pump(self) -> bool:
        """Pass on what is there, at most a mebibyte. False when nothing is left for now."""
        for _ in range(_PIECES):
            try:
                data = os.read(self._fd, _PIECE)
            except BlockingIOError:
                return False
            except OSError:
                return False
            if not data:
                return False
            self._take(data)
        return True

    def finish(self) -> None:
        """Pass on the rest; the worker has ended."""
        while self.pump():
            pass
        if self._partial:
            line, self._partial = self._partial, b""
            self._emit([line])

    def _take(self, data: bytes) -> None:
        *lines, rest = (self._partial + data).split(b"\n")
        while len(rest) > _LINE:
            lines.append(rest[:_LINE])
            rest = rest[_LINE:]
        self._partial = rest
        if lines:
            self._emit(lines)

    def _emit(self, lines: list[bytes]) -> None:
        texts = [self._decode(line) for line in lines]
        self._tail.extend(texts)
        stream = sys.stderr
        if stream is None:
            return
        try:
            stream.write("".join(f"{self._label}{text}\n" for text in texts))
            stream.flush()
        except (OSError, ValueError):
            return  # the driver's own standard error is closed: there is nobody to tell

    @staticmethod
    def _decode(line: bytes) -> str:
        return line[:_LINE].decode("utf-8", "backslashreplace").rstrip("\r")
