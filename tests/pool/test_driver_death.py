"""The driver's end is the workers' end, however it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.pool.asking import is_alive, until
from tests.search_path import SEARCH_PATH

ROOT = Path(__file__).parents[2]

DRIVER = """
    import os, sys, time
    from slither_actors.actors import Server
    from slither_actors.pool import Job, Pool, Target
    from tests.pool import work

    class Inbox(Server):
        def done(self, job):
            print("done", job.results, job.error, flush=True)

    if __name__ == "__main__":
        pool = Pool.start("tests", workers=2, start_method=sys.argv[1])
        inbox = Inbox.start()
        def submit(function, payload):
            pool.send(Pool.submit, Job(Target(function), [payload], inbox, Inbox.done))
        {body}
"""


def driver(tmp_path: Path, body: str, method: str, *arguments: str) -> subprocess.Popen[str]:
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER).format(body=body))
    return subprocess.Popen(
        [sys.executable, str(script), method, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.timeout(60)
def test_a_killed_driver_leaves_no_process(method: str, tmp_path: Path) -> None:
    """With workers deep in native code that holds the interpreter lock, and children of theirs."""
    paths = [tmp_path / "a", tmp_path / "b"]
    burn = "submit(work.start_grandchild_and_burn, sys.argv[{}])"
    body = f"{burn.format(2)}; {burn.format(3)}; time.sleep(600)"
    with driver(tmp_path, body, method, *map(str, paths)) as process:
        until(lambda: all(path.exists() and len(path.read_text().split()) == 2 for path in paths), "started")
        pids = [int(word) for path in paths for word in path.read_text().split()]
        assert all(is_alive(pid) for pid in pids)
        process.kill()
        process.communicate()
    until(lambda: not any(is_alive(pid) for pid in pids), "the end of the workers and their children")


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.timeout(60)
def test_a_driver_that_just_ends_is_clean(method: str, tmp_path: Path) -> None:
    """The end of a script that never stopped its pool: soon, with no noise, with no process left."""
    with driver(
        tmp_path, "submit(work.pids, 0); submit(work.do, 'sleep'); time.sleep(0.3)", method
    ) as process:
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""
    pid = int(output.partition("[")[2].partition("]")[0])
    until(lambda: not is_alive(pid))


@pytest.mark.timeout(60)
def test_ctrl_c_is_the_drivers(tmp_path: Path) -> None:
    """SIGINT to the whole foreground group: the workers say nothing, the driver has its KeyboardInterrupt."""
    body = "submit(work.pids, 0); submit(work.do, 'sleep'); time.sleep(0.3); os.killpg(0, 2); time.sleep(60)"
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER).format(body=body))
    finished = subprocess.run(
        [sys.executable, str(script), "forkserver"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
        check=False,
    )
    assert finished.returncode == -signal.SIGINT
    assert finished.stderr.count("Traceback") == 1
    assert "KeyboardInterrupt" in finished.stderr


@pytest.mark.timeout(60)
def test_a_fork_of_the_driver_does_not_keep_the_workers_alive(tmp_path: Path) -> None:
    """A child that outlives the driver has let go of the sockets and of the guard."""
    path = tmp_path / "a"
    body = (
        "submit(work.start_grandchild_and_burn, sys.argv[2])\n"
        "    while not os.path.exists(sys.argv[2]): time.sleep(0.01)\n"
        "    child = os.fork()\n"
        "    if child == 0: os.close(1); os.close(2)\n"
        "    else: print(child, flush=True)\n"
        "    time.sleep(600)"
    )
    with driver(tmp_path, body, "forkserver", str(path)) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            pids = [int(word) for word in path.read_text().split()]
            process.kill()
            process.wait()
            until(lambda: not any(is_alive(pid) for pid in pids), "the end of the workers")
            assert is_alive(child)
        finally:
            os.kill(child, signal.SIGKILL)
