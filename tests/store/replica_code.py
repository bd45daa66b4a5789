"""Stores with replicated tables, and functions that read and write them in worker processes."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from slither_actors.pool import current_worker
from slither_actors.store import ANY, BagTable, LoadTables, OrderedTable, Store, Table, Transaction


class Every(Store):
    """A replicated table of each kind."""

    rows: Table[Any, Any] = Table(replicate=True)
    sorted: OrderedTable[Any, Any] = Table(ordered=True, replicate=True)
    bag: BagTable[Any, Any] = Table(bag=True, replicate=True)
    ending: Table[Any, Any] = Table(ttl=600, replicate=True)
    sorted_ending: OrderedTable[Any, Any] = Table(ordered=True, ttl=600, replicate=True)
    full: Table[Any, Any] = Table(max_rows=5, replicate=True)
    plain: Table[Any, Any] = Table()

    base: Any = {}
    """What is loaded; a number of rows fails the load."""

    def load(self, tables: LoadTables) -> None:
        for table in (tables.rows, tables.sorted, tables.bag, tables.ending, tables.sorted_ending):
            table.insert(self.base.items())


class Wide(Store):
    """One table, for what depends on its size."""

    rows: Table[Any, Any] = Table(replicate=True)
    size = 0
    go_on = threading.Event()
    go_on.set()

    def load(self, tables: LoadTables) -> None:
        assert self.go_on.wait(20)
        tables.rows.insert((number, f"row {number}") for number in range(self.size))


REPLICATED = ("rows", "sorted", "bag", "ending", "sorted_ending", "full")


def state(_: Any = None) -> tuple[Any, ...]:
    """All rows of all tables of `Every`, in this process."""
    return tuple(list(getattr(Every, name).snapshot().items()) for name in REPLICATED)


def look(payloads: list[Any]) -> list[Any]:
    return [(os.getpid(), state()) for _ in payloads]


def pids(payloads: list[Any]) -> list[Any]:
    return [os.getpid() for _ in payloads]


def reads(_: list[Any]) -> list[Any]:
    """Every kind of read."""
    rows, ordered, bag, ending = Every.rows, Every.sorted, Every.bag, Every.ending
    both = [
        [
            table.get("a"), table.get("none", 7), table.get_many(["a", "none"]), table.get_many(["z"], 0),
            table.fetch("b"), "a" in table, "none" in table, len(table), table.size(), list(table),
            list(table.items()), list(table.keys()), list(table.values()), table.match(key="a"),
            table.match(value=2), table.match(prefix="b"), table.match(ANY, limit=1),
            table.select(lambda key, _: key > "a"), table.select(project=lambda key, _: key, limit=2),
            table.fold(lambda count, *_: count + 1, 0),
        ]
        for table in (rows, ordered, bag, ending)
    ]  # fmt: skip
    walks = [ordered.range("a", "c"), ordered.range(reverse=True, limit=1), ordered.prefix("b")]
    ends = [ordered.first(), ordered.last(), ordered.next("a"), ordered.previous("b"), ordered.previous("a")]
    return [(both, walks, ends)]


def own_writes(_: list[Any]) -> list[Any]:
    """What a worker sees after each of its writes."""
    seen = []
    Every.rows.put("own", 1)
    seen.append(Every.rows.get("own"))
    Every.rows.increment("own")
    seen.append(Every.rows.get("own"))
    Every.sorted.put_new("own", 5)
    seen.append(Every.sorted.last())
    Every.bag.put("own", 1)
    Every.bag.put("own", 2)
    seen.append(Every.bag.get("own"))
    Every.rows.delete("own")
    seen.append(Every.rows.get("own"))
    Every.rows.bulk_insert({"x": 1, "y": 2})
    seen.append(Every.rows.get_many(["x", "y"]))
    Every.transact(both_ways, 9)
    seen.append((Every.rows.get("x"), Every.sorted.get("x")))
    Every.sorted.clear()
    seen.append(len(Every.sorted))
    return [seen]


def both_ways(tx: Transaction, value: Any) -> None:
    tx.rows.put("x", value)
    tx.sorted.put("x", value)


def get(keys: list[Any]) -> list[Any]:
    return [Wide.rows.get(key) for key in keys]


def get_every(keys: list[Any]) -> list[Any]:
    return [Every.ending.get(key) for key in keys]


def memory(_: list[Any]) -> list[Any]:
    """Read something; return the resident pages and the number of descriptors."""
    Wide.rows.get(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return [(pages, len([*Path("/proc/self/fd").iterdir()]))]


class OnlyInDriver:
    """Cannot be unpickled in a worker, nor hashed there."""

    def __init__(self, driver: int, *, breaks: str) -> None:
        self.driver, self.breaks = driver, breaks

    def __setstate__(self, given: dict[str, Any]) -> None:
        self.__dict__.update(given)
        self.check("unpickled")

    def __hash__(self) -> int:
        self.check("hashed")
        return 1

    def check(self, what: str) -> None:
        if what == self.breaks and os.getpid() != self.driver:
            msg = f"{what} elsewhere"
            raise SystemExit(msg)


# -- a thread of the user's that reads all the time -----------------------------------

_stop = threading.Event()
_found: list[Any] = []


def start_reader(_: list[Any]) -> list[Any]:
    """Check in a thread that two rows, always written together, are the same."""
    Every.rows.get("left")
    sys.setswitchinterval(1e-6)
    _stop.clear()
    _found.clear()

    def check() -> None:
        last, torn = -1, 0
        kinds = (Every.rows, Every.sorted)
        ends = False
        while not ends:
            ends = _stop.is_set()
            for table in kinds:
                left, right = table.get_many(["left", "right"])
                torn += left != right
            torn += left < last
            last = left
        _found.append((last, torn))

    threading.Thread(target=check, name="reader").start()
    return [None]


def stop_reader(_: list[Any]) -> list[Any]:
    _stop.set()
    sys.setswitchinterval(0.005)
    while not _found:
        threading.Event().wait(0.01)
    return [_found[0]]


def slot(payloads: list[Any]) -> list[Any]:
    return [current_worker().slot for _ in payloads]
