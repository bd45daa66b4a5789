"""How a program ends: signals, exits, errors. Each in a process of its own, with a watchdog.

That no worker process is left is seen to by the leak check of the suite.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application
from slither_actors.application import Terminated

ROOT = Path(__file__).parents[1]

SCRIPT = """
    import faulthandler
    faulthandler.dump_traceback_later(30, exit=True)
    import itertools, os, signal, sys, time
    from slither_actors import *
    from tests import application_code as code

    def say(*words):
        print(*words, flush=True)

    class Sleepy(Store):
        def load(self, tables):
            say("ready")
            time.sleep(60)

    class Stuck(Pipe):
        @stage
        def work(item):
            say("ready")
            time.sleep(20)

    def run(pipe=code.Napping):
        for number, item in enumerate(stream_pipe(pipe, itertools.count())):
            if number == 10:
                say("ready")

    def small_run():
        assert [item.payload for item in run_pipe(code.Doubling, [1, 2])["default"]] == [2, 4]

    if __name__ == "__main__":
"""


def start(tmp_path: Any, body: Any) -> Any:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT) + textwrap.indent(textwrap.dedent(body), " " * 4))
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: Any) -> Any:
    """Wait for the end; return the status, the output, the errors."""
    output, errors = process.communicate(timeout=35)
    return process.returncode, output, errors


def await_ready(process: Any) -> None:
    assert process.stdout.readline() == "ready\n", process.stderr.read()


def shared_memory() -> Any:
    folder = Path("/dev/shm")
    return set(folder.iterdir()) if folder.exists() else set()


WITH = """
    with Application(stores=[code.Rates], pools={"default": 2}):
        run()
    say("not reached")
"""

# -- SIGTERM -----------------------------------------------------------------------


def test_sigterm_ends_the_block_in_order(tmp_path: Any) -> None:
    """Status 143, nothing on standard error, nothing left, and soon."""
    before = shared_memory()
    body = """
        try:
            with Application(pools={"default": 2}):
                run()
        finally:
            say("cleaned up")
        say("not reached")
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status, output, errors = finish(process)
    assert (status, output, errors) == (143, "cleaned up\n", "")
    assert time.monotonic() - began < 5
    assert shared_memory() <= before


def test_sigterm_reaches_the_whole_group_without_noise(tmp_path: Any) -> None:
    """A service manager signals workers too; they leave it to their driver."""
    with start(tmp_path, WITH) as process:
        await_ready(process)
        os.killpg(process.pid, signal.SIGTERM)
        assert finish(process) == (143, "", "")


@pytest.mark.parametrize(
    "options",
    ["stores=[Sleepy]", "pools={'default': {'workers': 2, 'init': 'time:sleep'}}"],
    ids=["load", "pool"],
)
def test_sigterm_while_the_application_starts(tmp_path: Any, options: Any) -> None:
    """The start is broken off; what it had started ends."""
    body = f"""
        if "Sleepy" not in {options!r}:
            say("ready")
        with Application({options}):
            say("started")
            run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        status, output, errors = finish(process)
    assert status in (143, -signal.SIGTERM)
    assert errors == ""
    assert "not reached" not in output


def test_sigterm_while_the_main_thread_runs_the_code_of_a_server(tmp_path: Any) -> None:
    """A write to an idle store runs in its caller's thread: the signal is the program's, not the store's."""
    body = """
        def slow(row):
            say("ready")
            time.sleep(20)
        with Application(stores=[code.Rates], pools={}):
            code.Rates.rates.update("a", slow)
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        status, output, _ = finish(process)
    assert (status, output) == (143, "")


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_second_signal_does_not_wait(tmp_path: Any, again: signal.Signals) -> None:
    """The stage that is being stopped sleeps for twenty seconds; nobody waits for it."""
    body = """
        with Application(pools={}):
            run(Stuck)
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # it has to be stopping; there is nothing to wait for from outside
        began = time.monotonic()
        process.send_signal(again)
        status, _, _ = finish(process)
    assert status == (143 if again == signal.SIGTERM else -signal.SIGINT)
    assert time.monotonic() - began < 3


