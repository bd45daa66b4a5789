"""The driver's side of a worker's table line: what a store answers to a call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from slither_actors.errors import StoreError
from slither_actors.pool._news import SealedBytes
from slither_actors.store._counted_rows import uncounted
from slither_actors.store._feed import Copy, Feed, Following
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import ATTEMPTS, MISSING, QUERIES
from slither_actors.store._statistics import store_statistics, table_statistics
from slither_actors.store._writer import TRANSACTIONS, WRITES

__all__ = ["StoreAccess"]


_IMMEDIATE = frozenset(["find", "find_many", "first", "last", "next", "previous", "size"])


class StoreAccess:
    """Read and write one store by the names of its tables and operations.

    Any thread. `perform` of an operation that `is_immediate` never waits, so the
    caller may be an actor that has others to serve.
    """

    def __init__(
        self, pointer: Pointer, *, write_timeout: float | None, keep: Callable[[], object] = lambda: None
    ) -> None:
        """`keep` is called when a snapshot was used: it is to be forgotten some time later."""
        self._pointer = pointer
        self._keep = keep
        self._write_timeout = write_timeout

    def is_immediate(self, operation: str) -> bool:
        """Whether `operation` is a look-up in memory."""
        return operation in _IMMEDIATE

    def perform(self, table: str, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Do what a worker asked for.

        A found value is in a tuple of one and a missing one an empty tuple, so
        that the worker's default need not cross.

        Raises:
            StoreError: there is no such table or operation.
        """
        if operation == "reload":
            return self._pointer.write(("reload",), None)
        if operation in TRANSACTIONS:
            return self._pointer.write((operation, *arguments), self._write_timeout)
        if operation == "store_statistics":
            return store_statistics(self._pointer)
        index = self._index(table)
        if operation == "statistics":
            return table_statistics(self._pointer, index)
        rows = self._pointer.now.rows[index]
        if operation == "find":
            return _found(rows.get(arguments[0], MISSING))
        if operation == "find_many":
            return [_found(value) for value in self._consistent(index, "get_many", arguments[0], MISSING)]
        if operation in QUERIES:
            return self._consistent(index, operation, *arguments)
        if operation in WRITES:
            return self._pointer.write((operation, index, *arguments), self._write_timeout)
        msg = f"store {self._pointer.name}: a worker asked for {operation!r}, which tables do not have"
        raise StoreError(msg)

    def follow(self, *, fresh: bool) -> tuple[Following, SealedBytes]:
        """A snapshot of the replicated tables for a worker, and what tells it of later changes.

        A `fresh` one is made for a worker that could not read what it got.

        Raises:
            StoreError: there are none.
            PayloadError: a row cannot be pickled.
        """
        pointer = self._pointer
        if pointer.feed is None:
            msg = f"store {pointer.name} has no table with replicate=True"
            raise StoreError(msg)
        try:
            return pointer.feed.subscribe(partial(self._copy, pointer.feed), fresh=fresh)
        finally:
            self._keep()

    def _copy(self, feed: Feed) -> Copy:
        pointer = self._pointer
        for _ in range(ATTEMPTS):
            feed.switch_on()
            position, now = feed.position, pointer.now
            tables = {index: uncounted(now.rows[index]) for index in feed.tables}
            versions = [rows.version for rows in tables.values()]
            try:
                cells = {index: rows.cells() for index, rows in tables.items()}
            except RuntimeError:  # as in `SetRows.query`
                continue
            if pointer.now is now and versions == [rows.version for rows in tables.values()]:
                copy = feed.copied_at(position, cells)
                if copy is not None:
                    return copy
        found: Copy = pointer.write(("replicate",), self._write_timeout)
        return found

    def _consistent(self, index: int, operation: str, *arguments: Any) -> Any:
        value = self._pointer.now.rows[index].query(operation, *arguments)
        if value is None:
            value = self._pointer.write((operation, index, *arguments), self._write_timeout)
        return value

    def _index(self, table: str) -> int:
        if table not in self._pointer.tables:
            known = ", ".join(self._pointer.tables) or "none"
            msg = f"store {self._pointer.name} has no table {table!r}; declared: {known}"
            raise StoreError(msg)
        return self._pointer.tables.index(table)


def _found(value: Any) -> tuple[Any, ...]:
    return () if value is MISSING else (value,)
