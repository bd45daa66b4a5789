"""Progress drawn by `rich <https://rich.readthedocs.io>`_: ``pip install slither-actors[rich]``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from slither_actors.core import RunProgress

__all__ = ["RichProgress", "RichRunBar", "rich_run_bar"]


class RichProgress:
    """A bar that takes the place of the plain line of `slither_actors.observe`.

    Raises:
        ImportError: rich is not installed.
    """

    def __init__(
        self, label: str, stream: TextIO, *, fraction: Callable[[], float | None] | None = None
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        bar = [BarColumn(), TextColumn("{task.percentage:>3.0f} %")] if fraction is not None else []
        self._bar = Progress(
            TextColumn("{task.description}"),
            TextColumn("{task.fields[count]:,} items"),
            *bar,
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._fraction = fraction
        self.count = 0
        """How many are done."""
        self._due = 0.0
        self._task = self._bar.add_task(label, total=None if fraction is None else 1.0, count=0)
        self._bar.start()

    def advance(self, count: int = 1) -> None:
        """`count` more are done; rich draws by itself, ten times a second."""
        self.count += count
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + 0.1
        done = None if self._fraction is None else self._fraction()
        self._bar.update(self._task, count=self.count, completed=done)

    def close(self) -> None:
        """Wipe the bar. Closing again does nothing."""
        self._bar.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RichRunBar:
    """Call it with each `RunProgress` of a run: a bar with rate and time left, wiped at the end.

    Raises:
        ImportError: rich is not installed.
    """

    def __init__(self, label: str, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:,} items  {task.fields[rate]:,.0f}/s  {task.fields[left]}"),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bar.add_task(label, total=None, rate=0.0, left="")
        self._started = False

    def __call__(self, progress: RunProgress) -> None:
        """Draw."""
        if not self._started:
            self._started = True
            self._bar.start()
        left = "" if progress.eta is None else f"{progress.eta:,.0f} s left"
        self._bar.update(
            self._task, completed=progress.done, total=progress.total, rate=progress.rate, left=left
        )
        if progress.finished:
            self._bar.stop()


def rich_run_bar(label: str, stream: Any = None) -> RichRunBar | None:
    """Return what draws the progress of a run on `stream`, by default standard error; None if nobody watches.

    Raises:
        ImportError: rich is not installed.
    """
    stream = sys.stderr if stream is None else stream
    try:
        watched = stream is not None and stream.isatty()
    except ValueError:
        watched = False
    return RichRunBar(label, stream) if watched else None
