"""Where the items of each stage go: found once, from the class body, and checked.

Stages stand in the order of the body, and items only ever go down it: so there
is no circle. A route leads to the stage below that comes after it, or else to
the output of that name. An item goes one way, so a stage and a route lead to one
place only.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NoReturn

import attrs

from slither_actors.errors import PipeDefinitionError
from slither_actors.item import DEFAULT_ROUTE
from slither_actors.pipe._declaration import StageDeclaration
from slither_actors.policy import Policy, Route, last_policy

__all__ = ["Destination", "Ways", "connect"]

_SHOWN = 12
"""Stages of a circle that an error names at most."""


@attrs.frozen
class Destination:
    """Where items go from a stage."""

    kind: Literal["stage", "output"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@attrs.frozen(kw_only=True)
class Ways:
    """Where the items of one stage go."""

    next: Destination
    """Those that are not routed."""

    routes: Mapping[str, Destination] = attrs.field(hash=False)
    """Those that are, by every name that the stage may route to."""

    stated: tuple[str, ...]
    """The names among them that the stage states; its code or its policy may use the others."""


def connect(
    pipe: str,
    declared: Mapping[str, StageDeclaration],
    policies: Mapping[str, Policy],
    outputs: Sequence[str] | None,
) -> tuple[dict[str, Ways], tuple[str, ...]]:
    """Return the ways of each stage, and the names of the outputs.

    Args:
        pipe: its name, for errors.
        declared: stages in the order of the body.
        policies: the policy of each but those that are pipes.
        outputs: the outputs that the pipe states; None to have them be what the stages name.

    Raises:
        PipeDefinitionError: something leads nowhere, or is reached from nowhere, or twice.
    """
    return _Connecting(pipe, declared, policies, outputs).run()


class _Connecting:
    """One pipe, while it is connected."""

    def __init__(
        self,
        pipe: str,
        declared: Mapping[str, StageDeclaration],
        policies: Mapping[str, Policy],
        outputs: Sequence[str] | None,
    ) -> None:
        self._pipe = pipe
        self._declared = declared
        self._policies = policies
        self._stated = None if outputs is None else {*outputs, DEFAULT_ROUTE}
        self._outputs = dict.fromkeys(outputs or ())
        self._place = {name: at for at, name in enumerate(declared)}
        self._next: dict[str, str] = {}
        """Stage to the stage that takes what it does not route."""
        self._taken: dict[tuple[str | None, str], str] = {}
        """Stage, or None for any, and route to the stage that takes it."""

    def run(self) -> tuple[dict[str, Ways], tuple[str, ...]]:
        names = list(self._declared)
        for at, (name, declaration) in enumerate(self._declared.items()):
            if declaration.after is not None:
                for wanted in declaration.after:
                    self._take(name, wanted, names[:at])
            elif at:
                self._follow(name, names[at - 1])
        for (_, route), taker in self._taken.items():
            if not any(self._taker(name, route) == taker and self._may_name(route, [name]) for name in names):
                self._wrong(taker, f"comes after the route {route!r}, all of which goes to other stages")
        stated = {name: self._stated_routes(name) for name in names}
        outputs = (*(each for each in self._outputs if each != DEFAULT_ROUTE), DEFAULT_ROUTE)
        return {name: self._ways(name, stated[name], outputs) for name in names}, outputs

    # -- what a stage comes after ----------------------------------------------------

    def _take(self, stage: str, wanted: str, above: Sequence[str]) -> None:
        emitter, _, route = wanted.partition(".")
        if wanted in above:
            if self._is_free_route(wanted, above):
                owner = next(name for name in above if wanted in self._declared[name].outputs)
                self._wrong(
                    stage,
                    f"comes after {wanted!r}, which is a stage and a route; "
                    f"write '{owner}.{wanted}' for the route, or rename the stage",
                )
            self._follow(stage, wanted)
        elif self._may_name(wanted, above):
            self._take_route(stage, None, wanted)
        elif emitter in above and self._may_name(route, [emitter]):
            self._take_route(stage, emitter, route)
        else:
            self._refuse(stage, wanted, above)

    def _is_free_route(self, name: str, above: Sequence[str]) -> bool:
        return any(
            name in self._declared[each].outputs and not {(None, name), (each, name)} & self._taken.keys()
            for each in above
        )

    def _follow(self, stage: str, before: str) -> None:
        taker = self._next.setdefault(before, stage)
        if taker != stage:
            how = "comes after" if self._declared[stage].after else "stands below"
            self._wrong(
                stage,
                f"{how} {before!r}, whose items go to {taker!r} already. An item goes one way: put a router "
                "in between, or say what else this stage comes after",
            )

    def _take_route(self, stage: str, emitter: str | None, route: str) -> None:
        taker = self._taken.setdefault((emitter, route), stage)
        if taker != stage:
            self._wrong(
                stage,
                f"comes after the route {route!r}, which leads to {taker!r} already. "
                "For that of one stage write 'stage.route'",
            )

    def _may_name(self, route: str, stages: Iterable[str]) -> bool:
        """Whether one of the stages may route to a name, as far as can be told."""
        if not route or route == DEFAULT_ROUTE:
            return False
        for name in stages:
            if route in self._declared[name].outputs:
                return True
            if self._stated is not None and route in self._stated and self._is_open(name):
                return True
        return False

    def _is_open(self, name: str) -> bool:
        """Whether a stage may route to what it does not name."""
        policy = self._policies.get(name)
        by_policy = policy is not None and isinstance(last_policy(policy), Route)
        return not self._declared[name].names_all_routes or by_policy

    def _refuse(self, stage: str, wanted: str, above: Sequence[str]) -> NoReturn:
        if wanted == stage:
            self._wrong(stage, "comes after itself")
        if wanted in self._place:
            circle = self._circle(wanted, stage)
            if circle:
                shown = [repr(each) for each in circle]
                if len(shown) > _SHOWN:
                    shown[_SHOWN // 2 : -_SHOWN // 2] = ["…"]
                way = " → ".join(shown)
                self._wrong(stage, f"comes after {wanted!r}, and that after this one: a circle, {way}")
            self._wrong(stage, f"comes after {wanted!r}, which is declared below; move it up")
        emitter, _, route = wanted.partition(".")
        below = [name for name in self._place if name not in above and name != stage]
        if any(wanted in self._declared[name].outputs for name in below):
            self._wrong(
                stage, f"comes after the route {wanted!r}, which only stages below lead to; move it down"
            )
        if self._stated is not None and wanted in self._stated and wanted != DEFAULT_ROUTE:
            self._wrong(
                stage, f"comes after {wanted!r}, which no stage above routes to: nothing would reach it"
            )
        routes = {route for name in above for route in self._declared[name].outputs}
        pairs = {f"{name}.{route}" for name in above for route in self._declared[name].outputs}
        known = [*above, *sorted(routes - {*above, DEFAULT_ROUTE})]
        near = difflib.get_close_matches(wanted, [*known, *sorted(pairs)], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        names = ", ".join(repr(name) for name in known) if known else "none, as it is the first stage"
        self._wrong(
            stage,
            f"comes after {wanted!r}, which is no stage above and no route of one{hint} Known: {names}. "
            "A function that routes says so with @stage(routes=[…])",
        )

    def _circle(self, start: str, stage: str) -> list[str]:
        """The way from `stage` to `start`, and back, if there is one."""
        behind: dict[str, str] = {start: stage}
        """Stage to one that comes after it."""
        waiting = deque([start])
        while waiting:
            at = waiting.popleft()
            for parent in self._parents(at):
                if parent == stage:
                    way = [stage, at]
                    while way[-1] != stage:
                        way.append(behind[way[-1]])
                    return way
                if parent not in behind:
                    behind[parent] = at
                    waiting.append(parent)
        return []

    def _parents(self, stage: str) -> Iterable[str]:
        after, at = self._declared[stage].after, self._place[stage]
        if after is None:
            return [*self._place][at - 1 : at] if at else []
        return [owner for name in after for owner in ([name] if name in self._place else self._owners(name))]

    def _owners(self, route: str) -> list[str]:
        emitter, _, its = route.partition(".")
        if emitter in self._place and its:
            return [emitter]
        return [name for name, each in self._declared.items() if route in each.outputs]

    # -- where a stage leads ---------------------------------------------------------

    def _taker(self, stage: str, route: str) -> str | None:
        """The stage that takes a route of `stage`."""
        taker = self._taken.get((stage, route)) or self._taken.get((None, route))
        return taker if taker is not None and self._place[taker] > self._place[stage] else None

    def _stated_routes(self, stage: str) -> tuple[str, ...]:
        """The routes that a stage names, each of which has to lead somewhere. Notes the outputs."""
        routes = self._declared[stage].outputs
        for route in routes:
            if self._taker(stage, route) is not None:
                continue
            if self._stated is not None and route not in self._stated:
                known = ", ".join(repr(name) for name in sorted(self._stated))
                self._wrong(
                    stage,
                    f"routes to the output {route!r}, which is not declared; known are {known}. "
                    "Add it to the class's `outputs`; a stage below that is to have these items says "
                    f"after={route!r}",
                )
            if self._stated is None and (None, route) in self._taken:
                self._wrong(
                    stage,
                    f"routes to {route!r}, which leads up to the stage {self._taken[None, route]!r}: "
                    f"items go down only. If it is to be an output, name it in 'outputs'",
                )
            self._outputs[route] = None
        return routes

    def _ways(self, stage: str, stated: tuple[str, ...], outputs: Sequence[str]) -> Ways:
        routes = dict.fromkeys(stated)
        if self._is_open(stage):
            routes |= dict.fromkeys(outputs)
            routes |= {route: None for emitter, route in self._taken if emitter in (None, stage)}
        found: dict[str, Destination] = {}
        for route in routes:
            taker = self._taker(stage, route)
            if taker is not None:
                found[route] = Destination("stage", taker)
            elif route in outputs:
                found[route] = Destination("output", route)
        taker = self._next.get(stage)
        onward = Destination("output", DEFAULT_ROUTE) if taker is None else Destination("stage", taker)
        return Ways(next=onward, routes=found, stated=stated)

    def _wrong(self, stage: str, problem: str) -> NoReturn:
        raise PipeDefinitionError(self._pipe, problem, stage=stage)
