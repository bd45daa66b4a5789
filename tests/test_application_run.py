"""`Application.run`: who ends it, how soon, and with which status. In a process each, with a watchdog."""

from __future__ import annotations

import os
import signal
import textwrap
import threading
import time
from typing import Any

import pytest

from slither_actors import Application
from slither_actors.application import Terminated
from slither_actors.errors import ApplicationEndedError, NotRunningError, OptionError
from tests.actors.probes import LONG
from tests.application_process import await_ready, finish, start

RUN = """
    application = Application(pools={}, children=probes("ab"))
    when_up(ready, "b")
    try:
        application.run()
    finally:
        say("cleaned up")
    say("returned")
"""

# -- signals -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_first_signal_stops_in_reverse_order(tmp_path: Any, number: signal.Signals) -> None:
    """Callbacks run, so does the program's own clean-up; the status is 128 and the number."""
    with start(tmp_path, RUN) as process:
        await_ready(process)
        began = time.monotonic()
        process.send_signal(number)
        assert finish(process) == (
            128 + number,
            ["terminate b shutdown", "terminate a shutdown", "cleaned up"],
            "",
        )
    assert time.monotonic() - began < 3


STUCK = """
    application = Application(pools={}, children=probes("a") + probes("b", shutdown=30))
    when_up(lambda: whereis("b").cast(stick), "b")
    application.run()
"""


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_second_signal_waits_for_nobody(tmp_path: Any, again: signal.Signals) -> None:
    """An actor that is stuck had thirty seconds; the others still have their last callback."""
    with start(tmp_path, STUCK) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # it has to be stopping; there is nothing to wait for from outside
        began = time.monotonic()
        process.send_signal(again)
        status, output, errors = finish(process)
        seconds = time.monotonic() - began
    assert (status, output) == (143, ["terminate a shutdown"])
    assert "Probe 'b'" in errors
    assert "1 actors are still inside handlers" in errors
    assert seconds < 2  # one, and a busy machine


def test_the_third_signal_ends_the_process_where_it_stands(tmp_path: Any) -> None:
    """With a status that says which one it was."""
    body = """
        from slither_actors.application import _run
        _run.end_now = lambda root: None  # what the second one does takes no time
        _run._SECOND_SIGNAL_SECONDS = 30
        application = Application(pools={}, children=probes("b", shutdown=30))
        when_up(lambda: whereis("b").cast(stick), "b")
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            began = time.monotonic()
            process.send_signal(number)
            time.sleep(0.2)  # two of a kind that are pending are one
        assert finish(process) == (130, [], "")
    assert time.monotonic() - began < 2


def test_ctrl_c_reaches_the_whole_group_without_noise(tmp_path: Any) -> None:
    """The terminal signals workers, too; they leave it to their driver."""
    body = """
        application = Application(pools={"default": 2})
        def work():
            for number, _ in enumerate(stream_pipe(code.Napping, itertools.count())):
                if number == 10:
                    ready()
        when_up(work)
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert finish(process) == (130, [], "")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize(
    "options",
    ["stores=[Sleepy]", "pools={'default': {'workers': 2, 'init': code.slow_start}}", "children=[Slow]"],
    ids=["store", "pool", "child"],
)
def test_a_signal_while_the_application_starts(tmp_path: Any, options: Any, number: signal.Signals) -> None:
    """The start is broken off, and what had started ends."""
    body = f"""
        class Slow(Server):
            def init(self):
                ready()
                time.sleep(60)
        if "slow_start" in {options!r}:
            when_up(ready, "slither.stores")
        options = dict({options})
        options.setdefault("pools", {{}})
        Application(**options).run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        began = time.monotonic()
        process.send_signal(number)
        status, output, errors = finish(process)
    assert (status, output, errors) == (128 + number, [], "")
    assert time.monotonic() - began < 8


def test_signals_while_it_stops(tmp_path: Any) -> None:
    """Whenever they come, the end is an orderly or a quick one, and its status is that of the first."""
    body = """
        application = Application(pools={}, children=probes("ab"))
        when_up(ready, "b")
        application.run()
    """
    for delay in range(8):
        with start(tmp_path, body) as process:
            await_ready(process)
            process.send_signal(signal.SIGTERM)
            time.sleep(delay * 0.004)
            process.send_signal(signal.SIGINT)
            status, output, errors = finish(process)
        # The first may be the second to be seen. And once the handlers are restored it is any program.
        assert status in (143, 130, -signal.SIGINT), (output, errors)
        assert "Timeout" not in errors


def test_sigusr1_shows_the_threads_and_the_tree(tmp_path: Any) -> None:
    """On standard error, and the application goes on."""
    with start(tmp_path, RUN) as process:
        await_ready(process)
        process.send_signal(signal.SIGUSR1)
        seen = ""
        while "└─" not in seen:
            seen += process.stderr.readline()
        assert "most recent call first" in seen
        assert "SlitherSupervisor 'slither'" in seen
        process.send_signal(signal.SIGTERM)
        status, output, errors = finish(process)
    assert (status, errors) == (143, "")
    assert output[-1] == "cleaned up"


def test_sigusr1_shows_the_tables_of_stores(tmp_path: Any) -> None:
    """As the command `stores` does."""
    body = """
        from slither_actors import Store, Table

        class Shop(Store):
            prices = Table()

            def load(self, tables):
                tables.prices.put("apple", 3)

        application = Application(pools={}, stores=[Shop], children=probes("a"))
        when_up(ready, "a")
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGUSR1)
        line = ""
        while not line.startswith("Shop.prices"):
            line = process.stderr.readline()
            assert line
        assert line.split()[1:3] == ["set", "1"]
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 143


