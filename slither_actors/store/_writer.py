"""What a write does to a store's published tables. No I/O, no thread, no clock.

One row at a time is changed in place, in constant time. Whatever readers must
see at once is built aside and published in one step: that copies the table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import attrs

from slither_actors.errors import StoreError
from slither_actors.store._pointer import Loaded, Pointer, Publication
from slither_actors.store._rows import MISSING, SetRows

__all__ = ["READS", "TRANSACTIONS", "WRITES", "Change", "Writer"]

WRITES = frozenset(
    ["put", "put_new", "update", "increment", "delete", "take", "bulk_insert", "clear"],
)
"""The operations that change a table: methods of `Writer`, given the table's index first."""

READS = frozenset(["snapshot", "get_many"])
"""The reads that a reader may leave to the writer."""

TRANSACTIONS = frozenset(["transact", "transaction"])
"""The writes to several tables, which are performed in a `Draft`."""

Change = tuple[Any, ...]
"""One of the row changes that the module `_draft` describes."""


class Writer:
    """Perform the writes of one store.

    Not thread-safe: the store's server is the only caller, and `owner` is its
    claim on the pointer.
    """

    __slots__ = ("_owner", "_pointer", "_rows")

    def __init__(self, pointer: Pointer, owner: object) -> None:
        self._pointer = pointer
        self._owner = owner
        self._rows: tuple[SetRows, ...] = ()

    def install(
        self,
        fresh: list[dict[Any, Any]],
        instance: Any,
        *,
        at: float,
        seconds: float,
        changes: Sequence[Change] = (),
    ) -> None:
        """Publish all tables of a load, and the instance that loaded them, in one step.

        The `changes` are done to them before that.
        The versions go on from those of the tables that are replaced, also
        where a server that died published them.
        """
        before = self._pointer.now
        versions = [rows.version for rows in before.rows] if self._pointer.is_published else [0] * len(fresh)
        loads = [SetRows(live, version + 1) for live, version in zip(fresh, versions, strict=True)]
        rows = tuple(_changed(made, index, changes, mine=True) for index, made in enumerate(loads))
        loaded = Loaded(before.loaded.count + 1, at, seconds)
        self._publish(Publication(rows, instance, loaded), rows)

    # -- one row, in place ---------------------------------------------------

    def put(self, index: int, key: Hashable, value: Any) -> None:
        """Set one row."""
        self._rows[index].put(key, value)

    def put_new(self, index: int, key: Hashable, value: Any) -> bool:
        """Set one row unless its key has one; return whether it was set."""
        rows = self._rows[index]
        if rows.get(key, MISSING) is not MISSING:
            return False
        rows.put(key, value)
        return True

    def update(self, index: int, key: Hashable, function: Callable[[Any], Any], default: Any) -> Any:
        """Replace one value by ``function(value)``; return the new one."""
        rows = self._rows[index]
        value = function(rows.get(key, default))
        # The function is the user's and may take long: a server that was
        # killed in it is replaced, and must not write any more.
        self._check_owner("an update")
        rows.put(key, value)
        return value

    def increment(self, index: int, key: Hashable, by: Any, default: Any) -> Any:
        """Add to one value; return the sum."""
        rows = self._rows[index]
        value = rows.get(key, default) + by
        rows.put(key, value)
        return value

    def delete(self, index: int, key: Hashable) -> bool:
        """Remove one row; return whether there was one."""
        return self._rows[index].take(key) is not MISSING

    def take(self, index: int, key: Hashable, default: Any) -> Any:
        """Remove one row; return its value or `default`."""
        value = self._rows[index].take(key)
        return default if value is MISSING else value

    # -- all at once, aside --------------------------------------------------

    def bulk_insert(self, index: int, rows: dict[Any, Any]) -> int:
        """Set many rows in one step; takes the dict over. Returns how many."""
        if rows:
            self._replace(index, self._rows[index].merged(rows))
        return len(rows)

    def clear(self, index: int) -> int:
        """Remove all rows in one step; return how many there were."""
        size = self._rows[index].size()
        if size:
            self._replace(index, self._rows[index].replaced({}))
        return size

    # -- reads that must not be disturbed ------------------------------------

    def snapshot(self, index: int) -> dict[Any, Any]:
        """A copy of one table, for a reader that the writes left no time for one."""
        return self._rows[index].live.copy()

    def get_many(self, index: int, keys: list[Any], default: Any) -> list[Any]:
        """The values of one moment, for a reader that the writes left no time for them."""
        get = self._rows[index].get
        return [get(key, default) for key in keys]

    # -- what a draft has collected ------------------------------------------

    @property
    def rows(self) -> Sequence[SetRows]:
        """The rows that it writes to, for a draft that is laid over them."""
        return self._rows

    def apply(self, changes: Sequence[Change]) -> None:
        """Do the changes of a draft to the published tables, for readers all at once.

        One row is changed in place. More are changed in copies of their tables
        (about 15 ns a row of each), which are published in one step.
        """
        if len(changes) == 1 and changes[0][0] != "clear":
            operation, index, *rest = changes[0]
            (self._rows[index].set_row if operation == "put" else self._rows[index].remove)(*rest)
        elif changes:
            rows = tuple(_changed(rows, index, changes) for index, rows in enumerate(self._rows))
            self._publish(attrs.evolve(self._pointer.now, rows=rows), rows)

    def _check_owner(self, during: str) -> None:
        if not self._pointer.is_owned_by(self._owner):
            msg = f"store {self._pointer.name}: the server was killed or replaced during {during}"
            raise StoreError(msg)

    def _replace(self, index: int, fresh: SetRows) -> None:
        rows = (*self._rows[:index], fresh, *self._rows[index + 1 :])
        self._publish(attrs.evolve(self._pointer.now, rows=rows), rows)

    def _publish(self, publication: Publication, rows: tuple[SetRows, ...]) -> None:
        self._pointer.publish(self._owner, publication)
        self._rows = rows


def _changed(rows: SetRows, index: int, changes: Sequence[Change], *, mine: bool = False) -> SetRows:
    """The table `index` after the changes: another one, or the same where none is to it.

    `mine` says that no reader sees `rows` yet, so they need not be copied.
    """
    for operation, at, *rest in changes:
        if at != index:
            continue
        if operation == "clear":
            rows, mine = rows.replaced({}), True
            continue
        if not mine:
            rows, mine = rows.copy(), True
        (rows.set_row if operation == "put" else rows.remove)(*rest)
    return rows
