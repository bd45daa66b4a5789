"""Stores, and functions that use them from worker processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from slither_actors.context import Context
from slither_actors.errors import CallTimeoutError, NotRunningError, RowNotFoundError, SlitherError, ViewError
from slither_actors.store import (
    ANY,
    BagTable,
    LoadTables,
    OrderedTable,
    Prefix,
    Store,
    Table,
    Transaction,
    view,
)


class Features(Store):
    """Rows for workers to read and write."""

    features: Table[Any, Any] = Table()
    counts: Table[Any, Any] = Table()

    def load(self, tables: LoadTables) -> None:
        tables.features.insert([("user:42", {"tier": "gold"}), ("none", None)])
        self.pid = os.getpid()

    @view
    def lookup(self, key: Any) -> Any:
        return self.features.get(key)

    @view(batch=True)
    def lookup_many(self, keys: list[Any]) -> list[Any]:
        return self.features.get_many(keys)

    @view
    def where(self, *, label: str = "") -> tuple[int, int, str]:
        return os.getpid(), self.pid, label

    @view
    def broken(self) -> None:
        msg = "no such tier"
        raise LookupError(msg)

    @view(timeout=0.05)
    def slow(self) -> None:
        time.sleep(0.3)

    @view
    def unpicklable(self) -> Any:
        return threading.Lock()

    @view(scope="global")
    def everywhere(self) -> str:
        return "here"


class Kinds(Store):
    """A table of each other kind."""

    events: OrderedTable[Any, Any] = Table(ordered=True)
    tags: BagTable[Any, Any] = Table(bag=True)
    recent: Table[Any, Any] = Table(ttl=60, max_rows=2, evict="lru")

    def load(self, tables: LoadTables) -> None:
        tables.events.insert(((kind, number), number) for kind in "ab" for number in range(1000))
        tables.tags.insert([("x", 1), ("x", 2), ("y", 1)])


class Absent(Store):
    """A store that nobody starts."""

    rows: Table[Any, Any] = Table()


def views(payloads: list[Any], ctx: Context) -> list[Any]:
    """Call the view that a payload names; return its result, or the error's name and text."""
    return [
        _outcome(lambda name=name, given=given: getattr(ctx.views, name)(**given)) for name, given in payloads
    ]


def _outcome(call: Any) -> Any:
    try:
        return call()
    except (ViewError, NotRunningError, CallTimeoutError) as error:
        return type(error).__name__, str(error), getattr(error, "traceback_text", "")


def reads(payloads: list[Any]) -> list[Any]:
    """Every read of a table, with the line that works in the driver."""
    table = Features.features
    missing = ""
    try:
        table.fetch("gone")
    except RowNotFoundError as error:
        missing = str(error)
    absent = _outcome(lambda: Absent.rows.get(1))
    answer = {
        "get": table.get("user:42"),
        "default": table.get("gone", 7),
        "none": table.get("none", 7),
        "many": table.get_many(["gone", "none", "user:42"], 0),
        "in": ("user:42" in table, "gone" in table),
        "size": table.size(),
        "items": sorted(table.items()),
        "select": table.select(lambda key, value: value is None),
        "fold": table.fold(lambda total, _key, _value: total + 1, 0),
        "missing": missing,
        "absent": absent[:2],
    }
    return [answer for _ in payloads]


def _error(call: Callable[[], Any]) -> tuple[str, str]:
    try:
        call()
    except (SlitherError, AttributeError, TypeError) as error:
        return type(error).__name__, str(error).partition("\n")[0]
    return "", ""


