"""What one stroke of a stage's work has made."""

from __future__ import annotations

from collections.abc import Sequence, Set

from slither_actors.core import join
from slither_actors.dispatch._lazy_items import LazyItems
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.pipe._results import Sorted

__all__ = ["Flow"]


class _Made:
    """Items on one way, in order. Some are perhaps made only when somebody looks at them."""

    __slots__ = ("_parts", "last")

    def __init__(self) -> None:
        self.last: list[Item] = []
        """Those behind all that was added as a whole."""
        self._parts: list[Sequence[Item]] = []

    def __len__(self) -> int:
        return sum(map(len, self._parts)) + len(self.last)

    def add(self, items: Sequence[Item]) -> None:
        """Add a sequence as it is."""
        if self.last:
            self._parts.append(self.last)
            self.last = []
        if items:
            self._parts.append(items)

    def all(self) -> Sequence[Item]:
        """Return what was made."""
        parts = self._parts
        if not parts:
            return self.last
        return join([*parts, self.last] if self.last else parts)


class Flow:
    """Items that go on to other stages, and items that leave the run here."""

    __slots__ = ("leave", "stay")

    def __init__(self) -> None:
        self.stay = _Made()
        self.leave = _Made()

    def add(self, made: Sorted) -> None:
        """Add sorted items."""
        self.stay.last += made[0]
        self.leave.last += made[1]

    def add_routed(self, items: Sequence[Item], routes: list[str], leaving: Set[str]) -> None:
        """Add the first items, as many as there are routes, which are the names of outputs or marks.

        Args:
            items: what was routed.
            routes: where each goes; ``"default"`` is on.
            leaving: the routes that leave the run here.
        """
        if type(items) is not LazyItems:
            stay, leave = self.stay.last, self.leave.last
            for item, route in zip(items, routes, strict=False):
                # Made anew where a predicate has changed it, too.
                routed = item if item.route == route == DEFAULT_ROUTE else item.put_route(route)
                (leave if route in leaving else stay).append(routed)
            return
        routed_items = items.routed(routes)
        leave_here = [route in leaving for route in routes]
        if all(leave_here):
            self.leave.add(routed_items)
        elif not any(leave_here):
            self.stay.add(routed_items)
        else:
            self.leave.add(routed_items.only(leave_here))
            self.stay.add(routed_items.only([not each for each in leave_here]))
