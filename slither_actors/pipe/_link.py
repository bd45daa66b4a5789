"""What a pipe's run counts as a whole, beside what its stages count."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from slither_actors.actors import SHUTDOWN, Ref
from slither_actors.dispatch import Halted
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._reader import Reader
from slither_actors.dispatch._stream import _END_SECONDS, end_run
from slither_actors.dispatch._topology import INTERRUPT_SECONDS, RunSupervisor
from slither_actors.pipe._definition import PipeDefinition

__all__ = ["Cancelled", "Expired", "PipeLink", "interrupt_run"]


class Expired(TimeoutError):  # noqa: N818 - as the next one
    """The time of a run is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the run took longer than {seconds:g} s")


class Cancelled(Exception):  # noqa: N818 - no error of the run's
    """Somebody has cancelled a run."""


class PipeLink(RunLink):
    """One per run of a pipe. Each field has one writer."""

    __slots__ = (
        "began",
        "counts",
        "definition",
        "entry",
        "input_count",
        "live",
        "read",
        "seconds",
        "session_id",
        "source",
        "stage_seconds",
    )

    def __init__(self, definition: PipeDefinition, session_id: str, input_count: int | None) -> None:
        super().__init__()
        self.definition = definition
        self.session_id = session_id
        self.input_count = input_count
        """Items of the input, if that knows its length."""
        self.read = 0
        """Items of the input that were read. Written by the source."""
        self.source: Ref | None = None
        """Of a pipe that runs on, the first stage."""
        self.counts: Counter[str] = Counter()
        """Items that came out, by output. Written by the reader."""
        self.entry: Any = None
        """Where the input comes in, if it may have to wait there."""
        self.live: Any = None
        """Of a pipe that runs on, what is known of all of its runs."""
        self.began: float | None = None
        """When the run began, of `time.monotonic`. This and the next are written by the supervisor."""
        self.seconds: float | None = None
        """How long it took, once it has ended."""
        self.stage_seconds: dict[str, float] = {}
        """Stage name to how long the stage lived, written when it ends."""

    def broke(self, reason: Any) -> None:
        """See `RunLink.broke`. Its time is over as well."""
        super().broke(reason)
        if self.seconds is None:
            self.seconds = self.age

    @property
    def age(self) -> float:
        """How long the run has taken, so far or in all."""
        if self.seconds is not None:
            return self.seconds
        return 0.0 if self.began is None else time.monotonic() - self.began


def interrupt_run(outlet: Any, link: RunLink, error: Exception) -> None:
    """End a run from outside, with what has come out of it. From any thread, at any time."""
    if link.ended is not None or link.closing:
        return
    reason = (SHUTDOWN, Halted(error=error))
    link.close_timeout = INTERRUPT_SECONDS - _END_SECONDS  # which is added where the end is waited for
    reader = link.reader
    if reader is not None and reader.is_alive():
        reader.send(Reader.abort, reason)  # it passes on what it has, and the run ends with it
        if link.run is not None:
            link.run.send(RunSupervisor.insist, reason)
        return
    link.ended = reason
    outlet.finish(reason)
    end_run(link)
