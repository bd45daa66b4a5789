"""The graph that a stage is part of, seen while it runs."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Mapping
from functools import partial
from types import FunctionType
from typing import Any, cast

from slither_actors.actors import Ref, blocking, interruptible, whereis
from slither_actors.actors._interrupts import waits
from slither_actors.actors._mailbox import asked_ahead
from slither_actors.actors._runtime import current_cell
from slither_actors.actors._scheduler import lock_timeout
from slither_actors.config import has_hash, wait_seconds
from slither_actors.core import GraphEdge, StageGraph
from slither_actors.errors import OptionError, safe_text
from slither_actors.stages._look import Look, look, look_from_outside, subscriptions_of
from slither_actors.stages._stage import BaseStage
from slither_actors.stages._subscription import Subscription

__all__ = ["find_stage", "graph"]


def graph(*stages: Ref | str, timeout: float = 1.0) -> StageGraph:
    """Return a picture of the stages that are connected with those given, upstream and downstream.

    Each stage is asked once, ahead of what waits in its mailbox, and answers between two messages; none
    is stopped. So the numbers of one stage belong to one moment, and those of two stages to two moments
    close to each other. A stage that is in a handler all the time, or has ended, is read from outside and
    shown as ``"no answer"`` or ``"dead"``.

    Args:
        *stages: refs or names of any stages.
        timeout: seconds that all of them together have to answer in.

    Raises:
        OptionError: one is no stage, or `timeout` is no number of at least 0.
        ExitPendingError: the caller is an actor that is to end.
    """
    wait_seconds.check("timeout", timeout, "graph")
    refs = [_stage_ref(stage) for stage in stages]
    survey = _Survey()
    survey.take(refs, timeout)
    return survey.picture()


def find_stage(stage: Any, where: str) -> Ref | None:
    """Return the ref of a stage that is given as its ref or name; None if nobody has the name.

    Raises:
        OptionError: it is neither, or somebody else's.
    """
    found: Ref | None = stage
    if not isinstance(stage, Ref):
        if stage is None or not has_hash(stage):
            raise _no_stage(stage, where)
        found = whereis(stage)
    if found is not None and not issubclass(found.actor_class, BaseStage):
        raise _no_stage(stage, where)
    return found


def _stage_ref(stage: Any) -> Ref:
    found = find_stage(stage, "graph")
    if found is None:
        raise _no_stage(stage, "graph")
    return found


def _no_stage(stage: Any, where: str) -> OptionError:
    return OptionError(
        "stages", f"has {safe_text(stage, repr)}; allowed are refs and names of stages", where=where
    )


class _Question:
    """What one stage is asked; put into the queue when it is answered, or can no more be."""

    __slots__ = ("answer", "put", "ref")

    def __init__(self, ref: Ref, put: Any) -> None:
        self.ref = ref
        self.put = put
        self.answer: Look | None = None

    def reject(self, _: Any) -> None:
        self.put(self)


def _answer(stage: BaseStage, question: _Question) -> None:
    try:
        question.answer = look(question.ref, stage)
    finally:
        question.put(question)


asked_ahead.add(_answer)


class _Survey:
    """One walk over a graph. Used by one thread."""

    def __init__(self) -> None:
        self._questions: dict[Ref, _Question] = {}
        self._pending: set[Ref] = set()
        self._answers: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._began = time.monotonic()

    def take(self, refs: Iterable[Ref], timeout: float) -> None:
        """Ask the stages and all that are connected with them, until the time is over."""
        self._ask_all(refs)
        self._collect(self._began + timeout)

    def _ask_all(self, refs: Iterable[Ref]) -> None:
        # Found from outside, so that all are asked at nearly the same moment and one that is stuck hides
        # nobody behind it.
        ahead = list(refs)
        for ref in ahead:
            if ref in self._questions:
                continue
            self._ask(ref)
            producers, consumers = subscriptions_of(ref)
            ahead += [each.producer for each in producers]
            ahead += [each.consumer for each in consumers]

    def _ask(self, ref: Ref) -> None:
        cell = ref._cell
        question = self._questions[ref] = _Question(ref, self._answers.put)
        self._pending.add(ref)
        if cell is current_cell():
            _answer(cast("BaseStage", cell.actor), question)  # it would wait for itself
            return
        cell.put_control((_answer, question))
        if cell.dead:
            question.reject(None)  # one that was abandoned in its handler rejects nothing any more

    @waits
    def _collect(self, deadline: float) -> None:
        with interruptible(partial(self._answers.put, None)) as refuse:
            while self._pending:
                if self._answers.empty():
                    blocking()
                try:
                    answered = self._answers.get(timeout=lock_timeout(max(0.0, deadline - time.monotonic())))
                except queue.Empty:
                    return
                if answered is None:
                    refuse()
                    continue
                self._pending.discard(answered.ref)
                if answered.answer is not None:
                    found = answered.answer
                    self._ask_all(each.producer for each in found.producers)
                    self._ask_all(each.consumer for each in found.consumers)

    def picture(self) -> StageGraph:
        """Put together what the stages have said."""
        now = time.monotonic()
        looks = {
            ref: question.answer or look_from_outside(ref, now - self._began)
            for ref, question in self._questions.items()
        }
        known = {each: None for found in looks.values() for each in (*found.producers, *found.consumers)}
        # Who was found at the last moment was not asked.
        edges = [_edge(each, looks) for each in known if each.producer in looks and each.consumer in looks]
        return StageGraph(
            stages=tuple(sorted((found.stage for found in looks.values()), key=lambda stage: stage.id)),
            edges=tuple(sorted(edges, key=lambda edge: (edge.producer, edge.consumer, str(edge.options)))),
            complete=all(found.stage.answered for found in looks.values()),
            at=self._began,
        )


def _edge(subscription: Subscription, looks: Mapping[Ref, Look]) -> GraphEdge:
    producer, consumer = looks[subscription.producer], looks[subscription.consumer]
    knows = subscription in producer.consumers and producer.open is not None
    return GraphEdge(
        producer=subscription.producer.id,
        consumer=subscription.consumer.id,
        max_demand=subscription.demand.max_demand,
        min_demand=subscription.demand.min_demand,
        cancel=subscription.options.cancel,
        manual=subscription.manual,
        ever_asked=subscription.asked or not subscription.manual,
        options={name: _shown(value) for name, value in subscription.options.extra.items()},
        demand=consumer.demand.get(subscription),
        open=(producer.open or {}).get(subscription, 0) if knows else None,
        asked=producer.asked.get(subscription, 0),
        in_flight=consumer.in_flight.get(subscription, 0),
    )


def _shown(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, FunctionType):
        return value.__qualname__
    return safe_text(value, repr)
