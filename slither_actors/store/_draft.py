"""`Draft`: writes that have been performed and that no reader sees yet.

A draft lies over published tables, or over another draft. It answers reads
with its own writes and records them as *changes*, the row changes that later
reach the tables (`Writer.apply`) and the file behind the store::

    ("put", index, key, value)      ("delete", index, key)
    ("merge", index, rows)          ("clear", index)

So an operation need not know whether it is performed at once, in a transaction
or for a file: it is the same method of `Writer` in each case. Dropping a draft
undoes all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from slither_actors.errors import StoreError
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING, Rows
from slither_actors.store._transaction import Transaction
from slither_actors.store._writer import WRITES, Change, Writer

__all__ = ["Draft", "DraftRows", "change_rows"]

_UNTOUCHED: Any = object()


class DraftRows:
    """One table of a draft, with the methods of a table's rows that `Writer` uses."""

    __slots__ = ("_base", "_changes", "_cleared", "_growth", "_index", "_values")

    def __init__(self, base: Rows, index: int, changes: list[Change]) -> None:
        self._base = base
        self._index = index
        self._changes = changes
        self._values: dict[Any, Any] = {}
        """What was put since the last clear; `MISSING` under the keys that were taken."""
        self._cleared = False
        self._growth = 0

    @property
    def version(self) -> int:
        """That of the published rows: a draft has none of its own."""
        return self._base.version

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        value = self._values.get(key, _UNTOUCHED)
        if value is _UNTOUCHED:
            return default if self._cleared else self._base.get(key, default)
        return default if value is MISSING else value

    def get_many(self, keys: list[Any], default: Any) -> list[Any]:
        """One value per key."""
        return [self.get(key, default) for key in keys]

    def size(self) -> int:
        """How many rows there are."""
        return self._growth + (0 if self._cleared else self._base.size())

    def snapshot(self) -> dict[Any, Any]:
        """A copy of all rows, in the order that the table will have them."""
        rows: dict[Any, Any] = {}
        if not self._cleared:
            copied = self._base.snapshot()
            # The writer is not disturbed by itself, but a key's __eq__ may do anything.
            if copied is None:
                msg = "a table changed while its own writer copied it"
                raise StoreError(msg)
            rows = copied
        for change in self._changes:
            if change[1] == self._index:
                change_rows(rows, change)
        return rows

    def put(self, key: Hashable, value: Any) -> None:
        """Set one row."""
        self._set(key, value)
        self._changes.append(("put", self._index, key, value))

    def take(self, key: Hashable) -> Any:
        """Remove one row and return its value; `MISSING` if there was none."""
        value = self.get(key, MISSING)
        if value is not MISSING:
            self._values[key] = MISSING
            self._growth -= 1
            self._changes.append(("delete", self._index, key))
        return value

    def merged(self, rows: dict[Any, Any]) -> DraftRows:
        """Set many rows."""
        for key, value in rows.items():
            self._set(key, value)
        self._changes.append(("merge", self._index, rows))
        return self

    def replaced(self, rows: dict[Any, Any]) -> DraftRows:
        """Remove all rows, and set these."""
        self._values.clear()
        self._cleared = True
        self._growth = 0
        self._changes.append(("clear", self._index))
        return self.merged(rows) if rows else self

    def _set(self, key: Hashable, value: Any) -> None:
        self._growth += self.get(key, MISSING) is MISSING
        self._values[key] = value


class Draft(Writer):
    """Perform writes aside. For one thread, the one that runs the store's server."""

    __slots__ = ("changes",)

    _rows: tuple[DraftRows, ...]  # type: ignore[assignment]

    def __init__(self, pointer: Pointer, owner: object, base: Sequence[Rows]) -> None:
        super().__init__(pointer, owner)
        self.changes: list[Change] = []
        """What was done, in its order."""
        self._rows = tuple(DraftRows(rows, index, self.changes) for index, rows in enumerate(base))

    def transact(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return ``function(transaction, *arguments)``."""
        transaction = Transaction(self._pointer.name, self._pointer.tables, self._rows, self.operate)
        try:
            result = function(transaction, *arguments)
        finally:
            transaction.close()
        self._check_owner("a transaction")
        return result

    def transaction(self, requests: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Perform one write after the other; return their replies."""
        unknown = next((request[0] for request in requests if request[0] not in WRITES), None)
        if unknown is not None:
            msg = f"store {self._pointer.name}: a transaction of writes has {unknown!r}, which is none"
            raise StoreError(msg)
        return [self.operate(*request) for request in requests]

    def operate(self, operation: str, *arguments: Any) -> Any:
        """Perform one operation by its name."""
        return getattr(self, operation)(*arguments)

    def apply(self, changes: Sequence[Change]) -> None:
        """Take the changes of another draft over."""
        for operation, index, *rest in changes:
            rows = self._rows[index]
            if operation == "put":
                rows.put(*rest)
            elif operation == "delete":
                rows.take(*rest)
            elif operation == "merge":
                rows.merged(*rest)
            else:
                rows.replaced({})

    def snapshot(self, index: int) -> dict[Any, Any]:
        """A copy of one table with what was written here."""
        return self._rows[index].snapshot()

    def _replace(self, index: int, fresh: Any) -> None:
        """Nothing: the rows of a draft have recorded it themselves."""


def change_rows(rows: dict[Any, Any], change: Change) -> None:
    """Do one change to a plain dict of rows."""
    operation, _, *rest = change
    if operation == "put":
        rows[rest[0]] = rest[1]
    elif operation == "delete":
        rows.pop(rest[0], None)
    elif operation == "merge":
        rows.update(rest[0])
    else:
        rows.clear()
