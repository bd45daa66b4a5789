"""Where the items of a stage go while it runs.

Each stage that it leads to has a subscription of its own, with demand of its
own; items are sorted among them by a mark of their route that `Results` puts in
place of it. A stage that takes none holds the others up only when `_QUEUE` items wait
for it: any of the next ones might be its.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from slither_actors.core import PartitionFanOut
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._definition import StageDefinition
from slither_actors.pipe._followed_results import FollowedResults
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._results import Results

__all__ = ["READER", "Outgoing", "subscription_to"]

READER = ""
"""The partition of the reader, which takes what leaves by no route."""

_QUEUE = 1000
"""Items that wait for a stage that has not asked for them."""


class Outgoing:
    """The ways out of one stage."""

    def __init__(self, definition: StageDefinition) -> None:
        routes = definition.routes
        self.outputs = {route: where.name for route, where in routes.items() if where.kind == "output"}
        """Routes to outputs, and which."""
        self.onward = {route: _mark(route) for route, where in routes.items() if where.kind == "stage"}
        """Routes to stages, and the marks of items on them."""
        self._next = _partition(definition.next)
        self._stages = {mark: routes[route].name for route, mark in self.onward.items()}
        self._routes = {mark: route for route, mark in self.onward.items()}
        self._order = tuple(routes)

    @property
    def partitions(self) -> list[str]:
        """Who subscribes to the stage, by name, if that has to be told apart."""
        return [*dict.fromkeys([self._next, *self._stages.values()])] if self.onward else []

    def fan_out(self) -> Callable[[], Any] | None:
        """Return what makes the fan-out; None for the usual one, as all goes to one consumer."""
        if not self.onward:
            return None
        return partial(PartitionFanOut, self.partitions, self._choose, buffer_size=_QUEUE)

    def results(self, label: str, acks: AckKeeper | None) -> Results:
        """Return what reads the results of the stage."""
        if acks is not None:
            return FollowedResults(label, self.outputs, self.onward, acks)
        return Results(label, self.outputs, self.onward)

    def by_route(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return counts of items by the routes of the stage, in their order, from those by `Item.route`."""
        found = {self._routes.get(mark, mark): count for mark, count in counts.items()}
        known = {route: found.pop(route) for route in self._order if route in found}
        return {**known, **found}

    def _choose(self, item: Item) -> tuple[Item, str]:
        stage = self._stages.get(item.route)
        if stage is None:
            return item, self._next
        item.route = DEFAULT_ROUTE  # it is ours: `Results` has made it to put the mark on
        return item, stage


def subscription_to(stage: StageDefinition, partition: str) -> dict[str, Any]:
    """Return the options of the subscription of another stage, or of the reader, to a stage."""
    divided = bool(Outgoing(stage).onward)
    return {"to": stage.name, "partition": partition} if divided else {"to": stage.name}


def _partition(where: Destination) -> str:
    return where.name if where.kind == "stage" else READER


def _mark(route: str) -> str:
    return f"→ {route}"
