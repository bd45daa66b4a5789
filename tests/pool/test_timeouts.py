"""A batch past its timeout is ended with its worker; nothing else is."""

from __future__ import annotations

import select
import time
from pathlib import Path

import pytest

from slither_actors.errors import BatchTimeoutError, TargetError
from slither_actors.pool import Job, Pool
from tests.pool import work
from tests.pool.asking import asking, exists, is_alive, stand_still, until


@pytest.mark.parametrize("deed", ["sleep", "spin", "native loop", "ignore SIGTERM", "SIGSTOP"])
def test_a_hung_worker_is_killed_and_replaced(deed: str) -> None:
    """However it hangs: the batch fails soon after its timeout and the slot has a fresh worker."""
    with asking(workers=2) as asker:
        began = time.monotonic()
        job = asker.submit(work.do, [deed], timeout=0.3, description="batch 7")
        asker.wait(job)
        took = time.monotonic() - began
        assert isinstance(job.error, BatchTimeoutError)
        assert 0.3 <= took < 2.0
        assert job.error.pid == job.worker_pid
        assert not is_alive(job.worker_pid)
        assert str(job.error).startswith("batch 7 ran longer than 0.3 s in worker ")
        asker.wait(*[asker.submit(work.increment, [n]) for n in range(4)])
        assert asker.statistics().timeouts == 1
        assert asker.statistics().crashes == 0


def test_what_it_had_started_dies_too() -> None:
    """The process group of a worker that is killed goes with it."""
    with asking() as asker:
        pids = asker.run(work.start_grandchild, ["exec", "fork"])
        with pytest.raises(BatchTimeoutError):
            asker.run(work.do, ["sleep"], timeout=0.2)
        until(lambda: not any(is_alive(pid) for pid in pids))


def test_siblings_are_not_touched(tmp_path: Path) -> None:
    """Another worker's batch goes on, and the batch that waited behind the hung one is run elsewhere."""
    with asking(workers=2) as asker:
        gate = tmp_path / "gate"
        sibling = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        hung = asker.submit(work.do, ["sleep"], timeout=0.2)
        behind = asker.submit(work.increment, [1], timeout=5.0)
        asker.wait(hung, behind)
        assert isinstance(hung.error, BatchTimeoutError)
        assert behind.results == [2]
        gate.touch()
        asker.wait(sibling)
        assert sibling.error is None


def test_the_clock_of_the_second_batch_starts_at_its_turn() -> None:
    """Waiting in the pipe behind another batch is not running."""
    with asking() as asker:
        asker.run(work.sleep, [0.0])  # from now on a second batch is put into the pipe
        jobs = [asker.submit(work.sleep, [0.25], timeout=0.45) for _ in range(4)]
        asker.wait(*jobs)
        assert [job.error for job in jobs] == [None] * 4


def test_importing_the_function_is_not_the_batch() -> None:
    """A slow import has the time of a start, not that of a batch."""
    with asking() as asker:
        assert asker.run("tests.pool.slow_module:echo", [1], timeout=0.2) == [1]


def test_after_a_slow_import_the_batch_has_its_timeout_and_no_more() -> None:
    """Not the time of a start, which is much longer."""
    with asking() as asker:
        job = asker.submit("tests.pool.slow_module:hang", [1], timeout=0.2)
        asker.wait(job)
        assert isinstance(job.error, BatchTimeoutError)


def test_an_import_that_hangs_is_killed() -> None:
    """It has as long as a start may take."""
    with asking(start_timeout=1.0) as asker:
        job = asker.submit("tests.pool.hanging_module:echo", [1], timeout=0.1)
        asker.wait(job)
        assert isinstance(job.error, (BatchTimeoutError, TargetError))
        assert asker.run(work.increment, [1]) == [2]


def test_a_result_at_the_edge_is_one_outcome() -> None:
    """Batches that last as long as their timeout end with a result or a timeout, and never with both."""
    with asking(workers=2) as asker:
        for _ in range(10):
            jobs = [asker.submit(work.sleep, [0.02], timeout=0.02) for _ in range(6)]
            asker.wait(*jobs)
            assert all(job.results is not None or isinstance(job.error, BatchTimeoutError) for job in jobs)
            assert not any(job.results is not None and job.error is not None for job in jobs)
        assert asker.run(work.increment, [1]) == [2]


def test_a_driver_that_was_suspended_blames_nobody() -> None:
    """A result that waited for a driver that did not run, half of it in the worker, is not late."""
    with asking() as asker:
        job = asker.submit(work.blob, [20_000_000], timeout=0.4)
        asker.pool.send(stand_still, 1.6)
        asker.wait(job)
        assert job.error is None


def test_a_result_that_has_arrived_is_not_late() -> None:
    """What is in the socket when the time is up counts."""
    with asking() as asker:
        job = asker.submit(work.increment, [1], timeout=60.0)
        asker.pool.send(expire_when_answered)
        asker.wait(job)
        assert job.results == [2]
        assert asker.run(work.pids, [0]) == [job.worker_pid], "the worker goes on"


def expire_when_answered(pool: Pool, _: None) -> None:
    """In the pool: wait for the answer without reading it, and then let the batch's time be up."""
    (lane,) = pool.staff.lanes
    assert lane.process is not None
    assert lane.process.sock is not None
    select.select([lane.process.sock], [], [], 10)
    pool.clock.look_at(lane, time.monotonic() + 61)


def test_jobs_without_timeout_run_as_long_as_they_like() -> None:
    """None is no limit."""
    with asking() as asker:
        job: Job = asker.submit(work.sleep, [0.3])
        asker.wait(job)
        assert job.error is None
