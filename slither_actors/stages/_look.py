"""A look at one stage, for a picture of its graph: in the stage, or from outside if it is stuck.

Nothing here waits or changes anything. What is read from outside are single
values and copies that Python makes in one step.
"""

from __future__ import annotations

import logging
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from slither_actors.actors import Ref
from slither_actors.core import BroadcastFanOut, CheckedFanOut, GraphStage, PartitionFanOut
from slither_actors.core._stage_graph import StageState
from slither_actors.errors import safe_text
from slither_actors.stages import _protocol
from slither_actors.stages._async_iterable import AsyncIterableProducer
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._lazy import LazyEmitter
from slither_actors.stages._producer import Producer
from slither_actors.stages._producer_consumer import ProducerConsumer
from slither_actors.stages._receiver import CHUNKED
from slither_actors.stages._stage import BaseStage
from slither_actors.stages._statistics import kind_of_stage
from slither_actors.stages._subscription import Subscription

__all__ = ["Look", "look", "look_from_outside", "subscriptions_of"]

logger = logging.getLogger("slither_actors.stages")

_COUPLED: dict[type, Literal["broadcast", "partition"]] = {
    BroadcastFanOut: "broadcast",
    PartitionFanOut: "partition",
}

_OWN = str(Path(__file__).parent.parent)
_STDLIB = sysconfig.get_path("stdlib")


@attrs.frozen
class Look:
    """What one stage knows."""

    stage: GraphStage
    producers: frozenset[Subscription]
    consumers: frozenset[Subscription]

    open: Mapping[Subscription, int] | None
    """By its consumers: demand that it was asked for and has not met. None if that cannot be read."""

    asked: Mapping[Subscription, int]
    """By its consumers: demand that waits in its mailbox."""

    in_flight: Mapping[Subscription, int]
    """By its producers: events that wait in its mailbox or are held back."""

    demand: Mapping[Subscription, int]
    """By its producers: what it has asked for and not taken."""


def subscriptions_of(ref: Ref) -> tuple[frozenset[Subscription], frozenset[Subscription]]:
    """Return what a stage is subscribed to and who is to it. From any thread."""
    stage = ref._cell.actor
    # A dead one may have left only its class.
    producers = vars(stage).get("_producers", ())
    consumers = vars(stage).get("_consumers", ())
    return frozenset(producers), frozenset(consumers)


def look(ref: Ref, stage: BaseStage) -> Look:
    """Look at a stage, in it, between two of its messages."""
    open_demand: Mapping[Subscription, int] | None = {}
    unmet = None
    if isinstance(stage, Emitter):
        try:
            open_demand, unmet = _demand_of(stage)
        except Exception:
            # A fan-out of the user's own: to look at a stage must not end it.
            logger.exception("%s: the statistics of its fan-out raised", ref)
            open_demand = None
    return _look(ref, stage, open_demand, unmet, answered=True)


def look_from_outside(ref: Ref, waited: float) -> Look:
    """Look at a stage that does not answer, for `waited` seconds by now, or that is dead."""
    stage = ref._cell.actor
    open_demand: Mapping[Subscription, int] | None = {}
    unmet = None
    if isinstance(stage, Emitter) and "_fan_out" in vars(stage):
        try:
            # A user's fan-out is called by its stage only.
            open_demand, unmet = (
                (None, None) if isinstance(stage._fan_out, CheckedFanOut) else _demand_of(stage)
            )
        except RuntimeError:  # it changes at this moment: the stage is not stuck after all
            open_demand = None
    seen = _look(ref, stage, open_demand, unmet, answered=False)
    cell = ref._cell
    if cell.dead:
        gone = attrs.evolve(seen.stage, state="dead", exit_reason=safe_text(cell.reason, repr), unmet=None)
        return attrs.evolve(seen, stage=gone)
    since = cell.scheduler.stalled_since(cell)
    busy = waited if since is None else max(waited, time.monotonic() - since)
    awaited = cell.waiting_on
    asks = awaited.cell.describe() if awaited is not None and not awaited.answered else ""
    stuck = attrs.evolve(seen.stage, state="no answer", busy=busy, where=_where(ref), waits_for=asks)
    return attrs.evolve(seen, stage=stuck)


def _look(
    ref: Ref,
    stage: Any,
    open_demand: Mapping[Subscription, int] | None,
    unmet: int | None,
    *,
    answered: bool,
) -> Look:
    cell = ref._cell
    inbox = cell.inbox.copy()
    asked: dict[Subscription, int] = {}
    in_flight: dict[Subscription, int] = {}
    for function, argument in inbox:
        if function is _protocol.deliver or function is _protocol.hand_over:
            in_flight[argument[0]] = in_flight.get(argument[0], 0) + len(argument[1])
        elif function is _protocol.ask:
            asked[argument[0]] = asked.get(argument[0], 0) + argument[1]
    waiting = 0
    for subscription, count in _held_back(stage):
        in_flight[subscription] = in_flight.get(subscription, 0) + count
        waiting += count
    producers, consumers = subscriptions_of(ref)
    record = _record(ref, stage, mailbox=len(inbox), waiting=waiting, unmet=unmet, answered=answered)
    demand = {each: each.demand.outstanding for each in producers if not each.manual}
    return Look(record, producers, consumers, open_demand, asked, in_flight, demand)


