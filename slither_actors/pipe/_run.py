"""Running a pipe: its stages as a chain of actors, its views for the run's workers, its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import attrs

from slither_actors import bridge, telemetry
from slither_actors.actors import SupervisorRef, whereis
from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.dispatch import DispatchRunner, Halted, RunStream
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._source import ItemSource
from slither_actors.dispatch._stream import collect, halted_by
from slither_actors.dispatch._topology import RunPlan, RunSupervisor, StagePlan
from slither_actors.errors import ChildError, OptionError, PipeError, StartError
from slither_actors.item import Item
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._stage_runner import StageRunner
from slither_actors.pipe.stage import WorkerStage
from slither_actors.store import StoreServer, views_of

__all__ = ["STORES", "PipeOutputs", "PipeStream", "run_pipe", "stream_pipe"]

STORES = "slither.stores"
"""The name of the `StoreSupervisor`."""

_DEMAND = 1000
"""Items of the last stage on their way to the caller at one time."""


@attrs.frozen(kw_only=True)
class _RunOptions:
    """What `run_pipe` and `stream_pipe` take."""

    session_id: str | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)


class PipeOutputs(dict[str, list[Item]]):
    """Output name to items, in the order in which they came; every output of the pipe is there."""

    statistics: Mapping[str, Any]
    """Stage name to what the stage did: `StageStatistics` or `DispatchStatistics`."""


class PipeStream(RunStream):
    """The items of a run as they come. ``item.route`` is the output that an item left by."""

    @property
    def finished(self) -> Mapping[str, Any]:
        """Stage name to what the stage did, complete once the run has ended."""
        return self._plan.link.finished


def run_pipe(
    pipe: type[Pipe], items: Iterable[Any], *, session_id: str | None = None, **options: Any
) -> PipeOutputs:
    """Run a pipe over `items` and return its outputs.

    Without an `Application` a default one is started: a pool with a worker per
    processor, stopped at exit.

    Args:
        pipe: the pipe's class.
        items: payloads or items; read only as far as there is room.
        session_id: names the run to its views and workers; made by default.
        **options: ``metadata``, a mapping that stages find in their context.

    Raises:
        PipeError: the run halted; `partial_results` has what had come out.
        OptionError: an option is wrong.
    """
    plan = _plan(pipe, lambda: items, {"session_id": session_id, **options}, collect_all=True)
    try:
        found, halted = collect(plan)
    except StartError as error:
        raise _error(pipe.definition, Halted(error=_first_cause(error)), []) from error
    if halted is not None:
        raise _error(pipe.definition, halted, found) from halted.error
    outputs = PipeOutputs(_buckets(pipe.definition, found))
    outputs.statistics = dict(plan.link.finished)
    return outputs


def stream_pipe(
    pipe: type[Pipe], items: Iterable[Any], *, session_id: str | None = None, **options: Any
) -> PipeStream:
    """Run a pipe over `items` and return an iterator over what comes out, as it comes.

    Lazy from the reader back to the input: an endless input and a slow reader
    take constant memory. ``item.route`` says by which output an item left.
    Takes what `run_pipe` takes.
    """
    plan = _plan(pipe, lambda: items, {"session_id": session_id, **options}, collect_all=False)
    return PipeStream(plan, partial(_error, pipe.definition))


def _plan(
    pipe: type[Pipe], source: Callable[[], Iterable[Any]], given: Mapping[str, Any], *, collect_all: bool
) -> RunPlan:
    """Check what the user gave, and lay out the run."""
    if not (isinstance(pipe, type) and issubclass(pipe, Pipe)) or pipe is Pipe:
        raise OptionError("pipe", f"is {pipe!r:.200}; allowed is a subclass of Pipe")
    definition = pipe.definition
    options = build(_RunOptions, given, where=f"running {definition.name}")
    context = Context(pipe=definition.name, stores=definition.stores, metadata=options.metadata)
    if options.session_id is not None:
        context = attrs.evolve(context, session_id=options.session_id)
    context = attrs.evolve(context, views=bridge.Views(context.session_id))
    link = RunLink()
    run = _Run(pipe=pipe, context=context, link=link)
    first = StagePlan(
        name="source",
        actor=ItemSource,
        args=(source,),
        options={"label": f"the input of {definition.name}", "link": link},
        takes_input=False,
    )
    return RunPlan(
        label=definition.name,
        stages=[first, *(_stage_plan(stage, definition, context, link) for stage in definition.stages)],
        outlet=Outlet(),
        link=link,
        demand=_DEMAND,
        collect=collect_all,
        on_start=run.open,
        on_end=run.close,
    )


def _stage_plan(
    stage: StageDefinition, definition: PipeDefinition, context: Context, link: RunLink
) -> StagePlan:
    declaration = stage.declaration
    if isinstance(declaration, WorkerStage):
        dispatch = attrs.evolve(declaration.dispatch, on_error=stage.on_error)
        return StagePlan(
            name=stage.name,
            actor=DispatchRunner,
            args=(dispatch,),
            options={
                "context": context.with_stage(stage.name),
                "label": f"{definition.name}.{stage.name}",
                "keep_skipped": False,
                "link": link,
            },
        )
    options = {"context": context, "outputs": definition.outputs, "link": link}
    return StagePlan(name=stage.name, actor=StageRunner, args=(stage,), options=options)


def _buckets(definition: PipeDefinition, found: Iterable[Item]) -> dict[str, list[Item]]:
    buckets: dict[str, list[Item]] = {name: [] for name in definition.outputs}
    for item in found:
        # An item may come in with a route of the user's own.
        buckets.setdefault(item.route, []).append(item)
    return buckets


def _error(definition: PipeDefinition, halted: Halted, found: list[Item]) -> PipeError:
    partial_results = _buckets(definition, found)
    return PipeError(halted.error, partial_results, pipe=definition.name, stage=halted.stage)


@attrs.define
class _Run:
    """What happens around the stages of a run, in its supervisor."""

    pipe: type[Pipe]
    context: Context
    link: RunLink
    _began: float = attrs.field(default=0.0, init=False)
    _opened: bool = attrs.field(default=False, init=False)

    def open(self, run: RunSupervisor) -> None:
        """Make sure that the stores run, and let the run's workers call their views."""
        stores = self.pipe.definition.stores.values()
        for store in stores:
            _ensure_store(store)
        views = [view for store in stores for view in views_of(store)]
        if views:
            bridge.register(self.context.session_id, views, run.ref)
        self._opened = bool(views)
        self._began = time.monotonic()
        self._tell(telemetry.PIPE_RUN_START, {"system_time": time.time()}, {})

    def close(self, _: RunSupervisor) -> None:
        """Take the views back; the registry would find out by itself, this is sooner."""
        if self._opened:
            bridge.unregister(self.context.session_id)
        source = self.link.finished.get("source")
        about: dict[str, Any] = {"input_count": 0 if source is None else source.items}
        duration = {"duration": time.monotonic() - self._began}
        halted = None if self.link.ended is None else halted_by(self.link.ended)
        if halted is None:
            self._tell(telemetry.PIPE_RUN_STOP, duration, about)
        else:
            about |= {"kind": type(halted.error).__name__, "reason": halted.error}
            self._tell(telemetry.PIPE_RUN_EXCEPTION, duration, about)

    def _tell(
        self, signal: telemetry.Signal, measurements: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> None:
        if signal.receivers:
            about = {"pipe": self.context.pipe, "session_id": self.context.session_id, **metadata}
            telemetry.emit(signal, self.pipe, measurements=measurements, metadata=about)


def _ensure_store(store: Any) -> None:
    stores = whereis(STORES)
    if not isinstance(stores, SupervisorRef):
        return
    spec = StoreServer.child_spec(store)
    if stores.child(spec.id) is None:
        try:
            stores.start_child(spec)
        except ChildError as error:
            if error.reason == "already_present":
                stores.restart_child(spec.id)


def _first_cause(error: BaseException) -> BaseException:
    """What made the start of a run fail."""
    while isinstance(error, StartError) and error.__cause__ is not None:
        error = error.__cause__
    return error
