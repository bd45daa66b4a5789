"""A step that sends items by named routes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.errors import OptionError
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.outcome import RouteTo
from slither_actors.pipe._checks import check_route, comparable
from slither_actors.pipe._declaration import StageDeclaration, StageOptions, refuse_stage
from slither_actors.pipe._results import Results
from slither_actors.pipe._stage import Stage

__all__ = ["RouterStage", "Routing"]


class RouterStage(StageDeclaration):
    """A step that sends items to named outputs: the first predicate that holds decides.

    An item that none holds for goes on to the next stage, and after the last
    one leaves by ``"default"``. One that is routed leaves at once, or goes to
    the stage that comes ``after`` the route.
    """

    kind = "router"

    def __init__(self, routes: Mapping[str, Callable[[Item], Any]], **options: Any) -> None:
        checked = build(StageOptions, options, where="router")
        if not isinstance(routes, Mapping) or not routes:
            raise OptionError("routes", "has no routes; write router(accept=lambda item: …)", where="router")
        for output, predicate in routes.items():
            refuse_stage(output, predicate)
            check_route(output, predicate)
        self.routes = dict(routes)
        self.on_error = checked.on_error
        self.after = checked.after

    @property
    def outputs(self) -> tuple[str, ...]:
        """Where it routes to."""
        return tuple(self.routes)

    def make(self) -> Stage:
        """Return the stage that a run uses."""
        return Routing(self.routes)

    @property
    def runs(self) -> Any:
        """The predicate of each route."""
        return self.routes

    def describe(self) -> str:
        """Say in a line what it does."""
        return f"to {', '.join(self.routes)}"

    @property
    def does(self) -> Any:
        """See `StageDeclaration.does`."""
        return [(output, comparable(predicate)) for output, predicate in self.routes.items()]


Decide = Callable[[Iterable[Item], Callable[[str], object], float], None]
"""Tells a function, for one item after the other, what `Item.route` is behind the router.

It leaves off behind the first one that is decided later than the last argument, of `time.monotonic`.
"""


_WRITTEN_OUT = 200
"""The most conditions that are written out: Python cannot compile any number of them in one another."""


@lru_cache
def _written_out(count: int) -> Callable[[Sequence[Any], Sequence[str], Callable[[], float]], Decide]:
    """Return what makes a `Decide` of so many predicates.

    It is generated, as the methods of a dataclass are: with its conditions written out it takes half the time
    that a loop over predicates takes, beside which the predicates themselves are cheap.
    """
    conditions = "".join(f"r{number} if p{number}(item) else " for number in range(count))
    lines = [
        "def make(predicates, routes, now):",
        f"    [{', '.join(f'p{number}' for number in range(count))}] = predicates",
        f"    [{', '.join(f'r{number}' for number in range(count))}] = routes",
        "    def decide(items, tell, ends):",
        "        for item in items:",
        f"            tell({conditions}{DEFAULT_ROUTE!r})",
        "            if now() > ends:",
        "                break",
        "    return decide",
    ]
    found: dict[str, Any] = {}
    exec(compile("\n".join(lines), f"<router with {count} routes>", "exec"), found)
    return found["make"]  # type: ignore[no-any-return]


def _decide_in_turn(
    ways: Sequence[tuple[Any, str]], items: Iterable[Item], tell: Callable[[str], object], ends: float
) -> None:
    for item in items:
        for predicate, route in ways:
            if predicate(item):
                tell(route)
                break
        else:
            tell(DEFAULT_ROUTE)
        if time.monotonic() > ends:
            break


class Routing(Stage):
    """Runs a `RouterStage`."""

    def __init__(self, routes: Mapping[str, Callable[[Item], Any]]) -> None:
        self._routes = tuple(routes.items())

    def decision(self, results: Results) -> tuple[Decide, frozenset[str]]:
        """Return a function that decides for items, and what it says of those that leave the run here."""
        where = [results.where(route) for route, _ in self._routes]
        predicates = [predicate for _, predicate in self._routes]
        leaving = frozenset(mark for mark, leaves in where if leaves)
        marks = [mark for mark, _ in where]
        if len(where) > _WRITTEN_OUT:
            return partial(_decide_in_turn, list(zip(predicates, marks, strict=True))), leaving
        return _written_out(len(where))(predicates, marks, time.monotonic), leaving

    def handle_item(self, item: Item, ctx: Context) -> Item | RouteTo:
        """Route the item to the first output whose predicate holds."""
        for output, predicate in self._routes:
            if predicate(item):
                return RouteTo(output, item.payload)
        return item
