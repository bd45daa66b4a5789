"""What a transaction writes to, and reads from: ``tx.features``.

There are two forms. `Transaction` is what the function given to
`Store.transact` gets: it runs in the server and reads its own writes.
`CollectedWrites` is what ``with Store.transaction() as tx:`` gives: it collects
writes and sends them as one at the end of the block, so it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from slither_actors.errors import RowNotFoundError, StoreError
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING, Rows

__all__ = ["CollectedTable", "CollectedWrites", "Transaction", "TransactionTable"]

Perform = Callable[..., Any]


class CollectedTable:
    """The writes to one table in a ``with`` block. Each returns None; see `CollectedWrites.results`."""

    __slots__ = ("_index", "_perform", "name")

    def __init__(self, name: str, index: int, perform: Perform) -> None:
        self.name = name
        self._index = index
        self._perform = perform

    def put(self, key: Hashable, value: Any) -> Any:
        """Set the value under `key`."""
        return self._perform("put", self._index, key, value)

    def put_new(self, key: Hashable, value: Any) -> Any:
        """Set the value under `key` unless there is one. The result says whether it was set."""
        return self._perform("put_new", self._index, key, value)

    def update(self, key: Hashable, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Replace the value by ``function(value)``. The result is the new one."""
        return self._perform("update", self._index, key, function, default)

    def increment(self, key: Hashable, by: Any = 1, default: Any = 0) -> Any:
        """Add `by` to the value. The result is the sum."""
        return self._perform("increment", self._index, key, by, default)

    def delete(self, key: Hashable) -> Any:
        """Remove the row. The result says whether there was one."""
        return self._perform("delete", self._index, key)

    def take(self, key: Hashable, default: Any = None) -> Any:
        """Remove the row. The result is its value, or `default`."""
        return self._perform("take", self._index, key, default)

    def bulk_insert(self, rows: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> Any:
        """Set many rows. The result is how many keys they had."""
        return self._perform("bulk_insert", self._index, dict(rows))

    def clear(self) -> Any:
        """Remove all rows. The result is how many there were."""
        return self._perform("clear", self._index)


class TransactionTable(CollectedTable):
    """One table in a transaction: the writes return at once, the reads see them."""

    __slots__ = ("_close", "_rows", "_store")

    def __init__(self, store: str, name: str, index: int, rows: Rows, perform: Perform) -> None:
        super().__init__(name, index, perform)
        self._store = store
        self._rows = rows

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        return self._rows.get(key, default)

    def fetch(self, key: Hashable) -> Any:
        """The value under `key`.

        Raises:
            RowNotFoundError: there is none.
        """
        value = self._rows.get(key, MISSING)
        if value is MISSING:
            raise RowNotFoundError(self._store, self.name, key)
        return value

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """One value or `default` per key."""
        return [self._rows.get(key, default) for key in keys]

    def __contains__(self, key: object) -> bool:
        """Whether there is a row under `key`."""
        return self._rows.get(key, MISSING) is not MISSING

    def size(self) -> int:
        """How many rows there are."""
        return self._rows.size()

    def __len__(self) -> int:
        """How many rows there are."""
        return self._rows.size()

    def __bool__(self) -> bool:
        """True: a table is a handle, also while it has no rows."""
        return True

    def snapshot(self) -> dict[Any, Any]:
        """A copy of all rows: about 15 ns a row."""
        rows = self._rows.snapshot()
        assert rows is not None  # a draft has no other writer
        return rows

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over the rows as they are now."""
        return iter(self.snapshot().items())

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the keys as they are now."""
        return iter(self.snapshot())


class _Tables:
    """Tables by attribute or by name, until they are closed."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._tables: dict[str, Any] = {}
        self._open = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        """The table `name`.

        Raises:
            StoreError: the store declares no such table.
        """
        table = self._tables.get(name)
        if table is None:
            known = ", ".join(self._tables) or "none"
            msg = f"store {self._store} has no table {name!r}; declared: {known}"
            raise StoreError(msg)
        return table

    def close(self) -> None:
        """Refuse writes from now on."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            msg = f"store {self._store}: the transaction is over; what is written to it now would be lost"
            raise StoreError(msg)


class Transaction(_Tables):
    """The tables of one store in a transaction, by attribute or by name. For the function that gets it."""

    def __init__(self, store: str, names: Sequence[str], rows: Sequence[Rows], perform: Perform) -> None:
        super().__init__(store)
        self._draft_perform = perform
        self._tables = {
            name: TransactionTable(store, name, index, rows[index], self._perform)
            for index, name in enumerate(names)
        }

    def _perform(self, operation: str, *arguments: Any) -> Any:
        self._check_open()
        return self._draft_perform(operation, *arguments)


class CollectedWrites(_Tables):
    """Writes to the tables of one store, performed together when the ``with`` block ends.

    Nothing is sent if the block raises. For one thread.
    """

    def __init__(self, pointer: Pointer, write_timeout: float | None) -> None:
        super().__init__(pointer.name)
        self._pointer = pointer
        self._write_timeout = write_timeout
        self._requests: list[tuple[Any, ...]] = []
        self._tables = {
            name: CollectedTable(name, index, self._perform) for index, name in enumerate(pointer.tables)
        }
        self._results: list[Any] | None = None

    @property
    def results(self) -> list[Any]:
        """What the writes returned, in their order; after the block.

        Raises:
            StoreError: the block has not ended, or failed.
        """
        if self._results is None:
            msg = f"store {self._store}: a transaction has results once its block has ended well"
            raise StoreError(msg)
        return self._results

    def __enter__(self) -> CollectedWrites:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            requests = self._requests
            write = self._pointer.write
            self._results = write(("transaction", requests), self._write_timeout) if requests else []

    def _perform(self, *request: Any) -> None:
        self._check_open()
        self._requests.append(request)
