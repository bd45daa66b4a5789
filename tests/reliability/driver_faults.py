"""Programs of `test_driver_faults`; each is run in an interpreter of its own."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import multiprocessing.forkserver
import multiprocessing.util
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slither_actors import Application, Item, Route, dispatch, telemetry
from slither_actors.actors import whereis
from slither_actors.dispatch import InlineExecutor, WeightedBatch
from slither_actors.errors import BatchTimeoutError, SlitherError, WorkerCrashError
from slither_actors.pool import _preloading, _process
from tests.pool import work
from tests.reliability.faults import Baseline, Fault, idle_pids, pool_of, soon, statistics, suffer

__all__ = ["die_while_starting", "no_descriptors", "no_processes", "stops_from_callbacks", "storm_of_signals"]

# -- what the system refuses (X18) ---------------------------------------------------------------


def no_descriptors(method: str) -> None:
    """Start, run and stop with ever more descriptors to be had: it works, or it is a clean error."""
    base = Baseline(method)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    started = refused = 0
    for room in (1, 5, 9, 14, 20, 30):
        began = time.monotonic()
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + room, hard))
        try:
            with Application(pools=pool_of(1, method, max_failed_starts=1)):
                found = dispatch.run([(0, None)], executor=suffer, on_error="skip")
                started += [item.payload for item in found] == [0]
        except (SlitherError, OSError):
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        assert time.monotonic() - began < 10, room
        base.check()
    assert started
    assert refused
    with Application(pools=pool_of(1, method)):
        assert [item.payload for item in dispatch.run([(0, None)], executor=suffer)] == [0]
    base.check()


def no_processes(method: str) -> None:
    """For a while no worker can be started, as at ``pids.max``: what waits is run when one can."""
    base = Baseline(method)
    refused, refuse = 0, threading.Event()

    def start(original: Callable[..., Any]) -> Callable[..., Any]:
        def fork(*arguments: Any, **options: Any) -> Any:
            nonlocal refused
            if refuse.is_set():
                refused += 1
                if refused == 3:
                    refuse.clear()
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return original(*arguments, **options)

        return fork

    if method == "spawn":
        multiprocessing.util.spawnv_passfds = start(multiprocessing.util.spawnv_passfds)
    else:
        _preloading.connect = start(_preloading.connect)
    with Application(pools=pool_of(1, method)):
        idle_pids(10)
        refuse.set()
        payloads = [(n, Fault("running", "SIGKILL") if n == 3 else None) for n in range(10)]
        found = dispatch.run(payloads, executor=suffer, batch_size=1, on_error="skip")
        assert isinstance(found[3].meta["error"], WorkerCrashError)
        assert [item.payload for n, item in enumerate(found) if n != 3] == [0, 1, 2, *range(4, 10)]
        assert refused == 3, refused
    refuse.set()
    problem = ""
    try:
        Application(pools=pool_of(2, method)).start()
    except SlitherError as error:
        problem = str(error)
    assert "Resource temporarily unavailable" in problem
    refuse.clear()
    base.check()


def storm_of_signals(method: str) -> None:
    """A signal every millisecond interrupts whatever waits: the outcomes are the same."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    base = Baseline(method)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for _ in range(2):
        with Application(pools=pool_of(2, method)):
            payloads = [(n, Fault("running", "SIGKILL") if n == 37 else None) for n in range(100)]
            found = dispatch.run(payloads, executor=suffer, batch_size=1, on_error="skip")
            assert isinstance(found[37].meta["error"], WorkerCrashError)
            assert [item.payload for n, item in enumerate(found) if n != 37] == [*range(37), *range(38, 100)]
            blobs = dispatch.run([3_000_000] * 4, executor=work.blob, batch_size=1)
            assert [len(item.payload) for item in blobs] == [3_000_000] * 4
            [late] = dispatch.run([600.0], executor=work.sleep, timeout=0.2, on_error="skip")
            assert isinstance(late.meta["error"], BatchTimeoutError)
    signal.setitimer(signal.ITIMER_REAL, 0)
    base.check()


# -- memory (X08) -----------------------------------------------------------------------------------


