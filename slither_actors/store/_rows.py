"""The rows of one published table, and what a reader may trust.

`SetRows` holds one dict that its single writer changes in place, one row at a
time, and that any number of threads read. Nothing else ever happens to it:
whatever must appear at once (a bulk insert, a clear, a reload) is built in
another `SetRows`, and a `Publication` with it replaces the old one in a single
assignment. Hence, without a lock in any reader:

* ``get``, ``find``: one dict look-up. It sees a row as it was before or after
  a write, never a part of it, and never a bulk insert whose end is not there.
* ``get_many``, ``snapshot``: the table at one moment. They are taken while
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
changes, so no reader iterates ``live``: `snapshot` copies it first.

The rows that a reader has picked up stay alive as long as it holds them: the
grace period of a retired table is Python's reference counting.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

__all__ = ["ATTEMPTS", "MISSING", "Rows", "SetRows"]

ATTEMPTS = 8
"""How often a reader tries for an undisturbed copy before it asks the writer."""


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

    def get_many(self, keys: list[Any], default: Any) -> list[Any] | None:
        """One value per key, all of one moment; None where a writer was always in the way."""

    def snapshot(self) -> dict[Any, Any] | None:
        """A private copy of one moment; None where a writer was always in the way."""

    def size(self) -> int:
        """How many rows there are."""


class SetRows:
    """Rows of a set table: one value per key.

    Written by one thread at a time, the store's server; read from any.
    """

    __slots__ = ("get", "live", "version")

    def __init__(self, live: dict[Any, Any], version: int = 0) -> None:
        self.live = live
        # The dict's own method: a reader pays for one look-up and no Python frame.
        self.get: Callable[..., Any] = live.get
        self.version = version
        """Changes so far, also those of the tables that this one replaced."""

    # -- any thread ----------------------------------------------------------

    def get_many(self, keys: list[Any], default: Any) -> list[Any] | None:
        """One value per key, all of one moment; None where a writer was always in the way."""
        get = self.get
        for _ in range(ATTEMPTS):
            before = self.version
            values = [get(key, default) for key in keys]
            if self.version == before:
                return values
        return None

    def snapshot(self) -> dict[Any, Any] | None:
        """A private copy of one moment; None where a writer was always in the way."""
        for _ in range(ATTEMPTS):
            before = self.version
            try:
                copied = self.live.copy()
            except RuntimeError:  # "dictionary changed size": a key's __eq__ let the writer in
                continue
            if self.version == before:
                return copied
        return None

    def size(self) -> int:
        """How many rows there are."""
        return len(self.live)

    # -- the writer only -----------------------------------------------------

    def put(self, key: Hashable, value: Any) -> None:
        """Set one row, in place."""
        self.live[key] = value
        self.version += 1

    def take(self, key: Hashable) -> Any:
        """Remove one row, in place, and return its value; `MISSING` if there was none."""
        value = self.live.pop(key, MISSING)
        if value is not MISSING:
            self.version += 1
        return value

    def set_row(self, key: Hashable, value: Any) -> None:
        """Set what the dict has under one key, in place."""
        self.put(key, value)

    def remove(self, key: Hashable) -> Any:
        """Remove one row, in place, and return its value; `MISSING` if there was none."""
        return self.take(key)

    def copy(self) -> SetRows:
        """The same rows for the writer alone, with the same version."""
        return self.over(self.live.copy())

    def over(self, live: Any) -> SetRows:
        """These rows with another dict, or what looks like one, for the writer alone."""
        return SetRows(live, self.version)

    def merged(self, rows: dict[Any, Any]) -> SetRows:
        """A new table with `rows` over these. Copies this table: about 15 ns a row."""
        if not self.live:
            return SetRows(rows, self.version + 1)
        live = self.live.copy()
        live.update(rows)
        return SetRows(live, self.version + 1)

    def replaced(self, rows: Iterable[tuple[Any, Any]] | dict[Any, Any]) -> SetRows:
        """A new table of exactly `rows`; a dict is taken over, not copied."""
        live = rows if isinstance(rows, dict) else dict(rows)
        return SetRows(live, self.version + 1)