def test_sigusr1_during_the_start_shows_the_threads(tmp_path: Any) -> None:
    """That is when one wants to know what it waits for."""
    with start(tmp_path, "Application(pools={}, stores=[Sleepy]).run()") as process:
        await_ready(process)
        process.send_signal(signal.SIGUSR1)
        seen = ""
        while "in load" not in seen:
            seen += process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 143


def test_handlers_of_the_program_stay(tmp_path: Any) -> None:
    """They may ask for the end."""
    body = """
        application = Application(pools={}, children=probes("a"))
        signal.signal(signal.SIGTERM, lambda *_: application.request_stop())
        when_up(ready, "a")
        application.run()
        say("returned")
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        assert finish(process) == (0, ["terminate a shutdown", "returned"], "")


def test_the_handlers_are_there_while_it_runs_only() -> None:
    """And are put back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGURG)
    before = [signal.getsignal(number) for number in numbers]
    seen: list[Any] = []
    application = Application(pools={})

    def look() -> None:
        while not application.running:
            time.sleep(0.001)
        seen.extend(signal.getsignal(number) for number in numbers)
        application.request_stop()

    thread = threading.Thread(target=look)
    thread.start()
    application.run()
    thread.join()
    assert [signal.getsignal(number) for number in numbers] == before
    assert not set(seen) & set(before)


# -- other ends --------------------------------------------------------------------

ASKS = {
    "thread": "when_up(application.request_stop, 'b')",
    "actor": "when_up(lambda: whereis('b').cast(lambda _: application.request_stop()), 'b')",
    "before it runs": "application.request_stop()",
    "twice at once": "[when_up(application.request_stop, 'b') for _ in range(5)]",
    "stop in a thread": "when_up(application.stop, 'b')",
    "stop in an actor": "when_up(lambda: whereis('b').cast(lambda _: application.stop()), 'b')",
    "finalizer": """
        class Last:
            def __del__(self):
                application.request_stop()
        when_up(Last, "b")""",
    "signal handler": """
        signal.signal(signal.SIGALRM, lambda *_: (application.request_stop(), application.stop()))
        when_up(lambda: os.kill(os.getpid(), signal.SIGALRM), "b")""",
}


@pytest.mark.parametrize("ask", ASKS, ids=str)
def test_it_returns_when_somebody_asks(tmp_path: Any, ask: str) -> None:
    """From wherever; the tree has ended then, and the program goes on."""
    body = f"""
        application = Application(pools={{}}, children=probes("ab"))
        {textwrap.dedent(ASKS[ask]).strip().replace(chr(10), chr(10) + " " * 8)}
        application.run()
        say("returned", application.running)
    """
    with start(tmp_path, body) as process:
        status, output, errors = finish(process)
    assert (status, errors) == (0, "")
    assert output == ["terminate b shutdown", "terminate a shutdown", "returned False"]