def test_a_program_that_handles_sigterm_itself_keeps_its_handler(tmp_path: Any) -> None:
    """The library does not touch it."""
    body = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        with Application(pools={"default": 1}):
            run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        assert finish(process) == (7, "", "")


def test_the_handler_is_there_for_the_block_only() -> None:
    """And only in the main thread."""
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with Application(pools={}):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    seen = []

    def elsewhere() -> None:
        with Application(pools={}):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_a_start_that_fails_takes_its_handler_back() -> None:
    """As if it had not been tried."""
    with Application(pools={}), pytest.raises(Exception, match="runs already"), Application(pools={}):
        pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_terminated_is_handled_by_what_handles_ctrl_c() -> None:
    """And it ends a program as sys.exit does."""
    assert issubclass(Terminated, KeyboardInterrupt)
    assert Terminated(143).code == 143


def test_a_script_without_a_block_is_killed_and_leaves_nothing(tmp_path: Any) -> None:
    """The default application handles no signals; workers see their driver end."""
    with start(tmp_path, "run()") as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        assert finish(process) == (-signal.SIGTERM, "", "")


# -- SIGINT -----------------------------------------------------------------------


def test_ctrl_c_is_a_keyboard_interrupt_of_the_main_thread_and_of_nobody_else(tmp_path: Any) -> None:
    """The terminal signals the whole group: one traceback, the script's own, and no worker's."""
    with start(tmp_path, WITH) as process:
        await_ready(process)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        status, output, errors = finish(process)
    assert status == -signal.SIGINT
    assert output == ""
    assert errors.count("Traceback") == 1
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert time.monotonic() - began < 5


def test_a_program_may_go_on_after_ctrl_c(tmp_path: Any) -> None:
    """The interrupted run is over; the application still works."""
    body = """
        with Application(pools={"default": 1}):
            try:
                run()
            except KeyboardInterrupt:
                small_run()
                say("went on")
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGINT)
        assert finish(process) == (0, "went on\n", "")


# -- other ends --------------------------------------------------------------------

ENDS = {
    "end of the script": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "unhandled error": ("raise LookupError('mine')", 1, "LookupError: mine"),
    "os._exit": ("os._exit(4)", 4, ""),
}


@pytest.mark.parametrize("end", ENDS, ids=str)
@pytest.mark.parametrize("before", ["idle", "running", "by hand"])
def test_a_program_that_ends_without_a_stop(tmp_path: Any, end: Any, before: Any) -> None:
    """Its status is its own, its standard error as well, and nothing is left."""
    last, status, error = ENDS[end]
    first = {
        "idle": "small_run()",
        "running": "stream = stream_pipe(code.Napping, itertools.count()); next(stream)",
        "by hand": "Application(pools={'default': 1}).start(); small_run()",
    }[before]
    with start(tmp_path, f"{first}\n{last}") as process:
        found, output, errors = finish(process)
    assert (found, output) == (status, "")
    assert errors.count("Traceback") == (1 if error else 0)
    assert errors.rstrip().endswith(error)


def test_a_run_at_exit_is_refused(tmp_path: Any) -> None:
    """After the application's own exit handler there is none any more; it does not hang."""
    body = """
        import atexit
        def late():
            try:
                run_pipe(code.Doubling, [1])
            except Exception as error:
                say(type(error).__name__, error)
        # Handlers run in the reverse order: this one behind the application's.
        import slither_actors.application._application as application
        atexit.unregister(application._stop_at_exit)
        atexit.register(late)
        atexit.register(application._stop_at_exit)
        small_run()
    """
    with start(tmp_path, body) as process:
        status, output, errors = finish(process)
    assert (status, output, errors) == (
        0,
        "NotRunningError the program is ending and starts nothing any more\n",
        "",
    )
