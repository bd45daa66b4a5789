"""Workers that have done enough, or grown too large, are replaced between batches; nothing is lost (X16)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.errors import WorkerCrashError
from slither_actors.pool import Pool
from tests.pool import life_work, work
from tests.pool.asking import Asker, asking, exists, is_alive, pid_of, until

MB = 2**20


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the workers leave notes."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    return tmp_path


def settled(asker: Asker) -> bool:
    found = asker.statistics()
    return not found.retiring and all(slot.state == "idle" for slot in found.slots)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_six_batches_with_two_per_worker(workers: int, overlap: bool, method: str) -> None:
    """CPython #115634: `ProcessPoolExecutor` hangs after the first two."""
    options = {"max_batches_per_worker": 2, "overlap": overlap, "start_method": method}
    with asking(workers=workers, **options) as asker:
        jobs = [asker.submit(work.increment, [n]) for n in range(6)]
        asker.wait(*jobs)
        assert [job.results for job in jobs] == [[n + 1] for n in range(6)]
        per_worker: dict[int, int] = {}
        for job in jobs:
            per_worker[job.worker_pid] = per_worker.get(job.worker_pid, 0) + 1
        assert max(per_worker.values()) <= 2
        assert asker.statistics().batches == 6


def test_no_worker_runs_more_than_it_may() -> None:
    """Quick batches, of which a second one waits in the pipe, are counted as well."""
    with asking(workers=2, max_batches_per_worker=10) as asker:
        jobs = [asker.submit(work.pids, [n]) for n in range(300)]
        asker.wait(*jobs)
        ran: dict[int, int] = {}
        for job in jobs:
            assert job.results is not None, job.error
            ran[job.results[0]] = ran.get(job.results[0], 0) + 1
        assert max(ran.values()) <= 10
        assert len(ran) >= 30
        until(lambda: settled(asker))
        found = asker.statistics()
        assert found.recycled["max_batches_per_worker"] == found.restarts >= 28
        assert (found.batches, found.crashes) == (300, 0)


def test_a_pool_never_runs_more_batches_than_it_has_workers(tmp_path: Path) -> None:
    """The successor is there before the last batch of the other has ended, and gets none until then."""
    gate = tmp_path / "gate"
    with asking(max_batches_per_worker=1) as asker:
        first = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        until(lambda: asker.statistics().slots[0].workers == 2, "the successor starts")
        second = asker.submit(work.increment, [1])
        until(lambda: asker.pool.run(successor_waits), "the successor is ready")
        found = asker.statistics()
        assert (found.running, found.queued, len(found.retiring)) == (1, 1, 1)
        assert (found.retiring[0].state, found.slots[0].state) == ("retiring", "starting")
        gate.touch()
        asker.wait(first, second)
        assert second.results == [2]
        assert first.worker_pid != second.worker_pid


def successor_waits(pool: Pool, _: None) -> bool:
    return pool.staff.places[0].waits


def test_without_overlap_there_is_never_a_second_process(tmp_path: Path) -> None:
    """For what two processes cannot hold at one time."""
    gate = tmp_path / "gate"
    with asking(max_batches_per_worker=1, overlap=False) as asker:
        first = asker.submit(work.wait_for_file, [str(gate)])
        second = asker.submit(work.increment, [1])
        until(lambda: exists(gate))
        found = asker.statistics()
        assert (found.slots[0].state, found.slots[0].workers, found.retiring) == ("retiring", 1, ())
        gate.touch()
        asker.wait(first, second)
        assert second.results == [2]


def test_a_worker_that_leaks_is_replaced() -> None:
    """No batch is lost, and the fresh worker is small again."""
    with asking(max_rss_per_worker=150 * MB) as asker:
        first = asker.run(life_work.leak, [1])
        jobs = [asker.submit(life_work.leak, [30 * MB]) for _ in range(16)]
        asker.wait(*jobs)
        ran = [job.results[0] for job in jobs if job.results is not None]
        assert len(ran) == 16
        assert ran[0] == first[0]
        assert len(set(ran)) >= 3
        found = asker.statistics()
        assert found.recycled["max_rss_per_worker"] >= 2
        assert found.crashes == 0


def test_memory_that_was_given_back_does_not_count() -> None:
    """What it holds at the moment is looked at, not the most that it ever held."""
    with asking(max_rss_per_worker=250 * MB) as asker:
        [first] = asker.run(life_work.borrow, [1])
        assert asker.run(life_work.borrow, [400 * MB]) == [first]
        assert asker.run(life_work.borrow, [1]) == [first]
        assert asker.statistics().recycled == {}


def test_the_batch_in_the_pipe_of_a_worker_that_retires_is_given_back(tmp_path: Path) -> None:
    """It has not been attempted: the next worker runs it."""
    notes = tmp_path / "began"
    with asking(max_rss_per_worker=1) as asker:  # each worker retires with its first batch
        jobs = [asker.submit(work.write_down, [(str(notes), n)]) for n in range(10)]
        asker.wait(*jobs)
        assert [job.error for job in jobs] == [None] * 10
        assert sorted(map(int, notes.read_text().split())) == list(range(10))
        assert len({job.worker_pid for job in jobs}) == 10


