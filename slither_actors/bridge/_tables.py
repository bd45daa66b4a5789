"""Where a worker's table line ends in the driver.

The stores are a floor above; each registers here what answers for it.
"""

from __future__ import annotations

from typing import Any, Protocol

from slither_actors.errors import NotRunningError
from slither_actors.pool._news import Following, SealedBytes

__all__ = ["TableAccess", "register_tables", "tables_of", "unregister_tables"]


class TableAccess(Protocol):
    """What a store lets workers do with its tables."""

    def is_immediate(self, operation: str) -> bool:
        """Whether `perform` of this operation never waits."""

    def perform(self, table: str, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Do it and return the answer. May wait for the store's server."""

    def follow(self, *, fresh: bool) -> tuple[Following, SealedBytes]:
        """What a worker needs to have the tables; a `fresh` one if it could not read another. May wait."""


_by_store: dict[str, TableAccess] = {}


def register_tables(store: str, access: TableAccess) -> None:
    """Let `access` answer for the tables of `store` (its key), in the place of an earlier one."""
    _by_store[store] = access


def unregister_tables(store: str) -> None:
    """Answer for `store` no more."""
    _by_store.pop(store, None)


def tables_of(store: str) -> TableAccess:
    """What answers for the tables of `store`.

    Raises:
        NotRunningError: nothing does.
    """
    access = _by_store.get(store)
    if access is None:
        name = store.rpartition(":")[2]
        msg = f"store {name} is not running in the driver; start it with Application(stores=[{name}])"
        raise NotRunningError(msg)
    return access
