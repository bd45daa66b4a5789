"""Integers through ``[x + 1 for x in batch]`` in two worker processes, here and in other libraries.

    python -m tests.benchmarks.bench_dispatch [--items 200000] [--rounds 3] [--batch-sizes 64 1]

Everybody starts two processes by forkserver, once, before the clock runs. The
rounds go around all contenders, so that a busy moment of the machine hits each;
the best round counts. The ratio says how many times as fast ``dispatch`` is.
``dispatch.run`` returns a list of items, ``dispatch.stream`` is read and dropped;
`Pool.imap` and the others give bare integers. Other libraries are
measured where they are installed (the dependency group ``bench``).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from typing import Any

from slither_actors import Application, dispatch
from tests.benchmarks.functions import increment, increment_all

WORKERS = 2
MAX_IN_FLIGHT = 8

Measured = Callable[[range, int], int]
"""Takes the numbers and the batch size, returns how many results there were."""


def drain(results: Any) -> int:
    """Read an iterator to its end, as fast as that goes, and count."""
    counter = enumerate(results, 1)
    last = deque(counter, maxlen=1)
    return last[0][0] if last else 0


@contextlib.contextmanager
def ours() -> Iterator[dict[str, Measured]]:
    with Application(pools={"default": WORKERS}):
        yield {
            "dispatch.run": lambda numbers, size: len(
                dispatch.run(numbers, executor=increment_all, batch_size=size, max_in_flight=MAX_IN_FLIGHT)
            ),
            "dispatch.stream": lambda numbers, size: drain(
                dispatch.stream(numbers, executor=increment_all, batch_size=size, max_in_flight=MAX_IN_FLIGHT)
            ),
        }


@contextlib.contextmanager
def pool_imap() -> Iterator[dict[str, Measured]]:
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        yield {"multiprocessing.Pool.imap": lambda numbers, size: drain(pool.imap(increment, numbers, size))}


@contextlib.contextmanager
def futures() -> Iterator[dict[str, Measured]]:
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:

        def windowed(numbers: range, size: int) -> int:
            """Submit with the same window as ours: `map` would submit everything at once."""
            window: deque[Any] = deque()
            count = 0
            for at in range(0, len(numbers), size):
                if len(window) == MAX_IN_FLIGHT:
                    count += len(window.popleft().result())
                window.append(pool.submit(increment_all, list(numbers[at : at + size])))
            return count + sum(len(each.result()) for each in window)

        yield {
            "ProcessPoolExecutor.map": lambda numbers, size: drain(
                pool.map(increment, numbers, chunksize=size)
            ),
            "ProcessPoolExecutor.submit": windowed,
        }


@contextlib.contextmanager
def mpire() -> Iterator[dict[str, Measured]]:
    from mpire import WorkerPool  # type: ignore[import-not-found]

    with WorkerPool(WORKERS, start_method="forkserver", keep_alive=True) as pool:
        yield {
            "mpire.imap": lambda numbers, size: drain(
                pool.imap(increment, numbers, iterable_len=len(numbers), chunk_size=size)
            )
        }


@contextlib.contextmanager
def joblib() -> Iterator[dict[str, Measured]]:
    from joblib import Parallel, delayed  # type: ignore[import-not-found]

    with Parallel(n_jobs=WORKERS, batch_size=64, return_as="generator") as parallel:
        yield {"joblib": lambda numbers, _: drain(parallel(delayed(increment)(n) for n in numbers))}


@contextlib.contextmanager
def pypeln() -> Iterator[dict[str, Measured]]:
    from pypeln import process  # type: ignore[import-not-found]

    yield {
        "pypeln.process.map": lambda numbers, _: drain(
            process.map(increment, numbers, workers=WORKERS, maxsize=1000)
        )
    }


def measure(contenders: dict[str, Measured], numbers: range, size: int, rounds: int) -> dict[str, float]:
    """Items a second of each contender, in its best round."""
    best = dict.fromkeys(contenders, 0.0)
    for function in contenders.values():
        function(numbers[: len(numbers) // 20], size)
    for _ in range(rounds):
        for name, function in contenders.items():
            gc.collect()
            began = time.perf_counter()
            count = function(numbers, size)
            took = time.perf_counter() - began
            if count != len(numbers):
                msg = f"{name} gave {count} results for {len(numbers)} items"
                raise RuntimeError(msg)
            best[name] = max(best[name], count / took)
    return best


def table(best: dict[str, float], title: str) -> None:
    """Print one line each, with our speed in terms of theirs."""
    print(f"\n{title}\n{'':30} {'items/s':>12} {'run':>8} {'stream':>8}")
    for name, speed in sorted(best.items(), key=lambda entry: -entry[1]):
        run, stream = best["dispatch.run"] / speed, best["dispatch.stream"] / speed
        print(f"{name:30} {speed:12,.0f} {run:7.2f}x {stream:7.2f}x")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 1])
    options = parser.parse_args()
    peers = [maker for maker in (mpire, joblib, pypeln) if find_spec(maker.__name__)]
    with contextlib.ExitStack() as stack:
        contenders: dict[str, Measured] = {}
        for maker in (ours, pool_imap, futures, *peers):
            contenders |= stack.enter_context(maker())
        for size in options.batch_sizes:
            count = options.items if size > 8 else options.items // 10
            best = measure(contenders, range(count), size, options.rounds)
            table(best, f"{count:,} items in batches of {size}")


if __name__ == "__main__":
    main()
