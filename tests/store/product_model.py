"""What a table of `product_code` has to hold, in plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from slither_actors.errors import TableFullError
from slither_actors.store._kinds import TableOptions

__all__ = ["TableModel"]

Change = tuple[Any, ...]


class TableModel:
    """Rows, and the order in which they make room."""

    def __init__(self, options: TableOptions) -> None:
        self.options = options
        self.rows: dict[Any, Any] = {}
        self.order: list[Any] = []
        """By reads and writes, the first to go first."""
        self.written: list[Any] = []
        """By writes: what a file knows."""
        self.changes: list[Change] = []
        """Those of single rows."""

    def copy(self) -> TableModel:
        made = TableModel(self.options)
        made.rows, made.order = dict(self.rows), list(self.order)
        made.written, made.changes = list(self.written), list(self.changes)
        return made

    # -- reads and the clock -----------------------------------------------------

    def get(self, key: Any) -> None:
        """A read, which counts where the order is that of uses."""
        if self.options.evict == "lru" and key in self.rows:
            self.order.remove(key)
            self.order.append(key)

    def restored(self) -> None:
        """The rows came from a file: of uses it knows the writes."""
        self.order = list(self.written)

    # -- writes --------------------------------------------------------------------

    def put(self, key: Any, value: Any, *_: Any) -> None:
        if self.options.bag:
            values = self.rows.get(key, ())
            if value in values:
                return
            value = (*values, value)
        elif key not in self.rows:
            self._make_room()
        self.set(key, value)

    def put_new(self, key: Any, value: Any) -> None:
        self.get(key)
        if key not in self.rows:
            self.put(key, value)

    def increment(self, key: Any, by: Any) -> None:
        self.get(key)
        self.put(key, self.rows.get(key, 0) + by)

    def update(self, key: Any, function: Callable[[Any], Any], default: Any) -> None:
        self.get(key)
        value = function(self.rows.get(key, default))
        if not self.options.bag:
            self.put(key, value)
        elif value or key in self.rows:
            self.set(key, value) if value else self.delete(key)

    def delete(self, key: Any) -> None:
        if key in self.rows:
            del self.rows[key]
            self.order.remove(key)
            self.written.remove(key)
            self.changes.append(("delete", key))

    take = delete

    def delete_value(self, key: Any, value: Any) -> None:
        values = self.rows.get(key, ())
        kept = tuple(each for each in values if each != value)
        if not kept:
            self.delete(key)
        elif kept != values:
            self.set(key, kept)

    def bulk_insert(self, rows: Iterable[tuple[Any, Any]]) -> None:
        before = self.copy()
        try:
            # A key that repeats is one row of a set, with the last value, at its first place.
            for key, value in rows if self.options.bag else dict(rows).items():
                self.put(key, value)
        except TableFullError:
            self.__dict__ = before.__dict__
            raise

    def clear(self) -> None:
        for key in [*self.rows]:
            self.delete(key)
        self.changes.append(("clear",))

    # -- loads -----------------------------------------------------------------------

    def loaded(self, rows: dict[Any, Any]) -> TableModel:
        """The table after a load."""
        fresh = TableModel(self.options)
        fresh.bulk_insert(rows.items())
        fresh.changes.clear()
        return fresh

    def merge(self, changes: Iterable[Change]) -> None:
        """Change the same rows here. Rows that are too many then go, or are refused."""
        for operation, *rest in changes:
            {"put": self.set, "delete": self.delete, "clear": self.clear}[operation](*rest)
        most = self.options.max_rows
        while most is not None and len(self.rows) > most:
            self._evict()

    def set(self, key: Any, value: Any) -> None:
        """Set a row as it is."""
        for order in (self.order, self.written):
            if key in order:
                order.remove(key)
            order.append(key)
        self.rows[key] = value
        self.changes.append(("put", key, value))

    def _make_room(self) -> None:
        if len(self.rows) == self.options.max_rows:
            self._evict()

    def _evict(self) -> None:
        if self.options.evict == "refuse":
            raise TableFullError("model", self.options.max_rows or 0)
        self.delete(self.order[0])
