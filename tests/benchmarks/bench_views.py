"""Calls from a worker to the driver, beside what else a process could ask.

    python -m tests.benchmarks.bench_views [--rounds 3] [--calls 3000]

One worker calls, telemetry not attached. Rounds go around all lines; the best
one counts, and the ratio is to the first line, the ``get`` of a
``multiprocessing.Manager().dict()``, in the same run. The redis line is there
where the server's program and the Python package are installed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from slither_actors import Application, Pipe, run_pipe, workers
from tests.benchmarks import view_work
from tests.benchmarks.view_work import Features

_MANAGER = "Manager().dict().get"


class Calls(Pipe):
    """One batch in one worker."""

    stores = [Features]
    measure = workers(view_work.measured, batch_size=1, max_in_flight=1, timeout=300.0)


@contextmanager
def manager_dict(context: Any) -> Iterator[Any]:
    with context.Manager() as manager:
        yield manager.dict({f"key:{number}": number for number in range(view_work.ROWS)})


def manager_seconds(context: Any, proxy: Any, calls: int) -> float:
    answers = context.SimpleQueue()
    process = context.Process(target=view_work.of_a_manager, args=(proxy, calls, answers))
    process.start()
    seconds: float = answers.get()
    process.join()
    return seconds


@contextmanager
def redis_server() -> Iterator[int | None]:
    """A server of our own on a free port; None where there is none to start."""
    program = shutil.which("redis-server")
    if program is None or find_spec("redis") is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", place]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _await(port)
            yield port
        finally:
            server.terminate()
            server.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def measure(rounds: int, calls: int) -> dict[str, float]:
    """The best seconds per call of each line."""
    best: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        best[name] = min(best.get(name, seconds), seconds)

    context: Any = multiprocessing.get_context("spawn")
    with (
        redis_server() as port,
        manager_dict(context) as proxy,
        Application(stores=[Features], pools={"default": 1}),
    ):
        for _ in range(rounds):
            note(_MANAGER, manager_seconds(context, proxy, calls))
            if port is not None:
                note("redis get", view_work.of_redis(port, calls))
            for name, seconds in run_pipe(Calls, [calls])["default"][0].payload.items():
                note(name, seconds)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=3000)
    args = parser.parse_args()
    best = measure(args.rounds, args.calls)
    first = best[_MANAGER]
    print(f"one worker; {args.calls} calls; x: of the manager's\n")
    for name, seconds in best.items():
        keys = f"{100 / seconds / 1e6:8.2f} M keys/s" if name.endswith("of 100") else ""
        print(
            f"{name:26} {seconds * 1e6:8.1f} us {1 / seconds / 1e3:8.1f} k/s {first / seconds:8.2f}x {keys}"
        )


if __name__ == "__main__":
    main()
