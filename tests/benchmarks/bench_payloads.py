"""Arrays of 8 MB there and back, ``a * 2.0`` in two worker processes, here and in other libraries.

    python -m tests.benchmarks payloads [--megabytes 8] [--count 60] [--rounds 3] [--thresholds]

Needs numpy; without it there is nothing to measure. Everybody starts two
processes before the clock runs, and has the same window (`Pool.imap` has none,
and Dask keeps what it was sent). The rounds go around all contenders; the best
one counts. Ray and Dask have servers of their own, and so come when the others
are over. Gigabytes are counted in
one direction. ``held`` keeps all results to the end, as ``dispatch.run`` does;
the others drop each one when they have it.

``--thresholds`` measures where shared memory begins to pay, and
``--stages`` where the time of one array goes.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import multiprocessing
import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from itertools import repeat
from typing import Any

from slither_actors import Application, dispatch
from slither_actors.pool import PoolOptions
from tests.benchmarks.functions import double, double_all
from tests.benchmarks.integer_peers import end_joblib, no_ray_token

WORKERS = 2
MAX_IN_FLIGHT = 4
ASKED = 3.0
"""How many times as fast as the best of the others ours is to be."""

Measured = Callable[[Any, int], int]
"""Takes the array and how often to send it, returns how many results there were."""

Peer = Callable[[], contextlib.AbstractContextManager[dict[str, Measured]]]


@contextlib.contextmanager
def ours() -> Iterator[dict[str, Measured]]:
    pools: Any = {"default": {"workers": WORKERS}, "socket": {"workers": WORKERS, "segment_threshold": None}}
    options: Any = {"batch_size": 1, "max_in_flight": MAX_IN_FLIGHT}

    def stream(pool: str) -> Measured:
        def measured(array: Any, count: int) -> int:
            results = dispatch.stream(repeat(array, count), executor=double_all, pool=pool, **options)
            return sum(1 for _ in results)

        return measured

    with Application(pools=pools):
        yield {
            "dispatch.stream": stream("default"),
            "dispatch.run (held)": lambda array, count: len(
                dispatch.run([array] * count, executor=double_all, **options)
            ),
            "dispatch.stream, socket": stream("socket"),
        }


@contextlib.contextmanager
def pool_imap() -> Iterator[dict[str, Measured]]:
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        yield {"Pool.imap": lambda array, count: sum(1 for _ in pool.imap(double, repeat(array, count)))}


@contextlib.contextmanager
def futures() -> Iterator[dict[str, Measured]]:
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:

        def windowed(array: Any, count: int) -> int:
            window: deque[Any] = deque()
            done = 0
            for _ in range(count):
                if len(window) == MAX_IN_FLIGHT:
                    window.popleft().result()
                    done += 1
                window.append(pool.submit(double, array))
            return done + sum(1 for each in window if each.result() is not None)

        yield {"ProcessPoolExecutor": windowed}


@contextlib.contextmanager
def joblib() -> Iterator[dict[str, Measured]]:
    from joblib import Parallel, delayed  # type: ignore[import-not-found]

    with Parallel(
        n_jobs=WORKERS, batch_size=1, pre_dispatch=MAX_IN_FLIGHT, return_as="generator"
    ) as parallel:
        yield {
            "joblib": lambda array, count: sum(
                1 for _ in parallel(delayed(double)(each) for each in repeat(array, count))
            )
        }
    end_joblib()


@contextlib.contextmanager
def ray() -> Iterator[dict[str, Measured]]:
    no_ray_token()
    import ray as library

    library.init(num_cpus=WORKERS, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    remote = library.remote(double)

    def windowed(array: Any, count: int) -> int:
        window: deque[Any] = deque()
        for _ in range(count):
            if len(window) == MAX_IN_FLIGHT:
                library.get(window.popleft())
            window.append(remote.remote(array))
        return count - len(window) + len(library.get(list(window)))

    try:
        yield {"ray": windowed}
    finally:
        library.shutdown()


@contextlib.contextmanager
def distributed() -> Iterator[dict[str, Measured]]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):

        def windowed(array: Any, count: int) -> int:
            window: deque[Any] = deque()
            done = 0
            for _ in range(count):
                if len(window) == MAX_IN_FLIGHT:
                    window.popleft().result()
                    done += 1
                window.append(client.submit(double, array, pure=False))
            return done + sum(1 for each in window if each.result() is not None)

        yield {"dask": windowed}


def measure(contenders: dict[str, Measured], array: Any, count: int, rounds: int) -> dict[str, float]:
    """Gigabytes a second of each contender, in its best round."""
    best = dict.fromkeys(contenders, 0.0)
    for function in contenders.values():
        function(array, max(2 * WORKERS, count // 10))
    for _ in range(rounds):
        for name, function in contenders.items():
            gc.collect()
            began = time.perf_counter()
            done = function(array, count)
            took = time.perf_counter() - began
            if done != count:
                msg = f"{name} gave {done} results for {count} arrays"
                raise RuntimeError(msg)
            best[name] = max(best[name], count * array.nbytes / took / 1e9)
    return best


def table(best: dict[str, float], title: str) -> None:
    """Print one line each, with our speed in terms of theirs."""
    print(f"\n{title}\n{'':26} {'GB/s':>8}   stream is")
    for name, speed in sorted(best.items(), key=lambda entry: -entry[1]):
        print(f"{name:26} {speed:8.2f} {best['dispatch.stream'] / speed:8.2f}x as fast")


def thresholds() -> None:
    """Print the time of one batch through a segment in terms of that through the socket, by size."""
    import numpy as np

    pools: Any = {
        "shared": {"workers": 1, "segment_threshold": 1},
        "socket": {"workers": 1, "segment_threshold": None},
    }
    print(f"\nthreshold: {PoolOptions(workers=1).segment_threshold:,} bytes")
    print(f"{'bytes':>12} {'shared/socket':>14}")
    with Application(pools=pools):
        for size in (2**power for power in range(12, 24)):
            array = np.ones(size // 8)
            count = max(40, min(600, 2**24 // size))
            best = dict.fromkeys(pools, float("inf"))
            for round_ in range(5):
                for pool in pools:
                    began = time.perf_counter()
                    for _ in dispatch.stream(
                        repeat(array, count),
                        executor=double_all, pool=pool, batch_size=1, max_in_flight=2,
                    ):  # fmt: skip
                        pass
                    if round_:
                        best[pool] = min(best[pool], time.perf_counter() - began)
            print(f"{size:12,} {best['shared'] / best['socket']:14.2f}")


def stages(array: Any, rounds: int = 30) -> None:
    """Print what the single steps of one array take, in one process."""
    fresh: list[Any] = []
    segment = bytearray(array.nbytes)
    view = memoryview(segment)
    raw = memoryview(array).cast("B")

    def copy_in() -> None:
        view[:] = raw

    steps: dict[str, Callable[[], object]] = {
        "copy into the segment": copy_in,
        "a * 2.0": lambda: array * 2.0,
        "copy out, memory reused": lambda: bytearray(view),
        "copy out, memory fresh": lambda: fresh.append(bytearray(view)),
        "pickle in band": lambda: pickle.loads(pickle.dumps(array, 5)),
    }
    print(f"\nsteps for {array.nbytes / 1e6:g} MB (median)")
    for name, step in steps.items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        print(f"{name:26} {sorted(times)[rounds // 2] * 1e3:8.2f} ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="leave out Ray and Dask")
    parser.add_argument("--thresholds", action="store_true")
    parser.add_argument("--stages", action="store_true")
    options = parser.parse_args()
    if not find_spec("numpy"):
        print("numpy is not installed: nothing is measured", file=sys.stderr)
        return
    import numpy as np

    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores")
    array = np.ones(int(options.megabytes * 1e6) // 8)
    if options.thresholds:
        thresholds()
    if options.stages:
        stages(array)
    best = together([ours, pool_imap, futures, *installed(joblib)], array, options)
    for peer in [] if options.quick else installed(ray, distributed):
        best |= together([peer], array, options)
    table(best, f"{options.count} arrays of {options.megabytes:g} MB, a * 2.0")
    best_peer = max((name for name in best if not name.startswith("dispatch")), key=best.__getitem__)
    ratio = best["dispatch.stream"] / best[best_peer]
    print(f"\nthe best of the others, {best_peer}: {ratio:.2f}x as fast; asked {ASKED:g}x; ", end="")
    print("met" if ratio >= ASKED else "not met")


def installed(*peers: Peer) -> list[Peer]:
    """Those whose library is there."""
    return [peer for peer in peers if find_spec(peer.__name__)]


def together(peers: list[Peer], array: Any, options: argparse.Namespace) -> dict[str, float]:
    """Start these, and measure them."""
    with contextlib.ExitStack() as stack:
        contenders: dict[str, Measured] = {}
        for peer in peers:
            contenders |= stack.enter_context(peer())
        return measure(contenders, array, options.count, options.rounds)


if __name__ == "__main__":
    main()
