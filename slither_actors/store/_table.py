"""`Table`: declared in a store's body, read and written through the class.

A table in a class body is its own handle: ``FeatureStore.features`` and, in a
view, ``self.features`` are the same object, so a read costs one method call
and one dict look-up. A subclass of a store gets handles of its own.

Reads never wait and never take a lock (`_rows` says what each one may see).
Writes are calls to the store's server, one after the other. In a worker
process the same lines work and cost one call to the driver each; `select`,
`fold`, `items`, `keys` and `values` fetch the whole table there, `match` and
the queries of an ordered table only what they find. The reads of a table with
``replicate=True`` cost no call there.

A stored value is shared with every reader: put a new value, never change one
in place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from slither_actors.config import a_function, build, positive_seconds
from slither_actors.errors import OptionError, RowNotFoundError
from slither_actors.store._arguments import LIMIT, PREFIX, WRONG, name_error, name_error_of_update
from slither_actors.store._handle import UNBOUND, TableHandle
from slither_actors.store._kinds import TableOptions
from slither_actors.store._pattern import ANY, Prefix
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING
from slither_actors.store._statistics import TableStatistics, table_statistics

__all__ = ["Table"]

if TYPE_CHECKING:
    from slither_actors.store._bag_table import BagTable
    from slither_actors.store._ordered_table import OrderedTable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")
R = TypeVar("R")


class Table(TableHandle, Generic[K, V]):
    """A table of a store: one value per key, if it is not a bag.

    ``Table(ordered=True)`` makes an `OrderedTable`, ``Table(bag=True)`` a `BagTable`.
    The options are those of `TableOptions`.

    Thread-safe: any thread of the driver, any actor, and worker processes.

    Raises from every method: `NotRunningError` where the store was not started,
    and from those that write `CallTimeoutError` (the write may still happen)
    and `ActorExitError` (the server died before it answered).
    """

    __slots__ = ()

    @overload
    def __new__(
        cls,
        *,
        ordered: Literal[True],
        bag: Literal[False] = ...,
        ttl: float | None = ...,
        max_rows: int | None = ...,
        evict: str = ...,
        count_reads: bool = ...,
        replicate: bool = ...,
    ) -> OrderedTable[Any, Any]: ...
    @overload
    def __new__(
        cls,
        *,
        bag: Literal[True],
        ordered: Literal[False] = ...,
        count_reads: bool = ...,
        replicate: bool = ...,
    ) -> BagTable[Any, Any]: ...
    @overload
    def __new__(
        cls,
        *,
        ordered: bool = ...,
        bag: bool = ...,
        ttl: float | None = ...,
        max_rows: int | None = ...,
        evict: str = ...,
        count_reads: bool = ...,
        replicate: bool = ...,
    ) -> Table[Any, Any]: ...
    def __new__(cls, **options: Any) -> Any:
        """Make a table of the kind that the options name."""
        # Not in __init__: type checkers would read its signature and not the overloads above.
        checked = build(TableOptions, {**cls._implied(), **options}, where="Table")
        wanted = (kind for option, kind in _KINDS.items() if getattr(checked, option))
        return next(wanted, cls).unbound(checked)

    @classmethod
    def _implied(cls) -> dict[str, Any]:
        """The options that follow from the class."""
        return {}

    if not TYPE_CHECKING:  # or no attribute of any table would be checked

        def __getattr__(self, name: str) -> Any:
            # Only for what is not there: a method of another kind of table.
            for option, kind in _KINDS.items():
                if name in vars(kind) and not name.startswith("_"):
                    msg = f"{self!r} is a {self.kind} table and has no {name!r}; "
                    msg += f"declare it as Table({option}=True)"
                    raise AttributeError(msg)
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)

    # -- reads: any thread, no lock ------------------------------------------

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: Any, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        try:
            return self._pointer.now.rows[self._index].get(key, default)
        except WRONG as error:
            name_error(error, self._where("get"))
            raise

    def fetch(self, key: K) -> V:
        """The value under `key`.

        Raises:
            RowNotFoundError: there is none.
        """
        value: V = self._find("fetch", key)
        if value is MISSING:
            raise RowNotFoundError(self._pointer.name, self.name, key)
        return value

    @overload
    def get_many(self, keys: Iterable[K]) -> list[V | None]: ...
    @overload
    def get_many(self, keys: Iterable[K], default: D) -> list[V | D]: ...
    def get_many(self, keys: Iterable[Any], default: Any = None) -> Any:
        """One value or `default` per key, in the order of `keys`, all of one moment."""
        try:
            wanted = list(keys)
        except WRONG as error:
            name_error(error, self._where("get_many"))
            raise
        return self._query("get_many", wanted, default)

    def __contains__(self, key: object) -> bool:
        """Whether there is a row under `key`."""
        return self._find("__contains__", key) is not MISSING

    def size(self) -> int:
        """How many rows there are."""
        size = self._pointer.now.rows[self._index].size()
        return self._ask("size") if size is None else size

    def __len__(self) -> int:
        """How many rows there are."""
        return self.size()

    def __bool__(self) -> bool:
        """True: a table is a handle, also while it has no rows."""
        return True

    def snapshot(self) -> dict[K, V]:
        """A private copy of all rows at one moment: about 15 ns a row."""
        return self._query("snapshot")  # type: ignore[no-any-return]

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

    def match(
        self,
        key: Any = ANY,
        value: Any = ANY,
        *,
        prefix: str | bytes | tuple[Any, ...] | None = None,
        limit: int | None = None,
    ) -> list[tuple[K, V]]:
        """The rows of one moment that fit a pattern: ``match(key=("user", ANY), value={"tier": "gold"})``.

        A tuple or a list fits place by place, a dict what has at least its
        entries, `ANY` and `Prefix` what they say, and anything else its equal.
        `prefix` is what the key begins with (text, bytes, or the first places
        of a tuple), in addition to `key`.

        Looks at every row, but at one where `key` has no holes, and in an
        ordered table at those that begin as the key has to. From a worker the
        pattern is sent, and the rows that fit come back.
        """
        where = self._where("match")
        LIMIT.check("limit", limit, where)
        start = None if prefix is None else Prefix(PREFIX.check("prefix", prefix, where))
        return self._query("match", key, value, start, limit)  # type: ignore[no-any-return]

    @overload
    def select(
        self, predicate: Callable[[K, V], object] | None = ..., *, limit: int | None = ...
    ) -> list[tuple[K, V]]: ...
    @overload
    def select(
        self,
        predicate: Callable[[K, V], object] | None = ...,
        *,
        project: Callable[[K, V], R],
        limit: int | None = ...,
    ) -> list[R]: ...
    def select(self, predicate: Any = None, *, project: Any = None, limit: int | None = None) -> Any:
        """The rows of one moment for which ``predicate(key, value)`` is true, or all.

        `project` makes each of them into ``project(key, value)``; without it
        they are pairs. At most `limit`.
        """
        where = self._where("select")
        LIMIT.check("limit", limit, where)
        for option, function in (("predicate", predicate), ("project", project)):
            if function is not None:
                a_function.check(option, function, where)
        rows: Iterator[Any] = self.items()
        if predicate is not None:
            rows = (row for row in rows if predicate(*row))
        if project is not None:
            rows = (project(*row) for row in rows)
        return list(islice(rows, limit))

    def fold(self, function: Callable[[R, K, V], R], initial: R) -> R:
        """Reduce the rows of one moment with ``function(result, key, value)``."""
        a_function.check("function", function, self._where("fold"))
        result = initial
        for key, value in self.items():
            result = function(result, key, value)
        return result

    def statistics(self) -> TableStatistics:
        """Rows, estimated bytes, version, reads, writes, the last load; also in a worker, from the driver."""
        pointer: Pointer = getattr(self._store, "_pointer", UNBOUND)  # also in a transaction
        if not pointer.is_published:
            pointer.attach_or_fail()
        if pointer.is_attached:
            return pointer.write(("statistics", self._index), self._write_timeout)  # type: ignore[no-any-return]
        return table_statistics(pointer, self._index)

    # -- writes: calls to the store's server ---------------------------------

    def put(self, key: K, value: V, *, ttl: float | None = None) -> None:
        """Set the value under `key`. The row is gone in `ttl` seconds, or in those of the table.

        Raises:
            TableFullError: there is no room, and the table is to refuse.
            OptionError: a `ttl`, and the table was declared without.
        """
        request = ("put", self._index, key, value)
        try:
            self._pointer.write(request if ttl is None else (*request, self._ttl(ttl)), self._write_timeout)
        except WRONG as error:
            name_error(error, self._where("put"))
            raise

    def put_new(self, key: K, value: V, *, ttl: float | None = None) -> bool:
        """Set the value under `key` unless there is one. Returns whether it was set. Otherwise as `put`."""
        if ttl is None:
            return self._ask("put_new", key, value)  # type: ignore[no-any-return]
        return self._ask("put_new", key, value, self._ttl(ttl))  # type: ignore[no-any-return]

    def update(self, key: K, function: Callable[[Any], V], default: Any = None) -> V:
        """Replace the value by ``function(value)``, with no other write between; return the new one.

        `function` gets `default` where there is no row. It runs inside the
        server: keep it short, and write to no table in it. If it raises, the
        row stays and the caller gets the error. From a worker it has to be a
        function that can be pickled. A row that ends keeps its deadline.
        """
        request = ("update", self._index, key, function, default)
        try:
            return self._pointer.write(request, self._write_timeout)  # type: ignore[no-any-return]
        except WRONG as error:
            name_error_of_update(error, self._where("update"), key, function)
            raise

    def increment(self, key: K, by: Any = 1, default: Any = 0) -> V:
        """Add `by` to the value (or to `default`, where there is no row); return the sum."""
        request = ("increment", self._index, key, by, default)
        try:
            return self._pointer.write(request, self._write_timeout)  # type: ignore[no-any-return]
        except WRONG as error:
            name_error(error, self._where("increment"))
            raise

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
        return self._ask("bulk_insert", self._rows_of(rows))  # type: ignore[no-any-return]

    def clear(self) -> int:
        """Remove all rows at once; return how many there were."""
        return self._ask("clear")  # type: ignore[no-any-return]

    def _rows_of(self, rows: Any) -> Any:
        """What a bulk insert sends."""
        try:
            return dict(rows)
        except WRONG as error:
            name_error(error, self._where("bulk_insert"))
            raise

    def _ttl(self, ttl: float) -> float:
        if self.options.ttl is None:
            problem = (
                "is for tables whose rows end: declare Table(ttl=…), with math.inf as the default of a put"
            )
            raise OptionError("ttl", problem, where=self._where("put"))
        positive_seconds.check("ttl", ttl, self._where("put"))
        return ttl


_KINDS: dict[str, type[Table[Any, Any]]] = {}
"""The classes of the other kinds, by the option that asks for them."""
