"""Rows that end: after a time (``ttl``), or when there are too many (``max_rows``).

Only tables that ask for it have such rows. Each is a pair of value and deadline
in one object, so a reader never sees the value of one write with the deadline
of another. A row past its deadline is hidden from then on; `sweep` takes it out
later. What is decided about several rows is decided for one time.

A reader of an ``"lru"`` table leaves the key in a bounded queue, which the
writer reads before it removes a row. It takes no lock; where more than `MARKS`
reads come between two writes, the last of them count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from itertools import chain
from typing import Any

from slither_actors.store._bounds import Bounding
from slither_actors.store._key_index import KeyIndex
from slither_actors.store._ordered_rows import OrderedRows
from slither_actors.store._rows import MISSING, SetRows

__all__ = ["Bounded", "BoundedOrderedRows", "BoundedRows"]

SWEPT_AT_ONCE = 1000
"""Rows that one sweep removes; other writes wait for as long as that takes."""


class Bounded(SetRows):
    """What bounded rows of both kinds have in common; comes before the kind in the bases."""

    __slots__ = ()

    bounds: Bounding

    # -- any thread ----------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default` where there is none or it is over."""
        bounds = self.bounds
        cell = self.live.get(key)
        if cell is None or cell[1] <= bounds.clock():
            return default
        if bounds.used is not None:
            bounds.used.append(key)
        return cell[0]

    def reader(self) -> Callable[..., Any]:
        """``get`` for several keys of one moment, which is now."""
        find, now, used = self.live.get, self.bounds.clock(), self.bounds.used

        def get(key: Any, default: Any) -> Any:
            cell = find(key)
            if cell is None or cell[1] <= now:
                return default
            if used is not None:
                used.append(key)
            return cell[0]

        return get

    def size(self) -> int | None:
        """How many rows there are; None where a writer was always in the way."""
        if self.bounds.clock() < self.bounds.earliest:
            return len(self.live)
        size: int | None = self.query("count")
        return size

    def count(self) -> int:
        """How many rows are not over. Part of `query`."""
        now = self.bounds.clock()
        return sum(1 for _, deadline in self.live.copy().values() if deadline > now)

    # -- the writer only: in place -------------------------------------------

    def put(self, key: Hashable, value: Any, ttl: float | None = None) -> None:
        """Set one row, which ends in `ttl` seconds or, if that is None, in those of the table."""
        now = self.bounds.clock()
        self._store(key, value, now + (self.bounds.ttl if ttl is None else ttl))

    def replace(self, key: Hashable, value: Any) -> None:
        """Set the value of a row, which keeps its deadline. A new one gets the table's."""
        now = self.bounds.clock()
        cell = self.live.get(key)
        deadline = now + self.bounds.ttl if cell is None or cell[1] <= now else cell[1]
        self._store(key, value, deadline)

    def remove(self, key: Hashable) -> Any:
        """Remove one row and return its value; `MISSING` if there was none."""
        cell = super().remove(key)
        self.bounds.discard(key)
        if cell is MISSING:
            return MISSING
        return cell[0] if cell[1] > self.bounds.clock() else MISSING

    def sweep(self, forget: Callable[[list[Any]], object] | None = None) -> float:
        """Remove rows that are over, at most `SWEPT_AT_ONCE`. Returns when to come again.

        `forget` is told of the keys before that; where it raises, the rows stay.
        """
        bounds = self.bounds
        over = bounds.due(bounds.clock(), self._deadline_of, SWEPT_AT_ONCE)
        try:
            if forget is not None:
                forget(over)
        except BaseException:
            for key in over:
                bounds.postpone(key, self._deadline_of(key))
            raise
        for key in over:
            self.remove(key)
        bounds.swept()
        return bounds.earliest

    def set_row(self, key: Hashable, cell: Any) -> None:
        """Set value and deadline of one row, without a look at the limit."""
        self.bounds.add(key, cell[1])
        super().put(key, cell)

    def watch(self, gone: list[Any] | None) -> None:
        """Have the keys of removed rows added to a list, or not any more."""
        self.bounds.gone = gone

    def _deadline_of(self, key: Any) -> float:
        cell = self.live.get(key)
        return math.inf if cell is None else cell[1]

    def _store(self, key: Hashable, value: Any, deadline: float) -> None:
        bounds = self.bounds
        if bounds.max_rows is not None and key not in self.live and len(self.live) >= bounds.max_rows:
            self.admit(key)
            self.make_room(1)
        self.admit(key)
        bounds.add(key, deadline)
        super().put(key, (value, deadline))

    def make_room(self, rows: int = 0) -> None:
        """Have rows go until there is room for so many more.

        Raises:
            TableFullError: there is none, and the table is to refuse.
        """
        # Each row that goes is a change of its own, which readers may see before the put.
        bounds = self.bounds
        most = math.inf if bounds.max_rows is None else bounds.max_rows - rows
        now = bounds.clock() if len(self.live) > most else -math.inf
        while bounds.earliest <= now and (over := bounds.due(now, self._deadline_of, SWEPT_AT_ONCE)):
            for each in over:
                self.remove(each)
            bounds.swept()
        while len(self.live) > most:
            if not bounds.evicts:
                bounds.refuse()
            self.remove(bounds.next_to_go())

    # -- the writer only: others, to be published ----------------------------

    def bulk_insert(
        self, rows: dict[Any, Any], ends: Mapping[Any, float] | None = None
    ) -> tuple[SetRows, int]:
        """These rows with `rows` over them, and how many. Where they are too many the last ones stay.

        `ends` has the deadlines of those that are to keep one, in the order in which they were written.
        """
        kept = {} if ends is None else ends
        now = self.bounds.clock()
        live, bounds = self.live.copy(), self.bounds.copy()
        for key in [key for key, cell in live.items() if cell[1] <= now]:
            del live[key]
            bounds.discard(key)
        deadline = now + bounds.ttl
        for key, value in rows.items():
            live[key] = (value, kept.get(key, deadline))
        for key in chain(kept, (key for key in rows if key not in kept)):
            bounds.add(key, live[key][1])
        if bounds.max_rows is not None and len(live) > bounds.max_rows:
            if not bounds.evicts:
                bounds.refuse()
            while len(live) > bounds.max_rows:
                key = bounds.next_to_go()
                del live[key]
                bounds.discard(key)
        return self.like(live, self.version + 1, bounds), len(rows)

    def cleared(self) -> tuple[SetRows, int]:
        """No rows, and how many there were."""
        return self.like({}, self.version + 1, self.bounds.fresh()), self.count()

    def copy(self) -> SetRows:
        """The same rows for the writer alone, with the same version."""
        return self.same(self.live.copy(), self.bounds.copy())

    def over(self, live: Any) -> SetRows:
        """These rows with another dict that has the same, or what looks like one, for a draft."""
        return self.same(live, self.bounds.over())

    def ranks(self) -> dict[Any, int] | None:
        """The place of each key in the order in which rows go; None where none does."""
        if not self.bounds.evicts:
            return None
        return {key: place for place, key in enumerate(self.bounds.in_order())}

    def same(self, live: Any, bounds: Bounding) -> Bounded:
        """Rows of this kind with the same keys and version."""
        raise NotImplementedError

    def like(self, live: dict[Any, Any], version: int, bounds: Bounding) -> Bounded:
        """Rows of this kind, of cells."""
        raise NotImplementedError

    def admit(self, key: Any) -> None:
        """Raise where the key cannot be one of this table, before anything changes."""


