"""Tells how far a run has come, a few times a second at most: per list of results, never per item."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from typing import Any

from slither_actors.core import ProgressMeter, RunProgress

__all__ = ["ProgressTeller", "progress_teller"]

logger = logging.getLogger("slither_actors.dispatch")

_SECONDS_BETWEEN = 0.1

_SCREENS = (("slither_actors.contrib.rich", "rich_run_bar"), ("slither_actors.observe", "run_line"))
"""Where the bar is drawn; by name, since both are on floors above. The first that can."""


class ProgressTeller:
    """Calls a function with reports. The last actor of a run is the only caller."""

    def __init__(
        self,
        tell: Callable[[RunProgress], object],
        total: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell: Callable[[RunProgress], object] | None = tell
        self._clock = clock
        self._total = total
        self._meter: ProgressMeter | None = None
        self._due = 0.0

    def begin(self) -> None:
        """The run begins now."""
        now = self._clock()
        self._meter = ProgressMeter(self._total, now)
        self._due = now + _SECONDS_BETWEEN

    def add(self, count: int) -> None:
        """So many more items have come out; tell it, if the last report is old enough."""
        meter = self._meter
        if meter is None:
            return
        meter.add(count)
        now = self._clock()
        if now >= self._due:
            self._report(meter.report(now))
            # A function that takes its time gets no more than half of the run's.
            after = self._clock()
            self._due = after + max(_SECONDS_BETWEEN, after - now)

    def end(self) -> None:
        """The run has ended: tell it for the last time."""
        meter, self._meter = self._meter, None
        if meter is not None:
            self._report(meter.report(self._clock(), finished=True))

    def _report(self, report: RunProgress) -> None:
        if self._tell is None:
            return
        try:
            self._tell(report)
        except (
            BaseException
        ):  # a `sys.exit` in it ends nothing, either: not the run, and not who waits for it
            self._tell = None
            logger.exception("the progress function of a run failed; it is not called again")


def progress_teller(progress: Any, total: int | None) -> ProgressTeller | None:
    """Make what tells of a run: to the function that the user gave, or with True to a terminal."""
    # Never by its truth: the user's function may be an object that is false.
    if progress is True:
        progress = _screen()
    return None if progress is None else ProgressTeller(progress, total)


def _screen() -> Any:
    for module, name in _SCREENS:
        try:
            return getattr(importlib.import_module(module), name)("dispatch")
        except ImportError:
            continue
    return None
