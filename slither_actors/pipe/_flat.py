"""The stages of a pipe in one row, those of the pipes within it in their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from slither_actors.item import DEFAULT_ROUTE
from slither_actors.pipe._declaration import StageDeclaration
from slither_actors.pipe._definition import StageDefinition
from slither_actors.pipe._graph import Destination, Ways
from slither_actors.pipe._picture import stated_ends
from slither_actors.pipe._pipe_stage import PipeStage
from slither_actors.policy import Policy, Route, last_policy

__all__ = ["flat_stages", "with_inputs"]


def flat_stages(
    declared: Mapping[str, StageDeclaration],
    policies: Mapping[str, Policy | None],
    ways: Mapping[str, Ways],
) -> tuple[StageDefinition, ...]:
    """Return every stage that runs, with the ways between them.

    Args:
        declared: what stands in the class body.
        policies: by name, also of stages within pipes; None leaves a pipe's stages their own.
        ways: see `connect`.
    """
    entries = {name: _entry(name, declaration) for name, declaration in declared.items()}
    found: list[StageDefinition] = []
    for name, declaration in declared.items():
        own = _entered(ways[name], entries)
        if isinstance(declaration, PipeStage):
            found += _inlined(name, declaration, own, policies)
        else:
            policy = policies[name]
            assert policy is not None
            found.append(
                StageDefinition(
                    name=name,
                    kind=declaration.kind,
                    on_error=policy,
                    declaration=declaration,
                    next=own.next,
                    routes=own.routes,
                    stated=own.stated,
                )
            )
    return tuple(with_inputs(found))


def _entry(name: str, declaration: StageDeclaration) -> str:
    """The stage that items come to which go to one that may be a pipe."""
    if isinstance(declaration, PipeStage):
        return f"{name}.{declaration.pipe.definition.stages[0].name}"
    return name


def _entered(ways: Ways, entries: Mapping[str, str]) -> Ways:
    def at_entry(where: Destination) -> Destination:
        return Destination("stage", entries[where.name]) if where.kind == "stage" else where

    routes = {route: at_entry(where) for route, where in ways.routes.items()}
    return attrs.evolve(ways, next=at_entry(ways.next), routes=routes)


def _inlined(
    name: str, declaration: PipeStage, ways: Ways, policies: Mapping[str, Policy | None]
) -> Iterator[StageDefinition]:
    """The stages of a pipe, whose outputs lead on as the routes of the stage that it is."""

    def leading_on(where: Destination) -> Destination:
        if where.kind == "stage":
            return Destination("stage", f"{name}.{where.name}")
        return ways.next if where.name == DEFAULT_ROUTE else ways.routes[where.name]

    definition = declaration.pipe.definition
    for stage in definition.stages:
        inner = f"{name}.{stage.name}"
        policy = policies.get(inner) or policies[name] or stage.on_error
        routes = {route: leading_on(where) for route, where in stage.routes.items()}
        if isinstance(last_policy(policy), Route):  # it may name any output of its pipe
            outputs = {route: leading_on(Destination("output", route)) for route in definition.outputs}
            routes = {**outputs, **routes}
        yield attrs.evolve(stage, name=inner, on_error=policy, next=leading_on(stage.next), routes=routes)


def with_inputs(stages: Iterable[StageDefinition]) -> Iterator[StageDefinition]:
    """The stages, each with what it comes after."""
    stages = list(stages)
    stated = stated_ends(stages)
    for at, stage in enumerate(stages):
        here = Destination("stage", stage.name)
        after: list[str] = []
        for above in stages[:at]:
            if above.next == here:
                after.append(above.name)
            after += [
                f"{above.name}.{route}"
                for route, where in above.routes.items()
                if where == here and (route in above.stated or here not in stated)
            ]
        yield attrs.evolve(stage, after=tuple(after))
