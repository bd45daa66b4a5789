"""The telemetry of one stage of a run: that it began, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.pipe._link import PipeLink
from slither_actors.telemetry._span import kind_of

__all__ = ["StageTelling"]


class StageTelling:
    """Tells the start and the end of a stage, with the pipe's class as the sender. For the stage's actor."""

    def __init__(self, pipe: Any, stage: str, kind: str, link: PipeLink) -> None:
        self._pipe = pipe
        self._stage = stage
        self._link = link
        self._about = {"pipe": pipe.definition.name, "stage": stage, "type": kind}
        self._began = 0.0

    def started(self) -> None:
        """The stage is set up."""
        self._began = time.monotonic()
        self._tell(telemetry.PIPE_STAGE_START, {"system_time": time.time()}, {})

    def ended(self, statistics: Any, problem: Any) -> None:
        """The stage has ended; `problem` is why it did so early or in disorder, None if it did not."""
        counts = attrs.asdict(statistics, filter=lambda _, value: isinstance(value, (int, float)))
        self._link.stage_seconds[self._stage] = duration = time.monotonic() - self._began
        measured = {"duration": duration, **counts}
        if problem is None:
            self._tell(telemetry.PIPE_STAGE_STOP, measured, {})
        else:
            error = _error(problem)
            kind = "error" if error is None else kind_of(error)
            about = {"kind": kind, "reason": problem if error is None else error}
            self._tell(telemetry.PIPE_STAGE_EXCEPTION, measured, about)

    def _tell(
        self, signal: telemetry.Signal, measurements: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> None:
        if signal.receivers:
            about = {**self._about, **metadata}
            telemetry.emit(signal, self._pipe, measurements=measurements, metadata=about)


def _error(problem: Any) -> BaseException | None:
    """The exception in an exit reason, if there is one."""
    if isinstance(problem, BaseException):
        return problem
    if isinstance(problem, tuple) and len(problem) == 2:
        problem = problem[1]
    return getattr(problem, "error", None) or getattr(problem, "exception", None)
