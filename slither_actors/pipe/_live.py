"""A pipe that runs on: its runs, one after the other, and the supervisor that restarts them.

::

    PipeSupervisor
      └ LivePipe            one per pipe that runs on; it may give up without harm to others
          ├ OutputProducer    one per output that a consumer stage gets
          ├ the producer      if the pipe has one that is started for it
          └ LiveRun           a run, with its stages
"""

from __future__ import annotations

from typing import Any

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
from slither_actors.dispatch._topology import RunSupervisor
from slither_actors.errors import NotRunningError
from slither_actors.pipe._feed import StageSource
from slither_actors.pipe._into import OutputProducer
from slither_actors.pipe._life import ORPHANS_SECONDS, Life
from slither_actors.pipe._link import PipeLink
from slither_actors.stages import async_subscribe

__all__ = ["LivePipe", "LiveRun"]


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
        life.run_starts(self.ref, plan.link)
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
        if self._life.draining:
            ref.send(OutputProducer.drain)

    def drain(self, _: None = None) -> None:
        """Take no more, and end when what was taken is done."""
        life = self._life
        if life.draining:
            return
        life.draining = True
        life.feed.close("is being drained")
        for ref in self._outputs:
            ref.send(OutputProducer.drain)
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
            ref.join(ORPHANS_SECONDS)  # it counts what is lost with it
        self._life.end("was drained" if self._life.draining else "has stopped")

    def _on_dead(self) -> None:
        if hasattr(self, "_life"):
            self._life.end("was killed")
        super()._on_dead()
