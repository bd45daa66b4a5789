"""What the benchmark of views has a worker do: call the driver, over and over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slither_actors.context import Context
from slither_actors.store import LoadTables, Store, Table, view

ROWS = 1000
HUNDRED = [f"key:{number}" for number in range(100)]


class Features(Store):
    """Rows to look up."""

    features: Table[str, int] = Table()

    def load(self, tables: LoadTables) -> None:
        tables.features.insert((f"key:{number}", number) for number in range(ROWS))

    @view
    def lookup(self, key: str) -> int | None:
        return self.features.get(key)

    @view(batch=True)
    def lookup_many(self, keys: list[str]) -> list[int | None]:
        return self.features.get_many(keys)


def timed(call: Callable[[], Any], calls: int) -> float:
    """Seconds per call."""
    call()
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began) / calls


def measured(payloads: list[int], ctx: Context) -> list[dict[str, float]]:
    """Seconds per call of each kind, with as many calls as the payload says."""
    table, views = Features.features, ctx.views
    found = {}
    for calls in payloads:
        found = {
            "scalar view": timed(lambda: views.lookup(key="key:42"), calls),
            "table get": timed(lambda: table.get("key:42"), calls),
            "batch view of 100": timed(lambda: views.lookup_many(keys=HUNDRED), calls),
            "table get_many of 100": timed(lambda: table.get_many(HUNDRED), calls),
            "table put": timed(lambda: table.put("key:1", 1), calls),
        }
    return [found for _ in payloads]


def of_a_manager(proxy: Any, calls: int, answers: Any) -> None:
    """The same with a ``multiprocessing.Manager().dict()``, in a process of its own."""
    answers.put(timed(lambda: proxy.get("key:42"), calls))


def of_redis(port: int, calls: int) -> float:
    """Seconds per get of a redis server on this machine."""
    import redis  # type: ignore[import-not-found,unused-ignore]

    client = redis.Redis(port=port)
    client.set("key:42", 42)
    return timed(lambda: client.get("key:42"), calls)
