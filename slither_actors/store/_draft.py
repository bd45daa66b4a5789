"""`Draft`: writes that have been performed and that no reader sees yet.

A draft lies over the published tables, or over another draft. Its rows are of
the same kind as theirs and differ in one thing: in the place of their dict
there is a `DraftDict`, which answers with what was written to it, falls back
to theirs, and records each change. So an operation need not know whether it is
performed in place, in a transaction or for a file. The changes are those of
single rows, as the table's dict has them::

    ("put", index, key, value)      ("delete", index, key)      ("clear", index)

They are what `Writer.apply` does to the tables and what a file behind the
store gets. Dropping a draft undoes all of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from slither_actors.config import shown
from slither_actors.errors import StoreError
from slither_actors.store._arguments import WRONG, name_error
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING
from slither_actors.store._transaction import Transaction
from slither_actors.store._writer import WRITES, Change, Writer

if TYPE_CHECKING:
    from slither_actors.store._rows import SetRows
    from slither_actors.store._table import Table

__all__ = ["Draft", "DraftDict"]

_UNTOUCHED: Any = object()


class DraftDict(MutableMapping[Any, Any]):
    """The dict of one table of a draft. `base` stays as it is; None is an empty one."""

    __slots__ = ("_base", "_changes", "_growth", "_index", "_values")

    def __init__(self, base: Any, index: int, changes: list[Change]) -> None:
        self._base = base
        self._index = index
        self._changes = changes
        self._values: dict[Any, Any] = {}
        """What was put, and `MISSING` under the keys that were deleted."""
        self._growth = 0

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        value = self._values.get(key, _UNTOUCHED)
        if value is _UNTOUCHED:
            return default if self._base is None else self._base.get(key, default)
        return default if value is MISSING else value

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return self.get(key, MISSING) is not MISSING

    def __setitem__(self, key: Any, value: Any) -> None:
        self._growth += key not in self
        self._values[key] = value
        self._changes.append(("put", self._index, key, value))

    def pop(self, key: Any, default: Any = _UNTOUCHED) -> Any:
        """Remove one row and return its value; `default`, if that is given, where there is none."""
        value = self.get(key, MISSING)
        if value is MISSING:
            if default is _UNTOUCHED:
                raise KeyError(key)
            return default
        self._values[key] = MISSING
        self._growth -= 1
        self._changes.append(("delete", self._index, key))
        return value

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def __len__(self) -> int:
        return self._growth + (0 if self._base is None else len(self._base))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.copy())

    def copy(self) -> dict[Any, Any]:
        """All rows, in the order that the table will have them."""
        rows: dict[Any, Any] = {} if self._base is None else self._base.copy()
        for change in self._changes:
            if change[1] == self._index:
                _change_rows(rows, change)
        return rows


class Draft(Writer):
    """Perform writes aside. For one thread, the one that runs the store's server.

    `handles` are the store's tables as a user has them, for transactions.
    """

    __slots__ = ("_handles", "changes")

    _rows: list[SetRows]  # type: ignore[assignment]

    def __init__(
        self, pointer: Pointer, owner: object, base: Sequence[SetRows], handles: Sequence[Table[Any, Any]]
    ) -> None:
        super().__init__(pointer, owner)
        self.changes: list[Change] = []
        """What was done, in its order."""
        self._handles = handles
        self._rows = [self._over(rows, index, rows.live) for index, rows in enumerate(base)]

    def transact(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return ``function(transaction, *arguments)``."""
        transaction = Transaction(self._pointer.name, self._handles, self._rows, self.operate)
        try:
            result = function(transaction, *arguments)
        finally:
            transaction.close()
        if isinstance(result, CoroutineType) or (
            isinstance(result, GeneratorType) and inspect.isgeneratorfunction(function)
        ):
            result.close()
            msg = f"store {self._pointer.name}: a transaction takes a plain function; {shown(function)} is "
            msg += "async or has a yield, so nothing of it has run"
            raise StoreError(msg)
        self._check_owner("a transaction")
        return result

    def transaction(self, requests: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Perform one write after the other; return their replies.

        Raises:
            StoreError: there is something among them that is no write.
        """
        unknown = next((request[0] for request in requests if request[0] not in WRITES), None)
        if unknown is not None:
            msg = f"store {self._pointer.name}: a transaction of writes has {unknown!r}, which is none"
            raise StoreError(msg)
        return [self._operate_named(*request) for request in requests]

    def _operate_named(self, operation: str, index: int, *arguments: Any) -> Any:
        """As `operate`; the caller is far, so an error says which of the writes it is about."""
        try:
            return self.operate(operation, index, *arguments)
        except WRONG as error:
            if operation != "update":  # the function's own
                name_error(error, f"{self._pointer.name}.{self._pointer.tables[index]}.{operation}")
            raise

    def operate(self, operation: str, *arguments: Any) -> Any:
        """Perform one operation by its name."""
        return getattr(self, operation)(*arguments)

    def bulk_insert(self, index: int, rows: Any) -> int:
        """Set many rows, or none if one cannot be set; return how many."""
        changes: list[Change] = []
        base = self._rows[index]
        over = base.over(DraftDict(base.live, index, changes))
        is_mapping = isinstance(rows, dict)
        for key, value in rows.items() if is_mapping else rows:
            over.put(key, value)
        self.apply(changes)
        return len(rows) if is_mapping else len(changes)

    def clear(self, index: int) -> int:
        """Remove all rows; return how many there were."""
        size: int = self._rows[index].cleared()[1]
        if len(self._rows[index]):
            self._empty(index)
        return size

    def apply(self, changes: Sequence[Change]) -> None:
        """Take the changes of another draft over."""
        for operation, index, *rest in changes:
            if operation == "put":
                self._rows[index].set_row(*rest)
            elif operation == "delete":
                self._rows[index].remove(*rest)
            else:
                self._empty(index)

    def _empty(self, index: int) -> None:
        self.changes.append(("clear", index))
        self._rows[index] = self._over(self._rows[index].cleared()[0], index, None)

    def _over(self, rows: SetRows, index: int, base: Any) -> SetRows:
        return rows.over(DraftDict(base, index, self.changes))


def _change_rows(rows: dict[Any, Any], change: Change) -> None:
    """Do one change to a plain dict of rows."""
    operation, _, *rest = change
    if operation == "put":
        rows[rest[0]] = rest[1]
    elif operation == "delete":
        rows.pop(rest[0], None)
    else:
        rows.clear()
