"""How a program ends: signals, exits, errors. Each in a process of its own, with a watchdog.

That no worker process is left is seen to by the leak check of the suite.
"""

from __future__ import annotations

import os
import random
import signal
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application
from slither_actors.application import Terminated
from tests.application_process import await_ready, finish, start


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
    assert (status, output, errors) == (143, ["cleaned up"], "")
    assert time.monotonic() - began < 5
    assert shared_memory() <= before


def test_sigterm_reaches_the_whole_group_without_noise(tmp_path: Any) -> None:
    """A service manager signals workers too; they leave it to their driver."""
    with start(tmp_path, WITH) as process:
        await_ready(process)
        os.killpg(process.pid, signal.SIGTERM)
        assert finish(process) == (143, [], "")


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
    assert (status, output) == (143, [])


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


SLOW_TO_STOP = """
    class Slow(Probe):
        def terminate(self, reason):
            say("begins", self.label)
            time.sleep(0.01)
            say("ends", self.label)
    with Application(pools={}, children=[Slow.child_spec(label, id=label) for label in "abcde"]):
        ready()
        time.sleep(30)
"""


@pytest.mark.parametrize("seed", range(10))
def test_two_signals_at_any_moment_leave_every_actor_its_last_callback(tmp_path: Any, seed: int) -> None:
    """The second one waits for nobody, but it cuts nobody off either."""
    chance = random.Random(seed)
    with start(tmp_path, SLOW_TO_STOP) as process:
        await_ready(process)
        for _ in range(2):
            process.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
            time.sleep(chance.choice([0.0, 0.001, 0.01, 0.05]) * chance.random())
        status, output, errors = finish(process)
    assert status in (143, -signal.SIGINT, -signal.SIGTERM), errors  # the last, when the block was left
    assert sorted(line for line in output if "ends" in line) == [f"ends {label}" for label in "abcde"]


def test_the_third_signal_ends_a_block_where_it_stands(tmp_path: Any) -> None:
    """As it does for `run`, with a status that says which one it was."""
    body = """
        from slither_actors.application import _application
        _application.end_now = lambda root: None  # what the second one does takes no time
        class Silent(Probe):
            def terminate(self, reason):
                ready()
                time.sleep(30)
        with Application(pools={}, children=[Silent.child_spec("a", id="a", shutdown=30)]):
            ready()
            time.sleep(30)
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        await_ready(process)
        for number in (signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
            time.sleep(0.2)  # two of a kind that are pending are one
        began = time.monotonic()
        status, output, errors = finish(process)
    assert (output, errors) == ([], "")
    assert status == 130
    assert time.monotonic() - began < 5


def test_a_signal_while_a_block_is_left_is_raised_behind_it(tmp_path: Any) -> None:
    """The actors end at once then, and in order; what was begun is not left half done."""
    body = """
        class Last(Probe):
            def terminate(self, reason):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.1)
                say("ended", self.label)
        try:
            with Application(pools={}, children=[Last.child_spec("a", id="a")]) as application:
                pass
            say("not reached")
        finally:
            say("left", application.running)
    """
    with start(tmp_path, body) as process:
        assert finish(process) == (143, ["ended a", "left False"], "")


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
        assert finish(process) == (7, [], "")


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
        assert finish(process) == (-signal.SIGTERM, [], "")


# -- SIGINT -----------------------------------------------------------------------


def test_ctrl_c_is_a_keyboard_interrupt_of_the_main_thread_and_of_nobody_else(tmp_path: Any) -> None:
    """The terminal signals the whole group: one traceback, the script's own, and no worker's."""
    with start(tmp_path, WITH) as process:
        await_ready(process)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        status, output, errors = finish(process)
    assert status == -signal.SIGINT
    assert output == []
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
        assert finish(process) == (0, ["went on"], "")


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
    assert (found, output) == (status, [])
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
        ["NotRunningError the program is ending and starts nothing any more"],
        "",
    )


# -- stops from odd places ------------------------------------------------------------

PLACES = {
    "atexit": "atexit.register(application.stop); small_run()",
    "finalizer": """
        class Last:
            def __del__(self):
                application.stop()
        small_run()
        Last()""",
    "finalizer in a cycle": """
        class Last:
            def __init__(self):
                self.me = self
            def __del__(self):
                application.stop()
        small_run()
        for _ in range(100):
            Last()
        gc.collect()""",
    "signal handler": """
        signal.signal(signal.SIGALRM, lambda *_: application.stop())
        small_run()
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        run_until_it_ends()""",
    "signal handler, while a call waits": """
        signal.signal(signal.SIGALRM, lambda *_: application.stop())
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        whereis("slither").join(20)""",
    "two at once": """
        small_run()
        for _ in range(2):
            threading.Thread(target=application.stop).start()
        application.stop()""",
    "a thread, while the main thread runs": """
        threading.Timer(0.3, application.stop).start()
        run_until_it_ends()""",
    "actors and tasks outside of the tree, which wait": """
        class Outside(Server):
            def handle_call(self, request, sender):
                self.continue_with()
                return NO_REPLY if self.note(sender) else None
            def note(self, sender):
                self.sender = sender
                return True
            def handle_continue(self, _):
                self.sender.reply(self.stop_all())
            def stop_all(self):
                application.stop()
                return application.running
        class Greeter(Actor):
            def on_receive(self, message):
                application.stop()
                return application.running
        say(Outside.start().call(1))
        application.start()
        say(Greeter.start().ask(1))
        application.start()
        tasks = TaskSupervisor.start()
        say(tasks.async_nolink(lambda: (application.stop(), application.running)[1]).await_())
        application.start()""",
    "request_stop in a block": """
        threading.Timer(0.3, application.request_stop).start()
        run_until_it_ends()""",
}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_stop_from_anywhere(tmp_path: Any, place: str) -> None:
    """It ends, soon, and leaves nothing."""
    body = f"""
        import atexit, gc, threading
        from slither_actors.actors import NO_REPLY, Actor, whereis
        def run_until_it_ends():
            try:
                run()
            except PipeError:
                pass
        application = Application(pools={{"default": 1}}).start()
        {textwrap.dedent(PLACES[place]).strip().replace(chr(10), chr(10) + " " * 8)}
        application.stop()
        say("ended", application.running)
    """
    with start(tmp_path, body) as process:
        began = time.monotonic()
        status, output, errors = finish(process)
    assert (status, errors) == (0, "")
    *before, last = output
    assert last == "ended False"
    assert set(before) <= {"ready", "False"}
    assert time.monotonic() - began < 10


def test_a_stop_inside_the_runtime_does_not_wait(tmp_path: Any) -> None:
    """The main thread holds a lock of the scheduler while a handler of the program's calls stop."""
    body = """
        from slither_actors.actors import _interrupts, _runtime
        names = {}
        source = "def hold(lock, function):\\n    with lock:\\n        function()"
        exec(compile(source, _interrupts._OURS + "actors/_made_up.py", "exec"), names)
        with Application(pools={}) as application:
            began = time.monotonic()
            names["hold"](_runtime.scheduler.lock, lambda: application.stop())
            say(time.monotonic() - began < 1)
            application.root.join(5)
        say("ended")
    """
    with start(tmp_path, body) as process:
        assert finish(process) == (0, ["True", "ended"], "")


