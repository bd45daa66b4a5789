"""X08, X18, X20, X23, X26 to X28: faults of the driver and of its system, with worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests import leaks
from tests.reliability import seeded
from tests.search_path import SEARCH_PATH

Run = Callable[..., Any]
FIRST = pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.soak)])
BOTH = pytest.mark.parametrize("method", ["forkserver", "spawn"])


@pytest.fixture
def perform(perform_of: Callable[[str], Run]) -> Run:
    """Run a function of `driver_faults`."""
    return perform_of("driver_faults")


# -- the system ------------------------------------------------------------------------------


@FIRST
def test_without_descriptors_there_is_an_error_and_nothing_is_left(perform: Run, method: str) -> None:
    """X18: with room for one, for a few, and for enough."""
    perform("no_descriptors", method)


@FIRST
def test_when_no_process_can_be_made_batches_wait_or_fail(perform: Run, method: str) -> None:
    """X18: a replacement is tried again; an application without any worker does not start."""
    perform("no_processes", method)


@FIRST
def test_a_storm_of_signals_changes_no_outcome(perform: Run, method: str) -> None:
    """X18: a thousand a second."""
    perform("storm_of_signals", method)


def test_workers_without_memory_cost_the_driver_none(perform: Run) -> None:
    """X08: each MemoryError and each death is told, and forgotten."""
    perform("crashes_cost_no_memory", "forkserver")


# -- the driver is killed (X23) -----------------------------------------------------------------


def marked() -> set[leaks.Process]:
    """Return the processes that come from this one, also those whose parents have died."""
    return {process for process in leaks.processes() if not process.is_infrastructure}


STARTING = 20.0
"""Seconds for what only starts: a fork server learns of its driver's death behind its imports, whose time is
a matter of how busy the machine is, and a worker when it is at its socket."""


def is_at_work(process: leaks.Process) -> bool:
    """Whether it is a worker, of a worker's making, or the guard: those are in groups that are not ours."""
    try:
        return os.getpgid(process.pid) != os.getpgid(0)
    except ProcessLookupError:
        return False


def gone_in_two_seconds(before: set[leaks.Process]) -> None:
    """Workers and what they have started; what has only been starting is gone behind its imports."""
    began = time.monotonic()
    while left := {process for process in marked() - before if process.state != "Z"}:
        waited = time.monotonic() - began
        assert waited < STARTING, "\n".join(map(str, left))
        if waited > 2:
            at_work = [process for process in left if is_at_work(process)]
            assert not at_work, "\n".join(map(str, at_work))
        time.sleep(0.005)


def begin(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from tests.reliability import driver_faults\ndriver_faults.{code}"],
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        stderr=subprocess.DEVNULL,
    )


POINTS = [
    "before the guard knows it",
    "when the guard knows it",
    "before it is told who it is",
    "while it is ended",
]


@pytest.mark.parametrize(
    ("point", "method"),
    [(p, m) for n, p in enumerate(POINTS) for m in (("forkserver", "spawn") if n == 0 else ("forkserver",))],
)
def test_a_driver_that_is_killed_as_a_worker_starts_or_ends_leaves_nothing(point: str, method: str) -> None:
    """X23: between the making of the process and the arming of the guard, too."""
    before, shared = marked(), set(os.listdir("/dev/shm"))  # noqa: PTH208
    process = begin(f"die_while_starting({method!r}, {point!r})")
    assert process.wait(30) == -signal.SIGKILL
    gone_in_two_seconds(before)
    assert not [name for name in set(os.listdir("/dev/shm")) - shared if "slither" in name]  # noqa: PTH208


def kill_drivers(method: str, times: int) -> None:
    chance = seeded()
    for _ in range(times):
        before = marked()
        process = begin(f"run_until_killed({method!r})")
        while not {each for each in marked() - before if each.pid != process.pid}:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 1.0))
        process.kill()
        process.wait()
        gone_in_two_seconds(before)


@BOTH
def test_a_driver_that_is_killed_at_any_moment_leaves_nothing(method: str) -> None:
    """X23: from its first child on; the workers keep the interpreter lock and have children of their own."""
    kill_drivers(method, 2)


@pytest.mark.soak
@pytest.mark.timeout(1300)
@BOTH
def test_a_driver_that_is_killed_a_hundred_times_leaves_nothing(method: str) -> None:
    """X23, again and again."""
    kill_drivers(method, 100)


# -- stops and submissions (X26, X27, X28) ---------------------------------------------------------


def test_a_stop_in_a_callback_of_a_run(perform: Run) -> None:
    """X26: in whatever function of the user's a run calls."""
    perform("stops_from_callbacks")


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.timeout(400)
def test_runs_that_race_with_the_stop_end(perform: Run, rounds: int) -> None:
    """X27: forty runs a round, from four threads."""
    perform("runs_against_the_stop", rounds, timeout=30 if rounds == 10 else 300)


@FIRST
def test_what_is_dropped_without_a_stop_ends(perform: Run, method: str) -> None:
    """X28: within five seconds, and its workers are there for others."""
    perform("dropped_without_a_stop", method)


# -- threads of native code (X20) --------------------------------------------------------------------

THREADED = """
numpy = __import__("numpy")
from slither_actors import Application, dispatch
square = numpy.random.default_rng(1).random((600, 600))
expected = square @ square  # the threads of its library have started
with Application(pools={{"default": {{"workers": 2, "start_method": {method!r}}}}}):
    found = dispatch.run([square] * 6, executor="tests.reliability.faults:squared", batch_size=1)
    square @ square
    assert all(numpy.allclose(item.payload, expected) for item in found)
"""


@BOTH
def test_threads_of_native_code_do_not_freeze(program: Run, method: str) -> None:
    """X20: with threads of a mathematical library in the driver and in the workers."""
    pytest.importorskip("numpy")
    program(THREADED.format(method=method))
