"""What the workers do in `bench_tuning`."""

from __future__ import annotations

import time
from typing import Any

from slither_actors.context import Context
from slither_actors.store import LoadTables, Store, Table, view

ROWS = 1000


class Prices(Store):
    """The same rows twice: for workers that have them, and for workers that ask."""

    near: Table[int, int] = Table(replicate=True)
    far: Table[int, int] = Table()

    def load(self, tables: LoadTables) -> None:
        for table in (tables.near, tables.far):
            table.insert((number, number) for number in range(ROWS))

    @view(scope="global")
    def price(self, key: int) -> int | None:
        return self.far.get(key)

    @view(scope="global", batch=True)
    def prices(self, keys: list[int]) -> list[int | None]:
        return self.far.get_many(keys)


def echo(batch: list[Any]) -> list[Any]:
    """Nothing."""
    return batch


def wait(batch: list[float]) -> list[float]:
    """Each payload is seconds in which the processor is free."""
    time.sleep(sum(batch))
    return batch


def compute(batch: list[float]) -> list[float]:
    """Each payload is seconds of processor time."""
    end = time.process_time() + sum(batch)
    while time.process_time() < end:
        pass
    return batch


def by_replica(batch: list[int], ctx: Context) -> list[int]:
    """Each payload is how many rows to read."""
    for count in batch:
        for key in range(count):
            Prices.near.get(key)
    return batch


def by_view(batch: list[int], ctx: Context) -> list[int]:
    """A call per row."""
    for count in batch:
        for key in range(count):
            ctx.views.price(key)
    return batch


def by_batch_view(batch: list[int], ctx: Context) -> list[int]:
    """One call for all."""
    for count in batch:
        ctx.views.prices(list(range(count)))
    return batch
