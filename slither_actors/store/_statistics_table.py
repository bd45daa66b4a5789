"""The statistics of stores as text, a line per table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from slither_actors.store._statistics import StoreStatistics, TableStatistics

__all__ = ["statistics_table"]

_HEADER = ("store.table", "kind", "rows", "bytes", "version", "reads", "writes", "loaded")
_TEXTS = 2
"""The columns of text; the others are numbers, on the right."""


def statistics_table(stores: Iterable[StoreStatistics], now: float | None = None) -> str:
    """A header and a line per table, in columns; bytes are an estimate, ``-`` are reads that nobody counts.

    Below them a line per store that workers have replicas of. `now` is the Unix time from which
    on the loads are told.
    """
    at = time.time() if now is None else now
    stores = list(stores)
    lines: list[Sequence[str]] = [_HEADER]
    for store in stores:
        lines += [_line(store, table, at) for table in store.tables] or [_empty_line(store)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join([*(_joined(line, widths) for line in lines), *_replicas(stores)])


def _replicas(stores: Iterable[StoreStatistics]) -> Iterator[str]:
    for store in stores:
        replicas = store.replicas
        if replicas is not None and replicas.workers:
            workers = "1 worker" if replicas.workers == 1 else f"{replicas.workers:,} workers"
            sizes = (replicas.snapshot_bytes, replicas.shared_bytes, replicas.log_bytes)
            last, kept, changes = map(_bytes, sizes)
            yield (
                f"{store.store}: replicas in {workers}, the last snapshot of {last} ({kept} kept), "
                f"{changes} of changes to tell"
            )


def _joined(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.ljust(width) if column < _TEXTS else text.rjust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _line(store: StoreStatistics, table: TableStatistics, now: float) -> Sequence[str]:
    return (
        f"{store.store}.{table.name}",
        table.kind,
        f"{table.rows:,}",
        _bytes(table.bytes),
        f"{table.version:,}",
        "-" if table.reads is None else f"{table.reads:,}",
        f"{table.writes:,}",
        f"{_seconds(now - table.loaded_at)} ago, in {_seconds(store.load_seconds)}",
    )


def _empty_line(store: StoreStatistics) -> Sequence[str]:
    state = "no tables" if store.running else "not running"
    return (store.store, state, *("" for _ in _HEADER[2:]))


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 0.0):.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"
