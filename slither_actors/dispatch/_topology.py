"""One run: its stages, started in order under one supervisor, and ended together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from slither_actors.actors import KILLED, SHUTDOWN, ChildSpec, Exit, Ref, Supervisor, is_abnormal
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._progress import ProgressTeller
from slither_actors.dispatch._reader import Arrival, Reader
from slither_actors.dispatch._runner import DispatchRunner, Halted
from slither_actors.errors import StartError
from slither_actors.stages import demand

logger = logging.getLogger("slither_actors.dispatch")

__all__ = ["INTERRUPT_SECONDS", "RunPlan", "RunSupervisor", "StagePlan"]

INTERRUPT_SECONDS = 0.5
"""How long a run that is interrupted gets to end before its caller goes on, whatever still blocks."""


@attrs.frozen(kw_only=True)
class StagePlan:
    """One stage of a run: a class and what its `init` gets besides its producer."""

    name: str
    actor: Any
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = attrs.field(factory=dict)
    takes_input: bool = True
    """Whether it subscribes to the stage before it."""

    max_demand: int = 1000

    inputs: Sequence[Mapping[str, Any]] | None = None
    """Options of its subscriptions, ``to`` the names of stages before it; None for the one just before it."""


@attrs.frozen(kw_only=True)
class RunPlan:
    """What a `RunSupervisor` starts."""

    label: str
    name: Any = None
    """Registered for the run while it lives; no other run can have the same."""

    stages: Sequence[StagePlan]
    reader: type[Reader] = Reader
    """The class of the last stage."""

    ends: Sequence[Mapping[str, Any]] | None = None
    """What the reader subscribes to, as `StagePlan.inputs`; None for the last stage."""

    outlet: Any
    """An `Outlet` or an `AsyncOutlet`: the way to whoever reads."""

    link: RunLink = attrs.field(factory=RunLink)
    demand: int
    """Items on their way to the caller at one time."""

    collect: bool
    progress: ProgressTeller | None = None
    """Told of what comes out."""

    insights: Any = None
    """Whether somebody wants to know where the time goes."""

    on_start: Callable[[RunSupervisor], None] | None = None
    """Runs before the stages start, in the supervisor."""

    on_end: Callable[[RunSupervisor], None] | None = None
    """Runs after the stages have ended, however they did; not if the supervisor is killed."""

    on_kill: Callable[[RunSupervisor], None] | None = None
    """Runs when the supervisor was killed; its stages may still be ending."""


class RunSupervisor(Supervisor):
    """The supervisor of one run. Nothing in it is restarted: a run ends as a whole.

    Its stages start after it, so that one that takes its time to set up (a
    store to load, a model to read) holds up no other run. A start that fails is
    the end of the run, and reaches the caller as such.
    """

    def init(self, plan: RunPlan) -> None:  # type: ignore[override]
        """Take the plan; the rest follows."""
        self.plan = plan
        self.run_link = plan.link
        """Found by the actors of the run, see `enclosing_run`."""
        self.reader: Ref | None = None
        self._terminated = False
        self._winding_up: int | None = None
        """Runners that have batches at work; None while the run is not being closed."""
        super().init([])
        plan.link.run = self.ref
        self.continue_with()

    def handle_continue(self, _: Any) -> None:
        """Start the stages, the source first, and the reader at last."""
        plan = self.plan
        if plan.link.closing:
            self.stop(SHUTDOWN)
            return
        try:
            if plan.on_start is not None:
                plan.on_start(self)
            self._start_stages(plan)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's
            stage, cause = _first_cause(error)
            plan.link.ended = (SHUTDOWN, Halted(error=cause, stage=stage))
            plan.outlet.finish(plan.link.ended)
            self.stop(SHUTDOWN)

    def _start_stages(self, plan: RunPlan) -> None:
        upstream = ""
        refs: dict[str, Ref] = {}
        for stage in plan.stages:
            options = dict(stage.options)
            if stage.takes_input and upstream:
                wanted: dict[str, Any] = {"max_demand": stage.max_demand}
                options["subscribe_to"] = _subscriptions(stage.inputs, upstream, refs, wanted)
            refs[stage.name] = self._launch(stage.name, stage.actor, stage.args, options)
            upstream = stage.name
        wanted = {"max_demand": plan.demand, "cancel": "temporary"}
        options = {
            "link": plan.link,
            "demand": plan.demand,
            "collect": plan.collect,
            "progress": plan.progress,
            "subscribe_to": _subscriptions(plan.ends, upstream, refs, wanted),
        }
        self.reader = self._launch("reader", plan.reader, (plan.outlet,), options)
        source = refs[plan.stages[0].name]
        if getattr(source.actor_class, "demand", None) == "accumulate":
            demand(source, "forward")

    def drain(self, _: None = None) -> None:
        """Read no more input; what was read goes on its way, and the run ends with it."""
        for info in self._do_which_children():
            if info.id == "source" and info.ref is not None:
                info.ref.send(info.ref.actor_class.drain)

    def wind_up(self, _: None = None) -> None:
        """End the run when its batches that run are done, or after a while; see ``on_close``."""
        if self._winding_up is not None:
            return
        runners = [
            info.ref
            for info in self._do_which_children()
            if info.ref is not None and issubclass(info.ref.actor_class, DispatchRunner)
        ]
        self._winding_up = len(runners) + 1
        self.run_after(self.run_link.close_timeout, RunSupervisor._close_late)
        for runner in runners:
            runner.send(DispatchRunner.wind_up, self.ref)
        self.wound_up()

    def wound_up(self, _: None = None) -> None:
        """A runner has nothing at work any more."""
        assert self._winding_up is not None
        self._winding_up -= 1
        if self._winding_up == 0:
            self.stop(SHUTDOWN)

    def _close_late(self, _: None) -> None:
        logger.warning(
            "a run of %s was closed, and some batches still run after %g s: they are abandoned",
            self.plan.label,
            self.run_link.close_timeout,
        )
        self.stop(SHUTDOWN)

    def insist(self, reason: Any) -> None:
        """End the run with `reason` if the reader, which was asked to, does not: it may be held up."""
        self.run_after(INTERRUPT_SECONDS, RunSupervisor._end_instead, reason)

    def _end_instead(self, reason: Any) -> None:
        link = self.run_link
        if link.ended is None:
            logger.warning("a run of %s ended before its progress function returned", self.plan.label)
            link.ended = reason
            link.close_timeout -= INTERRUPT_SECONDS  # that was waited already
            found = list(link.collected)
            if found:
                self.plan.outlet.put(Arrival(found, sum(map(len, found)), None))
            self.plan.outlet.finish(reason)
            self.stop(SHUTDOWN)

    def _launch(self, name: str, actor: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Ref:
        spec = ChildSpec(id=name, start=(actor, args, options), restart="temporary")
        try:
            ref = self._do_start_child(spec, ())
        except StartError as error:
            raise _StageStartError(name, error.reason) from error
        assert ref is not None
        return ref

    def _child_ended(self, child: Any, message: Exit) -> None:
        super()._child_ended(child, message)
        if child.id == "reader":
            self.stop(SHUTDOWN)
        elif is_abnormal(message.reason) and self.reader is not None:
            # The reader passes on what it has, with this reason, and then the run ends.
            self.reader.send(Reader.abort, message.reason)

    def terminate(self, reason: Any) -> None:
        """Stop what still runs, then clean up."""
        self._terminated = True
        self.run_link.close()
        super().terminate(reason)
        if self.plan.on_end is not None:
            self.plan.on_end(self)

    def _on_dead(self) -> None:
        self.run_link.broke(KILLED)
        self.run_link.close()  # this and the next again, unless it was killed
        if self.run_link.acks is not None:
            self.run_link.acks.leave("run")
        # However it ends, the caller must not wait for ever. A reader says so itself, with what it has.
        if self.reader is None:
            self.plan.outlet.finish(KILLED)
        if not self._terminated:
            if self.run_link.ended is None:
                self.run_link.ended = KILLED
            if self.plan.on_kill is not None:
                self.plan.on_kill(self)
        super()._on_dead()


def _subscriptions(
    stated: Sequence[Mapping[str, Any]] | None,
    before: str,
    refs: Mapping[str, Ref],
    wanted: Mapping[str, Any],
) -> list[dict[str, Any]]:
    inputs = [{"to": before}] if stated is None else stated
    return [{**wanted, **each, "to": refs[each["to"]]} for each in inputs]


class _StageStartError(StartError):
    """One stage did not start; its name is in `actor`."""


def _first_cause(error: BaseException) -> tuple[str, BaseException]:
    """What made the start of a run fail, and in which stage."""
    stage = ""
    while isinstance(error, StartError) and error.__cause__ is not None:
        stage = error.actor if isinstance(error, _StageStartError) else stage
        error = error.__cause__
    return stage, error
