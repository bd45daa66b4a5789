"""What a stage holds at one moment, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from slither_actors.actors import Ref, _inspection
from slither_actors.core import BufferStatistics, FanOutStatistics
from slither_actors.errors import SubscriptionError
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._lazy import LazyEmitter
from slither_actors.stages._producer import Producer
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._stage import BaseStage
from slither_actors.stages._subscription import Subscription

__all__ = ["StageKind", "StageStatistics", "kind_of_stage", "statistics", "statistics_of"]

StageKind = Literal["producer", "producer_consumer", "consumer"]


@attrs.frozen(kw_only=True)
class StageStatistics:
    """What a stage held at one moment. Returned by `statistics`."""

    kind: StageKind
    """Which of the three."""

    mode: Literal["forward", "accumulate"] | None
    """What a producer does with demand, see `Producer.demand`; None for the others."""

    paused: bool
    """Whether it is held by `pause`."""

    completing: bool
    """Whether it has completed and waits for what it has emitted to be taken."""

    asked_by: Mapping[Subscription, int]
    """Events that each consumer has asked for and not been sent."""

    owed: int
    """Demand without a consumer of its own: left by consumers that are gone, or common to all."""

    asked_of: Mapping[Subscription, int]
    """Events asked of each producer that have not come; those that ask by hand are left out."""

    unmet: int
    """Demand remembered that the stage's own code has not been told of: because the stage is paused, by a
    producer whose mode is ``"accumulate"``, or by a producer-consumer that waits for events."""

    buffered: int
    """Events in the buffer. The rest of what `buffer` says is about it, too."""

    buffer: BufferStatistics | None
    """The buffer: its size, what it keeps, its peak, what was discarded; None for a consumer."""

    fan_out: FanOutStatistics[Subscription] | None
    """The fan-out: what it has queued, held and discarded; None for a consumer."""

    logged: int
    """Events emitted while the mode is ``"accumulate"``: they are in a log that has no limit."""

    discarded: int
    """Events dropped since the start, by the buffer and the fan-out."""

    unacknowledged: int
    """Events sent at least once and not handled yet, as far as the stage knows: they may come back."""

    redelivered: int
    """Events that came back since the start, and were dispatched again."""

    undeliverable: int
    """Events dropped since the start because they were handed over `max_deliveries` times, and each time the
    consumer ended in the middle of handling them."""

    waiting: int
    """Events that came and are not handled yet: there is no demand for what they become, the stage is
    paused, or all coroutines that it may have are at work. At most `max_demand` of each producer."""

    in_flight: int
    """Events in coroutines, generators, or children of a `ConsumerSupervisor`, that have not ended."""

    unfinished: int
    """Calls of handlers that are not over: coroutines, and generators that are not read to their end."""

    blocked: bool
    """Whether the buffer is full and `buffer_keep` is ``"block"``: ordinary messages wait."""

    held: int
    """Ordinary messages that wait for that. They count as the mailbox's, if that has a bound."""

    times_blocked: int
    """How often the buffer was full since the start, with ``"block"``."""

    @property
    def inside(self) -> int:
        """Events that would be lost if the stage were killed now, but for those of a handler at work."""
        queued = 0 if self.fan_out is None else self.fan_out.queued
        return self.buffered + queued + self.logged + self.waiting + self.in_flight


def statistics(ref: Ref, timeout: float | None = 5.0) -> StageStatistics:
    """Return what a stage holds, after the messages that were sent to it before; also of one suspended.

    Raises:
        SubscriptionError: `ref` is no stage.
        CallTimeoutError: it has not answered within `timeout` seconds.
        ActorExitError: it is dead.
    """
    if not issubclass(ref.actor_class, BaseStage):
        msg = f"{ref} is no stage and has no statistics of one"
        raise SubscriptionError(msg)
    numbers: StageStatistics = _inspection.ask(ref, _statistics, timeout=timeout)
    return numbers


def kind_of_stage(stage: type) -> StageKind:
    """Tell the kind of a class of stages."""
    if not issubclass(stage, Emitter):
        return "consumer"
    return "producer_consumer" if issubclass(stage, Receiver) else "producer"


def statistics_of(stage: BaseStage) -> StageStatistics:
    """Read the numbers, in the stage; elsewhere they may be of different moments."""
    numbers: dict[str, Any] = {
        "kind": kind_of_stage(type(stage)),
        "mode": None, "paused": stage._on_hold, "completing": stage._finishing,
        "asked_by": {}, "owed": 0, "asked_of": {}, "unmet": 0,
        "buffered": 0, "buffer": None, "fan_out": None, "logged": 0, "discarded": 0,
        "unacknowledged": 0, "redelivered": 0, "undeliverable": 0,
        "waiting": 0, "in_flight": 0, "unfinished": 0,
        "blocked": False, "held": 0, "times_blocked": 0,
    }  # fmt: skip
    if isinstance(stage, Receiver):
        numbers["asked_of"] = stage._count_asked_of()
        numbers["waiting"] = stage._count_waiting()
    if isinstance(stage, Emitter):
        numbers |= _of_emitter(stage)
    numbers["in_flight"], numbers["unfinished"] = _in_flight(stage)
    return StageStatistics(**numbers)


def _of_emitter(stage: Emitter) -> dict[str, Any]:
    buffer, fan_out = stage._buffer.statistics(), stage._fan_out.statistics()
    intake = stage._intake
    return {
        "mode": stage._mode if isinstance(stage, Producer) else None,
        "asked_by": fan_out.outstanding,
        "owed": fan_out.owed,
        "unmet": stage._count_unmet(),
        "buffered": buffer.length,
        "buffer": buffer,
        "fan_out": fan_out,
        "logged": stage._count_logged(),
        "discarded": buffer.discarded + fan_out.discarded,
        "unacknowledged": sum(each.handover.length for each in tuple(stage._consumers) if each.handover),
        "redelivered": stage._redelivered,
        "undeliverable": stage._undeliverable,
        "blocked": intake is not None and intake.closed,
        "held": 0 if intake is None else len(intake.held),
        "times_blocked": 0 if intake is None else intake.times_closed,
    }


def _in_flight(stage: BaseStage) -> tuple[int, int]:
    jobs = () if stage._lane is None else stage._lane.jobs
    events = sum(len(job.what[0]) for job in jobs if job.name == "handle_events")
    if isinstance(stage, Receiver):
        events += stage._count_in_children()
    lazy = stage._lazy if isinstance(stage, LazyEmitter) else None
    if lazy is not None:
        events += lazy.size
    return events, len(jobs) + (lazy is not None)


def _statistics(stage: BaseStage, _: object) -> StageStatistics:
    return statistics_of(stage)
