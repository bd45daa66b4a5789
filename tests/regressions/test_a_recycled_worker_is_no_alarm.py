"""A worker that the pool replaces on purpose is not reported as one that died: joblib #869.

There, a worker that has grown by 300 MB is replaced between two tasks, and each
time a warning says that a worker stopped while jobs were given to the executor,
because of "a too short worker timeout or a memory leak": the same words as for
a worker that is lost.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from slither_actors import Application, dispatch, telemetry
from slither_actors.pool import STATISTICS
from tests.dispatch import work
from tests.regressions.marks import needs_option
from tests.regressions.program import run_program

MEGABYTE = 2**20

PROGRAM = """
import os
from slither_actors import Application, dispatch

kept = []

def grow(batch):
    kept.append(bytearray(os.urandom(1)) * 20_000_000)
    return [os.getpid()] * len(batch)

if __name__ == "__main__":
    with Application(pools={"default": {"workers": 2, "max_rss_per_worker": 100_000_000}}):
        items = dispatch.run(range(24), executor=grow, batch_size=1)
    assert not any(item.meta for item in items), items
    print(len(items), len({item.payload for item in items}))
"""


@needs_option("max_rss_per_worker")
def test_workers_that_grow_are_replaced_without_a_word(tmp_path: Path) -> None:
    """Every result is there, from many processes, and nothing is on standard error."""
    ended = run_program(tmp_path / "program.py", PROGRAM)
    assert ended.status == 0, ended.err
    assert ended.err == ""
    results, processes = map(int, ended.out.split())
    assert results == 24
    assert processes >= 4


@needs_option("max_batches_per_worker")
def test_replacing_warns_nobody_and_counts_as_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log nor `warnings` nor the statistics take it for a death."""
    with (
        warnings.catch_warnings(),
        caplog.at_level(logging.INFO, logger="slither_actors"),
        Application(pools={"default": {"workers": 2, "max_batches_per_worker": 3}}) as application,
    ):
        warnings.simplefilter("error")
        found = dispatch.run(range(60), executor=work.increment, batch_size=1)
        statistics = application.pool().call(STATISTICS)
    assert [item.payload for item in found] == list(range(1, 61))
    assert statistics.crashes == 0
    assert statistics.restarts >= 15
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_worker_that_waits_for_long_is_not_stopped() -> None:
    """There is no idle timeout: the next batch finds the same processes, and none was started meanwhile."""
    with Application(pools={"default": 2}) as application:

        def pids() -> set[int | None]:
            return {slot.pid for slot in application.pool().call(STATISTICS).slots}

        list(dispatch.stream(range(20), executor=work.increment, batch_size=1))
        before = pids()
        list(dispatch.stream([0.3, 0.3], executor=work.sleep, batch_size=2))  # the other one waits
        assert pids() == before
        assert application.pool().call(STATISTICS).restarts == 0


def test_a_worker_that_is_lost_is_reported_once_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    """The signal of the crash has the batch; no second account of it speaks of a timeout or a leak."""
    told = []
    listening = telemetry.attach(
        telemetry.DISPATCH_BATCH_EXCEPTION,
        lambda event, sender, measurements, metadata: told.append(str(metadata["reason"])),
    )
    with listening, Application(pools={"default": 1}):
        dispatch.run(range(10), executor=work.die_on_seven, batch_size=1, on_error="skip")
    [reason] = told
    assert "SIGKILL" in reason
    assert "leak" not in caplog.text
    assert len([record for record in caplog.records if "SIGKILL" in record.getMessage()]) <= 1