def _held_back(stage: Any) -> list[tuple[Subscription, int]]:
    entries = vars(stage)["_waiting"].copy() if "_waiting" in vars(stage) else ()
    held = [
        (subscription, sum(len(chunk) for chunk, _ in events) if cause in CHUNKED else len(events))
        for subscription, events, cause in entries
        if subscription is not None  # an info that waits behind the events, say
    ]
    collecting = [each for each in vars(stage).get("_producers", frozenset()).copy() if each.collector]
    return held + [(each, len(each.collector)) for each in collecting]


def _record(
    ref: Ref, stage: Any, *, mailbox: int, waiting: int, unmet: int | None, answered: bool
) -> GraphStage:
    cell = ref._cell
    jobs = _jobs(stage)
    began = [job.began for job in jobs]
    # Without a lane: what reads an async iterable, and lasts as long as that.
    timed = [job.began for job in jobs if job.quota is None and job.lane is not None]
    record = GraphStage(
        id=ref.id,
        name=str(ref),
        kind=kind_of_stage(ref.actor_class),
        state=_state(stage, busy=bool(mailbox or jobs)),
        answered=answered,
        mailbox=mailbox,
        waiting=waiting,
        running=len(jobs) + (getattr(stage, "_lazy", None) is not None),
        unmet=unmet,
        streams=len(timed) < len(jobs),
        call=min(began, default=None),
        busy=time.monotonic() - min(timed) if timed else None,
        handled=cell.handled,
    )
    if not isinstance(stage, Emitter) or "_fan_out" not in vars(stage):
        return record
    buffer = stage._buffer.statistics()
    fan_out = _fan_out_of(stage)
    return attrs.evolve(
        record,
        buffered=buffer.length,
        buffer_size=buffer.size,
        queued=_queued(fan_out),
        fan_out=type(fan_out).__name__,
        coupled=next((name for kind, name in _COUPLED.items() if isinstance(fan_out, kind)), ""),
        discarded=buffer.discarded + getattr(fan_out, "_discarded", 0),
        logged=stage._count_logged(),
        accumulates=isinstance(stage, Producer) and stage._mode == "accumulate",
    )


def _state(stage: Any, *, busy: bool) -> StageState:
    if stage._cell.suspended:
        return "suspended"
    if stage._on_hold:
        return "paused"
    if stage._finishing or stage._draining:
        return "completing"
    if isinstance(stage, Emitter) and stage._intake is not None and stage._intake.closed:
        return "blocked"
    # Of a consumer that starts a child for each event.
    busy = busy or getattr(stage, "_children_of_events", 0) > 0
    if isinstance(stage, LazyEmitter) and stage._lazy is not None and stage._room(stage._lazy) > 0:
        busy = True
    return "working" if busy else "idle"


def _jobs(stage: Any) -> list[Any]:
    lanes = (stage._lane, stage._message_lane)
    jobs = [job for lane in lanes if lane is not None for job in lane._jobs.copy().values()]
    if isinstance(stage, AsyncIterableProducer):
        # It may be read from outside, before its `init` has run.
        reading = vars(stage).get("_job")
        if reading is not None and not reading.over and stage._owed > 0:
            jobs.append(reading)
    return jobs


# -- demand ------------------------------------------------------------------------------


def _fan_out_of(stage: Emitter) -> Any:
    fan_out = stage._fan_out
    return fan_out.fan_out if isinstance(fan_out, CheckedFanOut) else fan_out


def _queued(fan_out: Any) -> dict[str, int]:
    if not isinstance(fan_out, PartitionFanOut):
        return {}
    return {safe_text(name, repr): count for name, count in fan_out.queued().items() if count}


def _demand_of(stage: Emitter) -> tuple[dict[Subscription, int], int]:
    """Return the open demand of each consumer, and how much of it the stage itself is to meet."""
    numbers = stage._fan_out.statistics()
    outstanding = {key: count for key, count in numbers.outstanding.items() if isinstance(key, Subscription)}
    if isinstance(stage, ProducerConsumer):
        return outstanding, stage._wanted
    if isinstance(_fan_out_of(stage), BroadcastFanOut):
        unmet = min(outstanding.values(), default=0)
    else:
        unmet = sum(outstanding.values()) - numbers.held - numbers.queued
    if isinstance(stage, Producer):
        unmet = max(unmet, stage._fresh_demand)
    return outstanding, max(0, unmet)


# -- where a handler is ----------------------------------------------------------------------


def _where(ref: Ref) -> str:
    """Name the line that a handler is at; nothing where that cannot be seen."""
    thread = ref._cell.scheduler.thread_of(ref._cell)
    if thread is None or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return ""
    frame = sys._current_frames().get(thread)
    # That of the user's code, not what it calls.
    while frame is not None and frame.f_code.co_filename.startswith((_OWN, _STDLIB, "<")):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
