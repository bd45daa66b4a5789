"""`Table`: declared in a store's body, read and written through the class.

A table in a class body is its own handle: ``FeatureStore.features`` and, in a
view, ``self.features`` are the same object, so a read costs one method call
and one dict look-up. A subclass of a store gets handles of its own.

Reads never wait and never take a lock (`_rows` says what each one may see).
Writes are calls to the store's server, one after the other. In a worker
process the same lines work and cost one call to the driver each; `select`,
`fold`, `items`, `keys` and `values` fetch the whole table there.

A stored value is shared with every reader: put a new value, never change one
in place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

import attrs

from slither_actors.config import build
from slither_actors.errors import OptionError, RowNotFoundError
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING

__all__ = ["Table", "TableOptions"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")
R = TypeVar("R")


def _not_yet(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not False:
        raise OptionError(field.name, f"is {value!r}; only set tables are available yet, so allowed is False")


@attrs.frozen(kw_only=True)
class TableOptions:
    """What ``Table(…)`` takes."""

    ordered: bool = attrs.field(default=False, validator=_not_yet)
    """Keep the rows sorted by key. Not available yet."""

    bag: bool = attrs.field(default=False, validator=_not_yet)
    """Allow several rows under one key. Not available yet."""

    replicate: bool = attrs.field(default=False, validator=_not_yet)
    """Give every worker a copy to read from. Not available yet."""


class Table(Generic[K, V]):
    """A set table of a store: one value per key.

    Thread-safe: any thread of the driver, any actor, and worker processes.

    Raises from every method: `NotRunningError` where the store was not started,
    and from those that write `CallTimeoutError` (the write may still happen)
    and `ActorExitError` (the server died before it answered).
    """

    __slots__ = ("_index", "_pointer", "_store", "_write_timeout", "name", "options")

    def __init__(self: Table[Any, Any], **options: Any) -> None:
        self.options = build(TableOptions, options, where="Table")
        self.name = ""
        """The attribute's name in the store."""
        self._index = -1
        self._write_timeout: float | None = None
        self._pointer = _UNBOUND
        self._store: type = object

    def bound(self, store: type, name: str, pointer: Pointer, *, write_timeout: float | None) -> Table[K, V]:
        """The handle of the table `name` of `store`; called when the store's class is made."""
        handle: Table[K, V] = Table(**attrs.asdict(self.options))
        handle.name = name
        handle._pointer = pointer
        handle._store = store
        handle._index = pointer.tables.index(name)
        handle._write_timeout = write_timeout
        return handle

    def __repr__(self) -> str:
        return f"<Table {self._pointer.name}.{self.name}>" if self.name else "<Table, in no store>"

    def __reduce__(self) -> tuple[Any, ...]:
        # By reference, as its class: a worker gets its own handle of the same table.
        return (getattr, (self._store, self.name))

    def __deepcopy__(self, _: object) -> Table[K, V]:
        return self

    # -- reads: any thread, no lock ------------------------------------------

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        return self._pointer.now.rows[self._index].get(key, default)

    def fetch(self, key: K) -> V:
        """The value under `key`.

        Raises:
            RowNotFoundError: there is none.
        """
        value: V = self._pointer.now.rows[self._index].get(key, MISSING)
        if value is MISSING:
            raise RowNotFoundError(self._pointer.name, self.name, key)
        return value

    @overload
    def get_many(self, keys: Iterable[K]) -> list[V | None]: ...
    @overload
    def get_many(self, keys: Iterable[K], default: D) -> list[V | D]: ...
    def get_many(self, keys: Iterable[Any], default: Any = None) -> Any:
        """One value or `default` per key, in the order of `keys`, all of one moment."""
        asked = list(keys)
        values = self._pointer.now.rows[self._index].get_many(asked, default)
        return self._ask("get_many", asked, default) if values is None else values

    def __contains__(self, key: object) -> bool:
        """Whether there is a row under `key`."""
        return self._pointer.now.rows[self._index].get(key, MISSING) is not MISSING

    def size(self) -> int:
        """How many rows there are."""
        return self._pointer.now.rows[self._index].size()

    def __len__(self) -> int:
        """How many rows there are."""
        return self._pointer.now.rows[self._index].size()

    def __bool__(self) -> bool:
        """True: a table is a handle, also while it has no rows."""
        return True

    def snapshot(self) -> dict[K, V]:
        """A private copy of all rows at one moment: about 15 ns a row."""
        rows: dict[K, V] | None = self._pointer.now.rows[self._index].snapshot()
        if rows is None:
            rows = self._ask("snapshot")
        return rows

    def items(self) -> Iterator[tuple[K, V]]:
        """Iterate over the rows of one moment, whatever is written meanwhile."""
        return iter(self.snapshot().items())

    def keys(self) -> Iterator[K]:
        """Iterate over the keys of one moment."""
        return iter(self.snapshot())

    def values(self) -> Iterator[V]:
        """Iterate over the values of one moment."""
        return iter(self.snapshot().values())

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys of one moment, as a dict does."""
        return iter(self.snapshot())

    def select(self, predicate: Callable[[K, V], object]) -> list[tuple[K, V]]:
        """The rows of one moment for which ``predicate(key, value)`` is true."""
        return [(key, value) for key, value in self.items() if predicate(key, value)]

    def fold(self, function: Callable[[R, K, V], R], initial: R) -> R:
        """Reduce the rows of one moment with ``function(result, key, value)``."""
        result = initial
        for key, value in self.items():
            result = function(result, key, value)
        return result

    # -- writes: calls to the store's server ---------------------------------

    def put(self, key: K, value: V) -> None:
        """Set the value under `key`."""
        self._pointer.write(("put", self._index, key, value), self._write_timeout)

    def put_new(self, key: K, value: V) -> bool:
        """Set the value under `key` unless there is one. Returns whether it was set."""
        return self._ask("put_new", key, value)  # type: ignore[no-any-return]

    def update(self, key: K, function: Callable[[Any], V], default: Any = None) -> V:
        """Replace the value by ``function(value)``, with no other write between; return the new one.

        `function` gets `default` where there is no row. It runs inside the
        server: keep it short, and write to no table in it. If it raises, the
        row stays and the caller gets the error. From a worker it has to be a
        function that can be pickled.
        """
        return self._ask("update", key, function, default)  # type: ignore[no-any-return]

    def increment(self, key: K, by: Any = 1, default: Any = 0) -> V:
        """Add `by` to the value (or to `default`, where there is no row); return the sum."""
        return self._ask("increment", key, by, default)  # type: ignore[no-any-return]

    def delete(self, key: K) -> bool:
        """Remove the row. Returns whether there was one."""
        return self._ask("delete", key)  # type: ignore[no-any-return]

    @overload
    def take(self, key: K) -> V | None: ...
    @overload
    def take(self, key: K, default: D) -> V | D: ...
    def take(self, key: Any, default: Any = None) -> Any:
        """Remove the row and return its value, or `default`."""
        return self._ask("take", key, default)

    def bulk_insert(self, rows: Mapping[K, V] | Iterable[tuple[K, V]]) -> int:
        """Set many rows, for readers all at once; return how many keys they had.

        Copies the table (about 15 ns a row), so prefer one large insert to many small ones.
        """
        return self._ask("bulk_insert", dict(rows))  # type: ignore[no-any-return]

    def clear(self) -> int:
        """Remove all rows at once; return how many there were."""
        return self._ask("clear")  # type: ignore[no-any-return]

    def _ask(self, operation: str, *arguments: Any) -> Any:
        return self._pointer.write((operation, self._index, *arguments), self._write_timeout)


def _never(_: Pointer) -> bool:
    msg = "a Table is used through the Store class that declares it"
    raise TypeError(msg)


_UNBOUND = Pointer(key="", name="", tables=(), attach=_never)
