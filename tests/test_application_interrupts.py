"""Signals that raise in the main thread: never inside the runtime, soon everywhere else, and never lost."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from slither_actors.actors import Registry, Server, _interrupts
from slither_actors.actors._interrupts import calls_out, is_critical, may_interrupt, waits
from slither_actors.application._signals import SignalGuard, Terminated
from tests.search_path import SEARCH_PATH


def program(*arguments: str, timeout: float) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), (done.stdout, done.stderr)
    return done.stdout.split()


# -- under fire -----------------------------------------------------------------------


def under_fire(seconds: float, seed: int) -> None:
    ok, count, late, _ = program("tests.interrupted_code", str(seconds), str(seed), timeout=seconds + 90)
    assert ok == "ok"
    assert int(count) > 10 * seconds
    # Fifty milliseconds, but for the times when the machine gave the program none.
    assert int(late) <= int(count) / 20


@pytest.mark.stress
@pytest.mark.parametrize("seed", [1, 2])
def test_a_signal_at_any_moment_harms_nothing(seed: int) -> None:
    """Hundreds of them, while the main thread uses actors: each is raised, soon, and no message is lost."""
    under_fire(2, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 20))
def test_signals_for_minutes_harm_nothing(seed: int) -> None:
    """As above, tens of thousands of them."""
    under_fire(60, seed)


WAITS = """
import faulthandler, os, signal, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)
from slither_actors import Application, Store, Table
from slither_actors.actors import NO_REPLY, Actor, Registry, Server, TaskSupervisor
from slither_actors.dispatch._reader import Outlet

class Silent(Server):
    def handle_call(self, request, sender):
        return NO_REPLY
    def handle_cast(self, message):
        message()

class Inline(Silent):
    inline_calls = True
    def handle_call(self, request, sender):
        time.sleep(60)

class Own(Server):
    own_thread = True
    def init(self):
        gate.wait(60)

class Slow(Server):
    def init(self):
        time.sleep(60)

class LastWords(Inline):
    def handle_call(self, request, sender):
        self.stop()
        return request
    def terminate(self, reason):
        time.sleep(60)

class Full(Silent):
    mailbox_size = 1
    mailbox_overflow = "block"

class Mute(Actor):
    def on_receive(self, message):
        gate.wait(60)

class Rows(Store):
    rows = Table()
    def load(self, tables):
        pass

gate = threading.Event()
server, full, mute = Silent.start(), Full.start(), Mute.start()
full.cast(gate.wait)
full.cast(gate.wait)
mute.tell(1)
registry = Registry.start(keys="unique")
registry.register_actor(server, "key")
tasks = TaskSupervisor.start()
taken = threading.Event()
threading.Thread(
    target=registry.lock, args=("taken", lambda: (taken.set(), gate.wait(60))), daemon=True
).start()
taken.wait()

class Napping(Application):
    pass

WAITS = {
    "call": lambda: server.call(1, None),
    "run": lambda: server.run(lambda *_: gate.wait(60), None, None),
    "join": lambda: server.join(60),
    "stop": lambda: full.stop(),
    "cast": lambda: [full.cast(print) for _ in range(3)],
    "stop of an Actor": lambda: mute.stop(),
    "end of an Actor": lambda: mute.actor_stopped.wait(60),
    "ask": lambda: mute.ask(1, timeout=60),
    "inline call": lambda: Inline.start().call(1, None),
    "last words of an inline call": lambda: LastWords.start().call(1, None),
    "start": Slow.start,
    "start with a thread": Own.start,
    "lock": lambda: registry.lock("taken", print),
    "in a lock": lambda: registry.lock("free", lambda: time.sleep(60)),
    "dispatch": lambda: registry.dispatch("key", lambda _: time.sleep(60)),
    "select": lambda: registry.select(lambda *_: time.sleep(60)),
    "task": lambda: tasks.async_nolink(time.sleep, 60).await_(60),
    "task stream": lambda: list(tasks.async_stream(time.sleep, [60], timeout=None)),
    "input of a task stream": lambda: list(tasks.async_stream(time.sleep, (time.sleep(60) for _ in "a"))),
    "outlet": lambda: Outlet().get(),
    "get_state": lambda: full.get_state(60),
    "write": lambda: Rows.rows.update("a", lambda _: time.sleep(60)),
    "sleep": lambda: time.sleep(60),
    "loop": lambda: [None for _ in iter(int, 1)],
}

at = [0.0]
def strike():
    time.sleep(0.06)
    at[0] = time.monotonic()
    os.kill(os.getpid(), signal.SIGTERM)

with Application(pools={}, stores=[Rows]):
    for name, wait in WAITS.items():
        threading.Thread(target=strike).start()
        try:
            wait()
            print(name, "was not interrupted")
        except KeyboardInterrupt:
            seconds = time.monotonic() - at[0]
            if seconds > 0.5:
                print(name, "was interrupted after", seconds)
    gate.set()
    print("done", flush=True)
    os._exit(0)