def test_calls_while_the_application_stops_end(tmp_path: Any) -> None:
    """With a reply or an error, promptly: thousands of them."""
    body = """
        import threading
        from slither_actors.actors import Server, whereis
        from slither_actors.errors import *
        class Echo(Server):
            def handle_call(self, request, sender):
                return request
        longest = 0.0
        for _ in range(6):
            over = threading.Event()
            def calls():
                global longest
                while not over.is_set():
                    began = time.monotonic()
                    try:
                        echo.call(1, 30)
                    except (ActorExitError, NotRunningError):
                        pass
                    longest = max(longest, time.monotonic() - began)
            with Application(pools={}, children=[Echo]) as application:
                echo = application.root.child("Echo")
                threads = [threading.Thread(target=calls) for _ in range(3)]
                for thread in threads:
                    thread.start()
            over.set()
            for thread in threads:
                thread.join()
        say(longest < 3)
    """
    with start(tmp_path, body) as process:
        assert finish(process) == (0, ["True"], "")


# -- fork ----------------------------------------------------------------------------------

QUIET = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)"

CHILDREN = {
    "leaves the block": ("pass", 0),
    "exits": ("sys.exit(3)", 3),
    "fails": ("os.dup2(os.open(os.devnull, os.O_WRONLY), 2); raise LookupError", 1),
    "uses a pool": ("uses(lambda: run_pipe(code.Doubling, [1]))", 0),
    "uses the tree": ("uses(lambda: application.root)", 0),
    "stops": ("application.stop(); application.request_stop(); sys.exit(4)", 4),
    "starts another": ("uses(lambda: Application(pools={}).start())", 0),
    "gets SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
}


@pytest.mark.parametrize("child", CHILDREN, ids=str)
def test_a_child_of_a_fork_has_no_application(tmp_path: Any, child: str) -> None:
    """It can end as any process, in the block or by leaving it; uses are errors; the parent's goes on."""
    code, expected = CHILDREN[child]
    body = f"""
        {QUIET}
        def uses(function):
            try:
                say("gave", function())
            except ForkedRuntimeError:
                pass
        from slither_actors.errors import ForkedRuntimeError
        parent = os.getpid()
        faulthandler.cancel_dump_traceback_later()  # a child of a fork would wait for its thread at exit
        with Application(stores=[code.Rates], pools={{"default": 1}}) as application:
            small_run()
            pid = os.fork()
            if not pid:
                signal.alarm(15)
                {code}
            else:
                say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                small_run()
                code.Rates.rates.put("b", 1)
        if os.getpid() == parent:
            say("parent ended")
    """
    with start(tmp_path, body) as process:
        assert finish(process) == (0, [f"{int(expected)}", "parent ended"], "")
