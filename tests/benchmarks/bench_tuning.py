"""How much the options matter: batch size, window, workers, recycling, shared memory, replicas.

    python -m tests.benchmarks tuning [--rounds 3] [--scale 1] [--only batch_size …] [--json FILE]

Each is a table with a row per setting; ratios are to its first row, in the same
run. The rounds go around all settings and the best one counts. `plots` draws
them for the manual.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from pathlib import Path
from typing import Any

import attrs

from slither_actors import Application, dispatch
from tests.benchmarks import tuning_work as work
from tests.benchmarks.line_plot import Plot, Points
from tests.benchmarks.tuning_work import Prices

Measured = Callable[[], float]
"""Does something once, and returns the figure that counts."""


@attrs.frozen
class Effort:
    """How long to measure."""

    rounds: int
    scale: float

    def many(self, count: int) -> int:
        """That many, at full scale."""
        return max(2, int(count * self.scale))

    def best(self, settings: dict[tuple[str, float], Measured], *, largest: bool = True) -> dict[str, Points]:
        """The best of each line and place."""
        found: dict[tuple[str, float], list[float]] = {}
        for run in settings.values():
            run()
        for _ in range(self.rounds):
            for setting, run in settings.items():
                found.setdefault(setting, []).append(run())
        lines: dict[str, Points] = {}
        for (line, x), figures in found.items():
            lines.setdefault(line, []).append((x, max(figures) if largest else min(figures)))
        return lines


def seconds(items: Iterable[Any], function: Any, **options: Any) -> float:
    """Of a stream that is read to its end."""
    began = time.perf_counter()
    for _ in dispatch.stream(items, executor=function, timeout=None, **options):
        pass
    return time.perf_counter() - began


def batch_size(effort: Effort) -> Plot:
    """Items of no work, and of some."""

    def rate(count: int, cost: float, size: int) -> float:
        items = range(count) if not cost else repeat(cost, count)
        return count / seconds(items, work.compute if cost else work.echo, batch_size=size)

    sizes = (1, 4, 16, 64, 256, 1024)
    with Application(pools={"default": 2}):
        lines = effort.best(
            {
                (name, size): lambda cost=cost, size=size: rate(  # type: ignore[misc]
                    effort.many(1500 if cost else 1500 * min(size, 64)), cost, size
                )
                for name, cost in (("no work", 0.0), ("100 µs of work", 0.0001))
                for size in sizes
            }
        )
    return Plot(
        name="batch_size",
        title="Batch size",
        x="items per batch",
        y="items per second",
        lines=lines,
        log_y=True,
    )


def max_in_flight(effort: Effort) -> Plot:
    """Batches of 2 ms in two workers: all alike, or between 0 and 8, 2 in the mean."""
    count = effort.many(300)
    uneven = [min(0.008, random.Random(number).expovariate(500)) for number in range(count)]
    shapes = {
        "even": ([0.002] * count, "preserve"),
        "uneven": (uneven, "preserve"),
        "uneven, as_completed": (uneven, "as_completed"),
    }

    def used(name: str, window: int) -> float:
        items, ordering = shapes[name]
        took = seconds(items, work.wait, batch_size=1, max_in_flight=window, ordering=ordering)
        return 100 * sum(items) / (2 * took)

    with Application(pools={"default": 2}):
        lines = effort.best(
            {
                (name, window): lambda name=name, window=window: used(name, window)  # type: ignore[misc]
                for name in shapes
                for window in (1, 2, 3, 4, 8, 16)
            }
        )
    return Plot(
        name="max_in_flight",
        title="max_in_flight, two workers",
        x="batches in flight",
        y="% of the workers' time used",
        lines=lines,
    )


def workers(effort: Effort) -> Plot:
    """Batches of 5 ms that wait or compute."""
    sizes = (1, 2, 4, 8)
    count = effort.many(80)

    def rate(function: Any, size: int) -> float:
        pool = f"of {size}"
        return count / seconds(
            repeat(0.005, count), function, batch_size=1, max_in_flight=2 * size, pool=pool
        )

    with Application(pools={f"of {size}": size for size in sizes}):
        lines = effort.best(
            {
                (name, size): lambda function=function, size=size: rate(function, size)  # type: ignore[misc]
                for name, function in (
                    ("batches that wait", work.wait),
                    ("batches that compute", work.compute),
                )
                for size in sizes
            }
        )
    title = f"Workers, on {os.cpu_count()} processors"
    return Plot(name="workers", title=title, x="worker processes", y="batches per second", lines=lines)


def recycling(effort: Effort) -> Plot:
    """Batches of 10 ms, and a new worker after so many."""
    count = effort.many(60)
    settings = {
        (name, limit): {"workers": 2, "max_batches_per_worker": limit, "overlap": overlap}
        for name, overlap in (("overlap=True", True), ("overlap=False", False))
        for limit in (1, 2, 5, 10, 20, 50)
    }

    def share(options: dict[str, Any]) -> float:
        with Application(pools={"default": options}):
            seconds(repeat(0.0, 2), work.wait, batch_size=1)
            took = seconds(repeat(0.01, count), work.wait, batch_size=1)
        return 100 * (count * 0.01 / 2) / took

    lines = effort.best({key: lambda options=options: share(options) for key, options in settings.items()})  # type: ignore[misc]
    return Plot(
        name="recycling",
        title="Recycling: batches of 10 ms, two workers",
        x="batches per worker",
        y="% of the workers' time used",
        lines=lines,
    )


def shared_memory(effort: Effort) -> Plot:
    """Bytes there and back, one batch after the other."""
    pools = {
        "socket": {"workers": 1, "segment_threshold": None},
        "shared memory": {"workers": 1, "segment_threshold": 1},
    }

    def took(pool: str, size: int) -> float:
        count = effort.many(max(6, min(100, 2**24 // size)))
        return (
            seconds(repeat(bytes(size), count), work.echo, pool=pool, batch_size=1, max_in_flight=2)
            / count
            * 1e3
        )

    with Application(pools=pools):
        lines = effort.best(
            {
                (pool, size): lambda pool=pool, size=size: took(pool, size)  # type: ignore[misc]
                for pool in pools
                for size in (2**power for power in range(12, 24, 2))
            },
            largest=False,
        )
    return Plot(
        name="shared_memory",
        title="segment_threshold: the same bytes by both ways",
        x="bytes per batch",
        y="milliseconds per batch",
        lines=lines,
        log_y=True,
    )


def reads(effort: Effort) -> Plot:
    """Rows that a batch reads, by each way; the table is written once per batch."""
    ways = {
        "view, a call per row": work.by_view,
        "view of a batch": work.by_batch_view,
        "replicated table": work.by_replica,
    }

    def took(function: Any, rows: int) -> float:
        count = effort.many(30)

        def batches() -> Iterable[int]:
            for number in range(count):
                (Prices.near if function is work.by_replica else Prices.far).put(number, number)
                yield rows

        return seconds(batches(), function, batch_size=1, max_in_flight=2) / count * 1e3

    with Application(stores=[Prices], pools={"default": 1}):
        lines = effort.best(
            {
                (name, rows): lambda function=function, rows=rows: took(function, rows)  # type: ignore[misc]
                for name, function in ways.items()
                for rows in (1, 3, 10, 30, 100, 300)
            },
            largest=False,
        )
    return Plot(
        name="reads",
        title="Views and replicas: one write per batch",
        x="rows that a batch reads",
        y="milliseconds per batch",
        lines=lines,
        log_y=True,
    )


PLOTS = (batch_size, max_in_flight, workers, recycling, shared_memory, reads)


def main(arguments: list[str]) -> int:
    """Measure, print, and keep what was measured if that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="how much work, in terms of the usual")
    parser.add_argument("--only", nargs="+", choices=[plot.__name__ for plot in PLOTS])
    parser.add_argument("--json", type=Path, help="a file for what was measured")
    options = parser.parse_args(arguments)
    note = f"CPython {sys.version.split()[0]}, {os.cpu_count()} processors"
    print(note)
    effort = Effort(options.rounds, options.scale)
    found = []
    for measure in PLOTS:
        if not options.only or measure.__name__ in options.only:
            plot = attrs.evolve(measure(effort), note=note)
            print(plot, flush=True)
            found.append(attrs.asdict(plot))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
