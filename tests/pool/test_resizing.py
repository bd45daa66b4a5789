"""A pool is resized while it runs: what runs goes on, and the numbers are true all the time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from slither_actors import Application
from slither_actors.errors import OptionError, PoolStoppedError, WorkerCrashError
from slither_actors.pool import Job, Pool
from tests.pool import life_work, work
from tests.pool.asking import Asker, asking, exists, is_alive, pid_of, until


def idle(asker: Asker, count: int) -> bool:
    found = asker.statistics()
    return len(found.slots) == count and not found.retiring and all(s.state == "idle" for s in found.slots)


def test_growing_starts_workers() -> None:
    """They work beside those that were there."""
    with asking() as asker:
        asker.resize(3)
        assert [slot.slot for slot in asker.statistics().slots] == [0, 1, 2]
        until(lambda: idle(asker, 3))
        jobs = [asker.submit(work.sleep, [0.1]) for _ in range(3)]
        asker.wait(*jobs)
        assert len({job.worker_pid for job in jobs}) == 3
        assert asker.statistics().restarts == 0


def test_shrinking_ends_idle_workers_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The busy one stays, whichever it is; those that go run their exit hook."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    gate = tmp_path / "gate"
    with asking(workers=3, exit=life_work.leave_note, start_method="spawn") as asker:
        until(lambda: idle(asker, 3))
        pids = {slot.pid for slot in asker.statistics().slots}
        job = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        asker.resize(1)
        [slot] = asker.statistics().slots
        assert (slot.pid, slot.state) == (job.worker_pid, "busy")
        until(lambda: not asker.statistics().retiring)
        assert {pid_of(path) for path in exists(tmp_path / "exit")} == pids - {job.worker_pid}
        gate.touch()
        asker.wait(job)
        assert job.error is None


def test_a_busy_worker_that_goes_ends_its_batch(tmp_path: Path) -> None:
    """It is counted until then, and gets nothing more; what waited goes to the others."""
    gate = tmp_path / "gate"
    with asking(workers=2) as asker:
        until(lambda: idle(asker, 2))
        jobs = [asker.submit(work.wait_for_file, [str(gate)]) for _ in range(2)]
        until(lambda: len(exists(gate)) == 2)
        asker.resize(1)
        found = asker.statistics()
        assert (len(found.slots), found.running) == (1, 2)
        [leaving] = found.retiring
        assert (leaving.state, leaving.outstanding) == ("retiring", 1)
        waiting = [asker.submit(work.pids, [n]) for n in range(5)]
        gate.touch()
        asker.wait(*jobs, *waiting)
        assert leaving.pid is not None
        assert {job.results[0] for job in waiting if job.results} == {job.worker_pid for job in jobs} - {
            leaving.pid
        }
        until(lambda: idle(asker, 1))
        assert not is_alive(leaving.pid)
        assert (asker.statistics().batches, asker.statistics().crashes) == (7, 0)


def test_a_worker_that_was_to_go_is_kept(tmp_path: Path) -> None:
    """A pool that grows again at once starts no process, and never runs more than it had."""
    gate = tmp_path / "gate"
    with asking(workers=3) as asker:
        until(lambda: idle(asker, 3))
        jobs = [asker.submit(work.wait_for_file, [str(gate)]) for _ in range(3)]
        until(lambda: len(exists(gate)) == 3)
        for size in (1, 2, 1, 3, 2, 1, 3):
            asker.resize(size)
            found = asker.statistics()
            assert (len(found.slots), found.running, len(found.retiring)) == (size, 3, 3 - size)
        assert {slot.pid for slot in asker.statistics().slots} == {job.worker_pid for job in jobs}
        gate.touch()
        asker.wait(*jobs)
        assert sum(slot.workers for slot in asker.statistics().slots) == 3


def test_many_sizes_while_batches_run() -> None:
    """Every batch comes back once with its result; the sums are right at the end."""
    with asking(workers=2) as asker:
        jobs = []
        for size in (4, 1, 3, 2, 5, 1, 4, 2):
            jobs += [asker.submit(work.increment, [n]) for n in range(50)]
            asker.resize(size)
            asker.wait(jobs[-25])
        asker.wait(*jobs)
        assert [job.results for job in jobs] == [[n + 1] for _ in range(8) for n in range(50)]
        until(lambda: idle(asker, 2))
        found = asker.statistics()
        assert (found.batches, found.crashes, found.running, found.queued) == (400, 0, 0, 0)


def test_a_worker_that_starts_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that shrinks while it grows kills those that are not ready, and tells nobody of a failure."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    (tmp_path / "go").touch()
    with asking(init=life_work.wait_for_leave_to_start, start_method="spawn") as asker:
        (tmp_path / "go").unlink()
        asker.resize(3)
        until(lambda: len(exists(tmp_path / "starting")) == 3)
        asker.resize(1)
        until(lambda: idle(asker, 1))
        (tmp_path / "go").touch()
        assert asker.run(work.increment, [1]) == [2]


def test_shrinking_with_recycling(tmp_path: Path) -> None:
    """Both at one time: no place is lost, none is too many."""
    with asking(workers=3, max_batches_per_worker=3) as asker:
        jobs = []
        for size in (1, 4, 2, 3):
            jobs += [asker.submit(work.pids, [n]) for n in range(30)]
            asker.resize(size)
            asker.wait(jobs[-15])
        asker.wait(*jobs)
        assert [job.error for job in jobs] == [None] * 120
        until(lambda: idle(asker, 3))
        assert asker.statistics().batches == 120


def test_a_successor_that_is_not_wanted_any_more_ends_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ready and waited for its turn; the pool shrank meanwhile, and grows again later."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    gate = tmp_path / "gate"
    options = {"exit": life_work.leave_note, "start_method": "spawn", "max_batches_per_worker": 1}
    with asking(workers=2, **options) as asker:
        until(lambda: idle(asker, 2))
        job = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        until(lambda: asker.pool.run(one_waits))
        asker.resize(1)
        until(lambda: exists(tmp_path / "exit"), "it is told to end")
        assert asker.run(work.increment, [1]) == [2]
        asker.resize(2)
        gate.touch()
        asker.wait(job)
        assert job.error is None
        until(lambda: idle(asker, 2))


def test_a_successor_that_dies_while_it_waits(tmp_path: Path) -> None:
    """Another one is started, and waits as well."""
    gate = tmp_path / "gate"
    with asking(max_batches_per_worker=1) as asker:
        job = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        until(lambda: asker.pool.run(one_waits))
        pid = asker.statistics().slots[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: asker.statistics().slots[0].pid not in (None, pid))
        later = asker.submit(work.increment, [1])
        until(lambda: asker.pool.run(one_waits))
        assert asker.statistics().queued == 1
        gate.touch()
        asker.wait(job, later)
        assert (job.error, later.results) == (None, [2])
        until(lambda: idle(asker, 1))


def test_a_worker_that_has_used_up_its_batches_and_is_let_go_has_no_successor(tmp_path: Path) -> None:
    """The pool shrinks in the moment between its last batch and the start of another worker."""
    gate = tmp_path / "gate"
    with asking(workers=2, max_batches_per_worker=1) as asker:
        until(lambda: idle(asker, 2))
        jobs = [asker.job(work.wait_for_file, [str(gate)]) for _ in range(2)]
        asker.pool.run(submit_and_shrink, jobs)
        until(lambda: len(exists(gate)) == 2)
        assert len(asker.statistics().slots) == 1
        gate.touch()
        asker.wait(*jobs)
        until(lambda: idle(asker, 1))
        assert asker.statistics().recycled == {"max_batches_per_worker": 1}


def submit_and_shrink(pool: Pool, jobs: list[Job]) -> None:
    for job in jobs:
        pool.submit(job)
    pool.staff.resize(1)


def one_waits(pool: Pool, _: None) -> bool:
    return any(lane.waits for lane in pool.staff.lanes)


@pytest.mark.parametrize("seed", range(4))
def test_sizes_kills_and_recycling_at_random(seed: int) -> None:
    """Each batch comes back once, with its result or its worker's death; then the pool is as told."""
    chance = random.Random(seed)
    options = {"max_batches_per_worker": chance.choice([None, 1, 3]), "overlap": chance.random() < 0.7}
    with asking(workers=2, start_batch=chance.choice([1, 2, 8]), **options) as asker:
        jobs: list[Job] = []
        size, kills = 2, 0
        for _ in range(25):
            jobs += [asker.submit(work.sleep, [0.001]) for _ in range(chance.randrange(8))]
            if chance.random() < 0.5:
                size = chance.randint(1, 4)
                asker.resize(size)
            found = asker.statistics()
            assert len(found.slots) == size
            pids = [slot.pid for slot in (*found.slots, *found.retiring) if slot.pid]
            if pids and chance.random() < 0.3:
                kills += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
        asker.wait(*jobs)
        failed = [job.error for job in jobs if job.error is not None]
        assert all(isinstance(error, WorkerCrashError) for error in failed)
        assert len(failed) <= kills
        until(lambda: idle(asker, size), str(asker.statistics()))
        found = asker.statistics()
        assert (found.running, found.queued, found.batches) == (0, 0, len(jobs))


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "2", None])
def test_a_wrong_size_is_refused(size: object) -> None:
    """At once, and the pool goes on."""
    with asking() as asker:
        with pytest.raises(OptionError, match="option 'workers' is .*; allowed is an integer of at least 1"):
            asker.resize(size)  # type: ignore[arg-type]
        assert asker.run(work.increment, [1]) == [2]


