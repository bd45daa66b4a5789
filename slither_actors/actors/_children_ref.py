"""What can be asked of a supervisor of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.actors._ref import Ref
from slither_actors.actors._render import render
from slither_actors.config import wait_seconds

if TYPE_CHECKING:
    from slither_actors.actors._child import ChildCounts, ChildInfo

__all__ = ["ChildrenRef"]


class ChildrenRef(Ref):
    """The reference to an actor that has children.

    `which_children` and `count_children` wait without a limit: a supervisor is
    busy while a child starts or stops.
    """

    def which_children(self) -> list[ChildInfo]:
        """Return the children, newest first. Their ids are None under a dynamic supervisor."""
        children: list[ChildInfo] = self.call(("which_children",), None)
        return children

    def count_children(self) -> ChildCounts:
        """Return how many children there are, by kind."""
        counts: ChildCounts = self.call(("count_children",), None)
        return counts

    def render(self, timeout: float = 0.5) -> str:
        """Return the tree below as text: ids, refs, states and restarts of the children, oldest first.

        A supervisor that does not answer within `timeout` seconds, because it
        starts or stops a child, is shown as busy. May be called from anywhere,
        an actor of the tree included.
        """
        return render(self, wait_seconds.check("timeout", timeout, self))
