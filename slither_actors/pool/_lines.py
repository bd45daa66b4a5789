"""A worker's standard output or standard error: passed on line by line, with a label, within bounds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import Final

from slither_actors.pool._quota import Quota

__all__ = ["LINE_BYTES", "OUTPUT_PER_SECOND", "Lines"]

LINE_BYTES: Final = 4096
"""A line that is longer, or has no end, is cut into lines of this size."""

OUTPUT_PER_SECOND: Final = 256 * 1024
"""Bytes that one stream of one worker may show in a second, labels included; the rest is counted."""

_TAIL: Final = 65536
"""Bytes kept for the post-mortem: a faulthandler's dump of many threads is long."""

_PIECE: Final = 65536
_PIECES: Final = 16


class Lines:
    """The driver's end of one of a worker's streams. One owner reads it.

    Binary garbage is shown escaped, a line without end is cut and a flood is
    counted, so that whatever a worker writes costs a bounded amount of memory
    and of the reader's patience. What was not shown is still in the tail.
    """

    __slots__ = (
        "_dropped_bytes",
        "_dropped_lines",
        "_fd",
        "_keep",
        "_label",
        "_partial",
        "_quota",
        "_stream",
        "_tail",
        "ended",
    )

    def __init__(self, fd: int, label: str, stream: str, *, keep: bool = False) -> None:
        """Pass on what comes from `fd` to ``sys.<stream>``; `keep` its end for the post-mortem."""
        self.ended = False
        """Nothing more can come: all writers have closed it."""
        self._fd = fd
        self._label = label
        self._stream = stream
        self._keep = keep
        self._tail = bytearray()
        self._partial = b""
        self._quota = Quota(OUTPUT_PER_SECOND)
        self._dropped_lines = self._dropped_bytes = 0

    @property
    def tail(self) -> bytes:
        """The last bytes, if they are kept."""
        return bytes(self._tail[-_TAIL:])

    @property
    def unsaid(self) -> bool:
        """Whether part of a line, or a count of what was left out, waits for `flush`."""
        return bool(self._partial or self._dropped_bytes)

    def pump(self) -> bool:
        """Pass on what is there, at most a mebibyte. False when nothing is left for now."""
        for _ in range(_PIECES):
            try:
                data = os.read(self._fd, _PIECE)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return False
            self._take(data)
        return True

    def flush(self) -> None:
        """Pass on a line that has no end yet, and say what was left out."""
        if self._partial:
            line, self._partial = self._partial, b""
            self._pass_on([line], time.monotonic())
        if self._dropped_bytes:
            self._show([self._note()])

    def say(self, text: str) -> None:
        """Show something of our own as if the worker had written it."""
        self._pass_on(text.encode("utf-8", "backslashreplace").split(b"\n"), time.monotonic())

    def _take(self, data: bytes) -> None:
        if self._keep:
            self._tail += data
            if len(self._tail) > 2 * _TAIL:
                del self._tail[:-_TAIL]
        now = time.monotonic()
        if self._quota.is_spent(now):
            self._leave_out(data)
            return
        *lines, rest = (self._partial + data).split(b"\n")
        while len(rest) > LINE_BYTES:
            cut = _character_boundary(rest)
            lines.append(rest[:cut])
            rest = rest[cut:]
        self._partial = rest
        if lines:
            self._pass_on(lines, now)

    def _leave_out(self, data: bytes) -> None:
        """Count, without a look at each line: a flood is to cost next to nothing."""
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            self._dropped_lines += data.count(b"\n")
            self._dropped_bytes += len(self._partial) + end
        else:
            rest = self._partial + rest
        if len(rest) > LINE_BYTES:
            self._dropped_bytes += len(rest)
            rest = b""
        self._partial = rest

    def _pass_on(self, lines: list[bytes], now: float) -> None:
        texts: list[str] = []
        for index, line in enumerate(lines):
            if not self._quota.take(min(len(line), LINE_BYTES) + len(self._label), now):
                self._dropped_lines += len(lines) - index
                self._dropped_bytes += sum(len(line) + 1 for line in lines[index:])
                break
            if self._dropped_bytes:
                texts.append(self._note())
            texts.append(_decode(line))
        if texts:
            self._show(texts)

    def _note(self) -> str:
        lines, size = self._dropped_lines, self._dropped_bytes
        self._dropped_lines = self._dropped_bytes = 0
        limit = f"more than {OUTPUT_PER_SECOND:,} bytes in a second"
        return f"... {lines:,} lines ({size:,} bytes) left out: {limit}"

    def _show(self, texts: Iterable[str]) -> None:
        stream = getattr(sys, self._stream)
        if stream is None:
            return
        shown = "".join(f"{self._label}{text}\n" for text in texts)
        try:
            try:
                stream.write(shown)
            except UnicodeEncodeError:  # the driver's terminal knows fewer characters than the worker
                encoding = getattr(stream, "encoding", None) or "ascii"
                stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except Exception:  # noqa: BLE001 - closed, full, or the user's own object: there is nobody to tell
            return


def _character_boundary(line: bytes) -> int:
    """Where to cut a long line: not in the middle of a character, if it is UTF-8."""
    cut = LINE_BYTES
    while cut > LINE_BYTES - 3 and line[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut if line[cut] & 0xC0 != 0x80 else LINE_BYTES


def _decode(line: bytes) -> str:
    """The line as a terminal would leave it: a progress bar writes over itself with carriage returns."""
    text = line[:LINE_BYTES].decode("utf-8", "backslashreplace").rstrip("\r")
    return text.rpartition("\r")[2]
