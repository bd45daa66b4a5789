"""The rows of a bag: several values under one key, none of them twice.

The values of a key are one tuple, in the order in which they were put. A write
replaces the tuple, so a reader of a key sees all of a change or nothing of it.
ETS: the table type ``bag``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from slither_actors.errors import StoreError
from slither_actors.store._pattern import Prefix, is_constant
from slither_actors.store._rows import ATTEMPTS, Check, SetRows, is_hashable

__all__ = ["BagRows"]

Values = tuple[Any, ...]


class BagRows(SetRows):
    """Rows of a bag. ``live`` has a tuple per key, never an empty one.

    Threads as `SetRows`.
    """

    __slots__ = ("_begun", "_count")

    def __init__(self, live: dict[Any, Values], version: int = 0, count: int | None = None) -> None:
        super().__init__(live, version)
        self._count = sum(map(len, live.values())) if count is None else count
        self._begun = 0  # writes, counted before they change a thing

    # -- any thread ----------------------------------------------------------

    def size(self) -> int | None:
        """How many rows, which is values, there are; None where a writer was always in the way."""
        for _ in range(ATTEMPTS):
            count, begun = self._count, self._begun
            # Odd: values and count may be one apart.
            if begun % 2 == 0 and count == self._count and begun == self._begun:
                return count
        return None

    def __len__(self) -> int:
        """How many rows there are, give or take the write that is under way."""
        return self._count

    def _candidates(self, key: Any, prefix: Prefix | None) -> Iterable[tuple[Any, Any]]:
        if is_constant(key) and is_hashable(key):
            return ((key, value) for value in self.get(key, ()))
        return ((found, value) for found, values in self.live.copy().items() for value in values)

    # -- the writer only: in place -------------------------------------------

    def put(self, key: Hashable, value: Any) -> None:
        """Add one value to those of the key, unless one that equals it is there."""
        values = self.live.get(key, ())
        if value not in values:
            self.set_row(key, (*values, value))

    def update(self, key: Hashable, function: Callable[[Any], Any], default: Any, check: Check) -> Values:
        """Replace the values of a key by those that ``function(values)`` returns; none removes the key."""
        values = _distinct(function(self.get(key, default)))
        check()
        self.set_row(key, values)
        return values

    def increment(self, key: Hashable, by: Any, default: Any) -> Any:
        """Refuse: several values are no counter."""
        msg = f"a bag has no increment: the key {key!r} may have several values; use a set table for counters"
        raise StoreError(msg)

    def remove(self, key: Hashable) -> Any:
        """Remove all values of a key and return them; `MISSING` if there were none."""
        self._begun += 1
        try:
            values = super().remove(key)
            if values:
                self._count -= len(values)
        finally:
            self._begun += 1
        return values

    def delete_value(self, key: Hashable, value: Any) -> bool:
        """Remove the value that equals `value`; return whether there was one."""
        values = self.live.get(key, ())
        kept = tuple(other for other in values if not (other is value or other == value))
        if len(kept) == len(values):
            return False
        self.set_row(key, kept)
        return True

    def set_row(self, key: Hashable, cell: Values) -> None:
        """Set the values of one key; none removes it."""
        self._begun += 1
        try:
            before = len(self.live.get(key, ()))
            if cell:
                self.live[key] = cell
            else:
                self.live.pop(key, None)
            self._count += len(cell) - before
            self.version += 1
        finally:
            self._begun += 1

    # -- the writer only: others, to be published ----------------------------

    def over(self, live: Any) -> BagRows:
        """These rows with another dict that has the same, or what looks like one, for the writer alone."""
        return BagRows(live, self.version, self._count)

    def bulk_insert(self, rows: Iterable[tuple[Any, Any]]) -> tuple[BagRows, int]:
        """These rows and `rows`, and how many of them were new."""
        added: dict[Any, list[Any]] = {}
        new = 0
        for key, value in rows:
            values = added.get(key)
            if values is None:
                values = added[key] = list(self.live.get(key, ()))
            if value not in values:
                values.append(value)
                new += 1
        live = self.live.copy()
        live.update((key, tuple(values)) for key, values in added.items())
        return BagRows(live, self.version + 1, self._count + new), new

    def cleared(self) -> tuple[BagRows, int]:
        """No rows, and how many there were."""
        return BagRows({}, self.version + 1, 0), self._count


def _distinct(values: Iterable[Any]) -> Values:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return tuple(kept)
