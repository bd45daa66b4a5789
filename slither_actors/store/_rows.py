"""The rows of one published table, and what a reader may trust.

`SetRows` holds one dict that its single writer changes in place, one row at a
time, and that any number of threads read. Nothing else ever happens to it:
whatever must appear at once (a bulk insert, a clear, a reload) is built in
another `SetRows`, and a `Publication` with it replaces the old one in a single
assignment. Hence, without a lock in any reader:

* ``get``: one dict look-up. It sees a row as it was before or after a write,
  never a part of it, and never a bulk insert whose end is not there.
* every other read (`query`) is of the table at one moment. It is taken while
  writes may run, so the writer counts ``version`` up *after* each change and
  the reader compares the count before and after: equal means that at most one
  row could change in between, which is a moment like any other. Unequal means
  another try; after `ATTEMPTS` of them the answer is None and the caller asks
  the writer, which is never interrupted by itself.

None of this leans on the interpreter lock. A dict look-up and a dict
assignment are atomic on free-threaded builds as well (per-object locks and
optimistic reads, PEP 703), ``dict.copy`` holds the dict's own lock, and where
such a copy is cut short by a user's ``__eq__`` the version check finds out.
What a free-threaded build does not promise is iteration over a dict that
changes, so no reader iterates ``live``: it is copied first.

The rows that a reader has picked up stay alive as long as it holds them: the
grace period of a retired table is Python's reference counting.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from slither_actors.store._pattern import Prefix, is_constant, matcher

__all__ = ["ATTEMPTS", "MISSING", "QUERIES", "Rows", "SetRows"]

ATTEMPTS = 8
"""How often a reader tries for an undisturbed copy before it asks the writer."""

QUERIES = frozenset(["first", "get_many", "last", "match", "next", "previous", "range", "size", "snapshot"])
"""What `Rows.query` takes, if the kind of table has it."""


class _Missing:
    """The type of `MISSING`; falsy, and the same object after a pickle round trip."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Stands for "no row", where None may be a row's value."""


class Rows(Protocol):
    """What a table handle reads from: rows in this process or, in a worker, in the driver."""

    @property
    def get(self) -> Callable[..., Any]:
        """``get(key, default)``."""

    @property
    def version(self) -> int:
        """Changes so far; 0 where that is not known."""

    def query(self, name: str, *arguments: Any) -> Any:
        """One of `QUERIES`, all of one moment; None where a writer was always in the way."""

    def size(self) -> int | None:
        """How many rows there are; None where a writer was always in the way."""


