"""Tables of a store, each line beside what it costs without one.

    python -m tests.benchmarks.bench_tables [--rounds 20] [--calls 20000] [--rows 100000 1000000]

In the driver, telemetry not attached; one thread unless said otherwise. Rounds are short and go around all
lines of a block; the best one counts, and the ratio is to the block's first line in
the same run.

Then four threads that write, beside one; and what readers wait while a million
rows are put or loaded. One reader is measured as it comes: the next read begins
when the last one is over. The other comes each millisecond, waiting or not, as
requests of other machines do: its wait is counted from when it should have read.

The last block shows what the order of an ordered table is kept in: the index
of the library, which readers walk without a lock, a plain list with
``bisect.insort``, and ``sortedcontainers`` where that is installed.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, ClassVar

from slither_actors.store import BagTable, LoadTables, OrderedTable, Store, StoreSupervisor, Table, retire
from slither_actors.store._key_index import KeyIndex

Line = tuple[Callable[..., object], Iterable[tuple[Any, ...]]]
"""A function, and the arguments of each call."""

ROWS = 1000


class Shelf(Store):
    source: ClassVar[Any] = {}
    """What a load brings: rows, or a function that gives an iterator over them."""

    plain: Table[int, int] = Table()
    ordered: OrderedTable[int, int] = Table(ordered=True)
    bag: BagTable[int, int] = Table(bag=True)
    ending: Table[int, int] = Table(ttl=3600)
    lru: Table[int, int] = Table(max_rows=ROWS, evict="lru")

    def load(self, tables: LoadTables) -> None:
        source = Shelf.source
        tables.plain.insert(source() if callable(source) else source)


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


def writers(calls: int, rounds: int) -> None:
    """Print how one thread writes, and four at once; raise if a write was lost."""

    def write(count: int) -> None:
        for _ in range(count):
            Shelf.plain.increment(0)

    def together(threads: int) -> float:
        each = [threading.Thread(target=write, args=(calls // threads,)) for _ in range(threads)]
        Shelf.plain.put(0, 0)
        began = time.perf_counter()
        for thread in each:
            thread.start()
        for thread in each:
            thread.join()
        taken = time.perf_counter() - began
        if Shelf.plain.fetch(0) != calls // threads * threads:
            msg = f"{threads} threads lost {calls - Shelf.plain.fetch(0)} of {calls} writes"
            raise RuntimeError(msg)
        return taken / calls

    best: dict[int, float] = {}
    for _ in range(rounds):
        for threads in (1, 4):
            best[threads] = min(best.get(threads, 1.0), together(threads))
    print("\nincrements of one row from several threads, none lost; x: of one thread")
    for threads, taken in best.items():
        name = f"{threads} threads"
        print(f"{name:34} {taken * 1e6:9.3f} us {1 / taken / 1e6:8.2f} M/s {best[1] / taken:8.2f}x")


def waits(rows: int) -> None:
    """Print what readers wait while many rows are put or loaded."""
    many = {key: key for key in range(rows)}
    pairs = list(many.items())
    works: dict[str, tuple[Any, Callable[[], object]]] = {
        "nothing, for a second": ({}, lambda: time.sleep(1)),
        "bulk_insert into an empty table": ({}, lambda: Shelf.plain.bulk_insert(many)),
        "bulk_insert over as many": (many, lambda: Shelf.plain.bulk_insert(many)),
        "reload, of a dict": (many, Shelf.reload),
        "reload, of a list of pairs": (pairs, Shelf.reload),
        "reload, of a generator": (lambda: ((key, key) for key in range(rows)), Shelf.reload),
    }
    print(f"\nwaits of readers during, with {rows:,} rows; ms")
    print(f"{'':34} {'took':>8} {'p99':>8} {'max':>8}   each ms: {'p99':>8} {'max':>8}")
    for name, (source, work) in works.items():
        Shelf.source = source
        Shelf.reload()
        taken, reads, arrivals = observed(work)
        print(
            f"{name:34} {taken * 1e3:8.0f} {percentile(reads, 99):8.3f} {reads[-1] * 1e3:8.1f}   "
            f"         {percentile(arrivals, 99):8.1f} {arrivals[-1] * 1e3:8.1f}"
        )
    Shelf.source = {}
    Shelf.reload()


def observed(work: Callable[[], object]) -> tuple[float, list[float], list[float]]:
    """How long `work` took, what each read waited, and what one would that comes each millisecond, sorted."""
    reads: list[tuple[float, float]] = []
    over, ready = threading.Event(), threading.Event()

    def read() -> None:
        clock, get, note = time.perf_counter, Shelf.plain.get, reads.append
        ready.set()
        last = False
        while not last:
            last = over.is_set()  # one more read then: nobody's wait goes on beyond it
            began = clock()
            get(5)
            note((began, clock()))

    reader = threading.Thread(target=read)
    reader.start()
    ready.wait()
    began = time.perf_counter()
    work()
    taken = time.perf_counter() - began
    over.set()
    reader.join()
    during = [read for read in reads if began <= read[1]]
    ends = [end for _, end in during]
    arrivals = [began + number / 1e3 for number in range(int(taken * 1e3) + 1)]
    found = (ends[min(bisect_right(ends, at), len(ends) - 1)] - at for at in arrivals)
    return taken, sorted(end - begin for begin, end in during), sorted(max(wait, 0.0) for wait in found)


def percentile(waits: list[float], of: float) -> float:
    """In milliseconds."""
    return waits[min(int(len(waits) * of / 100), len(waits) - 1)] * 1e3


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
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    stores = StoreSupervisor.start([Shelf])
    try:
        reads(options.calls, options.rounds)
        writes(options.calls, options.rounds)
        writers(options.calls, options.rounds)
        waits(max(options.rows))
        for rows in options.rows:
            order(rows, min(options.rounds, 3))
            bulk(rows, 1)
    finally:
        stores.stop()
        retire(Shelf)


if __name__ == "__main__":
    main()
