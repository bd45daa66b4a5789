"""How long two worker processes take from nothing to their first results, here and in the standard library.

    python -m tests.benchmarks pool [--rounds 3] [--start-methods forkserver spawn]

"first" is the time until one batch has come back, "both" that until two tasks
have met, so that both workers are needed; each from a start of its own. The
executor of the standard library starts a process per task as they come, the
others all at once. The fork server runs before the clock does, as it does in a
program that has started a pool before. Each contender has a process of its own, and
so a fork server that imported what is its own wish. The rounds go around all; the
best counts. The ratio says how many times as fast ours is. Bytecode is made before
that, as by an installation: a worker is not to compile a checkout.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.benchmarks.functions import meet, meet_all

WORKERS = 2

Start = Callable[[str, int], None]
"""Starts two workers by a method, and has tasks done that meet: one, or as many as there are workers."""


def ours(method: str, tasks: int) -> None:
    """An application with one pool."""
    from slither_actors import Application, dispatch  # each worker imports this module

    with (
        Application(pools={"default": {"workers": WORKERS, "start_method": method}}),
        meeting(tasks) as places,
    ):
        dispatch.run(places, executor=meet_all, batch_size=1)
        note()


def futures(method: str, tasks: int) -> None:
    """The executor of the standard library."""
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool, meeting(tasks) as places:
        for future in [pool.submit(meet, place) for place in places]:
            future.result()
        note()


def imap(method: str, tasks: int) -> None:
    """The pool of the standard library."""
    with (
        contextlib.closing(multiprocessing.get_context(method).Pool(WORKERS)) as pool,
        meeting(tasks) as places,
    ):
        list(pool.imap(meet, places))
        note()
    pool.join()


CONTENDERS: dict[str, Start] = {
    "Application": ours,
    "ProcessPoolExecutor": futures,
    "multiprocessing.Pool": imap,
}

_noted: list[float] = []


def note() -> None:
    """The results are there; what follows is the stop."""
    _noted.append(time.perf_counter())


def seconds(start: Start, method: str, tasks: int) -> float:
    """From the call until the results."""
    began = time.perf_counter()
    start(method, tasks)
    return _noted.pop() - began


@contextlib.contextmanager
def meeting(tasks: int) -> Iterator[list[tuple[str, int, int]]]:
    """Arguments of tasks that end when all of them run."""
    with tempfile.TemporaryDirectory() as folder:
        yield [(folder, number, tasks) for number in range(tasks)]


def series(contender: str, method: str, starts: int) -> dict[str, float]:
    """Start it as often, and return the best times in seconds until one, and until all workers answered."""
    start = CONTENDERS[contender]
    start(method, 1)
    return {str(tasks): min(seconds(start, method, tasks) for _ in range(starts)) for tasks in (1, WORKERS)}


def apart(*arguments: str) -> dict[str, float]:
    """Measure a series in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_pool", "--series", *arguments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    found: dict[str, float] = json.loads(printed)
    return found


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=4, help="of each in each round")
    parser.add_argument("--start-methods", nargs="+", default=["forkserver", "spawn"])
    parser.add_argument("--series", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.series:
        contender, method, starts = options.series
        print(json.dumps(series(contender, method, int(starts))))
        return 0
    import slither_actors  # each worker imports this module

    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores")
    for package in (Path(slither_actors.__file__).parent, Path(__file__).parent):
        compileall.compile_dir(package, quiet=1)
    for method in options.start_methods:
        best = {name: {"1": math.inf, str(WORKERS): math.inf} for name in CONTENDERS}
        for _ in range(options.rounds):
            for name, times in best.items():
                for tasks, took in apart(name, method, str(options.starts)).items():
                    times[tasks] = min(times[tasks], took)
        table(method, best)
    return 0


def table(method: str, best: dict[str, dict[str, float]]) -> None:
    """Print the times, and how many times as fast ours is."""
    ours = best["Application"]
    print(f"\n{WORKERS} workers by {method}")
    print(f"{'':22} {'first ms':>9} {'both ms':>9} {'first':>8} {'both':>8}")
    for name, times in best.items():
        took = " ".join(f"{each * 1000:9.1f}" for each in times.values())
        ratios = " ".join(f"{each / ours[tasks]:7.2f}x" for tasks, each in times.items())
        print(f"{name:22} {took} {ratios}")
    ratio = best["ProcessPoolExecutor"][str(WORKERS)] / ours[str(WORKERS)]
    verdict = "met" if ratio >= 1 else "not met"
    print(f"until both have answered, to ProcessPoolExecutor: {ratio:.2f}x as fast; asked 1x; {verdict}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
