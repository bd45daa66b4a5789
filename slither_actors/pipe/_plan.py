"""The layout of a pipe's run: which actors it has, and what each gets."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

import attrs

from slither_actors import bridge
from slither_actors.config import Rule, build, seconds_or_none
from slither_actors.context import Context
from slither_actors.core import RateLimit
from slither_actors.dispatch import Halted
from slither_actors.dispatch._async_stream import AsyncOutlet
from slither_actors.dispatch._plan import length_of, running_loop
from slither_actors.dispatch._progress import progress_teller
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._topology import RunPlan, StagePlan
from slither_actors.errors import OptionError, PipeCancelledError, PipeError, PipeTimeoutError
from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._ack_source import AckSource, check_source, limit
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe._entry import Entry
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._handle import RunHandle
from slither_actors.pipe._link import Cancelled, Expired, PipeLink
from slither_actors.pipe._outgoing import READER, subscription_to
from slither_actors.pipe._outputs import PipeOutputs
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._reader import PipeReader
from slither_actors.pipe._session import RunSession
from slither_actors.pipe._source import AsyncPipeSource, PipeSource
from slither_actors.pipe._stage_runner import StageRunner
from slither_actors.pipe._telling import StageTelling
from slither_actors.pipe._worker_runner import WorkerRunner
from slither_actors.pipe._worker_stage import WorkerStage
from slither_actors.store import views_of

__all__ = ["link_of", "pipe_error", "pipe_plan", "session_in_use"]

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


_progress = Rule(
    "allowed are True, a function, and None",
    lambda value: value is None or isinstance(value, bool) or callable(value),
)

_handle = Rule("allowed are a RunHandle, None", lambda value: value is None or isinstance(value, RunHandle))


def _none_for_false(value: Any) -> Any:
    return None if value is False else value


@attrs.frozen(kw_only=True)
class _RunOptions:
    """What `run_pipe` and `stream_pipe` take."""

    session_id: str | None = attrs.field(default=None, validator=_name)
    metadata: Mapping[str, Any] = attrs.field(factory=dict, validator=_mapping)
    timeout: float | None = attrs.field(default=None, validator=seconds_or_none)
    progress: Any = attrs.field(default=None, converter=_none_for_false, validator=_progress)
    handle: RunHandle | None = attrs.field(default=None, validator=_handle)
    rate_limit: RateLimit | None = attrs.field(default=None, validator=limit)


def pipe_plan(
    pipe: type[Pipe],
    items: Any,
    given: Mapping[str, Any],
    outlet: Outlet | AsyncOutlet,
    *,
    collect_all: bool,
) -> RunPlan:
    """Check what the user gave, and lay out the run."""
    if not (isinstance(pipe, type) and issubclass(pipe, Pipe)) or pipe is Pipe:
        hint = ": the class, without the parentheses" if isinstance(pipe, Pipe) else ""
        raise OptionError("pipe", f"is {pipe!r:.200}; allowed is a subclass of Pipe{hint}")
    definition = pipe.definition
    where = f"running {definition.name}"
    _check_items(items, where, waits=isinstance(outlet, Outlet))
    options = build(_RunOptions, given, where=where)
    context = _context(definition, options)
    named = options.session_id is not None
    link = PipeLink(definition, context.session_id, length_of(items))
    if isinstance(items, AckSource):
        link.acks = AckKeeper(items, f"a run of {definition.name}", has_reader=not collect_all)
    timeout = None if options.timeout == math.inf else options.timeout
    session = RunSession(pipe, context, link, timeout)
    if options.handle is not None:
        options.handle._bind(outlet, link, where)
    return RunPlan(
        label=definition.name,
        name=_run_name(definition, context),
        stages=[
            _source_plan(items, options.rate_limit, definition, link),
            *(_stage_plan(pipe, stage, context, link, named=named) for stage in definition.stages),
        ],
        reader=PipeReader,
        ends=[subscription_to(stage, READER) for stage in definition.stages if stage.next.kind == "output"],
        outlet=outlet,
        link=link,
        demand=_DEMAND,
        collect=collect_all,
        progress=None if options.progress is None else progress_teller(options.progress, link.input_count),
        on_start=session.open,
        on_end=session.close,
        on_kill=session.killed,
    )


def _context(definition: PipeDefinition, options: _RunOptions) -> Context:
    """The context of the run, with the views of its session."""
    context = Context(pipe=definition.name, stores=definition.stores, metadata=options.metadata)
    if options.session_id is not None:
        context = attrs.evolve(context, session_id=options.session_id)
    return attrs.evolve(context, views=bridge.Views(context.session_id))


def _check_items(items: Any, where: str, *, waits: bool) -> None:
    """Refuse what is no input; `waits` says that the caller's thread will be blocked."""
    if isinstance(items, AckSource):
        check_source(items, where)
        return
    if isinstance(items, (str, bytes)):
        problem = (
            f"is {items!r:.200}; allowed is an iterable of payloads: for the lines of a file the open file, "
            "for this one payload a list with it"
        )
        raise OptionError("items", problem, where=where)
    if not isinstance(items, (Iterable, AsyncIterable)):
        problem = f"is {items!r:.200}; allowed is an iterable of payloads, or an AckSource"
        raise OptionError("items", problem, where=where)
    if waits and not isinstance(items, Iterable) and running_loop() is not None:
        problem = (
            "is an async iterable, and this would block the event loop that is to read it; "
            "here allowed are arun_pipe and astream_pipe"
        )
        raise OptionError("items", problem, where=where)