"""


def test_a_wait_is_interrupted_promptly(tmp_path: Any) -> None:
    """Every one that the main thread may be in, and the user's code that it may run meanwhile."""
    script = tmp_path / "script.py"
    script.write_text(WAITS)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout == "done\n", (done.stdout, done.stderr)


# -- one at a time ------------------------------------------------------------------------


def runtime_code(source: str) -> dict[str, Any]:
    """Functions as if they were of the runtime."""
    names: dict[str, Any] = {}
    exec(compile(source, f"{_interrupts._OURS}actors/_made_up.py", "exec"), names)
    return names


BUSY = """
import time
def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return time.monotonic()

def blocked(seconds):
    time.sleep(seconds)
    return time.monotonic()

def wait(seconds):
    time.sleep(seconds)

def call(function):
    return function()
"""


@pytest.fixture
def guard() -> Any:
    guard = SignalGuard()
    guard.install()
    yield guard
    guard.restore()


def strike_in(seconds: float, number: int = signal.SIGTERM) -> None:
    def strike() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), number)

    threading.Thread(target=strike).start()


@pytest.mark.parametrize("name", ["busy", "blocked"])
@pytest.mark.usefixtures("guard")
def test_a_signal_inside_the_runtime_is_raised_right_behind_it(name: str) -> None:
    """Not in it, and not late."""
    inside = runtime_code(BUSY)[name]
    left = None
    strike_in(0.05)
    try:
        left = inside(0.3)
        time.sleep(10)
    except Terminated:
        pass
    assert left is not None
    assert time.monotonic() - left < 0.3  # fifty milliseconds, on a machine that is not busy


def test_a_signal_that_is_due_is_raised_when_the_guard_goes(guard: SignalGuard) -> None:
    """It is not lost."""
    busy = runtime_code(BUSY)["busy"]
    guard._nudge_main = lambda *_: None  # type: ignore[method-assign]
    strike_in(0.1)
    busy(0.4)
    with pytest.raises(Terminated):
        guard.restore()


@pytest.mark.usefixtures("guard")
def test_without_patience_for_a_callback_that_does_not_return() -> None:
    """A log handler, say, that hangs: then the signal is raised in it after all."""
    names = runtime_code(BUSY)
    began = time.monotonic()
    strike_in(0.1)
    with pytest.raises(Terminated):
        names["call"](lambda: time.sleep(10))
    assert 0.9 < time.monotonic() - began < 5


@pytest.mark.usefixtures("guard")
def test_two_signals_that_are_due_are_raised_once() -> None:
    """Nobody is interrupted in the clean-up after the first by what came before it."""
    busy = runtime_code(BUSY)["busy"]
    strike_in(0.1, signal.SIGINT)
    strike_in(0.15, signal.SIGTERM)
    caught = []
    for _ in range(2):
        try:
            busy(0.5)
            time.sleep(0.2)
        except KeyboardInterrupt as error:
            caught.append(type(error))
    assert caught == [KeyboardInterrupt]


def test_the_marks_cost_nothing() -> None:
    """A marked function is the function."""

    def function() -> None:
        pass

    assert waits(function) is function
    assert calls_out(function) is function


def test_a_finalizer_is_not_interrupted() -> None:
    """What is raised there is printed and lost."""
    seen = []

    class Last:
        def __del__(self) -> None:
            seen.append((may_interrupt(sys._getframe()), is_critical(sys._getframe())))

    Last()
    assert seen == [(False, False)]


def test_a_log_handler_that_the_runtime_calls_is_not_interrupted(caplog: pytest.LogCaptureFixture) -> None:
    """It is called in the middle of something."""
    seen = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((threading.current_thread(), may_interrupt(sys._getframe())))

    class Crashing(Server):
        inline_calls = True

        def handle_call(self, request: Any, sender: Any) -> Any:
            raise LookupError

    handler = Handler()
    logging.getLogger("slither_actors").addHandler(handler)
    try:
        with pytest.raises(Exception, match="LookupError"):
            Crashing.start().call(1)
    finally:
        logging.getLogger("slither_actors").removeHandler(handler)
    assert seen == [(threading.main_thread(), False)]


def test_callbacks_may_be_interrupted() -> None:
    """Those that run in the thread of whoever calls or starts."""
    seen = []

    class Looking(Server):
        inline_calls = True

        def init(self) -> None:
            seen.append(("init", may_interrupt(sys._getframe())))

        def handle_call(self, request: Any, sender: Any) -> Any:
            seen.append(("call", may_interrupt(sys._getframe())))
            self.stop()

        def terminate(self, reason: Any) -> None:
            seen.append(("terminate", may_interrupt(sys._getframe())))

    Looking.start().call(1)
    Registry.start().select(lambda *_: True)
    assert seen == [("init", True), ("call", True), ("terminate", True)]
