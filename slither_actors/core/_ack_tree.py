"""What came of each item of the input, and when all of it has ended.

An item keeps its place in the tree while a copy of it is on its way, or anything
that was made of it. Whatever one handler makes anew of several items belongs to
all of them: none is told to have ended before it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

__all__ = ["AckTree", "AckTreeEnd"]

AckTreeEnd = tuple[Any, BaseException | None]
"""The token of an item of the input, and the first failure of what came of it."""


@attrs.define(eq=False)
class _Node:
    """An item, or what a handler made of several at one time."""

    pending: int
    """Copies of it on their way, and nodes below it."""

    id: int | None = None
    parents: tuple[_Node, ...] = ()
    """Empty for an item of the input."""

    token: Any = None
    error: BaseException | None = None


class AckTree:
    """Follows items by their ids. One thread at a time uses it.

    An id that it does not know is ignored: what came of its item has ended.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, _Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def read(self, item: int, token: Any) -> None:
        """An item of the input goes on its way."""
        self._nodes[item] = _Node(1, item, token=token)

    def became(self, items: Sequence[int], made: Sequence[int]) -> list[AckTreeEnd]:
        """One handler took these items, a copy of each, and made those. Return what has ended by that."""
        nodes = self._nodes
        taken = [nodes[item] for item in items if item in nodes]
        if not taken:
            return []
        fresh: list[int] = []
        for item in made:
            if item in nodes:
                nodes[item].pending += 1
            else:
                fresh.append(item)
        if fresh:
            self._add(fresh, taken)
        return self._take((node, None) for node in taken)

    def ended(self, items: Iterable[int], error: BaseException | None = None) -> list[AckTreeEnd]:
        """A copy of each item is done with, or has failed. Return what of the input has ended by that."""
        nodes = self._nodes
        return self._take((nodes[item], error) for item in items if item in nodes)

    def close(self) -> list[AckTreeEnd]:
        """Return all of the input that has not ended, with its failure if it has one, and forget it."""
        left = [node for node in self._nodes.values() if not node.parents]
        self._nodes.clear()
        return [(node.token, node.error) for node in left]

    def _add(self, items: Sequence[int], parents: Sequence[_Node]) -> None:
        if len(parents) > 1:
            for parent in parents:
                parent.pending += 1
            parents = [_Node(0, parents=tuple(parents))]
        for item in items:
            known = self._nodes.get(item)
            if known is not None:  # it was made twice just now
                known.pending += 1
                continue
            parents[0].pending += 1
            self._nodes[item] = _Node(1, item, parents=(parents[0],))

    def _take(self, copies: Iterable[tuple[_Node, BaseException | None]]) -> list[AckTreeEnd]:
        ends: list[AckTreeEnd] = []
        left = list(copies)
        while left:
            node, error = left.pop()
            if error is not None:
                self._fail(node, error)
            node.pending -= 1
            if node.pending:
                continue
            if node.id is not None:
                del self._nodes[node.id]
            if node.parents:
                left.extend((parent, None) for parent in node.parents)
            else:
                ends.append((node.token, node.error))
        ends.reverse()
        return ends

    def _fail(self, node: _Node, error: BaseException) -> None:
        """Note a failure with all that it came of, at once: more may come of those, or the run may end."""
        failed = [node]
        while failed:
            one = failed.pop()
            if one.error is None:
                one.error = error
                failed += one.parents