def test_a_worker_may_ask(tmp_path: Any) -> None:
    """By a view: it runs in the driver, in an actor that the stop ends."""
    body = """
        def work():
            try:
                run_pipe(code.AskingForTheEnd, [1])
            except PipeError:
                pass  # it was ended with all others
        application = Application(pools={"default": 1}, stores=[code.Ending])
        code.Ending.hook = application.stop
        when_up(work)
        application.run()
        say("returned", application.running)
    """
    with start(tmp_path, body) as process:
        status, output, errors = finish(process)
    assert (status, output) == (0, ["returned False"]), errors


def test_a_tree_that_gives_up_is_an_error(tmp_path: Any) -> None:
    """It says why, and the status is not zero."""
    body = """
        class Hopeless(Server):
            def init(self):
                self.send_after(0.01, "crash")
            def handle_info(self, message):
                raise LookupError("no hope")
        Application(pools={}, children=[Hopeless]).run()
    """
    with start(tmp_path, body) as process:
        status, _, errors = finish(process)
    assert status == 1
    last = errors.rstrip().splitlines()[-1]
    assert last.startswith("slither_actors.errors.ApplicationEndedError: the application ended by itself")
    assert "child 'Hopeless' ended again" in last
    assert "no hope" in last


def test_a_root_that_is_killed_is_an_error() -> None:
    """As a thread sees it, too: outside of the main thread it raises the same."""
    application = Application(pools={})
    caught: list[Any] = []

    def run() -> None:
        with pytest.raises(ApplicationEndedError) as error:
            application.run()
        caught.append(error.value.reason)

    thread = threading.Thread(target=run)
    thread.start()
    while not application.running:
        time.sleep(0.001)
    application.root.kill()
    thread.join(LONG)
    assert caught == ["killed"]
    assert not application.running


def test_it_can_be_run_in_a_block_and_by_one_thread_only() -> None:
    """The block's end finds nothing to stop."""
    application = Application(pools={})
    outcomes: list[Any] = []

    def second() -> None:
        while not application._serving:
            time.sleep(0.001)
        try:
            application.run()
        except NotRunningError as error:
            outcomes.append(str(error))
        application.request_stop()

    thread = threading.Thread(target=second)
    with application:
        thread.start()
        application.run()
        thread.join(LONG)
        assert not application.running
    assert "is run already" in outcomes[0]


def test_a_signal_in_a_block_leaves_the_block_too(tmp_path: Any) -> None:
    """`Terminated` is raised by `run` and goes all the way."""
    body = """
        with Application(pools={}, children=probes("a")) as application:
            when_up(ready, "a")
            application.run()
            say("not reached")
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        assert finish(process) == (143, ["terminate a shutdown"], "")


# -- actors that do not end ----------------------------------------------------------


@pytest.mark.parametrize(("choice", "status"), [("warn", 143), ("exit", 70)])
def test_a_stuck_actor_does_not_keep_the_process(tmp_path: Any, choice: str, status: int) -> None:
    """It is abandoned after its time; what was written is flushed; other actors have their last callback."""
    body = f"""
        import logging
        logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
        application = Application(
            pools={{}}, children=probes("a") + probes("b", shutdown=0.2), on_zombies={choice!r}
        )
        Probe.start("outside")
        def work():
            sys.stdout.write("buffered ")
            whereis("b").cast(stick)
        when_up(work, "b")
        application.run()
    """
    with start(tmp_path, body) as process:
        assert process.stdout.readline() == "buffered ready\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        found, output, errors = finish(process)
    assert (found, output) == (status, ["terminate a shutdown", "terminate outside shutdown"])
    assert "slither_actors.application WARNING 1 actors are still inside handlers" in errors
    assert time.monotonic() - began < 4


def test_a_block_warns_of_a_stuck_actor_and_goes_on(tmp_path: Any) -> None:
    """The program is not the library's to end."""
    body = """
        with Application(pools={}, children=probes("b", shutdown=0.2)):
            whereis("b").cast(stick)
            time.sleep(0.1)
        say("goes on")
    """
    with start(tmp_path, body) as process:
        status, output, errors = finish(process)
    assert (status, output) == (0, ["ready", "goes on"])
    assert "1 actors are still inside handlers" in errors
    assert "Exception ignored" not in errors


