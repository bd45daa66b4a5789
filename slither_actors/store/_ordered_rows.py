"""The rows of an ordered table: a set's dict, and an index of its keys.

The dict alone says which rows there are and what they hold. The index has
every key of the dict and, while one row comes or goes, that key as well: it is
put into the index first and taken out of it last. So a walk of the index that
skips the keys without a row sees each write at the same instant as ``get``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from typing import Any

from slither_actors.store._key_index import KeyIndex, Place
from slither_actors.store._pattern import Prefix, leading
from slither_actors.store._rows import MISSING, SetRows

__all__ = ["OrderedRows"]


class OrderedRows(SetRows):
    """Rows sorted by key. Keys have to be comparable with one another, and distinct as a dict's are.

    Threads as `SetRows`.
    """

    __slots__ = ("index",)

    def __init__(self, live: dict[Any, Any], version: int = 0, index: KeyIndex | None = None) -> None:
        """Raises TypeError or ValueError where the keys cannot be sorted."""
        self.index = KeyIndex.of(live) if index is None else index
        super().__init__(live, version)

    # -- as part of `query` --------------------------------------------------

    def snapshot(self) -> dict[Any, Any]:
        """A private copy, sorted."""
        index = self.index
        return dict(self._rows(iter(index)))

    def range(  # noqa: PLR0917 - the arguments of a query have no names
        self,
        low: Any,
        high: Any,
        inclusive: tuple[bool, bool],
        reverse: bool,
        limit: int | None,
        prefix: Prefix | None = None,
    ) -> list[tuple[Any, Any]]:
        """The rows between two keys (`MISSING` is no bound), or with a prefix."""
        index = self.index
        start, end = (
            self._bounds(index, low, high, inclusive) if prefix is None else _prefixed(index, prefix.start)
        )
        keys = index.down(start, end) if reverse else index.up(start, end)
        return list(islice(self._rows(keys), limit))

    def first(self) -> tuple[Any, ...]:
        """The row with the smallest key; empty where there is none."""
        index = self.index
        return self._one(index.up(index.begin, index.end))

    def last(self) -> tuple[Any, ...]:
        """The row with the largest key; empty where there is none."""
        index = self.index
        return self._one(index.down(index.begin, index.end))

    def next(self, key: Any) -> tuple[Any, ...]:
        """The row with the smallest key above `key`; empty where there is none."""
        index = self.index
        return self._one(index.up(index.place(key, after=True), index.end))

    def previous(self, key: Any) -> tuple[Any, ...]:
        """The row with the largest key below `key`; empty where there is none."""
        index = self.index
        return self._one(index.down(index.begin, index.place(key, after=False)))

    def _candidates(self, key: Any, prefix: Prefix | None) -> Iterable[tuple[Any, Any]]:
        start = prefix or leading(key)
        if start is None:
            return super()._candidates(key, prefix)
        index = self.index
        try:
            places = _prefixed(index, start.start)
        except TypeError:  # keys of another type: whatever matches is elsewhere, if at all
            return super()._candidates(key, prefix)
        return self._rows(index.up(*places))

    def _bounds(
        self, index: KeyIndex, low: Any, high: Any, inclusive: tuple[bool, bool]
    ) -> tuple[Place, Place]:
        start = index.begin if low is MISSING else index.place(low, after=not inclusive[0])
        end = index.end if high is MISSING else index.place(high, after=inclusive[1])
        return start, end

    def _rows(self, keys: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        get = self.reader()
        return ((key, value) for key in keys if (value := get(key, MISSING)) is not MISSING)

    def _one(self, keys: Iterator[Any]) -> tuple[Any, ...]:
        return next(self._rows(keys), ())

    # -- the writer only -----------------------------------------------------

    def put(self, key: Hashable, value: Any) -> None:
        """Set one row."""
        if key not in self.live:
            self.index = self.index.with_key(key)
        self.live[key] = value
        self.version += 1

    def replace(self, key: Hashable, value: Any) -> None:
        """Set the value of a row."""
        self.put(key, value)

    def remove(self, key: Hashable) -> Any:
        """Remove one row and return its value; `MISSING` if there was none."""
        hash(key)  # an empty dict does not look at it
        if key not in self.live:
            return MISSING
        index = self.index.without(key)  # before anything changes: keys compare with methods of the user's
        value = self.live.pop(key)
        self.index = index
        self.version += 1
        return value

    def cells(self) -> dict[Any, Any]:
        """A copy of the dict, sorted: the index of one that is takes linear time."""
        find = self.live.get
        return {key: cell for key in self.index if (cell := find(key, MISSING)) is not MISSING}

    def over(self, live: Any) -> SetRows:
        """These rows with another dict that has the same, or what looks like one, for the writer alone."""
        return OrderedRows(live, self.version, self.index)

    def bulk_insert(self, rows: dict[Any, Any]) -> tuple[SetRows, int]:
        """These rows with `rows` over them, and how many. Takes the dict over."""
        if not self.live:
            return OrderedRows(rows, self.version + 1), len(rows)
        fresh = [key for key in rows if key not in self.live]
        live = self.live.copy()
        live.update(rows)
        # Two ascending runs, which `sorted` merges in linear time.
        index = KeyIndex.of([*self.index, *sorted(fresh)]) if fresh else self.index
        return OrderedRows(live, self.version + 1, index), len(rows)

    def cleared(self) -> tuple[SetRows, int]:
        """No rows, and how many there were."""
        return OrderedRows({}, self.version + 1), len(self.live)


def _prefixed(index: KeyIndex, start: Any) -> tuple[Place, Place]:
    length = len(start)

    def beginning(key: Any) -> Any:
        return key[:length]

    return index.place(start, after=False), index.place(start, after=True, of=beginning)
