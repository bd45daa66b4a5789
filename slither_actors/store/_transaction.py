"""What a transaction writes to, and reads from: ``tx.features``.

There are two forms. `Transaction` is what the function given to
`Store.transact` gets: it runs in the server and reads its own writes.
`CollectedWrites` is what ``with Store.transaction() as tx:`` gives: it collects
writes and sends them as one at the end of the block, so it cannot read.

The tables of both are `Table` handles, with all their methods. What differs is
where they read and write: not the store's `Pointer` but a stand-in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NoReturn

import attrs

from slither_actors.errors import StoreError
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import Rows
from slither_actors.store._table import Table

__all__ = ["CollectedWrites", "Transaction"]


@attrs.frozen(eq=False)
class _Now:
    """In the place of a `Publication`."""

    rows: Sequence[Rows]


class _Unreadable(Sequence[Rows]):
    """The rows of tables that are not to be read, with the reason."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getitem__(self, _: Any) -> NoReturn:
        raise StoreError(self._why)

    def __len__(self) -> int:
        return 0


class _StandIn:
    """In the place of a `Pointer`, for the handles of a transaction."""

    def __init__(
        self, name: str, tables: tuple[str, ...], rows: Sequence[Rows], perform: Callable[..., Any]
    ) -> None:
        self.name = name
        self.tables = tables
        self.now = _Now(rows)
        self._perform = perform

    def write(self, request: tuple[Any, ...], _: float | None) -> Any:
        """As `Pointer.write`, but into the transaction."""
        return self._perform(*request)

    def close(self) -> None:
        """Refuse reads and writes from now on."""
        why = f"store {self.name}: the transaction is over, and its tables are not to be used any more"
        self.now = _Now(_Unreadable(why))

        def refuse(*_: Any) -> NoReturn:
            raise StoreError(why)

        self._perform = refuse


class Transaction:
    """The tables of one store in a transaction: ``tx.features``, ``tx["features"]``.

    They have the methods of `Table`, and are for the function that got the
    transaction, until it returns.
    """

    def __init__(
        self,
        store: str,
        handles: Sequence[Table[Any, Any]],
        rows: Sequence[Rows],
        perform: Callable[..., Any],
    ) -> None:
        self._handles = {handle.name: handle for handle in handles}
        self._stand_in = _StandIn(store, tuple(self._handles), rows, perform)

    def __getattr__(self, name: str) -> Table[Any, Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Table[Any, Any]:
        """The table `name`.

        Raises:
            StoreError: the store declares no such table.
        """
        handle = self._handles.get(name)
        if handle is None:
            known = ", ".join(self._handles) or "none"
            msg = f"store {self._stand_in.name} has no table {name!r}; declared: {known}"
            raise StoreError(msg)
        pointer: Any = self._stand_in
        if handle._pointer is not pointer:
            handle = handle.bound(handle._store, name, pointer, write_timeout=None)
            self._handles[name] = handle
        return handle

    def close(self) -> None:
        """Refuse reads and writes from now on."""
        self._stand_in.close()


class CollectedWrites(Transaction):
    """Writes to the tables of one store, performed together when the ``with`` block ends.

    Each returns None at first; see `results`. Nothing is sent if the block
    raises. For one thread.
    """

    def __init__(
        self, pointer: Pointer, handles: Sequence[Table[Any, Any]], write_timeout: float | None
    ) -> None:
        why = f"store {pointer.name}: a transaction that collects writes cannot read; use transact(function)"
        super().__init__(pointer.name, handles, _Unreadable(why), self._collect)
        self._pointer = pointer
        self._write_timeout = write_timeout
        self._requests: list[tuple[Any, ...]] = []
        self._results: list[Any] | None = None

    @property
    def results(self) -> list[Any]:
        """What the writes returned, in their order; after the block.

        Raises:
            StoreError: the block has not ended, or failed.
        """
        if self._results is None:
            msg = f"store {self._pointer.name}: a transaction has results once its block has ended well"
            raise StoreError(msg)
        return self._results

    def __enter__(self) -> CollectedWrites:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            requests, timeout = self._requests, self._write_timeout
            self._results = self._pointer.write(("transaction", requests), timeout) if requests else []

    def _collect(self, *request: Any) -> None:
        self._requests.append(request)
