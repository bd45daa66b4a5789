"""A fork server that does not answer is an error of the start, not a pool that hangs."""

from __future__ import annotations

import multiprocessing.forkserver
import os
import signal
import time

import pytest

from slither_actors.errors import StartError
from tests.pool import work
from tests.pool.asking import asking, until


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
