"""`start_pipe`: pipes that run on, and the handle of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from slither_actors.actors import SHUTDOWN, ChildSpec, Ref, whereis
from slither_actors.config import Rule, build, integer, one_of, positive_seconds, wait_seconds_or_none
from slither_actors.core import Backoff, RateLimit
from slither_actors.dispatch._default import pipes
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._topology import RunPlan, StagePlan
from slither_actors.errors import (
    ActorExitError,
    NameTakenError,
    NotRunningError,
    OptionError,
)
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._ack_source import AckSource, check_source, limit
from slither_actors.pipe._entry import Entry
from slither_actors.pipe._feed import Feed, PushSource, StageSource, is_within
from slither_actors.pipe._gate import Gate
from slither_actors.pipe._into import LiveReader, destinations, is_stage
from slither_actors.pipe._life import Life
from slither_actors.pipe._live import LivePipe, LiveRun
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._plan import link_of, pipe_plan
from slither_actors.pipe._record import PipeRecord, look
from slither_actors.pipe._source import PipeSource
from slither_actors.stages import Producer
from slither_actors.stages._emitter import Emitter

__all__ = ["PipeStatus", "RunningPipe", "start_pipe"]


_backoff = Rule("allowed are a Backoff, None", lambda value: value is None or isinstance(value, Backoff))


@attrs.frozen(kw_only=True)
class LiveOptions:
    """What `start_pipe` takes besides."""

    restart: str = attrs.field(default="permanent", validator=one_of("permanent", "transient", "temporary"))
    max_restarts: int = attrs.field(default=3, validator=integer(0))
    max_seconds: float = attrs.field(default=5.0, validator=positive_seconds)
    backoff: Backoff | None = attrs.field(default=None, validator=_backoff)
    rate_limit: RateLimit | None = attrs.field(default=None, validator=limit)
    session_id: str | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class PipeStatus:
    """How a pipe that runs on was at one moment, over all of its runs."""

    name: str
    pipe: str
    state: str
    """``"running"``, ``"paused"``, ``"draining"``, ``"restarting"`` or ``"stopped"``."""

    why: str
    """Of a stopped one, why; else empty."""

    seconds: float
    """Since it was started."""

    restarts: int
    items_in: int
    """Items taken."""

    outputs: Mapping[str, int]
    """Output to items that went to its destination."""

    skipped: int
    in_flight: int
    """Items that are in the present run, or wait for a consumer stage."""

    lost: int
    """Items that were in runs which ended early; those that failed there, too. With an `AckSource` none."""

    given_back: int
    """The same for an `AckSource`, which got them back and delivers them again; then they count anew."""

    waiting: int
    """Pushes that wait for demand."""

    last_error: str
    """Why the last run that halted did."""

    record: PipeRecord | None
    """Of the present run, or of the last one."""


class RunningPipe:
    """The handle of a pipe that runs on. Any thread may use it; dropping it ends nothing."""

    def __init__(self, life: Life, ref: Ref) -> None:
        self._life = life
        self._holding = threading.RLock()
        """Held while it is paused or resumed: of two threads one comes last, with all that there is to it."""
        self._drains = False
        self.ref = ref
        """Its supervisor."""

    @property
    def name(self) -> str:
        """What it was named at its start."""
        return self._life.name

    def push(self, items: Iterable[Any], timeout: float | None = None) -> int:
        """Hand items or payloads to the pipe, and return how many, once it has taken all of them.

        Waits while the pipe wants no more, while it is paused, and while it restarts. `items` are read only
        as far as there is room. A stage of the pipe itself holds that up: without a `timeout` it
        waits for room for a second at most.

        Args:
            items: payloads or items.
            timeout: seconds for all of them; None waits without a limit.

        Raises:
            PushTimeoutError: the time is over; `pushed` of them were taken.
            PipeStoppedError: the pipe takes no more; so it is for this.
            OptionError: the pipe has a producer.
        """
        wait_seconds_or_none.check("timeout", timeout, "push")
        if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
            raise OptionError("items", f"is {items!r:.200}; allowed is an iterable of payloads", where="push")
        if self._life.source is not None:
            raise OptionError("source", "feeds this pipe, which nobody can push into then", where=self.name)
        return self._life.feed.push(items, timeout)

    def status(self) -> PipeStatus:
        """Return how it is. Stages that are inside a handler for long are not counted."""
        life = self._life
        with life.lock:
            link, record = life.link, life.last_record
            items_in, outputs, skipped = life.items_in, life.outputs.copy(), life.skipped
            lost, given_back, held = life.lost, life.given_back, life.held.copy()
            last_error = life.last_error
        in_flight = 0
        if link is not None:
            record = look(link)
            items_in, skipped = items_in + record.items_in, skipped + record.skipped
            outputs.update(record.outputs)
            in_flight = record.unfinished
        outputs.subtract(held)
        return PipeStatus(
            name=life.name,
            pipe=life.pipe.definition.name,
            state=self._state(),
            why=life.stopped,
            seconds=time.monotonic() - life.began,
            restarts=max(0, life.runs - 1),
            items_in=items_in,
            outputs={output: outputs[output] for output in life.pipe.definition.outputs},
            skipped=skipped,
            in_flight=in_flight + sum(held.values()),
            lost=lost,
            given_back=given_back,
            waiting=life.feed.waiting,
            last_error=last_error,
            record=record,
        )

    def _state(self) -> str:
        life = self._life
        if life.stopped:
            return "stopped"
        if life.draining:
            return "draining"
        if life.run is None:
            return "restarting"
        return "paused" if life.gate.held else "running"

    def pause(self) -> None:
        """Take nothing more until `resume`, also after a restart; what was taken goes on its way."""
        with self._holding:
            self._hold(True)

    def resume(self) -> None:
        """Undo `pause`."""
        with self._holding:
            self._hold(False)

    def _hold(self, paused: bool) -> None:
        life = self._life
        paused = paused and not self._drains
        life.gate.hold(paused)
        run = life.run
        if run is not None:
            run.send(LiveRun.hold, paused)

    def drain(self, timeout: float | None = None) -> bool:
        """Take nothing more, wait until all that was taken is done and acknowledged, and end.

        Undoes `pause`.

        In one of its own stages, or in its ``into=``, it waits for nothing: that would be for itself.

        Returns:
            Whether it was done within `timeout` seconds; if not, it goes on, and `stop` ends it.

        Raises:
            OptionError: `timeout` is no number of seconds.
        """
        wait_seconds_or_none.check("timeout", timeout, f"draining {self.name}")
        with self._holding:
            self._hold(False)
            self._drains = True
            self.ref.send(LivePipe.drain)
        return self._join(timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """End now. What is in flight is counted as lost; an `AckSource` gets it back.

        In one of its own stages, or in its ``into=``, it waits for nothing: that would be for itself.

        Returns:
            Whether it had ended within `timeout` seconds.

        Raises:
            OptionError: `timeout` is no number of seconds.
        """
        wait_seconds_or_none.check("timeout", timeout, f"stopping {self.name}")
        self.ref.stop(SHUTDOWN, block=False)
        return self._join(timeout)

    def _join(self, timeout: float | None) -> bool:
        if is_within(self._life.feed):
            return not self.ref.is_alive()
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.ref.join(timeout):
            return False
        acks = self._life.acks
        return acks is None or acks.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def producer(self, output: str = "default") -> Ref:
        """Return the producer stage of an output whose destination is a consumer stage: for more of those.

        Raises:
            OptionError: it has another destination, or none.
        """
        found = self._life.deliver.get(output)
        if not isinstance(found, Ref):
            problem = f"is {output!r}; allowed are those whose into= is a stage"
            raise OptionError("output", problem, where=self.name)
        return found

    def __repr__(self) -> str:
        return f"<pipe {self.name!r}: {self._state()}>"


def start_pipe(
    pipe: type[Pipe], *, source: Any = None, name: str | None = None, into: Any = None, **options: Any
) -> RunningPipe:
    """Start a pipe that runs on, under the `PipeSupervisor`, until it is stopped or drained.

    A run that halts, or a stage of it that is killed, is restarted by policy with what comes next; what was
    in flight is lost, counted, and told by the event ``slither.pipe.lost``. An `AckSource` gets it back
    instead, and delivers it again to the next run.

    Args:
        pipe: the pipe's class.
        source: a producer stage: the ref of one, a `Producer` class or a `ChildSpec`, which is started for
            the pipe and restarted with it; or an `AckSource`. None is for `RunningPipe.push`.
        name: names it; no other pipe that runs has it. By default the name of the class.
        into: what gets the results: a function of a list of items, a table (payloads are pairs of key and
            value), or the ref of a consumer stage; or a mapping of output to these. Items of an output that
            has none are counted and dropped. A function that raises halts the run. An `AckSource` is told
            that items are done when the function has returned, the table has them, or the stage took them.
        **options: ``restart`` (``"permanent"``; ``"transient"`` restarts runs that halt and not those whose
            source has ended, ``"temporary"`` none), ``max_restarts`` (3) within ``max_seconds`` (5.0),
            ``backoff``, a `Backoff` before each restart, ``rate_limit``, a `RateLimit` of all that comes in,
            over all runs, ``session_id``, ``metadata``.

    Raises:
        OptionError: an option is wrong, or the name is taken.
        StartError: the producer that is started for the pipe did not start.
        NotRunningError: the program is ending.
    """
    pipe_plan(pipe, (), {}, _NoOutlet(), collect_all=False)  # also checks the pipe
    where = f"starting {pipe.definition.name}"
    checked = build(LiveOptions, options, where=where)
    name = pipe.definition.name if name is None else name
    if not isinstance(name, str) or not name:
        raise OptionError("name", f"is {name!r:.200}; allowed is a text", where=where)
    if isinstance(source, AckSource):
        check_source(source, where)
    spec = _producer_spec(source, name, checked.restart, where)
    given = {"session_id": checked.session_id, "metadata": checked.metadata}
    pipe_plan(pipe, (), given, _NoOutlet(), collect_all=False)
    rate_limit = checked.rate_limit
    if rate_limit is None and isinstance(source, AckSource):
        rate_limit = source.rate_limit
    gate = Gate(rate_limit)
    life = Life(name=name, pipe=pipe, gate=gate, feed=Feed(name, gate), source=source)
    life.make_plan = lambda: _plan(life, given, source if spec is None else whereis(_source_name(name)))
    life.deliver = destinations(pipe.definition, into, where)
    child = LivePipe.child_spec(
        life, spec, checked, id=name, name=("slither.pipe", name), restart="temporary"
    )
    try:
        return RunningPipe(life, pipes().start_child(child))
    except NameTakenError as error:
        raise OptionError("name", f"is {name!r}, which another pipe has that runs", where=where) from error
    except ActorExitError as error:
        msg = "the application stops and takes no more pipes"
        raise NotRunningError(msg) from error


class _NoOutlet(Outlet):
    """The outlet of runs that have their own end."""

    def finish(self, reason: Any) -> None:
        """Nobody waits."""


def _source_name(name: str) -> tuple[str, str]:
    return ("slither.pipe.source", name)


def _producer_spec(source: Any, name: str, restart: Any, where: str) -> ChildSpec | None:
    """How to start the producer that a pipe brings along; None for one that runs, and for other sources."""
    if source is None or isinstance(source, AckSource):
        return None
    if is_stage(source) and issubclass(source.actor_class, Emitter):
        if not source.is_alive():
            problem = f"is {source}, which has ended; allowed is a producer that runs, or a Producer class"
            raise OptionError("source", problem, where=where)
        return None
    if isinstance(source, type) and issubclass(source, Producer):
        return source.child_spec(id="producer", name=_source_name(name), restart=restart)
    if isinstance(source, ChildSpec) and isinstance(source.start, tuple):
        start, args, keywords = source.start
        keywords = {**keywords, "name": _source_name(name)}
        return attrs.evolve(source, id="producer", start=(start, args, keywords))
    problem = (
        f"is {source!r:.200}; allowed are the ref of a producer, a Producer class, a ChildSpec, "
        "an AckSource, None"
    )
    raise OptionError("source", problem, where=where)


def _plan(life: Life, given: Mapping[str, Any], producer: Any) -> RunPlan:
    """Lay out the next run."""
    plan = pipe_plan(life.pipe, (), given, _NoOutlet(), collect_all=False)
    link = link_of(plan)
    link.input_count = None
    link.live = life
    actor: Any = StageSource
    args: tuple[Any, ...] = (producer, life.gate, link)
    options: dict[str, Any] = {}
    if life.source is None:
        actor, args = PushSource, (life.feed, link)
    elif isinstance(life.source, AckSource):
        link.acks = life.acks = AckKeeper(
            life.source, f"a run of {life.name}", has_reader=False, after=life.acks
        )
        actor, args = PipeSource, (Entry(life.source, None, link, life.gate).open,)
        options = {"label": f"the source of {life.name}", "link": link}
    source = StagePlan(name="source", actor=actor, args=args, options=options, takes_input=False)
    return attrs.evolve(plan, stages=[source, *plan.stages[1:]], reader=LiveReader)