def test_an_overgrown_worker_skips_what_is_in_its_pipe(tmp_path: Path) -> None:
    """Nothing of it runs twice, nor in the worker that is too large."""
    notes = tmp_path / "began"
    with asking(max_rss_per_worker=400 * MB) as asker:
        quick = [asker.submit(work.write_down, [(str(notes), n)]) for n in range(50)]
        asker.wait(*quick)  # from now on a second batch is put into the pipe
        large = asker.submit(life_work.leak, [600 * MB])
        behind = [asker.submit(work.write_down, [(str(notes), n)]) for n in range(50, 60)]
        asker.wait(large, *behind)
        assert large.error is None
        assert large.worker_pid not in {job.worker_pid for job in behind}
        assert sorted(map(int, notes.read_text().split())) == list(range(60))


def test_each_recycling_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A signal with the reason, which is the option, and a line in the log."""
    heard: list[dict[str, Any]] = []
    caplog.set_level(logging.INFO, "slither_actors.pool")
    with (
        telemetry.attach(
            "slither.pool.worker.recycle", lambda _e, _s, times, data: heard.append({**times, **data})
        ),
        asking(max_batches_per_worker=1) as asker,
    ):
        [pid] = asker.run(work.pids, [1])
        until(lambda: settled(asker))
    [event] = heard
    assert event.pop("duration") > 0
    assert event == {"pool": "tests", "slot": 0, "pid": pid, "reason": "max_batches_per_worker"}
    assert f"pool tests: worker {pid} (slot 0) is recycled: max_batches_per_worker" in caplog.text
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_the_exit_hook_of_a_recycled_worker_runs(notes: Path) -> None:
    """Nobody waits for it: the successor is at work."""
    options = {"exit": life_work.leave_note, "start_method": "spawn", "max_batches_per_worker": 1}
    with asking(**options) as asker:
        pids = [asker.run(work.pids, [1])[0] for _ in range(3)]
        until(lambda: settled(asker))
        assert {pid_of(path) for path in exists(notes / "exit")} == set(pids)


def test_a_worker_that_does_not_end_is_killed_and_holds_nobody_up(
    notes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its successor works meanwhile."""
    options = {"exit": life_work.hang_at_exit, "start_method": "spawn", "max_batches_per_worker": 1}
    with asking(stop_timeout=0.3, **options) as asker:
        [pid] = asker.run(work.pids, [1])
        assert asker.run(work.pids, [1]) != [pid]
        until(lambda: not is_alive(pid))
        assert f"worker {pid} (slot 0) was told to end, did not within 0.3 s" in caplog.text


@pytest.mark.parametrize("overlap", [True, False])
def test_a_worker_that_dies_in_its_last_batch(overlap: bool) -> None:
    """Costs that batch, as ever; the next one runs."""
    with asking(max_batches_per_worker=2, overlap=overlap) as asker:
        asker.run(work.increment, [1])
        lost = asker.submit(work.do, ["SIGKILL"])
        later = asker.submit(work.increment, [1])
        asker.wait(lost, later)
        assert isinstance(lost.error, WorkerCrashError)
        assert later.results == [2]
        until(lambda: settled(asker))
        assert asker.statistics().crashes == 1


def test_a_timeout_in_the_last_batch(tmp_path: Path) -> None:
    """The clock of a batch runs in a worker that retires as well."""
    with asking(max_batches_per_worker=1) as asker:
        lost = asker.submit(work.do, ["sleep"], timeout=0.3)
        later = asker.submit(work.increment, [1])
        asker.wait(lost, later)
        assert type(lost.error).__name__ == "BatchTimeoutError"
        assert later.results == [2]


@pytest.mark.parametrize("overlap", [True, False])
def test_the_pool_stops_in_the_middle_of_recycling(overlap: bool) -> None:
    """CPython #119592, #132969: every batch comes back, no worker stays."""
    for _ in range(5):
        with asking(workers=2, max_batches_per_worker=1, overlap=overlap) as asker:
            jobs = [asker.submit(work.pids, [n]) for n in range(20)]
            asker.wait(jobs[2])
        asker_pids = {job.worker_pid for job in jobs if job.worker_pid}
        assert all(job.returned for job in jobs)
        assert not any(is_alive(pid) for pid in asker_pids)


def test_a_successor_that_does_not_start_is_tried_again(notes: Path) -> None:
    """With growing pauses; batches wait for it, and the one that retires is not held."""
    options = {"init": life_work.die_if_told, "start_method": "spawn", "max_failed_starts": 100}
    with asking(max_batches_per_worker=1, **options) as asker:
        (notes / "die").touch()
        [pid] = asker.run(work.pids, [1])
        until(lambda: not is_alive(pid))
        later = asker.submit(work.increment, [1])
        until(lambda: len(exists(notes / "born")) >= 3)
        (notes / "die").unlink()
        asker.wait(later)
        assert later.results == [2]


def test_each_worker_leaks_a_descriptor() -> None:
    """The driver keeps none of a recycled worker."""
    with asking(max_batches_per_worker=1) as asker:
        asker.run(work.increment, [1])
        until(lambda: settled(asker))
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            asker.run(work.increment, [1])
        until(lambda: settled(asker))
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
