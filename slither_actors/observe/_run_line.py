"""How far a run has come, with rate and time left, on one line of a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

from slither_actors.core import RunProgress
from slither_actors.observe._progress import is_terminal

__all__ = ["RunLine", "run_line", "time_left"]

_BAR = 24
_CLEAR_LINE = "\r\x1b[K"


def time_left(seconds: float | None) -> str:
    """Return seconds as people read them, such as ``1:02:03``; nothing if they are not known."""
    if seconds is None or seconds > 360_000:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class RunLine:
    """Call it with each `RunProgress`: it rewrites its line, and wipes it at the end."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self._label = label
        self._stream: TextIO | None = stream

    def __call__(self, progress: RunProgress) -> None:
        """Draw."""
        if self._stream is None:
            return
        try:
            self._stream.write(_CLEAR_LINE if progress.finished else _CLEAR_LINE + self._line(progress))
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone, or closed; the run is not
            self._stream = None

    def _line(self, progress: RunProgress) -> str:
        of = "" if progress.total is None else f"/{progress.total:,}"
        text = f"{self._label}  {progress.done:,}{of} items  {progress.rate:,.0f}/s"
        done = progress.fraction
        if done is None:
            return text
        filled = round(_BAR * done)
        left = time_left(progress.eta)
        return f"{text}  [{'#' * filled}{'.' * (_BAR - filled)}] {done:.0%}{f'  {left} left' if left else ''}"


def run_line(label: str, stream: Any = None) -> Callable[[RunProgress], None] | None:
    """Return what draws a run's progress on `stream`, by default standard error; None if nobody watches."""
    stream = sys.stderr if stream is None else stream
    return RunLine(label, stream) if is_terminal(stream) else None
