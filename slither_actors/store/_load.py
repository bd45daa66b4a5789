"""The tables that a store's ``load`` fills: aside, seen by no reader until they are published."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import islice
from types import CoroutineType
from typing import Any

from slither_actors.config import shown
from slither_actors.errors import StoreError
from slither_actors.store._kinds import TableOptions

__all__ = ["LoadBag", "LoadTable", "LoadTables"]

_PIECE = 5_000
"""Rows that are put at a time: some hundred microseconds."""


class LoadTable:
    """A set or ordered table that is being loaded. For the thread that runs ``load``."""

    __slots__ = ("_live", "changed", "ends", "name")

    def __init__(self, name: str, rows: dict[Any, Any] | None = None) -> None:
        self.name = name
        self.changed = False
        """Whether there are other rows than those that it was made with."""
        self._live: dict[Any, Any] | None = {} if rows is None else rows
        self.ends: dict[Any, float] = {}
        """Deadlines of the rows that were found in a file and not put since."""

    def insert(self, rows: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        """Set many rows, from a mapping or from ``(key, value)`` pairs.

        An iterator is read row by row, so a generator over a million rows needs no list of them.
        All are read in pieces, between which other threads run: nobody may change a mapping meanwhile.
        """
        if self.ends:
            for key, value in rows.items() if isinstance(rows, Mapping) else rows:
                self.put(key, value)
            return
        live, self.changed = self._open(), True
        pairs = iter(rows.items() if isinstance(rows, Mapping) else rows)
        # One update of a million rows would hold the interpreter, and all readers, for a fifth of a second.
        while piece := dict(islice(pairs, _PIECE)):
            live.update(piece)

    def put(self, key: Hashable, value: Any) -> None:
        """Set one row."""
        live, self.changed = self._open(), True
        live[key] = value
        self.ends.pop(key, None)

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value that this load has put under `key`, or `default`."""
        return self._open().get(key, default)

    def delete(self, key: Hashable) -> bool:
        """Remove one row; return whether there was one."""
        live = self._open()
        if key not in live:
            return False
        del live[key]
        self.ends.pop(key, None)
        self.changed = True
        return True

    def __len__(self) -> int:
        """How many rows this load has put."""
        return len(self._open())

    def __contains__(self, key: object) -> bool:
        """Whether this load has put a row under `key`."""
        return key in self._open()

    def seal(self) -> dict[Any, Any]:
        """Hand the rows over; any later use of this object is an error."""
        live, self._live = self._open(), None
        return live

    def _open(self) -> dict[Any, Any]:
        if self._live is None:
            msg = f"table {self.name!r} was loaded and published; write to it through its store"
            raise StoreError(msg)
        return self._live


class LoadBag(LoadTable):
    """A bag that is being loaded: values add up, and those that are there already do not count."""

    __slots__ = ()

    def insert(self, rows: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        """Add many rows, from a mapping or from ``(key, value)`` pairs, in which a key may repeat."""
        for key, value in rows.items() if isinstance(rows, Mapping) else rows:
            self.put(key, value)

    def put(self, key: Hashable, value: Any) -> None:
        """Add one value to those of the key, unless one that equals it is there."""
        live, self.changed = self._open(), True
        values = live.get(key)
        if not isinstance(values, list):  # none, or a tuple of a file's
            values = live[key] = list(values or ())
        if value not in values:
            values.append(value)

    def get(self, key: Hashable, default: Any = ()) -> Any:
        """The values that this load has put under `key`, as a tuple, or `default`."""
        values = self._open().get(key)
        return default if values is None else tuple(values)

    def __len__(self) -> int:
        """How many values this load has put."""
        return sum(map(len, self._open().values()))

    def seal(self) -> dict[Any, Any]:
        """Hand the rows over, a tuple of values per key; any later use of this object is an error."""
        live = super().seal()
        for key, values in live.items():
            live[key] = tuple(values)
        return live


class LoadTables:
    """The tables of one load, by attribute or by name: ``tables.features``, ``tables["features"]``."""

    __slots__ = ("_tables",)

    def __init__(
        self,
        names: Iterable[str],
        rows: Sequence[dict[Any, Any]] | None = None,
        kinds: Sequence[TableOptions] = (),
        ends: Sequence[dict[Any, float]] = (),
    ) -> None:
        """Tables called `names`, each of its kind and filled with `rows`; empty set tables unless told.

        `ends` has the deadlines of rows.
        """
        names = tuple(names)
        filled: Iterable[dict[Any, Any] | None] = [None] * len(names) if rows is None else rows
        options = kinds or [TableOptions()] * len(names)
        self._tables = {
            name: (LoadBag if kind.bag else LoadTable)(name, live)
            for name, live, kind in zip(names, filled, options, strict=True)
        }
        for table, kept in zip(self._tables.values(), ends, strict=False):
            table.ends = kept

    def __getattr__(self, name: str) -> LoadTable:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> LoadTable:
        """The table `name`.

        Raises:
            StoreError: the store declares no such table.
        """
        table = self._tables.get(name)
        if table is None:
            known = ", ".join(self._tables) or "none"
            msg = f"there is no table {name!r}; declared: {known}"
            raise StoreError(msg)
        return table

    @property
    def changed(self) -> bool:
        """Whether any table has other rows than it was made with."""
        return any(table.changed for table in self._tables.values())

    @property
    def ends(self) -> list[dict[Any, float]]:
        """The deadlines of rows that keep theirs, per table."""
        return [table.ends for table in self._tables.values()]

    def take(self, returned: Any, function: str) -> None:
        """What ``load`` or ``restore`` has returned: rows, which a generator yields, or None.

        Raises:
            StoreError: it is something else, a coroutine for example.
        """
        if isinstance(returned, CoroutineType):
            returned.close()
            msg = f"{function} is an async function; it has to be a plain one, or a generator"
            raise StoreError(msg)
        if isinstance(returned, Iterable) and not isinstance(returned, (str, bytes, Mapping)):
            self.put_all(returned)
        elif returned is not None:
            msg = (
                f"{function} returned {shown(returned)}; it fills the tables that it is given, or returns or "
            )
            msg += "yields rows, each (table's name, key, value)"
            raise StoreError(msg)

    def put_all(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Put the rows that a ``load`` yields: each the table's name, the key and the value."""
        for row in rows:
            try:
                name, key, value = row
            except (TypeError, ValueError) as error:
                msg = f"load yielded {row!r:.200}; expected (table's name, key, value)"
                raise StoreError(msg) from error
            self[name].put(key, value)

    def seal(self) -> list[dict[Any, Any]]:
        """Hand the rows of all tables over, in the order of the class body."""
        return [table.seal() for table in self._tables.values()]
