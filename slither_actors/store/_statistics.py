"""What a store held at one moment."""

from __future__ import annotations

import attrs

__all__ = ["ReplicaStatistics", "StoreStatistics", "TableStatistics"]


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
class ReplicaStatistics:
    """What the replicas of a store's tables cost in the driver. Each worker has its rows in addition."""

    workers: int
    """Workers that have the tables, or had them when they last got a batch."""

    snapshots: int
    """Snapshots made so far: one serves all workers that ask within some seconds."""

    snapshot_bytes: int
    """The last snapshot, pickled; a worker's rows take about as much as the driver's."""

    shared_bytes: int
    """A snapshot that is kept for other workers at the moment; 0 as a rule."""

    log_bytes: int
    """Pickled changes that some worker has not been told of; at most `snapshot_bytes`, or 1 MiB."""

    position: int
    """What readers could see change since the first subscription, and loads."""


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

    replicas: ReplicaStatistics | None = None
    """Of its tables with ``replicate=True``; None where it has none."""