def test_a_pool_that_has_ended_is_not_resized() -> None:
    """The error says that it is stopped."""
    with asking() as asker:
        pass
    with pytest.raises(PoolStoppedError):
        asker.resize(2)


def test_resizing_while_the_pool_stops() -> None:
    """Either it is done or it is refused; nothing stays behind."""
    for _ in range(5):
        pool = Pool.start("tests", workers=2)
        outcome: list[object] = []

        def resize(pool: object = pool, outcome: list[object] = outcome) -> None:
            try:
                for size in (3, 1, 4, 2):
                    pool.resize(size)  # type: ignore[attr-defined]
                outcome.append("done")
            except PoolStoppedError as error:
                outcome.append(error)

        thread = threading.Thread(target=resize)
        thread.start()
        pool.stop(timeout=20)
        thread.join(20)
        assert len(outcome) == 1


def test_the_pool_of_an_application_is_resized() -> None:
    """``application.pool(name)`` is the handle, for each named pool with options of its own."""
    pools = {"default": 1, "other": {"workers": 2, "max_batches_per_worker": 5, "nice": 1}}
    with Application(pools=pools) as application:
        application.pool("other").resize(3)
        assert len(application.pool("other").pool_statistics().slots) == 3
        assert len(application.pool().pool_statistics().slots) == 1
