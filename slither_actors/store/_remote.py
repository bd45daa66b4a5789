"""A worker's side of a store: each read and write is one call to the driver.

But for the reads of tables with ``replicate=True``, which `_replica` is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slither_actors.bridge import call_driver, in_worker
from slither_actors.store._pointer import Pointer
from slither_actors.store._writer import TRANSACTIONS

if TYPE_CHECKING:
    from slither_actors.store._replica import Replica
    from slither_actors.store._rows import Rows

__all__ = ["RemoteRows", "RemoteWriter", "attach"]

_OF_THE_STORE = TRANSACTIONS | {"reload", "store_statistics"}
"""What is asked of no table."""


def attach(pointer: Pointer) -> bool:
    """Point a store of this process at the driver. Does nothing, and returns False, outside a worker."""
    if not in_worker():
        return False
    rows: Sequence[Rows] = tuple(RemoteRows(pointer.key, name) for name in pointer.tables)
    if pointer.feed is not None:
        rows = _replica_of(pointer, rows).awaited()
    pointer.adopt(rows, RemoteWriter(pointer.key, pointer.tables))
    return True


def _replica_of(pointer: Pointer, remote: Sequence[Rows]) -> Replica:
    from slither_actors.store._replica import Replica  # noqa: PLC0415 - few stores have such tables

    return Replica.of(pointer, remote)


class RemoteRows:
    """The rows of a table that lives in the driver."""

    __slots__ = ("_store", "_table")

    version = 0
    """Not known here."""

    def __init__(self, store: str, table: str) -> None:
        self._store = store
        self._table = table

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default`, which stays in this process."""
        found = self._call("find", key)
        return found[0] if found else default

    def query(self, name: str, *arguments: Any) -> Any:
        """One of `QUERIES`, in one call; a `snapshot` has the whole table cross."""
        if name == "get_many":
            keys, default = arguments
            found = self._call("find_many", keys)
            return [value[0] if value else default for value in found]
        return self._call(name, *arguments)

    def size(self) -> int:
        """How many rows there are."""
        size: int = self._call("size")
        return size

    def _call(self, operation: str, *arguments: Any) -> Any:
        return call_driver("table", self._store, self._table, operation, arguments)


class RemoteWriter:
    """Sends writes to the store's server in the driver.

    A worker waits for as long as its batch may run: the driver's own limit on
    writes applies there, so `timeout` is not used.
    """

    __slots__ = ("_store", "_tables")

    def __init__(self, store: str, tables: tuple[str, ...]) -> None:
        self._store = store
        self._tables = tables

    def call(self, request: Any, timeout: float | None = None) -> Any:
        """Perform ``(operation, index, *arguments)`` in the driver and return the reply."""
        operation, *rest = request
        if operation in _OF_THE_STORE:
            return call_driver("table", self._store, "", operation, tuple(rest))
        return call_driver("table", self._store, self._tables[rest[0]], operation, tuple(rest[1:]))

    def is_alive(self) -> bool:
        """True: a worker lives no longer than its driver."""
        return True
