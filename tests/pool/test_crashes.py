"""A worker's death costs the batch that it ran, says why, and nothing else."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
from pathlib import Path

import pytest

from slither_actors.errors import RemoteError, WorkerCrashError
from slither_actors.pool import Job
from tests.pool import work
from tests.pool.asking import Asker, asking, exists, is_alive, pid_of, stand_still, until


def hundred(asker: Asker, deed: str) -> list[Job]:
    """A hundred batches, of which number 37 does the deed."""
    return [
        asker.submit(work.crash_on, [(deed if n == 37 else "nothing", n)], description=f"batch {n}")
        for n in range(100)
    ]


# -- the crash matrix (X01, X02) -----------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "exitcode", "cause"),
    [
        (
            "SIGKILL",
            -signal.SIGKILL,
            "killed by signal 9 (SIGKILL), possibly ",
        ),
        ("segfault", -signal.SIGSEGV, "killed by signal 11 (SIGSEGV), a crash in native code in "),
        ("abort", -signal.SIGABRT, "killed by signal 6 (SIGABRT)"),
        ("_exit(0)", 0, "the code called os._exit(0)"),
        ("_exit(42)", 42, "it ended itself with exit status 42"),
        ("libc exit(0)", 0, "or a library called exit()"),
    ],
)
def test_one_crash_costs_one_batch(deed: str, exitcode: int, cause: str) -> None:
    """Batch 37 fails and says why; the other 99 are correct; one worker is replaced."""
    with asking(workers=4) as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        before = {slot.pid for slot in asker.statistics().slots}
        jobs = hundred(asker, deed)
        asker.wait(*jobs)
        error = jobs[37].error
        assert isinstance(error, WorkerCrashError)
        assert error.exitcode == exitcode
        assert error.signal == (-exitcode if exitcode < 0 else None)
        assert cause in error.cause
        assert error.pid == jobs[37].worker_pid
        assert "while it ran batch 37 (attempt 1)" in str(error)
        assert [job.results for n, job in enumerate(jobs) if n != 37] == [[n] for n in range(100) if n != 37]
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        after = {slot.pid for slot in asker.statistics().slots}
        assert before - after == {error.pid}
        assert len(after) == 4
        assert (asker.statistics().crashes, asker.statistics().restarts) == (1, 1)


def test_sys_exit_is_an_error_and_the_worker_is_reused() -> None:
    """A SystemExit ends the batch, not the process."""
    with asking() as asker:
        jobs = hundred(asker, "sys.exit(3)")
        asker.wait(*jobs)
        error = jobs[37].error
        assert isinstance(error, RemoteError)
        assert error.type_name == "builtins.SystemExit"
        assert isinstance(error.__cause__, SystemExit)
        assert error.__cause__.code == 3
        assert len({job.worker_pid for job in jobs}) == 1


def test_a_segfault_leaves_its_python_stack() -> None:
    """The faulthandler's dump is in the error's last lines and the culprit in the cause."""
    with asking() as asker:
        job = asker.submit(work.do, ["segfault"])
        asker.wait(job)
        assert isinstance(job.error, WorkerCrashError)
        assert "Fatal Python error: Segmentation fault" in job.error.stderr_tail
        assert "(work.py:" in job.error.cause


def test_the_last_words_are_in_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error is passed on with a label, and its end is in the crash error."""
    with asking() as asker:
        job = asker.submit(work.shout_and_die, [1])
        asker.wait(job)
        assert isinstance(job.error, WorkerCrashError)
        assert job.error.stderr_tail == "the last words"
    label = f"[pool tests, worker 0, pid {job.error.pid}] "
    assert f"{label}the last words\n" in capsys.readouterr().err


def test_the_attempt_is_in_the_error() -> None:
    """Whoever retries sees which attempt it was."""
    with asking() as asker, pytest.raises(WorkerCrashError, match=r"while it ran b \(attempt 3\)"):
        asker.run(work.do, ["SIGKILL"], description="b", attempt=3)


# -- at each point (X03, X11) -----------------------------------------------------------------


def test_death_while_unpickling_the_batch() -> None:
    """The batch whose unpickling kills the worker is the one that is lost."""
    with asking() as asker:
        bomb = work.RaisesWhenUnpickled("die", in_driver=False)
        with pytest.raises(WorkerCrashError):
            asker.run(work.echo, [bomb])
        assert asker.run(work.increment, [1]) == [2]