class SetRows:
    """Rows of a set table: one value per key.

    Written by one thread at a time, the store's server; read from any. What
    changes one row does so in place; `bulk_insert` and `cleared` leave these
    rows alone and return others, to be published in their place.
    """

    __slots__ = ("get", "live", "version")

    def __init__(self, live: dict[Any, Any], version: int = 0) -> None:
        self.live = live
        # The dict's own method: a reader pays for one look-up and no Python frame.
        self.get: Callable[..., Any] = live.get
        self.version = version
        """Changes so far, also those of the tables that this one replaced."""

    # -- any thread ----------------------------------------------------------

    def query(self, name: str, *arguments: Any) -> Any:
        """One of `QUERIES`, all of one moment; None where a writer was always in the way."""
        read = getattr(self, name)
        for _ in range(ATTEMPTS):
            before = self.version
            try:
                answer = read(*arguments)
            except RuntimeError:
                # "dictionary changed size": a key's __eq__ let the writer in. An error of
                # the user's own is raised when the writer is asked, who calls `read` itself.
                continue
            if self.version == before:
                return answer
        return None

    def size(self) -> int | None:
        """How many rows there are; None where a writer was always in the way."""
        return len(self.live)

    def __len__(self) -> int:
        """How many rows there are, give or take the write that is under way."""
        return len(self.live)

    # -- as part of `query`; the writer calls them as they are ----------------

    def reader(self) -> Callable[..., Any]:
        """``get`` for several keys of one moment."""
        return self.get

    def get_many(self, keys: list[Any], default: Any) -> list[Any]:
        """One value per key."""
        get = self.reader()
        return [get(key, default) for key in keys]

    def snapshot(self) -> dict[Any, Any]:
        """A private copy."""
        return self.live.copy()

    def match(self, key: Any, value: Any, prefix: Prefix | None, limit: int | None) -> list[tuple[Any, Any]]:
        """The rows whose key matches `key` and `prefix`, and whose value matches `value`."""
        begins = None if prefix is None else prefix.matches
        found = _matching(self._candidates(key, prefix), matcher(key), matcher(value), begins)
        return list(islice(found, limit))

    def _candidates(self, key: Any, prefix: Prefix | None) -> Iterable[tuple[Any, Any]]:
        """Rows among which are all that match; fewer where the kind of table knows where to look."""
        if is_constant(key) and is_hashable(key):
            value = self.get(key, MISSING)
            return () if value is MISSING else ((key, value),)
        return self.snapshot().items()

    # -- the writer only: one row, in place ----------------------------------

    def put(self, key: Hashable, value: Any) -> None:
        """Set one row."""
        self.live[key] = value
        self.version += 1

    def put_new(self, key: Hashable, value: Any, *rest: Any) -> bool:
        """Set one row unless its key has one; return whether it was set."""
        if self.get(key, MISSING) is not MISSING:
            return False
        self.put(key, value, *rest)
        return True

    def update(self, key: Hashable, function: Callable[[Any], Any], default: Any, check: Check) -> Any:
        """Replace one value by ``function(value)``, unless `check` raises after that; return the new one."""
        value = function(self.get(key, default))
        check()
        self.replace(key, value)
        return value

    def increment(self, key: Hashable, by: Any, default: Any) -> Any:
        """Add to one value; return the sum."""
        value = self.get(key, default) + by
        self.replace(key, value)
        return value

    def delete(self, key: Hashable) -> bool:
        """Remove one row; return whether there was one."""
        return self.remove(key) is not MISSING

    def take(self, key: Hashable, default: Any) -> Any:
        """Remove one row; return its value or `default`."""
        value = self.remove(key)
        return default if value is MISSING else value

    def remove(self, key: Hashable) -> Any:
        """Remove one row and return its value; `MISSING` if there was none."""
        if not self.live:
            hash(key)  # the pop of an empty dict does not look at it
        value = self.live.pop(key, MISSING)
        if value is not MISSING:
            self.version += 1
        return value

    def set_row(self, key: Hashable, cell: Any) -> None:
        """Set what the dict has under one key: a value, or what else the kind of table keeps there."""
        self.put(key, cell)

    def replace(self, key: Hashable, value: Any) -> None:
        """Set the value of a row, which keeps what else there is to it."""
        self.live[key] = value
        self.version += 1

    # -- the writer only: others, to be published ----------------------------

    def copy(self) -> SetRows:
        """The same rows for the writer alone, with the same version."""
        return self.over(self.live.copy())

    def cells(self) -> dict[Any, Any]:
        """A copy of the dict, in an order from which the rows are made again quickly."""
        return self.live.copy()

    def over(self, live: Any) -> SetRows:
        """These rows with another dict that has the same, or what looks like one, for the writer alone."""
        return SetRows(live, self.version)

    def ranks(self) -> dict[Any, int] | None:
        """The place of each key in the order in which rows go; None where none does."""
        return None

    def bulk_insert(self, rows: dict[Any, Any]) -> tuple[SetRows, int]:
        """These rows with `rows` over them, and how many. Takes the dict over."""
        if not self.live:
            return SetRows(rows, self.version + 1), len(rows)
        live = self.live.copy()
        live.update(rows)
        return SetRows(live, self.version + 1), len(rows)

    def cleared(self) -> tuple[SetRows, int]:
        """No rows, and how many there were."""
        return SetRows({}, self.version + 1), len(self.live)


Check = Callable[[], object]


def is_hashable(key: object) -> bool:
    """Whether `key` can be that of a row."""
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _matching(
    rows: Iterable[tuple[Any, Any]],
    key_matches: Callable[[Any], bool] | None,
    value_matches: Callable[[Any], bool] | None,
    begins: Callable[[Any], bool] | None,
) -> Iterator[tuple[Any, Any]]:
    for key, value in rows:
        if (
            (begins is None or begins(key))
            and (key_matches is None or key_matches(key))
            and (value_matches is None or value_matches(value))
        ):
            yield key, value
