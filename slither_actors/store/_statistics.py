"""What a store held at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from slither_actors.store._counted_rows import uncounted
from slither_actors.store._kinds import kind_of
from slither_actors.store._size import estimated_bytes

if TYPE_CHECKING:
    from slither_actors.store._pointer import Pointer

__all__ = [
    "ReplicaStatistics",
    "StoreStatistics",
    "TableStatistics",
    "store_statistics",
    "table_statistics",
]


@attrs.frozen(kw_only=True)
class TableStatistics:
    """One table of a store. Returned by `Table.statistics`."""

    name: str
    kind: str
    """``"set"``, ``"ordered"`` or ``"bag"``."""

    rows: int
    bytes: int
    """Memory of the rows, an estimate: 200 of them, evenly spread, are looked at and stand for the others.

    It counts the table's dict, keys, values and what they refer to, without the
    index of an ordered table, and an object that several rows share once. What
    an object does not tell ``sys.getsizeof`` about is not in it.
    """

    version: int
    """Changes that readers could see, loads included. Only ever grows while the store runs."""

    writes: int
    """Changes by writes: a bulk insert is one, and so is a row that ended and was removed."""

    reads: int | None
    """Calls that read since the program began, those from workers included, where ``Table(count_reads=True)``
    asks for it; None otherwise. A `get_many`, a query and an iteration are one each, `size` is none."""

    loaded_at: float
    """Unix time of the last load or reload; all tables of a store are loaded together."""


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


def table_statistics(pointer: Pointer, index: int) -> TableStatistics:
    """Look at one table. In the driver, from any thread; raises `NotRunningError` where there is none."""
    now = pointer.now
    rows = uncounted(now.rows[index])
    size, version, reads = rows.size(), rows.version, pointer.reads[index]
    return TableStatistics(
        name=pointer.tables[index],
        kind=kind_of(pointer.kinds[index]),
        rows=len(rows) if size is None else size,
        bytes=estimated_bytes(rows.live.copy()),
        version=version,
        writes=version - now.loaded.count,
        reads=None if reads is None else reads.value,
        loaded_at=now.loaded.at,
    )


def store_statistics(pointer: Pointer) -> StoreStatistics:
    """Look at all tables of a store. In the driver, from any thread."""
    loaded = pointer.now.loaded
    indices = range(len(pointer.tables)) if pointer.is_published else ()
    return StoreStatistics(
        store=pointer.name,
        running=pointer.is_published and pointer.server.is_alive(),
        tables=tuple(table_statistics(pointer, index) for index in indices),
        loads=loaded.count,
        loaded_at=loaded.at,
        load_seconds=loaded.seconds,
        replicas=pointer.feed.statistics() if pointer.is_published and pointer.feed is not None else None,
    )
