"""What bounds the rows of a table, and which of them goes next.

`Bounds` are those of a table's own rows. `DraftBounds` lie over them, or over
others, for a write that may yet be undone: they keep what it changes, so a
draft of one row costs the same in a table of a million.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import attrs

from slither_actors.core import Deadlines
from slither_actors.errors import TableFullError

__all__ = ["MARKS", "Bounding", "Bounds", "DraftBounds"]

MARKS = 4096
"""The most reads of an ``"lru"`` table that wait to be counted."""


def _nobody(_: float) -> None:
    """Whoever sweeps was not told yet."""


class Bounding(Protocol):
    """What bounded rows ask of their bounds."""

    clock: Callable[[], float]
    ttl: float
    max_rows: int | None
    used: deque[Any] | None
    earliest: float
    """No row ends before this."""
    gone: list[Any] | None
    """Where the keys of removed rows go, for whoever wants to know."""

    @property
    def evicts(self) -> bool:
        """Whether there is an order in which rows go."""

    def add(self, key: Any, deadline: float) -> None:
        """A row is about to be written."""

    def discard(self, key: Any) -> None:
        """A row was removed."""

    def due(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """Keys of rows that are over, to be removed; `deadline_of` has the last word on a key."""

    def peek(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """As `due`, and forget nothing."""

    def postpone(self, key: Any, deadline: float) -> None:
        """A row that was due could not be removed."""

    def swept(self) -> None:
        """Those that were due have been removed."""

    def next_to_go(self) -> Any:
        """The key to evict."""

    def refuse(self) -> None:
        """Raise `TableFullError`."""

    def in_order(self) -> Iterator[Any]:
        """The keys, the first to go first; none where nothing is evicted."""

    def has(self, key: Any) -> bool:
        """Whether `in_order` has the key."""

    def fresh(self) -> Bounds:
        """The same bounds for a table without rows."""

    def copy(self) -> Bounding:
        """The same bounds for the same rows, to be changed apart."""

    def over(self) -> DraftBounds:
        """The same for a draft, which leaves these as they are."""

    def tell(self, wake: Callable[[float], object]) -> None:
        """Have `wake` told from now on when a sweep has something to do."""


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

    def due(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """Forget and return keys of rows that are over, to be removed."""
        return self.deadlines.due(now, deadline_of, most)

    def peek(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """As `due`, and forget nothing."""
        return self.deadlines.peek(now, deadline_of, most)

    def postpone(self, key: Any, deadline: float) -> None:
        """A row that was due could not be removed."""
        self.deadlines.set(key, deadline)

    def swept(self) -> None:
        """Those that were due have been removed."""
        self.earliest = self.deadlines.earliest

    def in_order(self) -> Iterator[Any]:
        """The keys, the first to go first; none where nothing is evicted."""
        self._count_uses()
        return iter(self.order)

    def has(self, key: Any) -> bool:
        """Whether `in_order` has the key."""
        return key in self.order

    def next_to_go(self) -> Any:
        """The key to evict."""
        return next(self.in_order())

    def over(self) -> DraftBounds:
        """The same for a draft, which leaves these as they are."""
        return DraftBounds(self)

    def tell(self, wake: Callable[[float], object]) -> None:
        """Have `wake` told from now on when a sweep has something to do."""
        self.wake = wake
        wake(self.earliest)

    def _count_uses(self) -> None:
        while self.used:
            key = self.used.popleft()
            if key in self.order:
                self.order.move_to_end(key)

    def refuse(self) -> None:
        """Raise `TableFullError`."""
        assert self.max_rows is not None
        raise TableFullError(self.table, self.max_rows)


class DraftBounds:
    """Bounds over others, which stay as they are. For the writer.

    The reads of an ``"lru"`` table count for what is below as well: they have been made,
    whatever becomes of the draft.
    """

    def __init__(self, base: Bounding) -> None:
        self._base = base
        self.clock = base.clock
        self.ttl = base.ttl
        self.max_rows = base.max_rows
        self.used: deque[Any] | None = None if base.used is None else _DraftUses(base.used)
        self.evicts = base.evicts
        self.earliest = base.earliest
        self.gone: list[Any] | None = None
        self.refuse = base.refuse
        self.fresh = base.fresh
        self._deadlines = Deadlines()
        self._moved: OrderedDict[Any, None] = OrderedDict()
        """The keys that go after those of the base."""
        self._gone: set[Any] = set()
        self._walk: Iterator[Any] | None = None
        """Over the keys of the base, the first to go first."""

    def add(self, key: Any, deadline: float) -> None:
        """A row is about to be written."""
        if deadline < math.inf:
            self._deadlines.set(key, deadline)
            self.earliest = min(self.earliest, deadline)
        if self.evicts:
            self._count_uses()
            self._gone.discard(key)
            self._moved[key] = None
            self._moved.move_to_end(key)

    def discard(self, key: Any) -> None:
        """A row was removed."""
        self._deadlines.discard(key)
        self._moved.pop(key, None)
        if self.evicts:
            self._gone.add(key)

    def due(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """Keys of rows that are over, to be removed."""
        mine = self._deadlines.due(now, deadline_of, most)
        return list(dict.fromkeys([*mine, *self._base.peek(now, deadline_of, most)]))

    def peek(self, now: float, deadline_of: Callable[[Any], float], most: int) -> list[Any]:
        """As `due`, and forget nothing."""
        mine = self._deadlines.peek(now, deadline_of, most)
        return list(dict.fromkeys([*mine, *self._base.peek(now, deadline_of, most)]))

    def postpone(self, key: Any, deadline: float) -> None:
        """A row that was due could not be removed."""
        self._deadlines.set(key, deadline)

    def swept(self) -> None:
        """Those that were due have been removed; the base has its own."""

    def in_order(self) -> Iterator[Any]:
        """The keys, the first to go first; none where nothing is evicted."""
        self._count_uses()
        for key in self._base.in_order():
            if key not in self._moved and key not in self._gone:
                yield key
        yield from self._moved

    def has(self, key: Any) -> bool:
        """Whether `in_order` has the key."""
        return key in self._moved or (key not in self._gone and self._base.has(key))

    def next_to_go(self) -> Any:
        """The key to evict, which is then removed."""
        # Each goes on where the one before has ended, or many rows would take the square of their number.
        self._count_uses()
        while True:
            if self._walk is None:
                self._walk = self._base.in_order()
            try:
                for key in self._walk:
                    if key not in self._moved and key not in self._gone:
                        return key
            except RuntimeError:  # reads below were counted meanwhile: from the beginning
                self._walk = None
            else:
                return next(iter(self._moved))

    def over(self) -> DraftBounds:
        """The same for a draft of this draft."""
        return DraftBounds(self)

    def tell(self, wake: Callable[[float], object]) -> None:
        """Nobody sweeps a draft."""

    def copy(self) -> DraftBounds:
        """As `over`: for a draft no table is copied."""
        return DraftBounds(self)

    def _count_uses(self) -> None:
        while self.used:
            key = self.used.popleft()
            if self.has(key):
                self._moved[key] = None
                self._moved.move_to_end(key)


class _DraftUses(deque[Any]):
    """The keys that were read in a draft."""

    def __init__(self, below: deque[Any]) -> None:
        super().__init__(maxlen=MARKS)
        self._below = below

    def append(self, key: Any, /) -> None:
        """Count a read, here and below."""
        super().append(key)
        self._below.append(key)
