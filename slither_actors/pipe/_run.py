"""Running a pipe: its stages as actors, and the caller at the end of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sized
from functools import partial
from typing import Any

import attrs

from slither_actors import bridge
from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.core import RateLimit
from slither_actors.dispatch import Halted, RunStream
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._stream import collect
from slither_actors.dispatch._topology import RunPlan, StagePlan
from slither_actors.errors import NameTakenError, OptionError, PipeError
from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._ack_source import AckSource
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe._entry import Entry
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._outgoing import READER, subscription_to
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._reader import PipeReader
from slither_actors.pipe._session import RunSession
from slither_actors.pipe._source import PipeSource
from slither_actors.pipe._stage_runner import StageRunner
from slither_actors.pipe._telling import StageTelling
from slither_actors.pipe._worker_runner import WorkerRunner
from slither_actors.pipe.stage import WorkerStage
from slither_actors.store import views_of

__all__ = ["PipeOutputs", "PipeStream", "run_pipe", "stream_pipe"]

_DEMAND = 1000
"""Items of a stage on their way to the caller at one time."""

_STAGE_DEMAND = 1000
"""Items of a stage on their way to another one at one time."""


def _name(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise OptionError(field.name, f"is {value!r:.200}; allowed is a text that names the session")


def _mapping(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise OptionError(field.name, f"is {value!r:.200}; allowed is a mapping")


def _limit(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, RateLimit):
        raise OptionError(
            field.name, f"is {value!r:.200}; allowed are RateLimit(count, per_seconds) and None"
        )


@attrs.frozen(kw_only=True)
class _RunOptions:
    """What `run_pipe` and `stream_pipe` take."""

    session_id: str | None = attrs.field(default=None, validator=_name)
    metadata: Mapping[str, Any] = attrs.field(factory=dict, validator=_mapping)
    rate_limit: RateLimit | None = attrs.field(default=None, validator=_limit)


class PipeOutputs(dict[str, list[Item]]):
    """Output name to items, in the order in which they came; every output of the pipe is there."""

    def __init__(
        self, definition: PipeDefinition, found: Iterable[Item], statistics: Mapping[str, Any]
    ) -> None:
        super().__init__((name, []) for name in definition.outputs)
        for item in found:
            self[item.route].append(item)
        self.statistics = dict(statistics)
        """Stage name to what the stage did: `StageStatistics` or `DispatchStatistics`, and for
        ``"source"`` `SourceStatistics`."""


class PipeStream(RunStream):
    """The items of a run as they come. ``item.route`` is the output that an item left by.

    A halted run raises `PipeError` after the last item that came out.
    """

    def _next_chunk(self) -> None:
        try:
            super()._next_chunk()
        except NameTakenError as error:
            raise _in_use(self._plan) from error
        acks = self._plan.link.acks
        if acks is not None:
            self._chunk = acks.read_by(self._chunk)

    def _start(self) -> None:
        acks = self._plan.link.acks
        if acks is not None:
            self._acks_end = weakref.finalize(self, acks.leave, "reader")
            self._acks_end.atexit = False
        super()._start()

    def close(self) -> None:
        """End the run. What is on its way is dropped; closing again does nothing.

        The item that was read last counts as not done with: ask for the next one, or read to the end.
        """
        closed = self._closed
        super().close()
        if self._acks_end is not None and not closed:
            self._acks_end()
            self._plan.link.acks.join()

    _acks_end: weakref.finalize[Any, Any] | None = None

    @property
    def finished(self) -> Mapping[str, Any]:
        """Stage name to what the stage did, complete once the run has ended."""
        return self._plan.link.finished


def run_pipe(
    pipe: type[Pipe], items: Iterable[Any] | AckSource, *, session_id: str | None = None, **options: Any
) -> PipeOutputs:
    """Run a pipe over `items` and return its outputs.

    Without an `Application` a default one is started: a pool with a worker per
    processor, stopped at exit.

    Args:
        pipe: the pipe's class.
        items: payloads or items, or an `AckSource`; read only as far as there is room.
        session_id: names the run to its views and workers; made by default. Runs one after the other may
            share it, and at one time those that have no views.
        **options: ``metadata``, a mapping that stages find in their context; ``rate_limit``, a `RateLimit` of
            the input.

    Raises:
        PipeError: the run halted; `partial_results` has what had come out.
        OptionError: an option is wrong.
        NotRunningError: the program is ending.
    """
    plan = _plan(pipe, items, {"session_id": session_id, **options}, collect_all=True)
    try:
        found, halted = collect(plan)
    except NameTakenError as error:
        raise _in_use(plan) from error
    if halted is not None:
        raise _error(pipe.definition, plan.link, halted, found) from halted.error
    return PipeOutputs(pipe.definition, found, plan.link.finished)


def stream_pipe(
    pipe: type[Pipe], items: Iterable[Any] | AckSource, *, session_id: str | None = None, **options: Any
) -> PipeStream:
    """Run a pipe over `items` and return an iterator over what comes out, as it comes.

    Lazy from the reader back to the input: an endless input and a slow reader
    take constant memory. ``item.route`` says by which output an item left.
    Takes what `run_pipe` takes.
    """
    plan = _plan(pipe, items, {"session_id": session_id, **options}, collect_all=False)
    return PipeStream(plan, partial(_error, pipe.definition, plan.link))


def _plan(
    pipe: type[Pipe], items: Iterable[Any] | AckSource, given: Mapping[str, Any], *, collect_all: bool
) -> RunPlan:
    """Check what the user gave, and lay out the run."""
    if not (isinstance(pipe, type) and issubclass(pipe, Pipe)) or pipe is Pipe:
        raise OptionError("pipe", f"is {pipe!r:.200}; allowed is a subclass of Pipe")
    definition = pipe.definition
    where = f"running {definition.name}"
    if isinstance(items, (str, bytes)) or not isinstance(items, (Iterable, AckSource)):
        problem = f"is {items!r:.200}; allowed is an iterable of payloads, or an AckSource"
        raise OptionError("items", problem, where=where)
    options = build(_RunOptions, given, where=where)
    context = Context(pipe=definition.name, stores=definition.stores, metadata=options.metadata)
    if options.session_id is not None:
        context = attrs.evolve(context, session_id=options.session_id)
    context = attrs.evolve(context, views=bridge.Views(context.session_id))
    named = options.session_id is not None
    link = RunLink()
    if isinstance(items, AckSource):
        link.acks = AckKeeper(items, f"a run of {definition.name}", has_reader=not collect_all)
    entry = Entry(items, options.rate_limit, link)
    session = RunSession(pipe, context, link, len(items) if isinstance(items, Sized) else None)
    first = StagePlan(
        name="source",
        actor=PipeSource,
        args=(entry.open,),
        options={"label": f"the input of {definition.name}", "link": link},
        takes_input=False,
    )
    return RunPlan(
        label=definition.name,
        name=_run_name(definition, context),
        stages=[
            first,
            *(_stage_plan(pipe, stage, context, link, named=named) for stage in definition.stages),
        ],
        reader=PipeReader,
        ends=[subscription_to(stage, READER) for stage in definition.stages if stage.next.kind == "output"],
        outlet=Outlet(),
        link=link,
        demand=_DEMAND,
        collect=collect_all,
        on_start=session.open,
        on_end=session.close,
    )


def _run_name(definition: PipeDefinition, context: Context) -> tuple[str, str] | None:
    """The name that a run holds, so that no other one takes its views from it."""
    has_views = any(views_of(store) for store in definition.stores.values())
    return ("slither.session", context.session_id) if has_views else None


def _stage_plan(
    pipe: type[Pipe], stage: StageDefinition, context: Context, link: RunLink, *, named: bool
) -> StagePlan:
    options = {
        "context": context.with_stage(stage.name),
        "link": link,
        "telling": StageTelling(pipe, stage.name, stage.kind),
    }
    actor: Any
    argument: Any
    declaration = stage.declaration
    if isinstance(declaration, WorkerStage):
        # That there is one says that the caller named the session, which then outlives the run.
        own = context if named else None
        dispatch = attrs.evolve(declaration.dispatch, on_error=stage.on_error, context=own)
        options["definition"] = stage
        actor, argument = WorkerRunner, dispatch
    else:
        actor, argument = StageRunner, stage
    return StagePlan(
        name=stage.name,
        actor=actor,
        args=(argument,),
        options=options,
        max_demand=_STAGE_DEMAND,
        inputs=_inputs(pipe.definition, stage),
    )


def _inputs(definition: PipeDefinition, stage: StageDefinition) -> list[dict[str, Any]]:
    """The subscriptions of a stage: one to each stage before it, whatever the number of routes."""
    here = Destination("stage", stage.name)
    before = [each for each in definition.stages if here in (each.next, *each.routes.values())]
    return [subscription_to(each, stage.name) for each in before] or [{"to": "source"}]


def _error(definition: PipeDefinition, link: RunLink, halted: Halted, found: list[Item]) -> PipeError:
    partial_results = PipeOutputs(definition, found, link.finished)
    return PipeError(halted.error, partial_results, pipe=definition.name, stage=halted.stage)


def _in_use(plan: RunPlan) -> OptionError:
    problem = f"is {plan.name[1]!r}, which another run has now; its views would be mixed up with this one's"
    return OptionError("session_id", problem, where=f"running {plan.label}")
