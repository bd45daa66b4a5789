"""Which stage of a graph holds back events or demand.

One picture tells what is so now; an earlier one besides tells what has lasted,
and a stage that is slow from one that is stuck. Only culprits are named: a
stage that has asked its producers for events and waits for them is not one,
nor is a producer whose consumers do not ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import attrs

from slither_actors.core._stage_graph import GraphEdge, GraphStage, StageGraph
from slither_actors.core._stall import Stall, StallKind

__all__ = ["HANDLER_SECONDS", "find_stalls"]

HANDLER_SECONDS = 5.0

_CALLS: frozenset[StallKind] = frozenset({"handler", "answer"})

_STANDING: frozenset[StallKind] = frozenset(
    {"no_consumers", "no_producers", "paused", "accumulates", "cycle"}
)
"""What does not come and go with the events."""


def find_stalls(
    now: StageGraph,
    before: StageGraph | None = None,
    *,
    again: StageGraph | None = None,
    handler_seconds: float = HANDLER_SECONDS,
) -> tuple[Stall, ...]:
    """Return what is found in a picture, by the numbers of the stages.

    Args:
        now: the picture.
        before: one of the same graph, taken some time ago.
        again: one taken right after `now`. What it does not show as well, unmoved, is not returned: the
            numbers of two stages in one picture are of two moments, and events may have passed in between.
        handler_seconds: how long a call of a handler may take.
    """
    found = _Search(now, before, handler_seconds).found()
    if again is not None:
        still = _lasting(_Search(again, now, 0.0).found(), again, now)
        confirmed = {stall.key for stall in still if stall.verdict == "stuck" or stall.kind in _CALLS}
        found = [stall for stall in found if stall.key in confirmed]
    if before is not None:
        found = _lasting(found, now, before)
    return tuple(sorted(found, key=lambda stall: stall.key))


def _lasting(found: list[Stall], now: StageGraph, before: StageGraph) -> list[Stall]:
    """Judge what was so at the earlier picture as well."""
    # With 0 seconds: what runs too long now ran already, however long.
    known = {stall.key for stall in _Search(before, before, 0.0).found()}
    stages = {stage.id: stage for stage in now.stages}
    earlier = {stage.id: stage for stage in before.stages}
    elapsed = now.at - before.at
    return [
        _judged(stall, stages[stall.stage], earlier[stall.stage], elapsed) if stall.key in known else stall
        for stall in found
    ]


def _judged(stall: Stall, stage: GraphStage, then: GraphStage, elapsed: float) -> Stall:
    moved = stage.handled != then.handled
    seconds: float | None = elapsed
    if stall.kind in _CALLS:
        moved = moved or stage.call != then.call or stage.answered != then.answered
        seconds = stall.seconds
    elif stall.kind in _STANDING:
        moved = False  # whatever it does, no events pass here
    return attrs.evolve(stall, seconds=seconds, verdict="slow" if moved else "stuck")


class _Search:
    """One look through one picture."""

    def __init__(self, graph: StageGraph, before: StageGraph | None, handler_seconds: float) -> None:
        self._graph = graph
        self._earlier: Mapping[int, GraphStage] = {}
        self._elapsed = 0.0
        if before is not None:
            self._earlier = {stage.id: stage for stage in before.stages}
            self._elapsed = graph.at - before.at
        self._most = handler_seconds
        self._stages = {stage.id: stage for stage in graph.stages}
        self._inputs: dict[int, list[GraphEdge]] = {number: [] for number in self._stages}
        self._outputs: dict[int, list[GraphEdge]] = {number: [] for number in self._stages}
        for edge in graph.edges:
            self._inputs[edge.consumer].append(edge)
            self._outputs[edge.producer].append(edge)

    def found(self) -> list[Stall]:
        return [stall for stage in self._graph.stages for stall in self._of(stage)] + list(self._cycles())

    def _of(self, stage: GraphStage) -> Iterator[Stall]:
        if stage.state == "dead":
            return
        yield from self._in_handler(stage)
        if stage.state in ("paused", "suspended"):
            yield self._stall("paused", stage, f"is {stage.state}", self._neighbours(stage))
        if stage.accumulates:
            what = "accumulates demand and forwards none of it"
            yield self._stall("accumulates", stage, what, self._consumers(stage))
        if stage.state == "completing":
            yield from self._endless_end(stage)
            return
        if stage.kind != "consumer" and not self._outputs[stage.id]:
            yield self._stall("no_consumers", stage, "has no consumers", self._upstream(stage))
        if stage.kind != "producer" and not self._inputs[stage.id]:
            yield self._stall("no_producers", stage, "has no producers", self._consumers(stage))
        yield from self._unasked(stage)
        yield from self._orphans(stage)
        if self._owes(stage):
            what = f"has been asked for {stage.unmet} events and does nothing to make them"
            yield self._stall("owes", stage, what, self._consumers(stage))

    def _endless_end(self, stage: GraphStage) -> Iterator[Stall]:
        """Find a stage that is to end behind its events, which nobody will take."""
        events = stage.buffered + sum(stage.queued.values())
        if events and not self._outputs[stage.id]:
            what = f"is to end when its {events} events are taken, and has no consumers"
            yield self._stall("no_consumers", stage, what, [])

    # -- handlers ------------------------------------------------------------------------

    def _in_handler(self, stage: GraphStage) -> Iterator[Stall]:
        seconds = self._busy(stage)
        if seconds is None or seconds < self._most:
            return
        blocked = self._neighbours(stage)
        if stage.waits_for:
            what = f"waits in its handler for an answer of {stage.waits_for}"
            yield self._stall("answer", stage, what, blocked, seconds)
        else:
            where = f" (at {stage.where})" if stage.where else ""
            what = f"is in a call of its handler that does not end{where}"
            yield self._stall("handler", stage, what, blocked, seconds)

    def _busy(self, stage: GraphStage) -> float | None:
        """Return how long its handler has run, at least."""
        then = self._earlier.get(stage.id)
        if stage.busy is None or then is None or then.busy is None:
            return stage.busy
        if stage.answered or then.answered or stage.handled != then.handled:
            return stage.busy
        return max(stage.busy, then.busy + self._elapsed)

    # -- demand --------------------------------------------------------------------------

    def _unasked(self, stage: GraphStage) -> Iterator[Stall]:
        """A consumer that asks by hand, has nothing to do and has not asked."""
        if stage.state != "idle" or stage.waiting or stage.running:
            return
        for edge in self._inputs[stage.id]:
            if not edge.manual or edge.open != 0 or edge.asked or edge.in_flight:
                continue
            producer = self._stages[edge.producer]
            if producer.state in ("completing", "dead"):
                continue
            kind: StallKind = "manual"
            what = "has asked for no more events" if edge.ever_asked else "has never asked for events"
            queued = producer.queued.get(edge.partition, 0)
            blocked = self._upstream(stage)
            if queued:
                kind, what = (
                    "partition",
                    f"{what}, and {queued} are queued for its partition {edge.partition}",
                )
            elif producer.coupled == "broadcast" and len(self._outputs[producer.id]) > 1:
                kind = "broadcast"
            yield self._stall(kind, stage, f"{what} of {producer.name}", blocked)
            return

    def _orphans(self, stage: GraphStage) -> Iterator[Stall]:
        """Partitions with events and without a consumer."""
        if not stage.queued:
            return
        taken = {edge.partition for edge in self._outputs[stage.id]}
        alone = [f"{count} for {name}" for name, count in stage.queued.items() if name not in taken]
        if alone and taken:
            what = f"has events queued for partitions without a consumer ({', '.join(alone[:5])})"
            yield self._stall("partition", stage, what, self._consumers(stage))

    def _owes(self, stage: GraphStage) -> bool:
        if not stage.unmet or stage.buffered or stage.accumulates or stage.kind != "producer":
            return False
        if stage.state == "working" and stage.streams and stage.running and not stage.mailbox:
            then = self._earlier.get(stage.id)
            return then is not None and then.handled == stage.handled and then.call == stage.call
        return stage.state == "idle" and not any(edge.asked for edge in self._outputs[stage.id])

    # -- who waits ---------------------------------------------------------------------------

    def _consumers(self, stage: GraphStage) -> list[str]:
        return [self._stages[edge.consumer].name for edge in self._outputs[stage.id]]

    def _neighbours(self, stage: GraphStage) -> list[str]:
        return [*self._consumers(stage), *self._upstream(stage)]

    def _upstream(self, stage: GraphStage) -> list[str]:
        """Name the producers that may send it nothing, and who waits there for the same events."""
        names: dict[str, None] = {}
        seen = {stage.id}
        ahead = [stage.id]
        for number in ahead:
            for edge in self._inputs[number]:
                if edge.open or edge.producer in seen:
                    continue
                producer = self._stages[edge.producer]
                others = self._outputs[producer.id]
                if not producer.coupled and any(other.open for other in others):
                    continue  # it goes on with those
                seen.add(producer.id)
                ahead.append(producer.id)
                names[producer.name] = None
                names.update({self._stages[other.consumer].name: None for other in others if other.open})
        return list(names)

    # -- cycles ------------------------------------------------------------------------------

    def _cycles(self) -> Iterator[Stall]:
        """Name each cycle once, by the stage in it that was started first."""
        left = {number: {edge.consumer for edge in self._outputs[number]} for number in self._stages}
        for first, *others in _cycles_of(left):
            names = [self._stages[number].name for number in others]
            what = f"is in a cycle with {', '.join(names[:5])}" if names else "is subscribed to itself"
            yield self._stall("cycle", self._stages[first], what, names)

    @staticmethod
    def _stall(
        kind: StallKind, stage: GraphStage, what: str, blocked: list[str], seconds: float | None = None
    ) -> Stall:
        names = tuple(name for name in dict.fromkeys(blocked) if name != stage.name)
        return Stall(kind=kind, stage=stage.id, name=stage.name, what=what, blocked=names, seconds=seconds)


def _cycles_of(consumers: dict[int, set[int]]) -> Iterator[list[int]]:
    """Yield cycles that have no stage in common, each as its stages."""
    while True:
        try:
            TopologicalSorter(consumers).prepare()
        except CycleError as error:
            cycle = sorted(set(error.args[1]))
            yield cycle
            for number in cycle:
                del consumers[number]
            for others in consumers.values():
                others.difference_update(cycle)
        else:
            return