class BoundedRows(Bounded):
    """Rows of a set table that end. Threads as `SetRows`."""

    __slots__ = ("bounds",)

    def __init__(self, live: dict[Any, Any], version: int, bounds: Bounding) -> None:
        self.live = live
        self.version = version
        self.bounds = bounds

    def snapshot(self) -> dict[Any, Any]:
        """A private copy."""
        now = self.bounds.clock()
        return {key: value for key, (value, deadline) in self.live.copy().items() if deadline > now}

    def like(self, live: dict[Any, Any], version: int, bounds: Bounding) -> BoundedRows:
        """Rows of this kind, of cells."""
        return BoundedRows(live, version, bounds)

    def same(self, live: Any, bounds: Bounding) -> BoundedRows:
        """Rows of this kind with the same keys and version."""
        return BoundedRows(live, self.version, bounds)


class BoundedOrderedRows(Bounded, OrderedRows):
    """Rows of an ordered table that end. Threads as `SetRows`."""

    __slots__ = ("bounds",)

    def __init__(
        self, live: dict[Any, Any], version: int, bounds: Bounding, index: KeyIndex | None = None
    ) -> None:
        self.live = live
        self.version = version
        self.bounds = bounds
        self.index = KeyIndex.of(live) if index is None else index

    def like(self, live: dict[Any, Any], version: int, bounds: Bounding) -> BoundedOrderedRows:
        """Rows of this kind, of cells."""
        return BoundedOrderedRows(live, version, bounds)

    def admit(self, key: Any) -> None:
        """Raise where the key cannot be sorted among the others."""
        if key not in self.live:
            self.index.with_key(key)

    def same(self, live: Any, bounds: Bounding) -> BoundedOrderedRows:
        """Rows of this kind with the same keys and version."""
        return BoundedOrderedRows(live, self.version, bounds, self.index)
