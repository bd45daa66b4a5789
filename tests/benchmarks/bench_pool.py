"""How long two worker processes take from nothing to their first results, here and in the standard library.

    python -m tests.benchmarks.bench_pool [--rounds 10] [--start-methods forkserver spawn]

"first" is the time until one batch has come back, "both" that until two tasks
have met, so that both workers are needed; each from a start of its own. The
executor of the standard library starts a process per task as they come, the
others all at once. The fork server runs before the clock does, as it does in a
program that has started a pool before. The rounds go around all contenders; the
best counts. The ratio says how many times as fast ours is. Bytecode is made before
that, as by an installation: a worker is not to compile a checkout.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import multiprocessing
import tempfile
import time
from collections import defaultdict
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--start-methods", nargs="+", default=["forkserver", "spawn"])
    options = parser.parse_args()
    import slither_actors  # each worker imports this module

    for package in (Path(slither_actors.__file__).parent, Path(__file__).parent):
        compileall.compile_dir(package, quiet=1)
    for method in options.start_methods:
        taken: dict[tuple[str, int], list[float]] = defaultdict(list)
        for contender in CONTENDERS.values():
            contender(method, 1)
        for _ in range(options.rounds):
            for tasks in (1, WORKERS):
                for name, contender in CONTENDERS.items():
                    taken[name, tasks].append(seconds(contender, method, tasks))
        best = {key: min(times) for key, times in taken.items()}
        print(f"\n{WORKERS} workers by {method}")
        print(f"{'':22} {'first ms':>9} {'both ms':>9} {'first':>8} {'both':>8}")
        for name in CONTENDERS:
            first, both = best[name, 1], best[name, WORKERS]
            ratios = f"{first / best['Application', 1]:7.2f}x {both / best['Application', WORKERS]:7.2f}x"
            print(f"{name:22} {first * 1000:9.1f} {both * 1000:9.1f} {ratios}")


if __name__ == "__main__":
    main()