def _source_plan(
    items: Any, rate_limit: RateLimit | None, definition: PipeDefinition, link: PipeLink
) -> StagePlan:
    options: dict[str, Any] = {"label": f"the input of {definition.name}", "link": link}
    actor: Any = PipeSource
    if not isinstance(items, (Iterable, AckSource)):
        actor = AsyncPipeSource
        options["loop"] = running_loop()
    entry = Entry(items, rate_limit, link)
    return StagePlan(name="source", actor=actor, args=(entry.open,), options=options, takes_input=False)


def _run_name(definition: PipeDefinition, context: Context) -> tuple[str, str] | None:
    """The name that a run holds, so that no other one takes its views from it."""
    has_views = any(views_of(store) for store in definition.stores.values())
    return ("slither.session", context.session_id) if has_views else None


def _stage_plan(
    pipe: type[Pipe], stage: StageDefinition, context: Context, link: PipeLink, *, named: bool
) -> StagePlan:
    options = {
        "context": context.with_stage(stage.name),
        "link": link,
        "telling": StageTelling(pipe, stage.name, stage.kind, link),
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


def link_of(plan: RunPlan) -> PipeLink:
    """The link of a pipe's run."""
    assert isinstance(plan.link, PipeLink)
    return plan.link


def pipe_error(link: PipeLink, halted: Halted, found: list[Item]) -> PipeError:
    """What a run raises that ended early, with the items that it had collected."""
    partial_results = PipeOutputs(link, found)
    name, error = link.definition.name, halted.error
    if isinstance(error, Expired):
        return PipeTimeoutError(error.seconds, partial_results, pipe=name, far=partial_results.record.words)
    if isinstance(error, Cancelled):
        return PipeCancelledError(str(error), partial_results, pipe=name, far=partial_results.record.words)
    item = halted.batch.replace(f" of {name}.{halted.stage}", "") if halted.stage else halted.batch
    return PipeError(error, partial_results, pipe=name, stage=halted.stage, item=item)


def session_in_use(plan: RunPlan) -> OptionError:
    problem = f"is {plan.name[1]!r}, which another run has now; its views would be mixed up with this one's"
    return OptionError("session_id", problem, where=f"running {plan.label}")
