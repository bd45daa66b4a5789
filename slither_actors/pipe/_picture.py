"""A pipe's definition as text, and as a chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from slither_actors.policy import Policy, Retry, Route

if TYPE_CHECKING:
    from slither_actors.pipe._definition import PipeDefinition, StageDefinition
    from slither_actors.pipe._graph import Destination

__all__ = ["as_mermaid", "as_text", "policy_text", "stage_text"]

_SHAPES = {"function": ("[", "]"), "class": ("[", "]"), "router": ("{{", "}}"), "workers": ("[[", "]]")}


# -- text ------------------------------------------------------------------------------


def as_text(definition: PipeDefinition) -> str:
    """Return a line for each stage; where items go is said where it is not the next stage or an output."""
    lines = [f"pipe {definition.name}"]
    if definition.stores:
        lines.append(f"  stores: {', '.join(definition.stores)}")
    above = ""
    for number, stage in enumerate(definition.stages, 1):
        line = f"  {number}. {stage_text(stage)}"
        if stage.after != ((above,) if above else ()):
            line += f"; after {', '.join(stage.after)}"
        lines.append(line)
        above = stage.name
    lines.append(f"  outputs: {', '.join(definition.outputs)}")
    return "\n".join(lines)


def stage_text(stage: StageDefinition) -> str:
    """Say in a line what a stage does."""
    does = f"{stage.name} ({stage.kind}): {stage.declaration.describe()}"
    return f"{does}; on error {policy_text(stage.on_error)}"


def policy_text(policy: Policy) -> str:
    """Say in words what a policy does."""
    if isinstance(policy, Retry):
        return f"retry up to {policy.max_attempts} attempts, then {policy_text(policy.then)}"
    if isinstance(policy, Route):
        return f"route with {getattr(policy.fn, '__qualname__', policy.fn)}"
    return type(policy).__name__.lower().removesuffix("ping")


# -- chart -----------------------------------------------------------------------------


def as_mermaid(definition: PipeDefinition) -> str:
    """Return the text of a chart, from left to right; the stages of a pipe within it are in a box."""
    ids = {stage.name: f"s{number}" for number, stage in enumerate(definition.stages, 1)}
    ends = {name: f"o{number}" for number, name in enumerate(definition.outputs, 1)}
    ways = _ways(definition)
    reached = {where.name for *_, where in ways if where.kind == "output"}
    lines = ["flowchart LR", '    source(["input"])', *_boxes(definition, ids)]
    lines += [f'    {ends[name]}(["{_escaped(name)}"])' for name in definition.outputs if name in reached]
    lines.append(f"    source --> {ids[definition.stages[0].name]}")
    for name, arrow, route, where in ways:
        label = f'|"{_escaped(route)}"|' if route else ""
        end = (ids if where.kind == "stage" else ends)[where.name]
        lines.append(f"    {ids[name]} {arrow}{label} {end}")
    return "\n".join(lines)


def _boxes(definition: PipeDefinition, ids: Mapping[str, str]) -> Iterator[str]:
    inside: list[str] = []
    boxes: dict[str, str] = {}
    """The name of each box to what it is within all others; "a_b" may also be the "b" in "a"."""
    for stage in definition.stages:
        parts = stage.name.split(".")[:-1]
        while inside != parts[: len(inside)]:
            inside.pop()
            yield f"{'    ' * (len(inside) + 1)}end"
        for part in parts[len(inside) :]:
            inside.append(part)
            box, within = "_".join(inside), ".".join(inside)
            while boxes.setdefault(box, within) != within:
                box += "_"
            yield f'{"    " * len(inside)}subgraph {box}_pipe["{_escaped(part)}"]'
        left, right = _SHAPES[stage.kind]
        label = f"{_escaped(stage.name.rpartition('.')[2])}<br/>{stage.kind}"
        yield f'{"    " * (len(inside) + 1)}{ids[stage.name]}{left}"{label}"{right}'
    while inside:
        inside.pop()
        yield f"{'    ' * (len(inside) + 1)}end"


def _ways(definition: PipeDefinition) -> list[tuple[str, str, str, Destination]]:
    """The stage, the arrow, the route and the end of each way. Of those not stated, what is needed."""
    stated = stated_ends(definition.stages)
    found: list[tuple[str, str, str, Destination]] = []
    for stage in definition.stages:
        found.append((stage.name, "-->", "", stage.next))
        for route, where in stage.routes.items():
            if route in stage.stated:
                found.append((stage.name, "-->", route, where))
            elif where not in stated:
                found.append((stage.name, "-.->", route, where))
    return found


def stated_ends(stages: Iterable[StageDefinition]) -> set[Destination]:
    """Where the ways lead that do not depend on what a stage's code or a policy does."""
    return {end for stage in stages for end in (stage.next, *(stage.routes[name] for name in stage.stated))}


def _escaped(text: str) -> str:
    """Keep a name from being read as part of the chart."""
    return "".join(c if c.isalnum() or c in " .,:_-()/=" else f"#{ord(c)};" for c in text)