def test_death_after_the_answer_costs_nothing() -> None:
    """A worker that dies while it frees the batch has answered; the batch behind it finds a fresh one."""
    with asking() as asker:
        asker.run(work.increment, [1])  # from now on a second batch is put into the pipe
        jobs = [asker.submit(work.increment, [0]) for _ in range(3)]
        deadly = [asker.submit(work.pids, [work.DiesWhenFreed()]) for _ in range(10)]
        after = [asker.submit(work.increment, [n]) for n in range(10)]
        asker.wait(*jobs, *deadly, *after)
        assert [job.error for job in [*jobs, *deadly, *after]] == [None] * 23
        assert len({job.results[0] for job in deadly if job.results}) == 10
        assert asker.statistics().crashes == 0


@pytest.mark.parametrize("threshold", [2**16, None])
def test_death_while_a_large_batch_is_being_sent(threshold: int | None) -> None:
    """The worker dies with most of the batch unread: the batch fails or goes to another, nothing hangs."""
    with asking(segment_threshold=threshold) as asker:
        (pid,) = asker.run(work.pids, [0])
        os.kill(pid, signal.SIGSTOP)
        job = asker.submit(work.echo, [bytes(50_000_000)])
        until(lambda: asker.statistics().running)
        os.kill(pid, signal.SIGKILL)
        asker.wait(job)
        assert job.results == [bytes(50_000_000)], "it had not begun, so it was given back"
        assert asker.run(work.increment, [1]) == [2]


def test_death_while_a_large_result_is_being_sent() -> None:
    """Part of a result is not a result, and the next frame is read from the next worker."""
    with asking() as asker:
        job = asker.submit(work.blob_and_die, [70_000_000])
        until(lambda: asker.statistics().running)
        asker.pool.send(stand_still, 0.6)  # so the worker is stuck in the middle of its answer
        asker.wait(job)
        assert isinstance(job.error, WorkerCrashError)
        assert asker.run(work.increment, [1]) == [2]


# -- idle workers (X13) ----------------------------------------------------------------------------


def test_a_worker_that_dies_idle_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """No batch is lost; the log says what happened."""
    with asking() as asker, caplog.at_level(logging.WARNING, "slither_actors.pool"):
        (pid,) = asker.run(work.pids, [0])
        os.kill(pid, signal.SIGKILL)
        until(lambda: asker.statistics().slots[0].pid not in (pid, None))
        (other,) = asker.run(work.pids, [0])
        assert other != pid
        assert asker.statistics().crashes == 0
        assert "ended while it ran no batch: killed by signal 9" in caplog.text


def test_kills_at_any_moment_lose_nothing() -> None:
    """While a stream of batches runs, workers are killed at random: every batch comes back once.

    Those that failed account for no more kills than there were.
    """
    rng = random.Random(4)
    kills = 60
    with asking(workers=2) as asker:
        jobs: list[Job] = []
        for _ in range(kills):
            jobs += [asker.submit(work.increment, [n]) for n in range(rng.randrange(12))]
            pid = asker.statistics().slots[rng.randrange(2)].pid
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        asker.wait(*jobs)
        failed = [job for job in jobs if job.error is not None]
        assert all(isinstance(job.error, WorkerCrashError) for job in failed)
        assert all(job.results == [job.payloads[0] + 1] for job in jobs if job.error is None)
        assert len(failed) == asker.statistics().crashes <= kills
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))


def test_all_workers_killed_at_once(tmp_path: Path) -> None:
    """Four batches fail, and the pool is back."""
    with asking(workers=4) as asker:
        gate = tmp_path / "never"
        jobs = [asker.submit(work.wait_for_file, [str(gate)]) for _ in range(4)]
        until(lambda: len(exists(gate)) == 4)
        for path in exists(gate):
            os.kill(pid_of(path), signal.SIGKILL)
        asker.wait(*jobs)
        assert all(isinstance(job.error, WorkerCrashError) for job in jobs)
        gate.touch()
        assert len(set(asker.run(work.wait_for_file, [str(gate)] * 3))) == 1


