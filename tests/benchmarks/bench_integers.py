"""Integers through ``[x + 1 for x in batch]`` in two worker processes, here and in other libraries.

    python -m tests.benchmarks integers [--items 200000] [--rounds 3] [--batch-sizes 64 1]

Everybody starts two processes, once, before the clock runs (but pypeln, whose
processes live as long as a call), and does a twentieth of the work to be warm.
The rounds go around all contenders, so that a busy moment of the machine hits
each; the best round counts. Ray and Dask have servers of their own and pypeln
forks, so their rounds come when those of the others are over. The slow ones
move fewer items. The ratio says how many times as fast ``dispatch`` is.

``dispatch.run`` returns a list of items, ``dispatch.stream`` is read and dropped;
the others give bare integers. Other libraries are measured where they are
installed (the dependency groups ``bench`` and ``bench-clusters``).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import time

import attrs

from tests.benchmarks.integer_peers import APART, LIBRARIES, OWN, Measured, Peer, installed

RUN, STREAM = "dispatch.run", "dispatch.stream"
LIMIT = "pickle over a socket pair"

SLOW = {"mpire": 0.25, "joblib": 0.25, "pypeln": 0.2, "ray": 0.1, "dask": 0.02}
"""The share of the items that they move, by the first word of the name."""


@attrs.frozen
class Goal:
    """How many times as fast as another contender ours is to be, in batches of a size."""

    theirs: str
    size: int
    ratio: float
    aim: float | None = None


GOALS = [
    Goal("multiprocessing.Pool.imap", 64, 0.6, 1.0),
    Goal("ProcessPoolExecutor.submit", 64, 2.0),
    Goal("mpire", 64, 8.0),
    Goal("ProcessPoolExecutor.submit", 1, 1.5),
]


def measure(contenders: dict[str, Measured], items: int, size: int, rounds: int) -> dict[str, float]:
    """Items a second of each contender, in its best round."""
    best = dict.fromkeys(contenders, 0.0)
    work = {name: range(max(size, int(items * share(name)))) for name in contenders}
    for name, function in contenders.items():
        function(work[name][: max(size, len(work[name]) // 20)], size)
    for _ in range(rounds):
        for name, function in contenders.items():
            numbers = work[name]
            gc.collect()
            began = time.perf_counter()
            count = function(numbers, size)
            took = time.perf_counter() - began
            if count != len(numbers):
                msg = f"{name} gave {count} results for {len(numbers)} items"
                raise RuntimeError(msg)
            best[name] = max(best[name], count / took)
    return best


def share(name: str) -> float:
    return next((part for start, part in SLOW.items() if name.startswith(start)), 1.0)


def items_of(items: int, size: int) -> int:
    """Small batches cost so much more that fewer items do."""
    return items if size > 8 else max(1, items // 10)


def together(peers: list[Peer], sizes: list[int], items: int, rounds: int) -> dict[int, dict[str, float]]:
    """Start these, and measure them with each size."""
    with contextlib.ExitStack() as stack:
        contenders: dict[str, Measured] = {}
        for peer in peers:
            contenders |= stack.enter_context(peer())
        return {size: measure(contenders, items_of(items, size), size, rounds) for size in sizes}


def table(best: dict[str, float], title: str) -> None:
    """Print one line each, with our speed in terms of theirs."""
    print(f"\n{title}\n{'':30} {'items/s':>12} {'run is':>9} {'stream is':>11}")
    for name, speed in sorted(best.items(), key=lambda entry: -entry[1]):
        print(f"{name:30} {speed:12,.0f} {best[RUN] / speed:8.2f}x {best[STREAM] / speed:10.2f}x", flush=True)


def compare(best: dict[int, dict[str, float]]) -> None:
    """Print what was asked for, where it was measured."""
    print(f"\n{'how many times as fast':40} {'run':>8} {'stream':>8} {'asked':>7}  met")
    for goal in GOALS:
        speeds = best.get(goal.size, {})
        if goal.theirs not in speeds:
            continue
        ratios = {name: speeds[name] / speeds[goal.theirs] for name in (RUN, STREAM)}
        met = [name for name, ratio in ratios.items() if ratio >= goal.ratio]
        word = {2: "yes", 1: f"{met[0]} only" if met else "", 0: "no"}[len(met)]
        aim = f" (the aim is {goal.aim:g}x)" if goal.aim else ""
        print(
            f"{f'{goal.theirs}, batches of {goal.size}':40} {ratios[RUN]:7.2f}x {ratios[STREAM]:7.2f}x "
            f"{goal.ratio:6g}x  {word}{aim}"
        )


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 1])
    parser.add_argument("--quick", action="store_true", help="leave out pypeln, Ray and Dask")
    options = parser.parse_args(arguments)
    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores")
    sizes = options.batch_sizes
    best = together([*OWN, *installed(LIBRARIES)], sizes, options.items, options.rounds)
    for peer in [] if options.quick else installed(APART):
        for size, speeds in together([peer], sizes, options.items, options.rounds).items():
            best[size] |= speeds
    for size in sizes:
        table(best[size], f"{items_of(options.items, size):,} items in batches of {size}")
    compare(best)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
