"""A graph of stages as text: each stage on a line, and below it where its events go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slither_actors.core._stage_graph import GraphEdge, GraphStage, StageGraph

__all__ = ["as_text", "downstream_order", "edge_words", "stage_words"]


def as_text(graph: StageGraph, limit: int) -> str:
    """Return the lines; not nested, so that a chain of a thousand stages is as wide as one of two."""
    stages, edges = len(graph.stages), len(graph.edges)
    title = f"{_count(stages, 'stage')}, {_count(edges, 'subscription')}"
    lines = [title if graph.complete else f"{title}; not all have answered in time"]
    names = {stage.id: stage.name for stage in graph.stages}
    outgoing: dict[int, list[GraphEdge]] = {}
    for edge in graph.edges:
        outgoing.setdefault(edge.producer, []).append(edge)
    for stage in downstream_order(graph):
        lines.append(" · ".join([stage.name, *stage_words(stage)]))
        below = outgoing.get(stage.id, [])
        lines += [f"  └→ {' · '.join([names[edge.consumer], *edge_words(edge)])}" for edge in below[:limit]]
        if len(below) > limit:
            lines.append(f"  └→ and {len(below) - limit} more")
    return "\n".join(lines)


def stage_words(stage: GraphStage) -> list[str]:
    """Say of a stage what is not as usual."""
    words = [stage.kind.replace("_", "-"), stage.state]
    if stage.exit_reason:
        words.append(f"ended: {stage.exit_reason}")
    if stage.busy is not None:
        words.append(f"in a handler for {stage.busy:.1f} s")
    if stage.where:
        words.append(f"at {stage.where}")
    if stage.waits_for:
        words.append(f"waits for {stage.waits_for}")
    if stage.buffered:
        most = "" if stage.buffer_size is None else f" of {stage.buffer_size}"
        words.append(f"{stage.buffered}{most} buffered")
    words += [f"{count} queued for {partition}" for partition, count in stage.queued.items()]
    for count, what in (
        (stage.waiting, "waiting"),
        (stage.running, "running"),
        (stage.discarded, "discarded"),
    ):
        if count:
            words.append(f"{count} {what}")
    if stage.accumulates:
        words.append(f"accumulates demand and {stage.logged} events")
    return words


def edge_words(edge: GraphEdge) -> list[str]:
    """Say of a subscription where its demand and its events are."""
    mode = "by hand" if edge.manual else f"demand {edge.min_demand} to {edge.max_demand}"
    words = [mode, edge.cancel, *(f"{name} {value}" for name, value in edge.options.items())]
    words.append("not accepted" if edge.open is None else f"{edge.open} open")
    if edge.asked:
        words.append(f"{edge.asked} asked")
    words.append(f"{edge.in_flight} in flight")
    return words


def downstream_order(graph: StageGraph) -> Iterable[GraphStage]:
    """Return the stages, each behind its producers where that is possible: where there is no cycle."""
    stages: Mapping[int, GraphStage] = {stage.id: stage for stage in graph.stages}
    missing = dict.fromkeys(stages, 0)
    consumers: dict[int, list[int]] = {number: [] for number in stages}
    for edge in graph.edges:
        missing[edge.consumer] += 1
        consumers[edge.producer].append(edge.consumer)
    order: dict[int, None] = {}
    # Of those left in a cycle, the one that was started first is taken next.
    for number in sorted(stages, key=lambda number: (missing[number] > 0, number)):
        ready = [] if number in order else [number]
        while ready:
            now = ready.pop()
            order[now] = None
            for consumer in consumers[now]:
                missing[consumer] -= 1
                if not missing[consumer] and consumer not in order:
                    ready.append(consumer)
    return [stages[number] for number in order]


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
