"""From the death of a worker to its batch's outcome, and to the worker that takes its place.

    python -m tests.benchmarks crash [--crashes 20]

A pool of two workers; a batch notes the time and ends its process with
``os._exit``. "outcome" is when the reader of ``dispatch.stream`` has the failed
item, "successor" when the pool says that the next worker is ready, "answer"
when both workers have answered again. Between the crashes both workers do
batches, so that no worker counts as one that cannot start. Beside it, the
executor of the standard library: its outcome is a `BrokenProcessPool`, and it
has to be made anew. The clock is the same in all processes.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import queue
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from tests.benchmarks.functions import die, die_all, meet, meet_all

WORKERS = 2
ASKED = 0.3
"""Seconds within which the outcome is delivered and the successor is ready."""

Delays = dict[str, float]


def ours(crashes: int, folder: Path) -> list[Delays]:
    """Crash as many batches, one at a time; return what each took."""
    from slither_actors import Application, dispatch, telemetry  # each worker imports this module

    started: queue.SimpleQueue[float] = queue.SimpleQueue()
    delays = []
    with (
        telemetry.attach("slither.pool.worker.start", lambda *_, **__: started.put(time.monotonic())),
        Application(pools={"default": WORKERS}),
    ):
        dispatch.run(meeting(folder, "warm"), executor=meet_all, batch_size=1)
        for _ in range(WORKERS):
            started.get(timeout=30)
        for number in range(crashes):
            note = folder / f"died-{number}"
            results = dispatch.stream([str(note)], executor=die_all, batch_size=1, on_error="skip")
            (item,) = results
            outcome = time.monotonic()
            if not item.meta.get("error"):
                msg = f"the batch was to crash, and gave {item}"
                raise RuntimeError(msg)
            successor = started.get(timeout=30)
            dispatch.run(meeting(folder, str(number)), executor=meet_all, batch_size=1)
            delays.append(since(note, outcome=outcome, successor=successor, answer=time.monotonic()))
    return delays


def futures(crashes: int, folder: Path) -> list[Delays]:
    """The same with the executor of the standard library, which has to be replaced."""
    context = multiprocessing.get_context("forkserver")
    delays = []
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(WORKERS, mp_context=context))
        list(pool.map(meet, meeting(folder, "executor")))
        for number in range(crashes):
            note = folder / f"executor-died-{number}"
            with contextlib.suppress(BrokenProcessPool):
                pool.submit(die, str(note)).result()
            outcome = time.monotonic()
            pool = stack.enter_context(ProcessPoolExecutor(WORKERS, mp_context=context))
            list(pool.map(meet, meeting(folder, f"executor-{number}")))
            delays.append(since(note, outcome=outcome, answer=time.monotonic()))
    return delays


def meeting(folder: Path, name: str) -> list[tuple[str, int, int]]:
    """Arguments of tasks that end when both workers run one."""
    place = folder / f"meeting-{name}"
    place.mkdir()
    return [(str(place), number, WORKERS) for number in range(WORKERS)]


def since(note: Path, **moments: float) -> Delays:
    died = float(note.read_text())
    return {name: moment - died for name, moment in moments.items()}


def rows(taken: dict[str, list[Delays]]) -> Iterator[tuple[str, str, float, float]]:
    """Who, what, its median, and the worst."""
    for who, delays in taken.items():
        for what in delays[0]:
            values = [each[what] for each in delays]
            yield who, what, statistics.median(values), max(values)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="the crashes of all rounds count")
    parser.add_argument("--crashes", type=int, default=20)
    options = parser.parse_args(arguments)
    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores, {options.crashes} crashes a round")
    taken: dict[str, list[Delays]] = {"dispatch": [], "ProcessPoolExecutor": []}
    contenders: dict[str, Any] = {"dispatch": ours, "ProcessPoolExecutor": futures}
    for _ in range(options.rounds):
        for name, contender in contenders.items():
            with tempfile.TemporaryDirectory() as folder:
                taken[name] += contender(options.crashes, Path(folder))
    measured = list(rows(taken))
    medians = {(who, what): median for who, what, median, _ in measured}
    print(f"\n{'after the death of a worker':34} {'median ms':>10} {'worst ms':>9} {'ours is':>9}   asked")
    for who, what, median, worst in measured:
        asked = ""
        if who == "dispatch" and what != "answer":
            asked = f"{ASKED * 1000:g} ms: {'yes' if worst <= ASKED else 'no'}"
        ratio = median / medians["dispatch", what]
        print(f"{f'{who}: {what}':34} {median * 1000:10.1f} {worst * 1000:9.1f} {ratio:8.2f}x   {asked}")
    return 0


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)  # each death is logged, and is meant here
    sys.exit(main(sys.argv[1:]))
