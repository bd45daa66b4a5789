"""A pipe that runs on: its runs, one after the other, and the supervisor that restarts them.

::

    PipeSupervisor
      └ LivePipe            one per pipe that runs on; it may give up without harm to others
          ├ OutputProducer    one per output that a consumer stage gets
          ├ the producer      if the pipe has one that is started for it
          └ LiveRun           a run, with its stages
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.actors import (
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Crash,
    Exit,
    Ignore,
    Ref,
    Supervisor,
    is_abnormal,
)
from slither_actors.core import comes_back
from slither_actors.dispatch import Halted
from slither_actors.dispatch._stream import halted_by
from slither_actors.dispatch._topology import RunPlan, RunSupervisor
from slither_actors.errors import NotRunningError, safe_text
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._feed import Feed, StageSource
from slither_actors.pipe._gate import Gate
from slither_actors.pipe._into import OutputProducer
from slither_actors.pipe._link import PipeLink
from slither_actors.pipe._record import PipeRecord, record_of
from slither_actors.stages import async_subscribe

__all__ = ["Life", "LivePipe", "LiveRun"]

logger = logging.getLogger("slither_actors.pipe")

_ORPHANS_SECONDS = 1.0
"""How long actors that end are waited for, before what was in them is counted."""


@attrs.define
class Life:
    """What is known of a pipe that runs on, over all of its runs. Shared; `lock` guards the figures."""

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

    def run_starts(self, run: LiveRun, link: PipeLink) -> None:
        """A run begins."""
        self.count_killed()
        with self.lock:
            self.runs += 1
            self.run, self.link = run.ref, link

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
        deadline = time.monotonic() + _ORPHANS_SECONDS
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


class LiveRun(RunSupervisor):
    """A run of a pipe that runs on. It ends abnormally if it halts, so that it is restarted by policy."""

    def init(self, life: Life) -> None:  # type: ignore[override]
        """Lay out a new run.

        Raises:
            Ignore: the pipe is being drained.
        """
        if life.draining:
            raise Ignore
        self._life = life
        plan = life.make_plan()
        assert isinstance(plan.link, PipeLink)
        self._pipe_link = plan.link
        life.run_starts(self, plan.link)
        super().init(plan)

    def handle_continue(self, continuation: Any) -> None:
        """Start the stages; hold the input if the pipe is paused."""
        super().handle_continue(continuation)
        if self._life.gate.held:
            self.hold(True)
        for info in self._do_which_children():
            if info.id == "source" and info.ref is not None and issubclass(info.ref.actor_class, StageSource):
                info.ref.send(StageSource.begin)
        if self._life.draining:
            self.drain()

    def hold(self, paused: bool) -> None:
        """Have the producer asked for nothing, or go on; pushes and an `AckSource` wait at the gate."""
        for info in self._do_which_children():
            if info.id == "source" and info.ref is not None and issubclass(info.ref.actor_class, StageSource):
                info.ref.send(StageSource.hold, paused)

    def stop(self, reason: Any = NORMAL) -> None:
        """End, with the reason that the stages ended with."""
        ended = self._pipe_link.ended
        if ended is not None and reason == SHUTDOWN:
            halted = halted_by(ended)
            reason = NORMAL if halted is None else Crash.of(halted.error)
        super().stop(reason)

    def terminate(self, reason: Any) -> None:
        """Stop the stages, and have the run counted."""
        super().terminate(reason)
        self._life.run_ended(self._pipe_link)

    def fail(self, error: Exception) -> None:
        """End as if a stage had failed."""
        self._pipe_link.ended = self._pipe_link.ended or (SHUTDOWN, Halted(error=error))
        self.stop(SHUTDOWN)

    def _on_dead(self) -> None:
        if hasattr(self, "plan"):
            if self._life.link is self._pipe_link:
                infos = self._do_which_children()
                self._life.run_was_killed([info.ref for info in infos if info.ref is not None])
            super()._on_dead()
        else:
            Supervisor._on_dead(self)  # there was no run: see `init`


class LivePipe(Supervisor):
    """Restarts the runs of one pipe. What it gives up harms no other pipe."""

    def init(self, life: Life, producer: ChildSpec | None, options: Any) -> None:  # type: ignore[override]
        """Start the producer, if the pipe brings one, and the first run; `options` are a `LiveOptions`."""
        self._life = life
        restart = options.restart
        self._outputs: dict[Ref, tuple[str, Ref]] = {}
        """The producer of an output to the output and the consumer that was given for it."""
        self._producer_ended: tuple[Any, Exit] | None = None
        """The producer's end, while the run handles what it gave."""
        for output, consumer in life.deliver.items():
            if isinstance(consumer, Ref):
                self._start_output(output, consumer)
        run = LiveRun.child_spec(
            life,
            id="run",
            restart=restart,
            significant=restart != "permanent",
            backoff=options.backoff,
        )
        children = [run] if producer is None else [producer, run]
        ends = "never" if restart == "permanent" else "any_significant"
        super().init(
            children,
            strategy="rest_for_one",
            auto_shutdown=ends,  # type: ignore[arg-type]
            max_restarts=options.max_restarts,
            max_seconds=options.max_seconds,
        )

    def _start_output(self, output: str, consumer: Ref) -> None:
        ref = self._life.deliver[output] = OutputProducer.start_link(self._life, output)
        self._outputs[ref] = output, consumer
        async_subscribe(consumer, to=ref, cancel="temporary")

    def drain(self, _: None = None) -> None:
        """Take no more, and end when what was taken is done."""
        life = self._life
        if life.draining:
            return
        life.draining = True
        life.feed.close("is being drained")
        run = life.run
        if run is None:
            self._finish_outputs()
        else:
            run.send(RunSupervisor.drain)

    def _child_ended(self, child: Any, message: Exit) -> None:
        if child.id == "producer" and message.reason == NORMAL and self._life.run is not None:
            # What it gave is on its way: the run ends behind that, and then both begin again, or neither.
            self._producer_ended = (child, message)
            return
        if child.id == "run":
            self._life.count_killed()
            if self._life.draining:
                self._finish_outputs()
                return
            before, self._producer_ended = self._producer_ended, None
            if before is not None and comes_back(child.spec.restart, message.reason):
                child, message = before  # the run depends on it, and comes with it
        super()._child_ended(child, message)

    def _finish_outputs(self) -> None:
        """Have consumer stages take what waits for them, and end with that."""
        for ref in self._outputs:
            ref.send(OutputProducer.finish)
        if not self._outputs:
            self.stop()

    def handle_info(self, message: Any) -> None:
        """Handle the end of a child, or of an output's producer."""
        if isinstance(message, Exit) and message.ref in self._outputs:
            output, consumer = self._outputs.pop(message.ref)
            if is_abnormal(message.reason):
                self._lost_output(output, consumer, message.reason)
            if self._life.draining and not self._outputs:
                self.stop()
            return
        super().handle_info(message)

    def _lost_output(self, output: str, consumer: Ref, reason: Any) -> None:
        """What waited for the consumer is gone, and a run would wait for it to be taken: begin anew."""
        life = self._life
        if life.run is None and life.draining:
            return
        self._start_output(output, consumer)
        if life.run is not None:
            error = NotRunningError(f"the producer of the output {output!r} has ended: {reason}")
            life.run.send(LiveRun.fail, error)

    def _give_up(self, child: Any, reason: Any, why: str) -> None:
        self._life.end(f"gave up: {why}")
        super()._give_up(child, reason, why)

    def terminate(self, reason: Any) -> None:
        """Stop the run."""
        super().terminate(reason)
        self._life.count_killed()
        for ref in tuple(self._outputs):
            ref.stop(block=False)
            ref.join(_ORPHANS_SECONDS)  # it counts what is lost with it
        self._life.end("was drained" if self._life.draining else "has stopped")

    def _on_dead(self) -> None:
        if hasattr(self, "_life"):
            self._life.end("was killed")
        super()._on_dead()
