"""Items that are made when somebody looks at them.

A reader that goes through its items one by one has one of them alive at a time,
in memory that is used again and again: half the price of a list of them. A
stage that looks at payloads alone makes none at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, overload

from slither_actors.core import Joinable
from slither_actors.item import NO_META, Item

__all__ = ["LazyItems"]


class LazyItems(Joinable[Item]):
    """Items without a route, from their ids and payloads. Each look makes equal new ones."""

    __slots__ = ("ids", "metas", "payloads")

    def __init__(
        self, ids: Sequence[int], payloads: list[Any], metas: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        self.ids = ids
        self.payloads = payloads
        self.metas = metas
        """The metadata of each; None where none has any."""

    @classmethod
    def updated(cls, items: Sequence[Item], payloads: list[Any]) -> LazyItems:
        """Items, bound for no output, with other payloads."""
        metas = [item.meta for item in items]
        return cls([item.id for item in items], payloads, metas if any(metas) else None)

    @classmethod
    def joined(cls, parts: Sequence[LazyItems]) -> LazyItems:
        """All of the parts, one after the other."""
        payloads = list(chain.from_iterable([part.payloads for part in parts]))
        metas = None
        if any(part.metas for part in parts):
            metas = [meta for part in parts for meta in part.metas or [NO_META] * len(part)]
        first, last = parts[0].ids, parts[-1].ids
        if type(first) is range and type(last) is range and last.stop - first.start == len(payloads):
            return cls(range(first.start, last.stop), payloads, metas)
        return cls(list(chain.from_iterable([part.ids for part in parts])), payloads, metas)

    def __add__(self, other: LazyItems) -> LazyItems:
        return LazyItems.joined([self, other])

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Item]:
        if self.metas is None:
            return map(Item, self.ids, self.payloads)
        return map(Item, self.ids, self.payloads, self.metas)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> LazyItems: ...
    def __getitem__(self, index: int | slice) -> Item | LazyItems:
        metas = self.metas
        if isinstance(index, slice):
            return LazyItems(self.ids[index], self.payloads[index], None if metas is None else metas[index])
        return Item(self.ids[index], self.payloads[index], NO_META if metas is None else metas[index])
