"""Items that are made when somebody looks at them.

A reader that goes through its items one by one has one of them alive at a time,
in memory that is used again and again: half the price of a list of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, overload

from slither_actors.item import Item

__all__ = ["LazyItems"]


class LazyItems(Sequence[Item]):
    """Items without metadata and route, from their ids and payloads. Each look makes equal new ones."""

    __slots__ = ("_ids", "_payloads")

    def __init__(self, ids: Sequence[int], payloads: Sequence[Any]) -> None:
        self._ids = ids
        self._payloads = payloads

    @classmethod
    def joined(cls, parts: Sequence[LazyItems]) -> LazyItems:
        """All of the parts, one after the other."""
        payloads = list(chain.from_iterable([part._payloads for part in parts]))
        first, last = parts[0]._ids, parts[-1]._ids
        if type(first) is range and type(last) is range and last.stop - first.start == len(payloads):
            return cls(range(first.start, last.stop), payloads)
        return cls(list(chain.from_iterable([part._ids for part in parts])), payloads)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Item]:
        return map(Item, self._ids, self._payloads)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> LazyItems: ...
    def __getitem__(self, index: int | slice) -> Item | LazyItems:
        if isinstance(index, slice):
            return LazyItems(self._ids[index], self._payloads[index])
        return Item(self._ids[index], self._payloads[index])
