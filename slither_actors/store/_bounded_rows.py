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
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any

import attrs

from slither_actors.core import Deadlines
from slither_actors.errors import TableFullError
from slither_actors.store._key_index import KeyIndex
from slither_actors.store._ordered_rows import OrderedRows
from slither_actors.store._rows import MISSING, SetRows

__all__ = ["Bounded", "BoundedOrderedRows", "BoundedRows", "Bounds"]

MARKS = 4096
"""The most reads of an ``"lru"`` table that wait to be counted."""

SWEPT_AT_ONCE = 1000
"""Rows that one sweep removes; other writes wait for as long as that takes."""


def _nobody(_: float) -> None:
    """Whoever sweeps was not told yet."""


@attrs.define
class Bounds:
    """What bounds the rows of a table, and which of them goes next. For the writer, but for `used`."""

    clock: Callable[[], float]
    table: str
    """``Store.table``, for the error."""

    ttl: float = math.inf
    max_rows: int | None = None
    evict: str = "oldest"
    wake: Callable[[float], object] = _nobody
    """Told of the time at which a sweep has something to do; called in the writer's turn."""

    deadlines: Deadlines = attrs.field(factory=Deadlines)
    order: OrderedDict[Any, None] = attrs.field(factory=OrderedDict)
    """Every key, the first to go first. Kept only where there is a limit to evict for."""

    used: deque[Any] | None = None
    """The keys that were read; None where nobody asks."""

    earliest: float = math.inf
    """No row ends before this."""

    gone: list[Any] | None = None
    """The keys that were removed, for whoever wants to know and puts a list here."""

    @property
    def evicts(self) -> bool:
        """Whether `order` is kept."""
        return self.max_rows is not None and self.evict != "refuse"

    def fresh(self) -> Bounds:
        """The same bounds for a table without rows."""
        used: deque[Any] | None = deque(maxlen=MARKS) if self.evicts and self.evict == "lru" else None
        return Bounds(self.clock, self.table, self.ttl, self.max_rows, self.evict, self.wake, used=used)

    def copy(self) -> Bounds:
        """The same bounds for the same rows, to be changed apart. Reads go on to count for both."""
        return attrs.evolve(self, deadlines=self.deadlines.copy(), order=self.order.copy(), gone=None)

    def add(self, key: Any, deadline: float) -> None:
        """A row is about to be written."""
        if deadline < math.inf:
            self.deadlines.set(key, deadline)
            if deadline < self.earliest:
                self.earliest = deadline
                self.wake(deadline)
        if self.evicts:
            self._count_uses()  # they were before this write
            self.order[key] = None
            self.order.move_to_end(key)

    def discard(self, key: Any) -> None:
        """A row was removed."""
        self.deadlines.discard(key)
        self.order.pop(key, None)
        if self.gone is not None:
            self.gone.append(key)

    def next_to_go(self) -> Any:
        """The key to evict."""
        self._count_uses()
        return next(iter(self.order))

    def _count_uses(self) -> None:
        while self.used:
            key = self.used.popleft()
            if key in self.order:
                self.order.move_to_end(key)

    def refuse(self) -> None:
        """Raise `TableFullError`."""
        assert self.max_rows is not None
        raise TableFullError(self.table, self.max_rows)