def crashes_cost_no_memory(method: str) -> None:
    """Workers that allocate until they fail, or die of it: this process does not grow."""

    def rss() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    base = Baseline(method)
    with Application(pools=pool_of(1, method)):

        def some(count: int) -> None:
            found = dispatch.run([10**9] * count, executor=work.allocate, batch_size=1, on_error="skip")
            assert {type(item.meta["error"].__cause__) for item in found} == {MemoryError}
            for _ in range(count // 10):
                [lost] = dispatch.run([(0, Fault("running", "SIGKILL"))], executor=suffer, on_error="skip")
                assert lost.meta["error"].signal == signal.SIGKILL
                assert "possibly" in lost.meta["error"].cause

        some(10)
        before = rss()
        some(40)
        assert rss() < before * 1.05, (before, rss())
    base.check()


# -- the driver is killed (X23) ----------------------------------------------------------------------


def die_while_starting(method: str, point: str) -> None:
    """Be killed at one point of a worker's start."""

    def die(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def then(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *a, **k: (original(*a, **k), die())

    match point:
        case "before the guard knows it":
            _process.guard.add = die  # type: ignore[method-assign]
        case "when the guard knows it":
            _process.guard.add = then(_process.guard.add)  # type: ignore[method-assign]
        case "before it is told who it is":
            _process.Vitals = die  # type: ignore[assignment, misc]
        case "while it is ended":
            _process.guard.remove = die  # type: ignore[method-assign]
    with Application(pools=pool_of(3, method, init=grandchild_and_burn_once)):
        dispatch.run(range(3), executor=work.echo, batch_size=1)


def grandchild_and_burn_once() -> None:
    """An init hook that leaves a child behind, and has native code keep the interpreter lock for a while."""
    work.start_grandchild(["exec"])
    sum(range(10**7))


def run_until_killed(method: str) -> None:
    """Batches that keep the interpreter lock for ever, and children of theirs; resized all the time."""
    with Application(pools=pool_of(2, method)) as application:
        sizes = itertools.cycle([3, 1, 2])
        threading.Thread(target=lambda: [resize(application, n) for n in sizes], daemon=True).start()
        dispatch.run(["exec"] * 10**6, executor=grandchild_and_burn, batch_size=1, max_in_flight=2)


def resize(application: Application, workers: int) -> None:
    """Start and end workers."""
    application.pool().resize(workers)
    time.sleep(0.03)


def grandchild_and_burn(batch: list[str]) -> None:
    """Start a child, and keep the interpreter lock for ever."""
    work.start_grandchild(batch)
    work.burn_holding_the_lock()


# -- stops from odd places, submissions meanwhile (X26, X27, X28) ----------------------------------------


def stops_from_callbacks() -> None:
    """A stop in each callback of a run returns at once, and what it interrupts ends."""

    def stop(*_: Any, **__: Any) -> Any:
        began = time.monotonic()
        application.stop()
        waited.append(time.monotonic() - began)
        return 1.0

    waited: list[float] = []

    def numbers() -> Iterator[int]:
        yield 1
        stop()
        yield 2

    def fail(batch: list[Any]) -> list[Any]:
        raise ValueError(batch)

    good = InlineExecutor(lambda batch: batch)
    bad = InlineExecutor(fail)
    runs: dict[str, Callable[[], Any]] = {
        "the input": lambda: dispatch.run(numbers(), executor=good),
        "an inline function": lambda: dispatch.run([1], executor=InlineExecutor(stop)),
        "a route": lambda: dispatch.run(
            [1], executor=bad, on_error=Route(lambda item, error: stop() or item)
        ),
        "a receiver of dead letters": lambda: dispatch.run(
            [1], executor=bad, on_error="skip", dead_letters=stop
        ),
        "a weight": lambda: dispatch.run(
            range(9), executor=good, strategy=WeightedBatch(max_weight=2, weight=stop)
        ),
        "progress": lambda: dispatch.run(range(9), executor=good, progress=stop),
        "insights": lambda: dispatch.run(range(9), executor=work.echo, insights=stop),
        "telemetry of a batch": lambda: listening("slither.dispatch.batch.start", stop),
        "telemetry of a worker": lambda: listening("slither.pool.worker.exit", stop),
    }
    base = Baseline("forkserver")
    for place, run in runs.items():
        with Application(pools={"default": 1}) as application:
            idle_pids(10)
            began = time.monotonic()
            waited.clear()
            with contextlib.suppress(SlitherError):
                run()
            application.stop()
            assert not application.running, place
            assert waited, f"{place} was not called"
            assert max(waited) < 2, place
            assert time.monotonic() - began < 5, place
    base.check()


def listening(signal_name: str, receiver: Callable[..., Any]) -> list[Item]:
    """Run something of which there is a lot to tell."""
    payloads = [(n, Fault("running", "SIGKILL") if n == 3 else None) for n in range(10)]
    with telemetry.attach(signal_name, receiver):
        return dispatch.run(payloads, executor=suffer, batch_size=1, on_error="skip")


def runs_against_the_stop(rounds: int) -> None:
    """Every run has its results or an error, whenever the stop comes; afterwards each is refused at once."""
    base = Baseline("forkserver")
    outcomes = {"results": 0, "error": 0}
    one = threading.Event()  # there are results, on however busy a machine
    for turn in range(rounds):
        begun = threading.Barrier(5)

        def submit(begun: threading.Barrier = begun) -> None:
            begun.wait()
            for _ in range(10):
                try:
                    found = dispatch.run([1, 2], executor=work.increment, batch_size=1)
                except SlitherError:
                    outcomes["error"] += 1
                    if not application.running:
                        return
                else:
                    assert [item.payload for item in found] == [2, 3]
                    outcomes["results"] += 1
                    one.set()

        with Application(pools=pool_of(1, "forkserver")) as application:
            threads = [threading.Thread(target=submit) for _ in range(4)]
            for thread in threads:
                thread.start()
            begun.wait()
            time.sleep(0.002 * (turn % 10))
            if turn == rounds - 1:
                one.wait(20)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive(), "a run hangs"
    assert all(outcomes.values()), outcomes
    default = whereis("slither")
    if default is not None:  # a run that came after the stop has started the default application
        default.stop()
    base.check()


def dropped_without_a_stop(method: str) -> None:
    """A stream, and with it its run, ends when nobody has it any more; so does what its workers run."""
    base = Baseline(method)
    with Application(pools=pool_of(2, method)):
        pids = idle_pids(10)
        payloads = [(0, None)] + [(1, Fault("running", "sleep"))] * 9
        stream = dispatch.stream(payloads, executor=suffer, batch_size=1, on_close="kill")
        assert next(stream).payload == 0
        soon(lambda: statistics().running == 2, "two batches run")
        del stream
        gc.collect()
        soon(lambda: not statistics().running and not statistics().queued, "the batches are gone", 5)
        assert not idle_pids() & pids, "they were killed"
    base.check()
