"""The leak fixture itself, each time in a test run of its own."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable

import pytest

from tests import leaks
from tests.search_path import SEARCH_PATH

CONFTEST = """
import tests.leaks
from tests.leaks import no_leaks

tests.leaks.SETTLE_SECONDS = {seconds}
"""


Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the body of one test under the fixture."""
    monkeypatch.setenv("PYTHONPATH", SEARCH_PATH)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # none is needed, and their import takes long

    def run(body: str, *, seconds: float = 0.3) -> pytest.RunResult:
        pytester.makeconftest(CONFTEST.format(seconds=seconds))
        indented = textwrap.indent(textwrap.dedent(body), "    ")
        pytester.makepyfile(f"import atexit, os, subprocess, threading, time\n\ndef test_it():\n{indented}")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider")

    return run


def assert_reports(result: pytest.RunResult, *lines: str) -> None:
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the test left behind:", *lines])


def test_a_clean_test_passes(run: Run) -> None:
    """What a test starts and ends itself is not reported."""
    result = run(
        """
        subprocess.run(["true"], check=True)
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        open(__file__).close()
        """
    )
    result.assert_outcomes(passed=1)


def test_a_process_fails_the_test(run: Run) -> None:
    """A running child is reported with its pid and command line."""
    result = run(
        """
        child = subprocess.Popen(["sleep", "30"])
        atexit.register(child.wait)
        atexit.register(child.kill)
        """
    )
    assert_reports(result, "process [0-9]*: sleep 30")


def test_a_zombie_fails_the_test(run: Run) -> None:
    """A child that ended and was never waited for is reported."""
    result = run(
        """
        child = subprocess.Popen(["true"])
        atexit.register(child.wait)
        """
    )
    assert_reports(result, "process [0-9]* (zombie): true")


def test_a_grandchild_fails_the_test(run: Run) -> None:
    """A process whose parent has died is found all the same."""
    result = run(
        """
        text = subprocess.check_output(["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!"])
        atexit.register(os.kill, int(text), 9)
        """
    )
    assert_reports(result, "process [0-9]*: sleep 30")


def test_a_thread_fails_the_test(run: Run) -> None:
    """A running thread is reported with its name and where it is."""
    result = run(
        """
        threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
        """
    )
    assert_reports(result, "thread 'forgotten', which is at", "*in wait")


def test_a_thread_unknown_to_threading_fails_the_test(run: Run) -> None:
    """A thread that some other module started is reported too."""
    result = run(
        """
        import _thread
        lock = _thread.allocate_lock()
        lock.acquire()
        _thread.start_new_thread(lambda: lock.acquire(), ())
        """
    )
    assert_reports(result, "thread [0-9]* (not made by threading), which is at", "*in <lambda>")


def test_a_descriptor_fails_the_test(run: Run) -> None:
    """An open descriptor is reported with its number and target."""
    result = run("os.open('/etc/passwd', os.O_RDONLY)")
    assert_reports(result, "file descriptor [0-9]* -> /etc/passwd")


def test_what_ends_soon_is_not_reported(run: Run) -> None:
    """A thread and a process on their way out have time to end."""
    result = run(
        """
        child = subprocess.Popen(["sleep", "0.3"])
        threading.Thread(target=child.wait).start()
        """,
        seconds=20,
    )
    result.assert_outcomes(passed=1)


def test_a_descriptor_in_a_cycle_is_collected_first(run: Run) -> None:
    """Garbage that the collector would close is no leak."""
    result = run(
        """
        import gc
        gc.disable()
        cycle = [os.popen("true"), open(__file__)]
        cycle[0].close()
        cycle.append(cycle)
        """
    )
    result.assert_outcomes(passed=1)


def test_the_runtimes_threads_may_stay(run: Run) -> None:
    """Schedulers, monitor and timer start once and are kept."""
    result = run(
        """
        for name in ("slither-scheduler-1", "slither-monitor", "slither-timer"):
            threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()
        """
    )
    result.assert_outcomes(passed=1)


def test_a_descriptor_that_infrastructure_holds_may_stay(run: Run) -> None:
    """The table of holders decides, and no other descriptor of the kind is let through."""
    body = """
        import select
        import tests.leaks
        global kept, forgotten
        kept = select.epoll()
        tests.leaks.DESCRIPTORS += ((__name__, "kept"), (__name__, "no.such"), ("no", "such"))
        """
    run(body).assert_outcomes(passed=1)
    assert_reports(
        run(f"{body}\n        forgotten = select.epoll()"), "file descriptor [0-9]* -> anon_inode:*"
    )


def test_the_fork_server_may_stay_and_its_workers_may_not(run: Run) -> None:
    """The servers of multiprocessing are kept; a worker with the same command line is a leak."""
    body = """
        import multiprocessing
        child = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(30,), daemon=True)
        child.start()
        """
    end = """
        child.kill()
        child.join()
        child.close()
        """
    run(body + end).assert_outcomes(passed=1)
    assert_reports(run(body), "process [0-9]*: *from multiprocessing.forkserver import*")


def test_a_process_with_the_pid_of_another_ones_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at once is not looked at each time, but its start is."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        monkeypatch.setitem(leaks._foreign, child.pid, "another start")
        monkeypatch.setattr(leaks, "_checked", -leaks._CHECK_SECONDS)
        assert child.pid in {process.pid for process in leaks.processes()}
        child.communicate()
