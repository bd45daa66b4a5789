"""What is lost with stages that are killed because they have not finished: counted while they stand still.

All of them are halted first, and counted when none moves any more. So an event
on its way from one to another is neither missed nor counted twice. A stage that
is in the middle of a handler cannot be halted. It takes no further message, and
no further chunk of its list; the chunk that it is at work on is not counted.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from slither_actors.actors import Ref, blocking, interruptible
from slither_actors.actors._interrupts import waits
from slither_actors.actors._mailbox import asked_ahead
from slither_actors.actors._scheduler import lock_timeout
from slither_actors.stages import _protocol
from slither_actors.stages._async_iterable import AsyncIterableProducer
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._job import Job
from slither_actors.stages._lazy import LazyEmitter
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._subscription import Subscription

__all__ = ["kill_and_count"]

logger = logging.getLogger("slither_actors.stages")

_GRACE = 0.25
"""Seconds for the handlers that are at work at the deadline to return, all together; and once more for the
coroutines to be cancelled."""


def kill_and_count(refs: Iterable[Ref]) -> dict[Ref, int]:
    """Kill stages; return how many events are lost in each. Those that end by themselves are left out.

    Raises:
        ExitPendingError: the caller is an actor that is to end. The stages are killed all the same.
    """
    halts = [_Halt(ref) for ref in _from_the_source(refs)]
    try:
        _halt_all(halts, time.monotonic() + _GRACE)
        alive = [halt for halt in halts if halt.ref.is_alive()]
        for halt in alive:
            halt.inbox = tuple(halt.ref._cell.inbox.copy())
            if not halt.halted:
                halt.ref.kill()  # before it is looked at: it begins no other chunk then
        killed = {halt.ref: halt for halt in alive}
        counts = {halt.ref: _Losses(halt, killed).count() for halt in alive}
    finally:
        for halt in halts:
            halt.ref.kill()
    deadline = time.monotonic() + _GRACE
    for halt in alive:
        if halt.jobs:
            halt.ref.join(max(0.0, deadline - time.monotonic()))
            halt.stage._coroutines.join(max(0.0, deadline - time.monotonic()))
            counts[halt.ref] += halt.count_jobs()
    return counts


@attrs.define(eq=False)
class _Halt:
    """A stage, the request that it stand still, and what is in it then."""

    ref: Ref
    stage: Any = None
    halted: bool = False
    put: Any = None
    inbox: Sequence[Any] = ()
    jobs: Sequence[Job] = ()
    """Its coroutines for events and demand, whose events are not counted yet."""

    def reject(self, _: Any) -> None:
        """It has ended."""
        self.put(self)

    def count_jobs(self) -> int:
        """The events of coroutines, now that those are cancelled."""
        return sum(map(self._count_job, self.jobs))

    def _count_job(self, job: Job) -> int:
        done = job.over and job.error is None
        if job.name == "handle_events":
            # What it made of them is lost with a stage in the middle, at the end it is done.
            return 0 if done and not isinstance(self.stage, Emitter) else len(job.what[0])
        made = job.result if done and isinstance(job.result, (list, tuple, range)) else ()
        return len(job.basket) + len(made)


def _halt(stage: Any, halt: _Halt) -> None:
    stage._cell.suspend()
    halt.halted = True
    halt.put(halt)


asked_ahead.add(_halt)


def _from_the_source(refs: Iterable[Ref]) -> list[Ref]:
    """Put stages behind their producers, as far as there is such an order: so less is on its way then."""
    left, ordered, seen = dict.fromkeys(refs), dict[Ref, None](), set[Ref]()
    for each in left:
        todo = [each]
        while todo:
            ref = todo[-1]
            producers = {source.producer for source in tuple(vars(ref._cell.actor).get("_producers", ()))}
            ahead = [other for other in producers if other in left and other not in seen]
            seen.update((ref, *ahead))
            todo += ahead
            if not ahead:
                ordered[todo.pop()] = None
    return list(ordered)


@waits
def _halt_all(halts: Sequence[_Halt], deadline: float) -> None:
    """Have the stages stand still after the messages at work, and wait for that."""
    answers: queue.SimpleQueue[_Halt | None] = queue.SimpleQueue()
    pending = set(halts)
    for each in halts:
        cell = each.ref._cell
        each.stage, each.put = cell.actor, answers.put
        cell.put_control((_halt, each))
        if cell.dead:
            each.reject(None)
    with interruptible(partial(answers.put, None)) as refuse:
        while pending:
            if answers.empty():
                blocking()
            try:
                halt = answers.get(timeout=lock_timeout(max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                return
            if halt is None:
                refuse()
            else:
                pending.discard(halt)


class _Losses:
    """Counts the events in one of the stages that are `killed`."""

    def __init__(self, halt: _Halt, killed: Mapping[Ref, _Halt]) -> None:
        self._halt = halt
        self._killed = killed

    def count(self) -> int:
        stage = self._halt.stage
        count = self._count_arriving()
        if isinstance(stage, Receiver) and "_waiting" in vars(stage):
            count += sum(size for source, size in stage._each_waiting() if self._is_lost(source))
            count += stage._count_in_children()
        if isinstance(stage, Emitter) and "_consumers" in vars(stage):
            count += stage._buffer.length + stage._count_logged() + self._count_queued(stage)
            count += self._count_unacknowledged(stage)
        if isinstance(stage, LazyEmitter) and stage._lazy is not None:
            count += stage._lazy.size
        jobs = () if stage._lane is None else stage._lane.jobs
        self._halt.jobs = [job for job in jobs if job.name != "handle_events" or self._is_lost(job.what[1])]
        if isinstance(stage, AsyncIterableProducer) and stage._job is not None:
            count += len(stage._job.basket)
        return count

    def _count_arriving(self) -> int:
        count = 0
        for function, argument in self._halt.inbox:
            if function in (_protocol.deliver, _protocol.hand_over):
                count += len(argument[1]) if self._is_lost(argument[0]) else 0
            elif function is Emitter._dispatch_late:
                count += len(argument)
        return count

    def _is_lost(self, source: Subscription) -> bool:
        """Whether events that a subscription has brought are lost with its consumer, this stage."""
        if source.handover is None:
            return True
        producer = self._killed.get(source.producer)
        if producer is None:
            return not source.producer.is_alive()  # else it takes them back
        return source in producer.stage._consumers and not source.leaving

    def _count_unacknowledged(self, stage: Emitter) -> int:
        """Those that would have come back: of consumers that have left, or are gone, unheard."""
        count = 0
        for each in tuple(stage._consumers):
            gone = each.consumer not in self._killed and not each.consumer.is_alive()
            if each.handover is not None and (gone or each.leaving):
                count += each.handover.length - sum(
                    argument[2]
                    for function, argument in self._halt.inbox
                    if function is _protocol.acknowledge and argument[0] is each
                )
        return count

    def _count_queued(self, stage: Emitter) -> int:
        try:
            return stage._fan_out.statistics().queued
        except Exception:
            # A fan-out of the user's own, or one that changes at this moment: the others are to be counted.
            logger.exception("%s: what its fan-out has queued cannot be counted", self._halt.ref)
            return 0
