"""The end of a program whose actors are still alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

ACTORS = """
import sys, threading, time
from slither_actors.actors import NO_REPLY, Actor, DynamicSupervisor, Server, Supervisor, _runtime
from slither_actors.errors import ActorExitError, NotRunningError

class Probe(Server):
    def init(self, label=""):
        self.label = label
    def handle_call(self, request, sender):
        return request(self) if callable(request) else request
    def handle_cast(self, function):
        function(self)
    def terminate(self, reason):
        print("terminate", self.label, reason, flush=True)
"""


def test_actors_that_are_alive_at_the_end_terminate(program: Run) -> None:
    """The last started first, each with the reason shutdown; nothing is printed besides."""
    done = program(f"""{ACTORS}
for label in "abc":
    Probe.start(label)
""")
    assert done.out == [f"terminate {label} shutdown" for label in "cba"]
    assert done.err == ""


def test_a_tree_stops_in_order_at_the_end(program: Run) -> None:
    """Children are their supervisor's to stop."""
    done = program(f"""{ACTORS}
inner = Supervisor.child_spec([Probe.child_spec("a", id="a"), Probe.child_spec("b", id="b")])
Supervisor.start([inner, Probe.child_spec("c", id="c")])
""")
    assert done.out == [f"terminate {label} shutdown" for label in "cba"]
    assert done.err == ""


@pytest.mark.parametrize(("how", "code"), [("sys.exit(3)", 3), ("raise SystemExit", 0), ("1 / 0", 1)])
def test_however_the_program_ends(how: str, code: int, program: Run) -> None:
    """The actors terminate, and the exit status is the program's own."""
    done = program(f"{ACTORS}\nProbe.start('a')\n{how}", code=code)
    assert done.out == ["terminate a shutdown"]
    assert ("ZeroDivisionError" in done.err) == (code == 1)
    assert "slither" not in done.err


STATES = {
    "idle": "",
    "in a callback": "probe.cast(lambda _: time.sleep(0.2))",
    "with a full mailbox": "[probe.cast(lambda _: time.sleep(0.001)) for _ in range(5000)]",
    "with timers": "probe.call(lambda self: [self.send_after(3600, 1), self.send_after(0, 1, period=0.001)])",
    "watching a pipe": "import os; probe.call(lambda self: self.watch(os.pipe()[0], print))",
    "called by threads": """
def call():
    try:
        while True:
            probe.call(1)
    except (ActorExitError, NotRunningError):
        pass
threading.Thread(target=call, daemon=True).start()
""",
    "waiting in a call that is answered at the end": (
        "waiter = Probe.start('w'); probe.call(lambda self: setattr(self, 'kept', None))\n"
        "waiter.cast(lambda _: probe.call(lambda self: time.sleep(0.1), None))"
    ),
}


@pytest.mark.parametrize("own_thread", [False, True])
@pytest.mark.parametrize("state", STATES)
def test_whatever_an_actor_does_at_the_end(state: str, own_thread: bool, program: Run) -> None:
    """Its message is finished, `terminate` runs, standard error stays empty."""
    done = program(f"""{ACTORS}
Probe.own_thread = {own_thread}
Probe.handle_info = lambda self, message: None
probe = Probe.start('a')
{STATES[state]}
""")
    assert "terminate a shutdown" in done.out
    assert done.err == ""


@pytest.mark.parametrize("own_thread", [False, True])
def test_who_waits_in_a_call_is_freed_at_the_end(own_thread: bool, program: Run) -> None:
    """It ends like others, at once and before its server."""
    done = program(f"""{ACTORS}
Probe.own_thread = {own_thread}
server, probe, begun = Probe.start('server'), Probe.start('a'), threading.Event()
probe.cast(lambda _: server.call(lambda _: begun.set() or NO_REPLY, None))
begun.wait()
""")
    assert done.out == ["terminate a shutdown", "terminate server shutdown"]
    assert done.err == ""


STUCK = {
    "in a sleep": "threading.Event().set; time.sleep(1000)",
    "on a lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "in a loop": "\n    while True: pass",
    "in a system call": "import os; os.read(os.pipe()[0], 1)",
    "in C": "import ctypes; ctypes.CDLL(None).sleep(1000)",
}


@pytest.mark.parametrize("own_thread", [False, True])
@pytest.mark.parametrize("state", STUCK)
def test_a_handler_that_does_not_end_is_left_behind(state: str, own_thread: bool, program: Run) -> None:
    """The program ends at its deadline; the log names the actor; all others have terminated."""
    done = program(f"""{ACTORS}
_runtime.EXIT_SECONDS = 0.5
server = Probe.start('server')
Probe.own_thread = {own_thread}
stuck = Probe.start('stuck')
begun = threading.Event()
def stick(_):
    begun.set()
    {STUCK[state]}
stuck.cast(stick)
begun.wait()
""")
    assert "terminate server shutdown" in done.out
    assert done.seconds < 10
    (line,) = done.err.splitlines()
    assert line.endswith("did not end before the program")