# -- what is not a frame -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("garbage", "it sent something else than frames: bad frame header ff"),
        ("close descriptors", "it closed its connection to the driver"),
    ],
)
def test_a_worker_out_of_step_is_replaced(deed: str, cause: str) -> None:
    """Code that writes into, or closes, descriptors that are not its own costs its batch."""
    with asking() as asker:
        with pytest.raises(WorkerCrashError, match=cause):
            asker.run(work.do, [deed])
        assert asker.run(work.increment, [1]) == [2]


def test_a_worker_that_does_not_read_is_replaced() -> None:
    """A batch that could not be sent has not begun: it goes to the next worker."""
    with asking() as asker:
        (first,) = asker.run(work.pids, [0])
        asker.run(work.do, ["stop reading"])
        (second,) = asker.run(work.pids, [0])
        assert second != first
        assert asker.statistics().crashes == 0


def test_the_end_of_the_fork_server_is_survived(tmp_path: Path) -> None:
    """Its workers count as dead and are killed; a new server starts new ones."""
    with asking(workers=2, start_method="forkserver") as asker:
        gate = tmp_path / "never"
        job = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        pid = pid_of(exists(gate)[0])
        server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(server, signal.SIGKILL)
        asker.wait(job)
        assert isinstance(job.error, WorkerCrashError)
        assert "fork server" in job.error.cause
        until(lambda: not is_alive(pid))
        asker.wait(*[asker.submit(work.increment, [1]) for _ in range(10)])


def test_lack_of_memory_is_an_error_of_the_batch() -> None:
    """A MemoryError is told, and the worker is reused."""
    with asking() as asker:
        with pytest.raises(RemoteError) as caught:
            asker.run(work.allocate, [1_000_000_000])
        assert isinstance(caught.value.__cause__, MemoryError)
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().restarts == 0


# -- what a worker starts (X17) ------------------------------------------------------------------------


def test_grandchildren_die_with_a_crashed_worker(tmp_path: Path) -> None:
    """The whole process group goes, also what was forked and holds the worker's descriptors."""
    path = tmp_path / "pids"
    for method in ("forkserver", "spawn"):
        with asking(start_method=method) as asker:
            with pytest.raises(WorkerCrashError):
                asker.run(work.start_grandchild_and_die, [str(path)])
            pids = [int(word) for word in path.read_text().split()]
            until(lambda found=tuple(pids): not any(is_alive(pid) for pid in found))  # type: ignore[misc]


def test_grandchildren_die_with_the_pool() -> None:
    """What a batch leaves running ends with its worker."""
    with asking() as asker:
        pids = asker.run(work.start_grandchild, ["exec", "fork"])
        assert all(is_alive(pid) for pid in pids)
    until(lambda: not any(is_alive(pid) for pid in pids))


def test_a_fork_in_a_batch_answers_once() -> None:
    """A child that returns from the batch as well is not the worker and says nothing."""
    with asking() as asker:
        (worker,) = asker.run(work.pids, [0])
        for _ in range(3):
            assert asker.run(work.fork_and_return, [1, 2]) == [worker, worker]


@pytest.mark.filterwarnings("default")
def test_multiprocessing_works_in_a_batch() -> None:
    """A worker may start processes, and ends them with SIGTERM as anywhere."""
    with asking() as asker:
        assert asker.run(work.use_multiprocessing, [1, 2, 3]) == [6, 6, 6]
        assert asker.run(work.terminate_a_forked_child, [0]) == [-signal.SIGTERM]


# -- standard error and signals ---------------------------------------------------------------------------


def test_a_flood_on_standard_error_disturbs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Megabytes of binary garbage, and closed streams, are not the protocol's business."""
    with asking() as asker:
        assert asker.run(work.flood_stderr, [4]) == [4]
        assert asker.run(work.close_standard_streams, [1]) == [1]
        assert asker.run(work.increment, [1]) == [2]
    assert "\\xff\x00garbage" in capsys.readouterr().err


def test_standard_input_is_empty() -> None:
    """The terminal is the driver's; a batch that reads from it gets the end."""
    with asking() as asker:
        assert asker.run(work.read_standard_input, [0]) == [(b"", "")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_ignore_what_is_meant_for_the_driver(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C and a service manager's SIGTERM reach every process; the driver decides."""
    with asking() as asker:
        gate = tmp_path / "gate"
        job = asker.submit(work.wait_for_file, [str(gate)])
        until(lambda: exists(gate))
        os.kill(pid_of(exists(gate)[0]), number)
        gate.touch()
        asker.wait(job)
        assert job.error is None