# -- what is in flight -----------------------------------------------------------------


def test_what_was_read_is_finished(tmp_path: Any) -> None:
    """The input ends at the signal, not the run: each item that was taken from it comes out."""
    body = """
        taken = []
        def numbers():
            for number in itertools.count():
                taken.append(number)
                yield number
        found = []
        def work():
            for item in stream_pipe(code.Napping, numbers()):
                found.append(item.payload)
                if len(found) == 10:
                    ready()
            say("ended normally")
        application = Application(pools={"default": 2})
        thread = threading.Thread(target=work)
        when_up(thread.start, "slither.pipes")
        try:
            application.run()
        finally:
            thread.join(5)
            say(len(taken) == len(found), found == sorted(found))
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        assert finish(process) == (143, ["ended normally", "True True"], "")


def test_an_input_that_blocks_is_not_waited_for(tmp_path: Any) -> None:
    """What came before is finished all the same."""
    body = """
        def numbers():
            yield from range(10)
            ready()
            time.sleep(100)
        found = []
        def work():
            found.extend(item.payload for item in stream_pipe(code.Napping, numbers()))
            say(len(found))
        from slither_actors.actors import _runtime
        _runtime.EXIT_SECONDS = 0.5  # how long the end of the program waits for the input's actor
        application = Application(pools={"default": 1})
        when_up(work)
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status, output, _ = finish(process)
    assert (status, output) == (143, ["10"])
    assert time.monotonic() - began < 4


def test_what_takes_too_long_is_ended(tmp_path: Any) -> None:
    """After the drain timeout the runs are stopped, which their readers see as an error."""
    body = """
        def work():
            try:
                ready()
                run_pipe(code.Dozing, itertools.count())
            except PipeError as error:
                say(error.reason)
        application = Application(pools={"default": 1}, drain_timeout=0.3)
        when_up(work)
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        time.sleep(0.5)  # the batch has to run; it says nothing here
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status, output, errors = finish(process)
    assert status == 143
    assert "1 runs had not finished what was in flight" in errors
    assert time.monotonic() - began < 3


# -- options ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_zombies": "ignore"}, "'on_zombies' is 'ignore'; allowed are 'warn', 'exit'"),
        ({"drain_timeout": -1}, "'drain_timeout' is -1"),
        ({"drain_timeout": "long"}, "'drain_timeout' is 'long'"),
        ({"children": 3}, "'children' is 3; allowed is a list"),
        ({"children": [3]}, "3"),
    ],
    ids=str,
)
def test_a_wrong_option_is_an_error_before_anything_starts(options: Any, message: Any) -> None:
    """It names the option and what it allows."""
    with pytest.raises(OptionError, match=message):
        Application(**options)


def test_terminated_has_the_status_of_any_signal() -> None:
    """128 and the number."""
    assert Terminated(130).code == 130


def test_a_request_that_was_fulfilled_does_not_end_the_next_run() -> None:
    """It is used up by the end of the block in which it was made."""
    application = Application(pools={})
    with application:
        application.request_stop()
    asked = threading.Event()

    def ask() -> None:
        while not application.running:
            time.sleep(0.001)
        asked.set()
        application.request_stop()

    threading.Thread(target=ask, daemon=True).start()
    application.run()
    assert asked.is_set()


def test_signals_are_heard_until_a_stuck_process_has_left(tmp_path: Any) -> None:
    """One that comes while the last words of other actors are waited for changes nothing."""
    body = """
        class Last(Probe):
            def terminate(self, reason):
                say("last words begin")
                for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM):
                    os.kill(os.getpid(), number)
                time.sleep(0.2)
                say("last words end")
        application = Application(pools={}, children=probes(["stuck"], shutdown=0.1))
        def stall():
            Last.start("outside")
            whereis("stuck").cast(stick)
        when_up(stall, "stuck")
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        process.send_signal(signal.SIGTERM)
        status, output, _ = finish(process)
    assert (status, output) == (143, ["last words begin", "last words end"])
