"""How far a run has come, on a terminal.

`progress` decides: nothing at all where the stream is no terminal, so that log
files and pipes stay clean, and one line that rewrites itself where it is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

__all__ = ["LineProgress", "NoProgress", "Progress", "progress"]

_SECONDS_BETWEEN = 0.1
_BAR = 24
_CLEAR_LINE = "\r\x1b[K"

Fraction = Callable[[], float | None]
"""Tells how much is done, 0 to 1; None where the end is not known."""


class Progress(Protocol):
    """Counts what is done. Not thread-safe: one thread advances it."""

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""

    def close(self) -> None:
        """Leave the terminal as it was. Closing again does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NoProgress:
    """Shows nothing."""

    def advance(self, count: int = 1) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LineProgress:
    """A line that is rewritten at most ten times a second, and wiped at the end."""

    def __init__(
        self,
        label: str,
        stream: TextIO,
        *,
        fraction: Fraction | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._stream = stream
        self._fraction = fraction
        self._clock = clock
        self._began = clock()
        self._due = self._began
        self._closed = False
        self.count = 0
        """How many are done."""

    def advance(self, count: int = 1) -> None:
        """`count` more are done; the line is drawn if it is time to."""
        self.count += count
        now = self._clock()
        if now >= self._due and not self._closed:
            self._due = now + _SECONDS_BETWEEN
            self._write(f"{_CLEAR_LINE}{self._line(now)}")

    def _line(self, now: float) -> str:
        rate = self.count / max(now - self._began, 1e-9)
        text = f"{self._label}  {self.count:,} items  {rate:,.0f}/s"
        done = None if self._fraction is None else self._fraction()
        if done is None:
            return text
        filled = round(_BAR * min(max(done, 0.0), 1.0))
        return f"{text}  [{'#' * filled}{'.' * (_BAR - filled)}] {done:.0%}"

    def close(self) -> None:
        """Wipe the line."""
        if not self._closed:
            self._closed = True
            if self._due > self._began:
                self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal is gone; the run is not
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def progress(label: str, stream: TextIO | None, *, fraction: Fraction | None = None) -> Progress:
    """Return what shows how far a run has come: a line on a terminal, else nothing.

    Args:
        label: what runs, in a word or two.
        stream: mostly ``sys.stderr``; None is no terminal.
        fraction: tells how much is done; without it only the count is shown.
    """
    if is_terminal(stream):
        assert stream is not None
        return LineProgress(label, stream, fraction=fraction)
    return NoProgress()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches `stream`; False for one that is closed."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
