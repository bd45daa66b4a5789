"""X09, X15 and X19: workers that hang, batches that kill, and clocks that jump, under a run of dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

CENSUS = """
import os, signal, subprocess, sys, time
from pathlib import Path
from slither_actors import Application, Retry, dispatch
from slither_actors.actors import whereis
from slither_actors.errors import *
from slither_actors.policy import CircuitBreaker
from slither_actors.pool import STATISTICS

def census():
    # Descriptors and the processes below this one, but for Python's own two helpers,
    # which live on: the fork server and the resource tracker.
    mine, seen = [os.getpid()], []
    while mine:
        parent = mine.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found = [int(pid) for pid in task.read_text().split()]
            except OSError:
                continue
            mine += found
            seen += found
    names = []
    for pid in seen:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if not ("resource_tracker" in line or ("forkserver" in line and Path(f"/proc/{pid}/stat")
                .read_text().rpartition(")")[2].split()[1] == str(os.getpid()))):
            names.append(line)
    return len(os.listdir("/proc/self/fd")), names

def back_to(before):
    deadline = time.monotonic() + 2
    while (now := census()) != before:
        assert time.monotonic() < deadline, (before, now)
        time.sleep(0.01)

def statistics():
    return whereis(("slither.pool", "default")).call(STATISTICS)

with Application(pools={"default": 4}):  # what is started once and stays
    dispatch.run(range(8), executor="tests.pool.work:echo", batch_size=1)
time.sleep(0.1)
BEFORE = census()
"""


@pytest.mark.parametrize("deed", ["sleep", "spin", "native loop", "ignore SIGTERM", "SIGSTOP"])
@pytest.mark.timeout(60)
def test_a_hung_worker_costs_its_batch_and_a_second(program: Callable[..., Any], deed: str) -> None:
    """X09: it fails 1.0 to 2.5 s after its start, siblings do not notice, a fresh worker takes the slot."""
    program(
        CENSUS
        + f"""
with Application(pools={{"default": 4}}):
    pids = {{slot.pid for slot in statistics().slots}}
    began, ends = time.monotonic(), {{}}
    deeds = [({deed!r} if n == 37 else "nothing", n) for n in range(100)]
    stream = dispatch.stream(deeds, executor="tests.pool.work:crash_on", batch_size=1, timeout=1.0,
                             on_error="skip", ordering="as_completed")
    for item in stream:
        key = item.payload[1] if item.meta.get("skipped") else item.payload
        assert key not in ends
        ends[key] = (time.monotonic() - began, item.meta.get("error"))
    assert sorted(ends) == list(range(100))
    at, error = ends.pop(37)
    assert isinstance(error, BatchTimeoutError), error
    assert 1.0 <= at <= 2.5, at
    assert all(problem is None and at < 1.0 for at, problem in ends.values()), ends
    assert error.pid in pids
    assert not Path(f"/proc/{{error.pid}}").exists()
    deadline = time.monotonic() + 2
    while not all(slot.pid and slot.pid != error.pid for slot in statistics().slots):
        assert time.monotonic() < deadline, statistics()
    found = statistics()
    assert (found.timeouts, found.crashes, found.restarts) == (1, 0, 1), found
    assert stream.statistics()["dispatch"].timeouts == 1
back_to(BEFORE)
"""
    )


@pytest.mark.timeout(120)
def test_a_thousand_results_at_the_deadline_have_one_outcome_each(program: Callable[..., Any]) -> None:
    """X09: batches that last about as long as they may; each ends once, with its result or a timeout."""
    program(
        CENSUS
        + """
import random
random.seed(5)
TIMEOUT = 0.02
with Application(pools={"default": 4}):
    waits = [TIMEOUT * random.uniform(0.7, 1.02) for _ in range(1000)]
    stream = dispatch.stream(waits, executor="tests.pool.work:sleep", batch_size=1, timeout=TIMEOUT,
                             on_error="skip", ordering="preserve")
    found = list(stream)
    late = [item for item in found if item.meta.get("skipped")]
    assert len({item.id for item in found}) == len(found) == 1000
    assert all(isinstance(item.meta["error"], BatchTimeoutError) for item in late)
    seen = stream.statistics()["dispatch"]
    assert seen.emitted + seen.skipped == 1000
    assert seen.timeouts == len(late) == statistics().timeouts
    assert 0 < len(late) < 1000, len(late)
    print(len(late), "of them late")
