"""Stores and their tables."""

from __future__ import annotations

from typing import Any

from slither_actors.errors._base import SlitherError
from slither_actors.errors._text import safe_text

__all__ = [
    "RowNotFoundError",
    "StoreBackingError",
    "StoreError",
    "StoreLoadError",
    "StoreReloadingError",
    "TableFullError",
]


class StoreError(SlitherError):
    """Base of the stores' errors."""


class RowNotFoundError(StoreError, KeyError):
    """`fetch` found no row under the key."""

    def __init__(self, store: str, table: str, key: object) -> None:
        self.store = store
        self.table = table
        self.key = key
        super().__init__(f"{store}.{table} has no row {key!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (RowNotFoundError, (self.store, self.table, self.key))

    def __str__(self) -> str:
        return str(self.args[0])


class TableFullError(StoreError):
    """A table with ``evict="refuse"`` has its ``max_rows``; nothing was written."""

    def __init__(self, table: str, max_rows: int) -> None:
        self.table = table
        self.max_rows = max_rows
        super().__init__(
            f"{table} is full: max_rows={max_rows} and evict='refuse'; delete rows, raise max_rows, "
            "or have old rows make room with evict='oldest' or 'lru'"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (TableFullError, (self.table, self.max_rows))


class StoreLoadError(StoreError):
    """A store's ``load`` failed. After a failed reload the old tables stay."""

    def __init__(self, store: str, reason: BaseException) -> None:
        self.store = store
        self.reason = reason
        super().__init__(f"store {store} did not load: {type(reason).__name__}: {safe_text(reason)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoreLoadError, (self.store, self.reason))


class StoreBackingError(StoreError):
    """The file behind a store cannot be opened, read or written. It is never deleted."""

    def __init__(self, store: str, path: str, problem: str) -> None:
        self.store = store
        self.path = path
        self.problem = problem
        super().__init__(f"store {store}: {path} {problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoreBackingError, (self.store, self.path, self.problem))


class StoreReloadingError(StoreError):
    """A write came while its store was reloaded, and the store refuses those."""

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(
            f"store {store} is being reloaded and refuses writes meanwhile (during_reload = 'refuse')"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoreReloadingError, (self.store,))
