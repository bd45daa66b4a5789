"""A fork server that does not answer is an error of the start, not a pool that hangs."""

from __future__ import annotations

import multiprocessing.forkserver
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from slither_actors.errors import BatchTimeoutError, StartError
from slither_actors.pool import _preloading
from slither_actors.pool._fork_request import connect
from tests.pool import work
from tests.pool.asking import Asker, asking, until


@pytest.mark.timeout(60)
def test_a_module_that_hangs_in_the_fork_server_is_named() -> None:
    """It is imported by the server, where no timeout of a worker's start would see it."""
    began = time.monotonic()
    problem = "did not answer within 0.5 s: a module of the preload list hangs"
    with (
        pytest.raises(StartError, match=problem),
        asking(preload=["tests.pool.hanging_module"], start_method="forkserver", start_timeout=0.5),
    ):
        pass
    assert time.monotonic() - began < 10


@pytest.mark.timeout(60)
def test_a_pool_outlives_that_its_fork_server_is_stopped_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Meanwhile no worker starts, what is logged; then one does and the batch has its outcome."""
    with asking(start_method="forkserver", start_timeout=0.5, max_failed_starts=1000) as asker:
        asker.run(work.increment, [1])
        server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        os.kill(server, signal.SIGSTOP)
        try:
            os.kill(asker.statistics().slots[0].pid, signal.SIGKILL)
            job = asker.submit(work.increment, [1])
            until(lambda: f"the fork server (process {server}) did not answer within 0.5 s" in caplog.text)
        finally:
            os.kill(server, signal.SIGCONT)
        asker.wait(job)
        assert job.results == [2]


@pytest.fixture
def stopped() -> Iterator[Callable[[Asker], int]]:
    """Return what stops the fork server, once all workers are ready, until the test has ended."""
    pids = []

    def stop(asker: Asker) -> int:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        pid: int = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        pids.append(pid)
        os.kill(pid, signal.SIGSTOP)
        return pid

    yield stop
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def children(pid: int) -> set[str]:
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def lose_first_worker(asker: Asker) -> None:
    """Have the pool ask the fork server for another one."""
    pid = asker.statistics().slots[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: asker.statistics().slots[0].workers == 2)


@pytest.mark.timeout(60)
def test_the_other_workers_go_on_while_a_fork_server_hangs(stopped: Callable[[Asker], int]) -> None:
    """The pool does not wait for it: batches run, also past their timeouts, and requests are answered."""
    with asking(2, start_method="forkserver", start_timeout=30.0) as asker:
        server = stopped(asker)
        began = time.monotonic()
        lose_first_worker(asker)
        assert asker.run(work.increment, [1]) == [2]
        with pytest.raises(BatchTimeoutError):
            asker.run(work.sleep, [30.0], timeout=0.2)
        asker.resize(3)
        assert len(asker.statistics().slots) == 3
        assert time.monotonic() - began < 10
        os.kill(server, signal.SIGCONT)


@pytest.mark.timeout(60)
def test_a_long_command_line_does_not_make_a_pool_wait_for_a_fork_server(
    stopped: Callable[[Asker], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is told the arguments of the program; more of them than a pipe holds wait in a thread."""
    arguments = [f"{number:0100}" for number in range(3000)]
    monkeypatch.setattr(sys, "argv", arguments)
    with asking(2, start_method="forkserver", start_timeout=30.0) as asker:
        server = stopped(asker)
        lose_first_worker(asker)
        assert asker.run(work.increment, [1]) == [2]
        os.kill(server, signal.SIGCONT)
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        asker.resize(1)
        assert asker.run(work.arguments, [1]) == [arguments]


def test_a_fork_server_with_no_room_for_a_request_is_not_waited_for(tmp_path: Path) -> None:
    """Not for long at the first time, and not at all from then on, until it has taken one again."""
    path = str(tmp_path / "server")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        server = SimpleNamespace(
            _forkserver_address=path,
            _forkserver_pid=-1,
            _forkserver_alive_fd=listener.fileno(),
            ensure_running=lambda: None,
        )
        for limit in (5.0, 0.4):
            began = time.monotonic()
            with pytest.raises(TimeoutError, match=r"takes no more requests: it is stopped, or hangs"):
                connect(server, [])
            assert time.monotonic() - began < limit
        listener.accept()[0].close()
        for fd in connect(server, []):
            os.close(fd)


@pytest.mark.timeout(60)
def test_a_worker_that_is_made_late_is_used(stopped: Callable[[Asker], int]) -> None:
    """Within `start_timeout` nothing has failed; the batch that waits has its outcome."""
    with asking(start_method="forkserver", start_timeout=30.0) as asker:
        server = stopped(asker)
        lose_first_worker(asker)
        job = asker.submit(work.increment, [1])
        os.kill(server, signal.SIGCONT)
        asker.wait(job)
        assert job.results == [2]
        assert asker.statistics().slots[0].workers == 2


@pytest.mark.timeout(60)
def test_a_pool_that_stops_while_a_fork_server_hangs_leaves_nothing(stopped: Callable[[Asker], int]) -> None:
    """It stops at once. What the server makes when it goes on finds nobody, and ends."""
    with asking(start_method="forkserver"):
        pass  # what stays open after the first pool is open now
    before = descriptors()
    with asking(start_method="forkserver", start_timeout=30.0) as asker:
        server = stopped(asker)
        lose_first_worker(asker)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert descriptors() == before
    os.kill(server, signal.SIGCONT)
    until(lambda: not children(server), "the late worker ends")


@pytest.mark.timeout(60)
def test_a_pool_that_shrinks_while_a_fork_server_hangs(stopped: Callable[[Asker], int]) -> None:
    """The worker that is waited for is given up first, with its place."""
    with asking(2, start_method="forkserver", start_timeout=30.0) as asker:
        server = stopped(asker)
        lose_first_worker(asker)
        asker.resize(1)
        assert [slot.slot for slot in asker.statistics().slots] == [1]
        assert asker.run(work.increment, [1]) == [2]
        os.kill(server, signal.SIGCONT)


@pytest.mark.timeout(60)
def test_a_fork_server_that_dies_before_it_answers(caplog: pytest.LogCaptureFixture) -> None:
    """The start has failed, the log says why, and the next one has another server."""
    with asking(preload=["tests.pool.preloaded"], start_method="forkserver") as asker:
        (server,) = _preloading._servers.values()
        pid = server._forkserver_pid  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGSTOP)
        lose_first_worker(asker)
        os.kill(pid, signal.SIGKILL)
        assert asker.run(work.increment, [1]) == [2]
    assert f"the fork server (process {pid}) ended before it had made the worker" in caplog.text
