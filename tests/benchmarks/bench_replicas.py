"""What a table costs that the workers have themselves.

    python -m tests.benchmarks.bench_replicas [--rounds 5] [--calls 200000] [--batches 2000] [--rows 1000000]

The rounds go around all lines of a block; the best one counts, and the ratio is
to the block's first line in the same run. Two workers, telemetry not attached.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from slither_actors import Application, dispatch
from slither_actors.store import Table
from tests.benchmarks import replica_work as work
from tests.benchmarks.replica_work import Replicated, Unread


def show(title: str, lines: dict[str, float]) -> None:
    """Print a block of seconds per call."""
    print(f"\n{title}")
    first = next(iter(lines.values()))
    for name, taken in lines.items():
        print(f"{name:44} {taken * 1e6:9.3f} us {first / taken:8.2f}x {1 / taken / 1e6:8.3f} M/s")


def best(lines: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The least of the seconds that each returns."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, run in lines.items():
            found.setdefault(name, []).append(run())
    return {name: min(taken) for name, taken in found.items()}


def reads(rounds: int, calls: int) -> None:
    """In a worker."""
    taken = [item.payload for item in dispatch.run([calls] * rounds, executor=work.gets, batch_size=1)]
    names = ["dict.get in a function", "get of a replicated table", "get of another: a call to the driver"]
    columns = list(zip(*taken, strict=True))
    show("reads in a worker", {name: min(column) for name, column in zip(names, columns, strict=True)})


def batches(count: int, pool: str, *, write: bool = False) -> float:
    """Seconds per batch of one item; perhaps with a write for each, which is part of that."""

    def numbers() -> Iterator[int]:
        for number in range(count):
            if write:
                Replicated.rows.put(number % 1000, number)
            yield number

    began = time.perf_counter()
    dispatch.run(numbers(), executor=work.nothing, batch_size=1, max_in_flight=4, pool=pool)
    return (time.perf_counter() - began) / count


def puts(calls: int, table: Table[int, int]) -> float:
    """Seconds per write."""
    began = time.perf_counter()
    for number in range(calls):
        table.put(number % 1000, number)
    return (time.perf_counter() - began) / calls


def subscribe() -> list[tuple[int, float]]:
    """Have both workers read; return what each took."""
    found: dict[int, float] = {}
    while len(found) < 2:
        for item in dispatch.run(range(2), executor=work.first_read, batch_size=1, max_in_flight=2):
            found.setdefault(*item.payload)
    return sorted(found.items(), key=lambda each: each[1])


def snapshots(rows: int) -> None:
    """A table with many rows, from nothing to both workers."""
    Replicated.count = rows
    before = Replicated.statistics().replicas
    began = time.perf_counter()
    Replicated.reload()
    load = time.perf_counter() - began
    began = time.perf_counter()
    each = subscribe()
    both = time.perf_counter() - began - 0.2
    held = Replicated.statistics().replicas
    assert before is not None
    assert held is not None
    made = held.snapshots - before.snapshots
    print(f"\na snapshot of {rows:,} rows, {held.snapshot_bytes / 1e6:.1f} MB, made {made} time(s)")
    for name, taken in [("load", load), *((f"worker {pid}", took) for pid, took in each), ("both", both)]:
        print(f"{name:44} {taken:9.3f} s  {load / taken:15.2f}x")


def main() -> None:
    """Run the blocks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--batches", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    with Application(stores=[Replicated, Unread], pools={"default": 2, "apart": 2}):
        subscribe()
        lines = {
            "no worker of the pool has the table": lambda: batches(given.batches, "apart"),
            "both have it, nothing is written": lambda: batches(given.batches, "default"),
            "one write per batch, no worker has it": lambda: batches(given.batches, "apart", write=True),
            "one write per batch, both have it": lambda: batches(given.batches, "default", write=True),
        }
        show("a batch of one item", best(lines, given.rounds))
        lines = {
            "no worker has the table": lambda: puts(given.calls, Unread.rows),
            "both have it": lambda: puts(given.calls, Replicated.rows),
        }
        show("put", best(lines, given.rounds))
        reads(given.rounds, given.calls)
        snapshots(given.rows)


if __name__ == "__main__":
    main()
