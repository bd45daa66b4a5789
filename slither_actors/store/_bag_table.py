"""`BagTable`: a table with several values under one key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

from slither_actors.errors import StoreError
from slither_actors.store._arguments import WRONG, name_error
from slither_actors.store._table import _KINDS, K, Table, V

__all__ = ["BagTable"]


D = TypeVar("D")


class BagTable(Table[K, V]):
    """``Table(bag=True)``: several values under one key, each of them once. A row is one of the values.

    ``get``, ``fetch``, ``get_many``, ``take`` and ``snapshot`` give the values
    of a key as a tuple, in the order in which they were put. ``items``,
    ``values``, ``match``, ``select``, ``fold`` and ``size`` are about rows;
    ``keys`` and iteration give each key once. Values are compared with ``==``,
    with all others of their key: a write takes time in proportion to those.
    ETS: ``bag``.
    """

    __slots__ = ()

    kind = "bag"

    @classmethod
    def _implied(cls) -> dict[str, Any]:
        return {"bag": True}

    # -- reads ---------------------------------------------------------------

    @overload  # type: ignore[override]
    def get(self, key: K) -> tuple[V, ...]: ...
    @overload
    def get(self, key: K, default: D) -> tuple[V, ...] | D: ...
    def get(self, key: K, default: Any = ()) -> Any:
        """The values under `key`, or `default`, which is an empty tuple unless given. ETS: ``lookup/2``."""
        return super().get(key, default)

    def fetch(self, key: K) -> tuple[V, ...]:  # type: ignore[override]
        """The values under `key`.

        Raises:
            RowNotFoundError: there are none.
        """
        return super().fetch(key)  # type: ignore[return-value]

    @overload  # type: ignore[override]
    def get_many(self, keys: Iterable[K]) -> list[tuple[V, ...]]: ...
    @overload
    def get_many(self, keys: Iterable[K], default: D) -> list[tuple[V, ...] | D]: ...
    def get_many(self, keys: Iterable[Any], default: Any = ()) -> Any:
        """One tuple of values or `default` per key, in the order of `keys`, all of one moment."""
        return super().get_many(keys, default)

    def items(self) -> Iterator[tuple[K, V]]:
        """Iterate over the rows of one moment: a key comes as often as it has values."""
        return ((key, value) for key, values in self.snapshot().items() for value in values)

    def values(self) -> Iterator[V]:
        """Iterate over the values of one moment."""
        return (value for values in self.snapshot().values() for value in values)

    def snapshot(self) -> dict[K, tuple[V, ...]]:  # type: ignore[override]
        """A private copy of one moment: the values of each key."""
        return self._query("snapshot")  # type: ignore[no-any-return]

    # -- writes --------------------------------------------------------------

    def put(self, key: K, value: V, *, ttl: float | None = None) -> None:
        """Add a value to those of `key`; one that is there already is left alone. ETS: ``insert/2``.

        A bag has no `ttl`.
        """
        super().put(key, value, ttl=ttl)

    def put_new(self, key: K, value: V, *, ttl: float | None = None) -> bool:
        """Set the value under `key` unless it has any. Returns whether it was set. ETS: ``insert_new/2``."""
        return super().put_new(key, value, ttl=ttl)

    def update(  # type: ignore[override]
        self, key: K, function: Callable[[Any], Iterable[V]], default: Any = ()
    ) -> tuple[V, ...]:
        """Replace the values of `key` by those of ``function(values)``, a tuple; return the new tuple.

        No values remove the key. Otherwise as `Table.update`.
        """
        return super().update(key, function, default)  # type: ignore[return-value, arg-type]

    def increment(self, key: K, by: Any = 1, default: Any = 0) -> Any:
        """Raise `StoreError`: several values are no counter. ETS refuses it as well."""
        msg = f"{self._where('increment')}: a bag has no increment; use a set table for counters"
        raise StoreError(msg)

    def delete(self, key: K) -> bool:
        """Remove all values of `key`. Returns whether there were any. ETS: ``delete/2``."""
        return super().delete(key)

    def delete_value(self, key: K, value: V) -> bool:
        """Remove one value of `key`. Returns whether it was there. ETS: ``delete_object/2``."""
        return self._ask("delete_value", key, value)  # type: ignore[no-any-return]

    @overload  # type: ignore[override]
    def take(self, key: K) -> tuple[V, ...]: ...
    @overload
    def take(self, key: K, default: D) -> tuple[V, ...] | D: ...
    def take(self, key: Any, default: Any = ()) -> Any:
        """Remove all values of `key` and return them, or `default`. ETS: ``take/2``."""
        return super().take(key, default)

    def bulk_insert(self, rows: Mapping[K, V] | Iterable[tuple[K, V]]) -> int:
        """Add many rows, for readers all at once; return how many were new.

        A key may come more than once. Copies the table, so prefer one large insert to many small ones.
        """
        return super().bulk_insert(rows)

    def _rows_of(self, rows: Any) -> Any:
        try:
            return [(key, value) for key, value in (rows.items() if isinstance(rows, Mapping) else rows)]
        except WRONG as error:
            name_error(error, self._where("bulk_insert"))
            raise


_KINDS["bag"] = BagTable
