"""A worker's side of replicated tables: rows of its own, which the driver keeps true. See `_feed`.

Readers in the worker follow ``pointer.now.rows[index]`` as those in the driver
do, over the same kinds of rows, so a read is what it is there: no lock, no
call. What is told of is done by one thread at a time, in its order. A change
of one row is done in place; a change of several in copies that are published
at once, unless no other thread is there to see half of it.

Where the rows are not there yet, or are stale, an `AwaitedRows` is in their
place, and a read of it fetches them. Between batches, when no call is possible,
it reads what was there before.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from slither_actors.bridge import call_driver, hear_driver, in_batch
from slither_actors.errors import PayloadError
from slither_actors.pool._payloads import loads, not_unpickled
from slither_actors.store._bounded_rows import Bounded
from slither_actors.store._feed import CHANGES, READY, SNAPSHOT, STALE, opened, pieces_of
from slither_actors.store._kinds import replica_rows
from slither_actors.store._pointer import Pointer, Publication
from slither_actors.store._rows import SetRows
from slither_actors.store._writer import Change, changed_rows

if TYPE_CHECKING:
    from slither_actors.store._rows import Rows

__all__ = ["AwaitedRows", "Replica"]

_ATTEMPTS: Final = 3
"""How often a read tries to get rows that are not stale again at once; then it asks the driver for one."""

_replicas: dict[str, list[Replica]] = {}
"""By their stores' keys. More than one where a class was sent to this worker by value, more than once."""

_making = threading.Lock()


class Replica:
    """The replicated tables of one store in this worker. Get it with `of`."""

    def __init__(self, pointer: Pointer, remote: Sequence[Rows]) -> None:
        self._pointer = pointer
        self._remote = remote
        self._indices = [index for index, kind in enumerate(pointer.kinds) if kind.replicate]
        self._fetching = threading.RLock()
        self._error: PayloadError | None = None
        self._coming: list[Rows] | None = None
        """What is told of, before it is published."""
        self._last: Sequence[Rows] | None = None
        """What was published last, once it is stale."""

    @classmethod
    def of(cls, pointer: Pointer, remote: Sequence[Rows]) -> Replica:
        """The one of this store class, which listens for what the driver tells.

        `remote` reads the tables in the driver.
        """
        with _making:
            known = _replicas.setdefault(pointer.key, [])
            replica = next((each for each in known if each._pointer is pointer), None)
            if replica is None:
                replica = cls(pointer, remote)
                known.append(replica)
                hear_driver(_hear)
            return replica

    def awaited(self) -> list[Rows]:
        """What is in the place of the rows until they are there."""
        rows = list(self._remote)
        for index in self._indices:
            rows[index] = AwaitedRows(self, index)
        return rows

    def fetch(self, index: int) -> Rows:
        """The rows of a table; for a reader that has found them missing.

        Raises:
            PayloadError: a row cannot be pickled, or unpickled here.
            NotRunningError: no batch runs and there were no rows yet, or the store does not run.
        """
        if self._last is not None and not in_batch():
            return self._last[index]
        with self._fetching:
            fresh = False
            for _ in range(_ATTEMPTS):
                rows = self._pointer.now.rows[index]
                if not isinstance(rows, AwaitedRows):
                    return rows
                self._error = None
                call_driver("replicate", self._pointer.key, fresh)
                if self._error is not None and fresh:
                    raise self._error
                fresh = self._error is not None  # what could not be read may be gone from the table by now
        rows = self._pointer.now.rows[index]
        return self._remote[index] if isinstance(rows, AwaitedRows) else rows

    # -- what the driver tells -------------------------------------------------

    def hear(self, kind: bytes, told: memoryview) -> None:
        """Do what the driver says. One thread at a time."""
        try:
            if kind == SNAPSHOT:
                self._coming = self._unpacked(told)
            elif kind == CHANGES:
                self._change(told)
            elif kind == READY and self._coming is not None:
                coming, self._coming, self._last = self._coming, None, None
                self._pointer.now = Publication(coming, None)
            elif kind == STALE:
                self._withdraw()
            self._sweep()
        except PayloadError as error:  # for who fetches them; the driver thinks that we have them
            self._error = error
            self._withdraw()
        except BaseException as error:  # noqa: BLE001 - keys have methods of the user's, and the worker goes on
            self._error = not_unpickled(error, f"a row of store {self._pointer.name}", "worker")
            self._error.__cause__ = error
            self._withdraw()

    def _unpacked(self, told: memoryview) -> list[Rows]:
        cells: dict[int, dict[Any, Any]] = {index: {} for index in self._indices}
        for piece in pieces_of(told):
            index, rows = loads(piece, f"rows of store {self._pointer.name}", "worker")
            cells[index].update(rows)
        unpacked = list(self._remote)
        for index, live in cells.items():
            name = f"{self._pointer.name}.{self._pointer.tables[index]}"
            unpacked[index] = replica_rows(self._pointer.kinds[index], live, table=name)
        return unpacked

    def _change(self, told: memoryview) -> None:
        groups: list[Sequence[Change]] = loads(told, f"changes of store {self._pointer.name}", "worker")
        if self._coming is not None:
            _change_in_place(self._coming, groups)
            return
        rows = self._pointer.now.rows
        if isinstance(rows[self._indices[0]], AwaitedRows):
            return
        if all(len(group) <= 1 and not _clears(group) for group in groups):
            _change_in_place(rows, groups)
            return
        if len(sys._current_frames()) == 1:  # nobody else is here to read
            changed = list(rows)
            _change_in_place(changed, groups)
        else:
            changes = [change for group in groups for change in group]
            changed = list(changed_rows(rows, changes))  # type: ignore[arg-type]
        self._pointer.now = Publication(changed, None)

    def _withdraw(self) -> None:
        self._coming = None
        now = self._pointer.now.rows
        if not isinstance(now[self._indices[0]], AwaitedRows):
            self._last = now
            self._pointer.now = Publication(self.awaited(), None)

    def _sweep(self) -> None:
        """Take out rows that are over, as the driver does with its own."""
        rows = self._pointer.now.rows
        for index in self._indices:
            table = rows[index]
            while isinstance(table, Bounded) and table.bounds.earliest <= time.monotonic():
                table.sweep()


class AwaitedRows:
    """Stands for rows that are still in the driver: the first read fetches them."""

    __slots__ = ("_index", "_replica")

    version = 0
    """Not known here."""

    def __init__(self, replica: Replica, index: int) -> None:
        self._replica = replica
        self._index = index

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        return self._replica.fetch(self._index).get(key, default)

    def query(self, name: str, *arguments: Any) -> Any:
        """One of `QUERIES`, all of one moment."""
        return self._replica.fetch(self._index).query(name, *arguments)

    def size(self) -> int | None:
        """How many rows there are."""
        return self._replica.fetch(self._index).size()


def _hear(news: bytes | bytearray | memoryview) -> None:
    with memoryview(news) as view:
        kind, store, told = opened(view)
        with told:
            for replica in _replicas.get(store, ()):
                replica.hear(kind, told)


def _clears(group: Sequence[Change]) -> bool:
    return any(change[0] == "clear" for change in group)


def _change_in_place(tables: Any, groups: Sequence[Sequence[Change]]) -> None:
    """Do all changes, in order. `tables` is a list if there is a clear among them."""
    for group in groups:
        for operation, index, *rest in group:
            rows: SetRows = tables[index]
            if operation == "put":
                rows.set_row(*rest)
            elif operation == "delete":
                rows.remove(*rest)
            else:
                tables[index] = rows.cleared()[0]
