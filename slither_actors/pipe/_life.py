"""What is known of a pipe that runs on, over all of its runs."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.actors import Ref
from slither_actors.dispatch._stream import halted_by
from slither_actors.dispatch._topology import RunPlan
from slither_actors.errors import safe_text
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._feed import Feed
from slither_actors.pipe._gate import Gate
from slither_actors.pipe._link import PipeLink
from slither_actors.pipe._record import PipeRecord, record_of

__all__ = ["ORPHANS_SECONDS", "Life"]

logger = logging.getLogger("slither_actors.pipe")

ORPHANS_SECONDS = 1.0
"""How long actors that end are waited for, before what was in them is counted."""


@attrs.define
class Life:
    """The figures and the handles of one pipe. Shared; `lock` guards the figures."""

    name: str
    pipe: Any
    gate: Gate
    """Lets items in, in all runs."""
    feed: Feed
    source: Any
    make_plan: Callable[[], RunPlan] = attrs.field(init=False)
    deliver: dict[str, Any] = attrs.field(factory=dict)
    """What gets the items, by output."""
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    began: float = attrs.field(factory=time.monotonic)
    run: Ref | None = None
    """The present run."""
    link: PipeLink | None = None
    acks: AckKeeper | None = None
    """Of the last run, if its source wants to know what becomes of the items."""
    runs: int = 0
    items_in: int = 0
    """Of the runs that have ended, as the following."""
    outputs: Counter[str] = attrs.field(factory=Counter)
    held: dict[str, int] = attrs.field(factory=dict)
    """Output to items that wait for a consumer stage. Each is written by its `OutputProducer`."""
    skipped: int = 0
    lost: int = 0
    given_back: int = 0
    last_error: str = ""
    last_record: PipeRecord | None = None
    draining: bool = False
    stopped: str = ""
    """Why it runs no more."""
    orphans: list[Ref] = attrs.field(factory=list)
    """The stages of a run that was killed, and that is not counted yet."""

    def run_starts(self, run: Ref, link: PipeLink) -> None:
        """A run begins."""
        self.count_killed()
        with self.lock:
            self.runs += 1
            self.run, self.link = run, link

    def _forget_run(self, link: PipeLink) -> None:
        if self.link is link:  # else the next one has begun
            self.run, self.link = None, None

    def run_ended(self, link: PipeLink) -> None:
        """A run is over: count it, and what is lost with it."""
        with self.lock:
            if self.link is not link:
                return  # it is counted
        record = record_of(link)
        halted = None if link.ended is None else halted_by(link.ended)
        with self.lock:
            self._forget_run(link)
            self.items_in += record.items_in
            self.outputs.update(record.outputs)
            self.skipped += record.skipped
            if link.acks is None:
                self.lost += record.unfinished
            else:
                self.given_back += record.unfinished
            self.last_record = record
            if halted is not None:
                at = f"{halted.stage}: " if halted.stage else ""
                self.last_error = f"{at}{type(halted.error).__name__}: {safe_text(halted.error)}"
        if record.unfinished:
            reason = self.last_error if halted is not None else "it was stopped"
            if link.acks is None:
                self._tell_lost(record, reason)
            else:
                logger.info("pipe %s gave %d items back: %s", self.name, record.unfinished, reason)

    def run_was_killed(self, stages: list[Ref]) -> None:
        """It did not get to `run_ended`; its stages are about to end."""
        self.orphans = stages

    def count_killed(self) -> None:
        """Count a run that was killed, once its stages do no more."""
        link, stages = self.link, self.orphans
        if link is None:
            return
        deadline = time.monotonic() + ORPHANS_SECONDS
        for ref in stages:
            ref.join(max(0.0, deadline - time.monotonic()))
        self.orphans = []
        self.run_ended(link)

    def _tell_lost(self, record: PipeRecord, reason: str) -> None:
        logger.warning("pipe %s lost %d items with a run: %s", self.name, record.unfinished, reason)
        if telemetry.PIPE_LOST.receivers:
            exact = len(record.stages) == len(self.pipe.definition.stages)
            about = {"pipe": self.pipe.definition.name, "name": self.name, "reason": reason, "exact": exact}
            measured = {"count": record.unfinished}
            telemetry.emit(telemetry.PIPE_LOST, self.pipe, measurements=measured, metadata=about)

    def output_ended(self, output: str) -> None:
        """The producer of an output is no more: what no consumer has taken of it is lost."""
        with self.lock:
            count = self.held.pop(output, 0)
            self.outputs[output] -= count
            self.lost += count
        if count:
            logger.warning("pipe %s lost %d items that no consumer of %r took", self.name, count, output)
            if telemetry.PIPE_LOST.receivers:
                about = {"pipe": self.pipe.definition.name, "name": self.name, "exact": True}
                about["reason"] = f"no consumer of {output!r} took them"
                telemetry.emit(telemetry.PIPE_LOST, self.pipe, measurements={"count": count}, metadata=about)

    def end(self, why: str) -> None:
        """It runs no more."""
        self.stopped = self.stopped or why
        self.feed.close(why)
