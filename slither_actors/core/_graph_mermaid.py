"""A graph of stages as a Mermaid flow chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.core._graph_text import edge_words, stage_words

if TYPE_CHECKING:
    from slither_actors.core._stage_graph import StageGraph

__all__ = ["as_mermaid"]

_SHAPES = {"producer": ("([", "])"), "producer_consumer": ("[", "]"), "consumer": ("[/", "/]")}

_COLOURS = {
    "held": ({"paused", "suspended", "blocked", "completing"}, "fill:#fff3cd,stroke:#b58900"),
    "stuck": ({"no answer", "dead"}, "fill:#f8d7da,stroke:#dc322f"),
}


def as_mermaid(graph: StageGraph) -> str:
    """Return the text of the chart, from left to right."""
    lines = ["flowchart LR"]
    for stage in graph.stages:
        left, right = _SHAPES[stage.kind]
        label = "<br/>".join(map(_escaped, [stage.name, *stage_words(stage)[1:]]))
        lines.append(f'    s{stage.id}{left}"{label}"{right}')
    for edge in graph.edges:
        arrow = "-.->" if edge.open is None else "-->"
        label = "<br/>".join(map(_escaped, edge_words(edge)))
        lines.append(f'    s{edge.producer} {arrow}|"{label}"| s{edge.consumer}')
    for name, (states, colours) in _COLOURS.items():
        members = ",".join(f"s{stage.id}" for stage in graph.stages if stage.state in states)
        if members:
            lines += [f"    classDef {name} {colours}", f"    class {members} {name}"]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Keep what a user named from being read as part of the chart."""
    return "".join(c if c.isalnum() or c in " .,:_-()/=" else f"#{ord(c)};" for c in text)
