"""Tables of a store, each line beside what it costs without one.

    python -m tests.benchmarks.bench_stores [--rounds 5] [--calls 200000] [--rows 100000 1000000]

One thread, in the driver, telemetry not attached. Rounds go around all lines
of a block; the best one counts, and the ratio is to the block's first line in
the same run.

The last block shows what the order of an ordered table is kept in: the index
of the library, which readers walk without a lock, a plain list with
``bisect.insort``, and ``sortedcontainers`` where that is installed.
"""

from __future__ import annotations

import argparse
import random
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

from slither_actors.store import BagTable, OrderedTable, Store, StoreSupervisor, Table, retire
from slither_actors.store._key_index import KeyIndex

Line = tuple[Callable[..., object], Iterable[tuple[Any, ...]]]
"""A function, and the arguments of each call."""

ROWS = 1000


class Shelf(Store):
    plain: Table[int, int] = Table()
    ordered: OrderedTable[int, int] = Table(ordered=True)
    bag: BagTable[int, int] = Table(bag=True)
    ending: Table[int, int] = Table(ttl=3600)
    lru: Table[int, int] = Table(max_rows=ROWS, evict="lru")


def seconds(function: Callable[..., object], arguments: list[tuple[Any, ...]]) -> float:
    began = time.perf_counter()
    for each in arguments:
        function(*each)
    return time.perf_counter() - began


def compare(title: str, lines: dict[str, Line], rounds: int) -> None:
    """Print one block."""
    calls = {name: (function, list(arguments)) for name, (function, arguments) in lines.items()}
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, (function, arguments) in calls.items():
            taken = seconds(function, arguments) / len(arguments)
            best[name] = min(best.get(name, taken), taken)
    print(f"\n{title}")
    first = next(iter(best.values()))
    for name, taken in best.items():
        print(f"{name:34} {taken * 1e6:9.3f} us {1 / taken / 1e6:8.2f} M/s {first / taken:8.2f}x")


def reads(calls: int, rounds: int) -> None:
    rows = dict.fromkeys(range(ROWS), 1)
    for table in (Shelf.plain, Shelf.ordered, Shelf.bag, Shelf.ending, Shelf.lru):
        table.clear()
        table.bulk_insert(rows)

    def bare(key: int, default: object = None) -> object:
        return rows.get(key, default)

    keys = [(number % ROWS,) for number in range(calls)]
    hundred = [(list(range(100)),)] * (calls // 100)
    compare(
        "reads; x: of a dict's get inside a function",
        {
            "dict.get in a function": (bare, keys),
            "get": (Shelf.plain.get, keys),
            "fetch": (Shelf.plain.fetch, keys),
            "get, ordered": (Shelf.ordered.get, keys),
            "get, bag": (Shelf.bag.get, keys),
            "get, ttl": (Shelf.ending.get, keys),
            "get, lru": (Shelf.lru.get, keys),
            "get_many of 100": (Shelf.plain.get_many, hundred),
        },
        rounds,
    )


def writes(calls: int, rounds: int) -> None:
    rows = dict.fromkeys(range(ROWS), 1)

    def bare(key: int, value: int) -> None:
        rows[key] = value

    keys = [(number % ROWS,) for number in range(calls)]
    pairs = [(number % ROWS, number) for number in range(calls)]
    changes = [(number % ROWS, abs) for number in range(calls)]
    compare(
        "writes; x: of a dict's assignment inside a function",
        {
            "dict assignment in a function": (bare, pairs),
            "put": (Shelf.plain.put, pairs),
            "update": (Shelf.plain.update, changes),
            "increment": (Shelf.plain.increment, keys),
            "put, ordered, key is there": (Shelf.ordered.put, pairs),
            "put, ttl": (Shelf.ending.put, pairs),
            "put, lru": (Shelf.lru.put, pairs),
        },
        rounds,
    )


def order(rows: int, rounds: int) -> None:
    some = min(rows, 2000)
    draw = random.Random(1)
    new = [(key,) for key in draw.sample(range(1, 2 * rows, 2), some)]
    asked = [(key,) for key in draw.sample(range(2 * rows), some)]
    Shelf.ordered.clear()
    Shelf.ordered.bulk_insert({key: key for key in range(0, 2 * rows, 2)})
    plain = list(range(0, 2 * rows, 2))
    index = KeyIndex.of(plain)

    def come_and_go(key: int) -> None:
        Shelf.ordered.put(key, key)
        Shelf.ordered.delete(key)

    def insort_and_delete(key: int) -> None:
        insort(plain, key)
        del plain[bisect_right(plain, key) - 1]

    lines: dict[str, Line] = {
        "bisect.insort, and del": (insort_and_delete, new),
        "index with a key, and without": (lambda key: index.with_key(key).without(key), new),
        "table: put a new key, and delete": (come_and_go, new),
        "table: next": (Shelf.ordered.next, asked),
        "table: range of 100": (lambda key: Shelf.ordered.range(key, limit=100), asked),
        "table: first": (Shelf.ordered.first, [()] * some),
    }
    if find_spec("sortedcontainers"):
        from sortedcontainers import SortedDict  # type: ignore[import-not-found,unused-ignore]

        contender = SortedDict((key, key) for key in plain)

        def insert(key: int) -> None:
            contender[key] = key
            del contender[key]

        lines["SortedDict: insert, and del"] = insert, new
        lines["SortedDict: next"] = (
            (lambda key: next(contender.irange(key, None, (False, True)), None)),
            asked,
        )
        lines["SortedDict: range of 100"] = (
            lambda key: [(k, contender[k]) for k, _ in zip(contender.irange(key), range(100), strict=False)],
            asked,
        )
    compare(f"order of {rows:,} keys; x: of insort", lines, rounds)


def bulk(rows: int, rounds: int) -> None:
    many = {key: key for key in range(rows)}

    def fill(table: Any) -> None:
        table.clear()
        table.bulk_insert(many)

    compare(
        f"{rows:,} rows at once; x: of a dict's copy",
        {
            "dict.copy": (many.copy, [()]),
            "clear, bulk_insert": (fill, [(Shelf.plain,)]),
            "clear, bulk_insert, ordered": (fill, [(Shelf.ordered,)]),
            "snapshot": (Shelf.plain.snapshot, [()]),
            "snapshot, ordered": (Shelf.ordered.snapshot, [()]),
            "match of a value": (lambda: Shelf.plain.match(value=-1), [()]),
        },
        rounds,
    )
    for table in (Shelf.plain, Shelf.ordered):
        table.clear()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    stores = StoreSupervisor.start([Shelf])
    try:
        reads(options.calls, options.rounds)
        writes(options.calls, options.rounds)
        for rows in options.rows:
            order(rows, options.rounds)
            bulk(rows, 1)
    finally:
        stores.stop()
        retire(Shelf)


if __name__ == "__main__":
    main()
