"""What a pipe costs: its stages, its router, and the items themselves.

    python -m tests.benchmarks pipes [--items 200000] [--rounds 5] [--many 10000000] [--idle-seconds 10]

Two workers for everybody, started before the clock runs and warm. The rounds go
around all contenders and the best one counts. `multiprocessing.Pool.imap` gets
chunks of 64 and the same function, and does nothing else: no stage before it,
no router behind it, no items. "The same by hand" is `imap` with the stage and
the router as plain Python around it.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slither_actors import Application, dispatch, run_pipe, start_pipe, stream_pipe
from tests.benchmarks.functions import increment, increment_all
from tests.benchmarks.integer_peers import WORKERS, drain
from tests.benchmarks.pipe_work import Chain, Each, Idle

Contender = Callable[[range], int]

IMAP = "multiprocessing.Pool.imap, chunks of 64"
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


def count_of(outputs: dict[str, list[Any]]) -> int:
    return sum(len(items) for items in outputs.values())


def by_hand(pool: Any, numbers: range) -> int:
    """The stage before, `imap`, and the router behind, in a loop."""
    outputs: dict[str, list[int]] = {"low": [], "high": [], "default": []}
    for value in pool.imap(increment, (number * 2 for number in numbers), 64):
        name = "low" if value % 4 == 1 else "high" if value % 4 == 3 else "default"
        outputs[name].append(value)
    return count_of(outputs)


def best(contenders: dict[str, Contender], numbers: range, rounds: int) -> dict[str, float]:
    """Seconds of each contender in its best round."""
    found: dict[str, float] = {}
    for contender in contenders.values():
        contender(numbers[: len(numbers) // 20])
    for _ in range(rounds):
        for name, contender in contenders.items():
            gc.collect()
            began = time.perf_counter()
            count = contender(numbers)
            taken = time.perf_counter() - began
            if count != len(numbers):
                msg = f"{name} gave {count} results for {len(numbers)} items"
                raise RuntimeError(msg)
            found[name] = min(found.get(name, taken), taken)
    return found


def chain(items: int, rounds: int) -> None:
    """Function stage, workers, router."""
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        contenders: dict[str, Contender] = {
            IMAP: lambda numbers: drain(pool.imap(increment, numbers, 64)),
            "the same by hand": lambda numbers: by_hand(pool, numbers),
            "dispatch.stream": lambda numbers: drain(
                dispatch.stream(numbers, executor=increment_all, batch_size=64, max_in_flight=8)
            ),
            "stream_pipe": lambda numbers: drain(stream_pipe(Chain, numbers)),
            "run_pipe": lambda numbers: count_of(run_pipe(Chain, numbers)),
        }
        taken = best(contenders, range(items), rounds)
    print(f"\n{items:,} integers: function stage (batch handler), workers (64), router")
    for name, seconds in taken.items():
        print(f"{name:42} {items / seconds:12,.0f} items/s {taken[IMAP] / seconds:6.2f}x of imap")
    print("asked: at least 0.3x, the aim is 0.5x")


def each(items: int, rounds: int) -> None:
    """A function stage that handles item by item."""
    print("\nfunction stage, item by item")
    for name, contender in {
        "stream_pipe": lambda numbers: drain(stream_pipe(Each, numbers)),
        "run_pipe": lambda numbers: count_of(run_pipe(Each, numbers)),
    }.items():
        taken = {size: best({name: contender}, range(size), rounds)[name] for size in (items, 2 * items)}
        print(
            f"{name:42} {2 * items / taken[2 * items]:12,.0f} items/s; {2 * items:,} take "
            f"{taken[2 * items] / taken[items]:.2f} times as long as {items:,}"
        )
    print("asked: at least 250,000 items/s, and at most 2.2 times as long")


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def memory(items: int) -> None:
    """How much this process grows while many items go through."""
    print(f"\n{items:,} integers through stream_pipe")
    for pipe in (Each, Chain):
        drain(stream_pipe(pipe, range(100_000)))
        gc.collect()
        before = peak = resident()
        began = time.perf_counter()
        stream, count = stream_pipe(pipe, iter(range(items))), 0
        while chunk := drain(itertools.islice(stream, 100_000)):
            count += chunk
            peak = max(peak, resident())
        if count != items:
            msg = f"{count} of {items} items came out"
            raise RuntimeError(msg)
        speed = items / (time.perf_counter() - began)
        print(f"{pipe.__name__:42} {(peak - before) / 1e6:8.1f} MB more at its peak; {speed:,.0f} items/s")
    print("asked: at most 50 MB")


def processor_seconds() -> float:
    """Of this process and its living children, however deep."""
    return time.process_time() + sum(_seconds_of(pid) for pid in descendants(os.getpid()))


def descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            yield from descendants(child)


def _seconds_of(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICK


def idle(seconds: float) -> None:
    """A pipe that waits for its next item."""
    arrived = threading.Event()
    running = start_pipe(Idle, into=lambda _: arrived.set())
    running.push([1])
    arrived.wait()
    time.sleep(2 * min(1.0, seconds))  # what the last item left to do: the watch over hung handlers ends
    looking = -processor_seconds() + processor_seconds()
    before = processor_seconds()
    time.sleep(seconds)
    used = max(0.0, processor_seconds() - before - looking)
    running.drain()
    print(f"\na long-lived pipe that waits for {seconds:g} s, with its workers")
    print(f"{'processor time':42} {used * 1000:8.1f} ms, {used / seconds:.2%} of one core")
    print("asked: none")


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=10_000_000)
    parser.add_argument("--idle-seconds", type=float, default=10.0)
    options = parser.parse_args(arguments)
    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores")
    with Application(pools={"default": WORKERS}):
        chain(options.items, options.rounds)
        each(options.items, options.rounds)
        idle(options.idle_seconds)
        memory(options.many)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
