"""A replicated table, and what workers do with it in `bench_replicas`."""

from __future__ import annotations

import os
import time
from typing import Any

from slither_actors.store import LoadTables, Store, Table


class Replicated(Store):
    """As many rows as a benchmark wants."""

    rows: Table[int, Any] = Table(replicate=True)
    remote: Table[int, Any] = Table()

    count = 1000

    def load(self, tables: LoadTables) -> None:
        tables.rows.insert((number, number) for number in range(self.count))
        tables.remote.insert((number, number) for number in range(1000))


class Unread(Store):
    """Another one, which no worker reads."""

    rows: Table[int, Any] = Table(replicate=True)


def nothing(payloads: list[Any]) -> list[Any]:
    return payloads


def first_read(payloads: list[Any]) -> list[Any]:
    """The seconds until the rows are there."""
    began = time.perf_counter()
    Replicated.rows.get(0)
    took = time.perf_counter() - began
    time.sleep(0.2)  # so that the other worker has a batch as well
    return [(os.getpid(), took) for _ in payloads]


def gets(payloads: list[int]) -> list[Any]:
    """Seconds for so many reads of a dict in a function, of the replica, and of a table in the driver."""
    rows = dict.fromkeys(range(1000), 1)

    def get(key: int) -> Any:
        return rows.get(key)

    found = []
    Replicated.rows.get(0)
    for calls in payloads:
        keys = [number % 1000 for number in range(calls)]
        few = keys[: max(1, calls // 100)]
        found.append(
            (_timed(get, keys), _timed(Replicated.rows.get, keys), _timed(Replicated.remote.get, few))
        )
    return found


def _timed(function: Any, keys: list[int]) -> float:
    began = time.perf_counter()
    for key in keys:
        function(key)
    return (time.perf_counter() - began) / len(keys)
