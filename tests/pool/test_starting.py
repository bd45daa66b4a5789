"""Workers that do not start: the error says why, nothing hangs, and the machine is not kept busy."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slither_actors.errors import StartError, WorkerStartError
from slither_actors.pool import Pool
from slither_actors.pool._process import WorkerProcess
from tests.pool import work
from tests.pool.asking import asking, until
from tests.search_path import run_program


def start_failure(**options: object) -> WorkerStartError:
    with pytest.raises(StartError) as caught:
        Pool.start("tests", workers=2, **options)
    cause = caught.value.__cause__
    assert isinstance(cause, WorkerStartError)
    return cause


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_pool_whose_workers_die_at_start_does_not_start(method: str) -> None:
    """The error has the exit status and the last lines of standard error."""
    error = start_failure(init=work.die_at_start, start_method=method)
    assert "it ended itself with exit status 13" in str(error)
    assert "about to die" in str(error)


@pytest.mark.parametrize(
    ("interpreter", "said"),
    [
        ("/no/such/python", "its interpreter cannot be run"),
        ("/bin/false", "it ended itself with exit status 1"),
    ],
)
def test_an_interpreter_that_is_none(interpreter: str, said: str) -> None:
    """Whether it cannot be run or ends at once: an error that says so, and one try for each worker (X12)."""
    program = f"""
import multiprocessing, multiprocessing.spawn, sys
from slither_actors import Application
from slither_actors.errors import WorkerStartError
from slither_actors.pool import _staff
tries, original = [], _staff.WorkerProcess
_staff.WorkerProcess = lambda *a, **k: (tries.append(1), original(*a, **k))[1]
multiprocessing.set_executable({interpreter!r})
try:
    with Application(pools={{"default": {{"workers": 2, "start_method": "spawn"}}}}):
        print("it has started")
except WorkerStartError as error:
    print(len(tries), error)
"""
    done = run_program(program, check=False)
    assert re.match(f"2 pool 'default': worker of slot [01] did not start: .*({said})", done.stdout), (
        done.stdout,
        done.stderr,
    )


def test_an_init_hook_that_raises_is_told_with_its_traceback() -> None:
    """The pool does not start, and the error is the hook's."""
    error = start_failure(init=work.fail_to_set_up)
    assert "its init hook failed: builtins.RuntimeError: no model here" in str(error)
    assert "in fail_to_set_up" in str(error)


def test_an_init_hook_that_cannot_be_imported() -> None:
    """As for a batch's function, the name and the search path are told."""
    assert "a worker cannot import no_such_module:f" in str(start_failure(init="no_such_module:f"))


def test_workers_that_are_never_ready() -> None:
    """The start fails after its timeout, and they are killed."""
    began = time.monotonic()
    error = start_failure(init=work.hang_at_start, start_timeout=0.5)
    assert "was ready within 0.5 s" in str(error)
    assert time.monotonic() - began < 5


def test_a_pool_whose_workers_stop_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some failures in a row, ever further apart, what waits fails and says why.

    Once workers start again, so does the work.
    """
    switch = tmp_path / "die"
    monkeypatch.setenv("SLITHER_TEST_DIE", str(switch))
    with asking(init=work.die_at_start_if_told, start_method="spawn", max_failed_starts=3) as asker:
        asker.run(work.increment, [1])
        switch.touch()
        job = asker.submit(work.do, ["_exit(42)"])
        waiting = [asker.submit(work.increment, [1]) for _ in range(3)]
        asker.wait(job, *waiting)
        for each in waiting:
            assert isinstance(each.error, WorkerStartError)
            assert "it ended itself with exit status 14" in str(each.error)
            assert "told to die" in str(each.error)
        assert asker.statistics().slots[0].workers <= 1 + 3 + 1
        switch.unlink()
        again = asker.submit(work.increment, [5])
        asker.wait(again)
        assert again.results == [6]


def test_a_broken_start_of_one_slot_does_not_fail_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as one worker is there, batches wait for it."""
    switch = tmp_path / "die"
    monkeypatch.setenv("SLITHER_TEST_DIE", str(switch))
    options = {"init": work.die_at_start_if_told, "start_method": "spawn", "max_failed_starts": 1}
    with asking(workers=2, **options) as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        switch.touch()
        asker.wait(asker.submit(work.do, ["_exit(42)"]))
        until(lambda: any(slot.workers >= 3 for slot in asker.statistics().slots))
        jobs = [asker.submit(work.increment, [n]) for n in range(20)]
        asker.wait(*jobs)
        assert [job.error for job in jobs] == [None] * 20


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_start_that_runs_out_of_descriptors_leaves_none_open(method: str) -> None:
    """However many there are: those of multiprocessing, which loses a pipe, included (X18)."""
    with asking(start_method=method) as asker:  # what is started once runs
        asker.run(work.increment, [1])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as fillers:
        while len(numbers := descriptors()) <= max(numbers):  # no number is free below the highest one
            fillers.callback(os.close, os.dup(1))
        before, failures, started = descriptors(), 0, 0
        while started < 2:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(before) + failures + started, hard))
            try:
                process = WorkerProcess("tests", 0, method, logging=True)
            except OSError as error:
                assert error.errno == errno.EMFILE  # noqa: PT017 - it may or may not be raised
                failures += 1
            else:
                started += 1
                process.close()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert descriptors() == before, failures
        assert 10 < failures < 40


def descriptors() -> set[int]:
    """Those that are open, and the next one, by which they are listed."""
    return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208


def test_a_worker_imports_little_before_it_is_ready() -> None:
    """Half of the start of a spawned worker was the import of modules that most never use."""
    program = (
        "import sys, multiprocessing.spawn\n"
        "before = set(sys.modules)\n"
        "import slither_actors.pool._worker, slither_actors.pool._inherited\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    assert "slither_actors.pool._board" in found
    assert not {"attr", "attrs", "dataclasses", "inspect", "pathlib", "slither_actors.core"}.intersection(
        found
    )
    assert not {"slither_actors.context", "slither_actors.pool._worker_views"}.intersection(found)
    assert len([name for name in found if name.startswith("slither_actors.pool.")]) <= 20


def test_a_pool_that_has_started_has_all_its_processes() -> None:
    """Although it waits for the first one only to be ready; the others were made as well."""
    with asking(6, start_method="forkserver") as asker:
        assert all(slot.pid for slot in asker.statistics().slots)