class Bounded(SetRows):
    """What bounded rows of both kinds have in common; comes before the kind in the bases."""

    __slots__ = ()

    bounds: Bounds
    is_lent: bool
    """Whether `bounds` are those of other rows: they are copied before the first change."""

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
        self._store(key, value, now + (self.bounds.ttl if ttl is None else ttl), now)

    def replace(self, key: Hashable, value: Any) -> None:
        """Set the value of a row, which keeps its deadline. A new one gets the table's."""
        now = self.bounds.clock()
        cell = self.live.get(key)
        deadline = now + self.bounds.ttl if cell is None or cell[1] <= now else cell[1]
        self._store(key, value, deadline, now)

    def remove(self, key: Hashable) -> Any:
        """Remove one row and return its value; `MISSING` if there was none."""
        cell = super().remove(key)
        self._own().discard(key)
        if cell is MISSING:
            return MISSING
        return cell[0] if cell[1] > self.bounds.clock() else MISSING

    def sweep(self) -> float:
        """Remove rows that are over, at most `SWEPT_AT_ONCE`. Returns when to come again."""
        bounds = self._own()
        now = bounds.clock()
        for key in bounds.deadlines.due(now, self._deadline_of, SWEPT_AT_ONCE):
            self.remove(key)
        bounds.earliest = bounds.deadlines.earliest
        return bounds.earliest

    def set_row(self, key: Hashable, cell: Any) -> None:
        """Set value and deadline of one row, without a look at the limit."""
        self._own().add(key, cell[1])
        super().put(key, cell)

    def watch(self, gone: list[Any] | None) -> None:
        """Have the keys of removed rows added to a list, or not any more."""
        self._own().gone = gone

    def _own(self) -> Bounds:
        if self.is_lent:
            self.bounds = self.bounds.copy()  # type: ignore[misc]
            self.is_lent = False  # type: ignore[misc]
        return self.bounds

    def _deadline_of(self, key: Any) -> float:
        cell = self.live.get(key)
        return math.inf if cell is None else cell[1]

    def _store(self, key: Hashable, value: Any, deadline: float, now: float) -> None:
        bounds = self._own()
        if bounds.max_rows is not None and key not in self.live and len(self.live) >= bounds.max_rows:
            self._make_room(key, now)
        self.admit(key)
        bounds.add(key, deadline)
        super().put(key, (value, deadline))

    def _make_room(self, key: Hashable, now: float) -> None:
        # Each row that goes is a change of its own, which readers may see before the put.
        bounds = self.bounds
        self.admit(key)
        while bounds.earliest <= now and bounds.deadlines.earliest <= now:
            self.sweep()
        while len(self.live) >= (bounds.max_rows or 0):
            if not bounds.evicts:
                bounds.refuse()
            self.remove(bounds.next_to_go())

    # -- the writer only: others, to be published ----------------------------

    def bulk_insert(self, rows: dict[Any, Any]) -> tuple[SetRows, int]:
        """These rows with `rows` over them, and how many. Where they are too many the last ones stay."""
        now = self.bounds.clock()
        live, bounds = self.live.copy(), self.bounds.copy()
        for key in [key for key, cell in live.items() if cell[1] <= now]:
            del live[key]
            bounds.discard(key)
        deadline = now + bounds.ttl
        for key, value in rows.items():
            live[key] = (value, deadline)
            bounds.add(key, deadline)
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

    def over(self, live: Any) -> SetRows:
        """These rows with another dict that has the same, or what looks like one, for the writer alone."""
        rows = self.like(live, self.version, self.bounds)
        rows.is_lent = True  # type: ignore[misc]
        return rows

    def like(self, live: dict[Any, Any], version: int, bounds: Bounds) -> Bounded:
        """Rows of this kind, of cells."""
        raise NotImplementedError

    def admit(self, key: Any) -> None:
        """Raise where the key cannot be one of this table, before anything changes."""


class BoundedRows(Bounded):
    """Rows of a set table that end. Threads as `SetRows`."""

    __slots__ = ("bounds", "is_lent")

    def __init__(self, live: dict[Any, Any], version: int, bounds: Bounds) -> None:
        self.live = live
        self.version = version
        self.bounds = bounds
        self.is_lent = False

    def snapshot(self) -> dict[Any, Any]:
        """A private copy."""
        now = self.bounds.clock()
        return {key: value for key, (value, deadline) in self.live.copy().items() if deadline > now}

    def like(self, live: dict[Any, Any], version: int, bounds: Bounds) -> BoundedRows:
        """Rows of this kind, of cells."""
        return BoundedRows(live, version, bounds)


class BoundedOrderedRows(Bounded, OrderedRows):
    """Rows of an ordered table that end. Threads as `SetRows`."""

    __slots__ = ("bounds", "is_lent")

    def __init__(
        self, live: dict[Any, Any], version: int, bounds: Bounds, index: KeyIndex | None = None
    ) -> None:
        self.live = live
        self.version = version
        self.bounds = bounds
        self.is_lent = False
        self.index = KeyIndex.of(live) if index is None else index

    def like(self, live: dict[Any, Any], version: int, bounds: Bounds) -> BoundedOrderedRows:
        """Rows of this kind, of cells."""
        return BoundedOrderedRows(live, version, bounds)

    def admit(self, key: Any) -> None:
        """Raise where the key cannot be sorted among the others."""
        if key not in self.live:
            self.index.with_key(key)

    def over(self, live: Any) -> SetRows:
        """These rows with another dict that has the same, or what looks like one, for the writer alone."""
        rows = BoundedOrderedRows(live, self.version, self.bounds, self.index)
        rows.is_lent = True
        return rows