def kinds(payloads: list[Any]) -> list[Any]:
    """What ordered tables, bags and rows that end add to a set table."""
    events, tags = Kinds.events, Kinds.tags
    answer = {
        "range": events.range(("a", 998), ("b", 1)),
        "reverse": events.range(high=("a", 1), inclusive=(True, True), reverse=True),
        "prefix": events.prefix(("b",), limit=1, reverse=True),
        "ends": (events.first(), events.last(), events.next(("a", 999)), events.previous(("a", 0))),
        "match": events.match(key=(ANY, 7), value=7),
        "nested": events.match(key=Prefix(("b",)), limit=1),
        "bag": (tags.get("x"), tags.get("z"), tags.get_many(["y", "z"]), tags.size()),
        "rows": sorted(tags.items()),
        "missing": _error(lambda: events.fetch(("c", 1))),
        "no such method": _error(lambda: Kinds.recent.range(1)),  # type: ignore[attr-defined]
    }
    tags.put("z", 1)
    answer["put"] = (tags.put_new("z", 2), tags.bulk_insert([("z", 1), ("z", 3)]), tags.delete_value("z", 1))
    answer["take"] = tags.take("z")
    answer["refused"] = _error(lambda: tags.increment("x"))
    events.put(("c", 1), 1)
    answer["sorted"] = (events.last(), _error(lambda: events.put("text", 1)), events.delete(("c", 1)))
    Kinds.recent.put("long", 1, ttl=60)
    Kinds.recent.put("short", 2)
    Kinds.recent.put("other", 3)
    answer["evicted"] = Kinds.recent.get_many(["long", "short", "other"])
    return [answer for _ in payloads]


def add(value: Any) -> Any:
    return (value or 0) + 10


def writes(payloads: list[Any]) -> list[Any]:
    """Every write of a table."""
    table = Features.counts
    table.put("a", 1)
    answers = [
        table.put_new("a", 2),
        table.increment("a", 4),
        table.update("a", add),
        table.update("b", add, default=5),
        table.take("b"),
        table.delete("b"),
        table.bulk_insert({"x": 1, "y": 2}),
        table.get("a"),
    ]
    try:
        table.update("a", wrong)
    except ZeroDivisionError:
        answers.append("zero")
    return [answers for _ in payloads]


def wrong(value: int) -> float:
    return value / 0


def swap(tx: Transaction, one: Any, other: Any) -> list[Any]:
    a, b = tx.counts.fetch(one), tx.counts.fetch(other)
    tx.counts.put(one, b)
    tx.counts.put(other, a)
    return [tx.counts.get(one), len(tx.features)]


def swap_and_fail(tx: Transaction) -> None:
    tx.counts.clear()
    tx.counts.fetch("nobody")


def transactions(payloads: list[Any]) -> list[Any]:
    """Both forms of a transaction, and one that fails."""
    with Features.transaction() as tx:
        tx.counts.put("one", 1)
        tx.counts.update("two", add)
        tx.counts.put_new("one", 7)
    answers = [tx.results, Features.transact(swap, "one", "two"), Features.counts.get_many(["one", "two"])]
    try:
        Features.transact(swap_and_fail)
    except RowNotFoundError as error:
        answers.append(str(error))
    return [answers for _ in payloads]


def count(payloads: list[Any]) -> list[Any]:
    """Add one to a shared counter per payload."""
    return [Features.counts.increment("shared") for _ in payloads]


def reload(payloads: list[Any]) -> list[Any]:
    Features.counts.put("gone after", 1)
    Features.reload()
    return [Features.counts.size() for _ in payloads]


def timed(payloads: list[Any], ctx: Context) -> list[Any]:
    """Seconds per call of each kind of call back."""
    table = Features.features
    keys = [f"user:{number}" for number in range(100)]
    calls: dict[str, Callable[[], Any]] = {
        "table get": lambda: table.get("user:42"),
        "scalar view": lambda: ctx.views.lookup(key="user:42"),
        "batch view of 100": lambda: ctx.views.lookup_many(keys=keys),
        "get_many of 100": lambda: table.get_many(keys),
        "put": lambda: table.put("x", 1),
    }
    found = {}
    for name, call in calls.items():
        call()
        began = time.perf_counter()
        for _ in range(2000):
            call()
        found[name] = (time.perf_counter() - began) / 2000
    return [found for _ in payloads]