back_to(BEFORE)
""",
        timeout=90,
    )


@pytest.mark.timeout(60)
def test_a_poison_batch_fails_after_two_workers(program: Callable[..., Any]) -> None:
    """X15: with attempts without end, the others are done, and two workers are all that it costs."""
    program(
        CENSUS
        + """
with Application(pools={"default": 4}):
    deeds = [("segfault" if n == 37 else "nothing", n) for n in range(100)]
    policy = Retry(max_attempts=10**9, backoff=0.0, then="skip")
    stream = dispatch.stream(deeds, executor="tests.pool.work:crash_on", batch_size=1, on_error=policy)
    found = list(stream)
    [poison] = [item for item in found if item.meta.get("skipped")]
    assert poison.payload == deeds[37]
    error = poison.meta["error"]
    assert isinstance(error, PoisonBatchError), error
    assert [kill.signal for kill in error.kills] == [signal.SIGSEGV] * 2
    assert [item.payload for item in found if item is not poison] == [n for n in range(100) if n != 37]
    assert statistics().crashes == 2
    assert stream.statistics()["dispatch"].poisoned == 1
back_to(BEFORE)
"""
    )


@pytest.mark.timeout(60)
def test_when_everything_crashes_workers_are_not_burnt(program: Callable[..., Any]) -> None:
    """X15: the default circuit opens after 20 deaths in a row; the rest of 500 batches is refused at once."""
    program(
        CENSUS
        + """
with Application(pools={"default": 4}):
    began = time.monotonic()
    found = dispatch.run(["SIGKILL"] * 500, executor="tests.pool.work:do", batch_size=1, on_error="skip")
    kinds = [type(item.meta["error"]).__name__ for item in found]
    took = time.monotonic() - began
    spawned = sum(slot.workers for slot in statistics().slots)
    # Of the eight in flight, seven may have been with the pool when the twentieth died.
    if took < 5:  # else a probe may have been let pass
        assert 20 <= kinds.count("WorkerCrashError") <= 27, kinds.count("WorkerCrashError")
        assert spawned <= 31, spawned
    assert kinds.count("CircuitOpenError") == 500 - kinds.count("WorkerCrashError")
back_to(BEFORE)
"""
    )


@pytest.mark.timeout(60)
def test_a_suspended_driver_blames_no_worker(program: Callable[..., Any]) -> None:
    """X19: the driver is stopped for longer than its batches may run; what was done meanwhile counts."""
    program(
        CENSUS
        + """
with Application(pools={"default": 2}):
    dispatch.run(range(8), executor="tests.pool.work:echo", batch_size=1)
    script = f"sleep 0.2; kill -STOP {os.getpid()}; sleep 2; kill -CONT {os.getpid()}"
    suspending = subprocess.Popen(["sh", "-c", script])
    began = time.monotonic()
    stream = dispatch.stream([0.5] * 8, executor="tests.pool.work:sleep", batch_size=1, timeout=1.0,
                             on_error="skip")
    errors = [item.meta.get("error") for item in stream]
    assert time.monotonic() - began > 2, "it was not suspended"
    assert errors == [None] * 8, errors
    suspending.wait()
"""
    )


@pytest.mark.timeout(60)
def test_a_system_clock_that_jumps_is_not_looked_at(program: Callable[..., Any]) -> None:
    """X19: an hour forth and back while batches run and wait, under timeouts, retries and a circuit."""
    program(
        CENSUS
        + """
import threading
real, jump = time.time, 0.0
time.time = lambda: real() + jump
over = threading.Event()

def shift():
    global jump
    while not over.wait(0.05):
        jump = 3600.0 if jump <= 0 else -3600.0

threading.Thread(target=shift).start()
with Application(pools={"default": 2}):
    found = dispatch.run([0.05] * 20, executor="tests.pool.work:sleep", batch_size=1, timeout=1.0,
                         on_error=Retry(max_time=20.0, then="skip"))
    assert [item.meta.get("error") for item in found] == [None] * 20
    [item] = dispatch.run([600], executor="tests.pool.work:sleep", timeout=0.3, on_error="skip")
    assert isinstance(item.meta["error"], BatchTimeoutError)
over.set()
"""
    )
