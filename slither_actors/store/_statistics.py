"""What a store held at one moment."""

from __future__ import annotations

import attrs

__all__ = ["StoreStatistics", "TableStatistics"]


@attrs.frozen(kw_only=True)
class TableStatistics:
    """One table of a store. Reads take no lock and leave no trace, so they are not counted."""

    name: str
    rows: int
    version: int
    """Changes that readers could see, loads included. Only ever grows while the store runs."""

    writes: int
    """Changes by writes: a bulk insert is one."""


@attrs.frozen(kw_only=True)
class StoreStatistics:
    """One store. Returned by `Store.statistics`."""

    store: str
    running: bool
    """Whether a server takes writes. Tables may be there without one, while it is restarted."""

    tables: tuple[TableStatistics, ...]
    """In the order of the class body; empty where nothing was ever loaded."""

    loads: int
    """Loads that were published: the first, reloads, and those of restarted servers."""

    loaded_at: float
    """Unix time of the last load; 0 before the first."""

    load_seconds: float
    """How long the last load took."""
