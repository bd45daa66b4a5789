"""The guard: a process that outlives the driver by as long as it takes to kill its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from slither_actors.pool._guard import Guard
from tests.pool.asking import is_alive, until


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)


def test_the_end_of_its_input_is_the_end_of_the_groups() -> None:
    """What is on the list is killed, what was taken off is not."""
    guard = Guard()
    guard.hold()
    with sleeper() as one, sleeper() as two, sleeper() as three:
        for process in (one, two, three):
            guard.add(process.pid)
        guard.remove(two.pid)
        guard.drop()
        assert one.wait(10) == three.wait(10) == -signal.SIGKILL
        assert two.poll() is None
        two.kill()


def test_it_runs_as_long_as_somebody_holds_it() -> None:
    """Pools share one guard; the last one that lets go ends it."""
    guard = Guard()
    guard.hold()
    guard.hold()
    pid = guard.pid
    assert pid is not None
    guard.drop()
    assert is_alive(pid)
    guard.drop()
    assert not is_alive(pid)
    assert guard.pid is None


def test_a_guard_that_was_killed_is_replaced() -> None:
    """The next change of the list finds out, and the new one gets the whole list."""
    guard = Guard()
    guard.hold()
    pid = guard.pid
    assert pid is not None
    with sleeper() as one, sleeper() as two:
        guard.add(one.pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        guard.add(two.pid)
        assert guard.pid not in (pid, None)
        guard.drop()
        assert one.wait(10) == two.wait(10) == -signal.SIGKILL