def test_a_last_callback_that_does_not_end_is_left_behind(program: Run) -> None:
    """As any other callback: it has had its time."""
    done = program(f"""{ACTORS}
_runtime.EXIT_SECONDS = 0.5
class Stuck(Probe):
    def terminate(self, reason):
        time.sleep(1000)
Probe.start("other")
Stuck.start()
""")
    assert done.out == ["terminate other shutdown"]
    (line,) = done.err.splitlines()
    assert line.startswith("Stuck")
    assert line.endswith("did not end before the program")
    assert done.seconds < 3


def test_an_actor_in_init_is_left_behind(program: Run) -> None:
    """Somebody else starts it, in a thread; nobody knows it yet."""
    done = program(f"""{ACTORS}
_runtime.EXIT_SECONDS = 0.5
begun = threading.Event()
class Slow(Probe):
    def init(self):
        begun.set()
        time.sleep(1000)
Probe.start("other")
threading.Thread(target=Slow.start, daemon=True).start()
begun.wait()
""")
    assert done.out == ["terminate other shutdown"]
    assert "Slow" in done.err
    assert "Traceback" not in done.err
    assert done.seconds < 3


def test_a_zombie_does_not_hold_up_the_end(program: Run) -> None:
    """Its thread will never end, and is not waited for."""
    done = program(f"""{ACTORS}
begun = threading.Event()
tree = Supervisor.start([Probe.child_spec("stuck", id="stuck", shutdown=0.1, restart="temporary")])
tree.child("stuck").cast(lambda _: (begun.set(), time.sleep(1000)))
begun.wait()
import logging
logging.disable()
tree.terminate_child("stuck")
Probe.start("other")
""")
    assert done.out == ["terminate other shutdown"]
    assert done.err == ""
    assert done.seconds < 3


@pytest.mark.parametrize("own_thread", [False, True])
def test_actors_may_call_each_other_at_the_end(own_thread: bool, program: Run) -> None:
    """In `terminate`, too, and the called ones may call others, though no thread can be started any more."""
    done = program(f"""{ACTORS}
Probe.own_thread = {own_thread}
class Asking(Probe):
    def terminate(self, reason):
        print(first.call(lambda _: second.call(lambda _: third.call("answer"))), flush=True)
first, second, third = Probe.start(1), Probe.start(2), Probe.start(3)
Asking.own_thread = False
Asking.start()
""")
    assert done.out == ["answer", *(f"terminate {n} shutdown" for n in (3, 2, 1))]
    assert done.err == ""


def test_actors_are_refused_after_the_end(program: Run) -> None:
    """What other exit functions try then is a prompt error and no hang."""
    done = program(f"""
import atexit
def late():
    for attempt in (lambda: Probe.start("late"), lambda: probe.call(1, None), lambda: probe.stop()):
        try:
            print(attempt())
        except Exception as error:
            print(type(error).__name__)
    probe.cast(1)
atexit.register(late)
{ACTORS}
probe = Probe.start("a")
""")
    assert done.out == ["terminate a shutdown", "NotRunningError", "ActorExitError", "False"]
    assert done.err == ""


def test_ctrl_c_in_a_call_reaches_the_program(program: Run) -> None:
    """The main thread waits in a call, is interrupted, and the actors can still be stopped in order."""
    done = program(f"""{ACTORS}
import os, signal
probe = Probe.start("a")
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    probe.call(lambda _: NO_REPLY, None)
except KeyboardInterrupt:
    print("interrupted", probe.call("alive"))
""")
    assert done.out == ["interrupted alive", "terminate a shutdown"]
    assert done.err == ""


def test_pykka_actors_end_with_the_program(program: Run) -> None:
    """Actors of Pykka's kind get `on_stop`, which with Pykka's daemon threads they would not."""
    done = program("""
from slither_actors.actors import Actor
class Greeter(Actor):
    def on_stop(self):
        print("on_stop", flush=True)
Greeter.start().ask("hello")
""")
    assert done.out == ["on_stop"]
    assert done.err == ""


def test_system_exit_in_a_pykka_actor_answers_and_stops_all(program: Run) -> None:
    """The asker gets it, also one that is an actor which the exit stops: nothing hangs."""
    done = program("""
from slither_actors.actors import Actor
class Exiting(Actor):
    def on_receive(self, message):
        raise SystemExit(message)
class Asking(Actor):
    def on_receive(self, message):
        try:
            return message.ask("bye", timeout=5)
        except SystemExit as error:
            return f"answered: {error}"
    def on_stop(self):
        stopped.append(True)
stopped = []
asking, exiting = Asking.start(), Exiting.start()
print(asking.ask(exiting, timeout=5), asking.join(5), exiting.join(5), stopped)
""")
    assert done.out == ["answered: bye True True [True]"]
    assert done.err == ""


def test_a_deep_tree_stops_in_order_at_the_end(program: Run) -> None:
    """Each level waits for the one below in a thread of its own; Python starts none at the end."""
    done = program(f"""{ACTORS}
class Level(Supervisor):
    def init(self, depth):
        below = Level.child_spec(depth - 1, shutdown=None) if depth else Probe.child_spec("a", id="a")
        super().init([below, Probe.child_spec(str(depth))])
class Slow(Probe):
    def terminate(self, reason):
        time.sleep(0.05)
        super().terminate(reason)
Level.start(6)
Slow.start("slow")
""")
    assert done.out == [f"terminate {label} shutdown" for label in ("slow", *"6543210", "a")]
    assert done.err == ""
    assert done.seconds < 3
