"""Items that are made when somebody looks at them.

A reader that goes through its items one by one has one of them alive at a time,
in memory that is used again and again: half the price of a list of them. A
stage that looks at payloads alone makes none at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress, repeat
from typing import Any, TypeVar, overload

from slither_actors.core import Joinable
from slither_actors.item import DEFAULT_ROUTE, NO_META, Item

__all__ = ["LazyItems", "routes_of"]

T = TypeVar("T")


class LazyItems(Joinable[Item]):
    """Items, from columns of what they consist of. Each look makes equal new ones."""

    __slots__ = ("ids", "metas", "payloads", "routes")

    def __init__(
        self,
        ids: Sequence[int],
        payloads: list[Any],
        metas: list[Mapping[str, Any]] | None = None,
        routes: list[str] | None = None,
    ) -> None:
        self.ids = ids
        self.payloads = payloads
        self.metas = metas
        """The metadata of each; None where none has any."""
        self.routes = routes
        """Of each; None where all have the default one."""

    @classmethod
    def updated(cls, items: Sequence[Item], payloads: list[Any]) -> LazyItems:
        """Items, bound for no output, with other payloads."""
        metas = [item.meta for item in items]
        return cls([item.id for item in items], payloads, metas if any(metas) else None)

    @classmethod
    def joined(cls, parts: Sequence[LazyItems]) -> LazyItems:
        """All of the parts, one after the other."""
        # In lists and not by generators: this runs for each group of answers.
        payloads = _flat([part.payloads for part in parts])
        ids = _in_a_row([part.ids for part in parts])
        metas = [part.metas for part in parts]
        routes = [part.routes for part in parts]
        return cls(
            ids,
            payloads,
            _filled(metas, parts, NO_META) if any(metas) else None,
            _filled(routes, parts, DEFAULT_ROUTE) if any(routes) else None,
        )

    def routed(self, routes: list[str]) -> LazyItems:
        """The first ones, as many as there are routes, with those."""
        count = len(routes)
        if count == len(self.ids):
            return LazyItems(self.ids, self.payloads, self.metas, routes)
        return LazyItems(
            self.ids[:count],
            self.payloads[:count],
            None if self.metas is None else self.metas[:count],
            routes,
        )

    def only(self, chosen: Sequence[Any]) -> LazyItems:
        """Those for which `chosen` is true."""
        return LazyItems(
            list(compress(self.ids, chosen)),
            list(compress(self.payloads, chosen)),
            None if self.metas is None else list(compress(self.metas, chosen)),
            None if self.routes is None else list(compress(self.routes, chosen)),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Item]:
        if self.routes is not None:
            return map(Item, self.ids, self.payloads, self.metas or repeat(NO_META), self.routes)
        if self.metas is not None:
            return map(Item, self.ids, self.payloads, self.metas)
        return map(Item, self.ids, self.payloads)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> LazyItems: ...
    def __getitem__(self, index: int | slice) -> Item | LazyItems:
        metas, routes = self.metas, self.routes
        if isinstance(index, slice):
            return LazyItems(
                self.ids[index],
                self.payloads[index],
                None if metas is None else metas[index],
                None if routes is None else routes[index],
            )
        return Item(
            self.ids[index],
            self.payloads[index],
            NO_META if metas is None else metas[index],
            DEFAULT_ROUTE if routes is None else routes[index],
        )


def routes_of(items: Sequence[Item]) -> list[str]:
    """The route of each item."""
    if type(items) is LazyItems:
        return items.routes or [DEFAULT_ROUTE] * len(items)
    return [item.route for item in items]


def _filled(columns: Sequence[list[T] | None], parts: Sequence[Sequence[Item]], default: T) -> list[T]:
    """One column of all parts; of those that have none the default."""
    return _flat([column or [default] * len(part) for column, part in zip(columns, parts, strict=True)])


def _in_a_row(parts: Sequence[Sequence[int]]) -> Sequence[int]:
    """All ids, one part after the other: parts may have overtaken each other."""
    first = parts[0]
    if type(first) is not range:
        return _flat(parts)
    end = first.start
    for part in parts:
        if type(part) is not range or part.start != end:
            return _flat(parts)
        end = part.stop
    return range(first.start, end)


def _flat(parts: Iterable[Iterable[T]]) -> list[T]:
    return list(chain.from_iterable(parts))
