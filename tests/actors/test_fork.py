"""A process made by ``os.fork`` has no actors; the parent keeps its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

Run = Callable[..., Any]

ACTORS = """
import os, signal, sys, threading, time
from slither_actors.actors._cell import live_cells
from slither_actors.actors import Actor, Server, whereis
from slither_actors.errors import ForkedRuntimeError

class Probe(Server):
    def handle_call(self, request, sender):
        return request(self) if callable(request) else request
    def handle_cast(self, message):
        if callable(message):
            message(self)
    def handle_info(self, message):
        pass
    def terminate(self, reason):
        print("terminate in", "parent" if os.getpid() == parent else "child", flush=True)

class Inline(Probe):
    inline_calls = True
    def terminate(self, reason):
        pass

class Own(Inline):
    own_thread = True

class Greeter(Actor):
    pass

parent = os.getpid()

def await_child(pid):
    _, status = os.waitpid(pid, 0)
    print("child ended with", os.waitstatus_to_exitcode(status), flush=True)
"""

QUIET = ("-W", "ignore::DeprecationWarning")
"""The interpreter warns of forks in programs with threads, which is what this is about."""


def test_every_use_in_the_child_is_an_error(program: Run) -> None:
    """Also a second time, and the child exits normally without running anybody's `terminate`."""
    done = program(
        f"""{ACTORS}
probe, inline, own, greeter = Probe.start(name="probe"), Inline.start(), Own.start(), Greeter.start()
pid = os.fork()
if not pid:
    uses = [
        lambda: Probe.start(), lambda: Inline.start(), lambda: Own.start(), lambda: Greeter.start(),
        lambda: probe.call(1), lambda: inline.call(1), lambda: own.call(1), lambda: greeter.ask(1),
        lambda: probe.cast(1), lambda: probe.info(1), lambda: greeter.tell(1), lambda: probe.stop(),
        lambda: probe.exit(), lambda: probe.kill(), lambda: probe.join(1), lambda: probe.run(print),
        lambda: greeter.stop(),
    ]
    for number, use in enumerate([*uses, *uses]):
        try:
            print(number, "gave", use(), flush=True)
        except ForkedRuntimeError:
            pass
    sys.exit(7)
await_child(pid)
print(probe.call("parent lives"), flush=True)
""",
        arguments=QUIET,
    )
    assert done.out == ["child ended with 7", "parent lives", "terminate in parent"]
    assert done.err == ""


def test_a_fork_in_a_handler(program: Run) -> None:
    """The child may finish the handler; the next message is the parent's alone."""
    done = program(
        f"""{ACTORS}
handled = []
def fork(probe):
    global pid
    pid = os.fork()
    if not pid:
        for use in (lambda: probe.send_after(0, 1), lambda: probe.ref.cast(1), lambda: Probe.start_link()):
            try:
                print("gave", use(), flush=True)
            except ForkedRuntimeError:
                pass
def note(_):
    print("next message in", "parent" if os.getpid() == parent else "child", flush=True)
gate = threading.Event()
probe = Probe.start()
probe.cast(lambda _: gate.wait())
probe.cast(fork)
probe.cast(note)
gate.set()
probe.call(None)
await_child(pid)
""",
        arguments=QUIET,
    )
    assert done.out == ["next message in parent", "child ended with 0", "terminate in parent"]
    assert done.err == ""


def test_a_child_does_not_touch_the_parents_watches(program: Run) -> None:
    """The epoll set is shared by a fork: what the child closes must stay watched in the parent."""
    done = program(
        f"""{ACTORS}
read, write = os.pipe()
os.set_blocking(read, False)
seen = threading.Semaphore(0)
def on_readable(probe, fd):
    if os.getpid() == parent:
        os.read(fd, 100)
        seen.release()
        probe.rearm(fd)
probe = Probe.start()
probe.call(lambda self: self.watch(read, on_readable))
pid = os.fork()
if not pid:
    probe._cell.actor.unwatch(read)
    os.close(read)
    sys.exit()
await_child(pid)
for _ in range(3):
    os.write(write, b"x")
    print(seen.acquire(timeout=5), flush=True)
""",
        arguments=QUIET,
    )
    assert done.out == ["child ended with 0", "True", "True", "True", "terminate in parent"]
    assert done.err == ""


def test_forks_while_the_actors_are_busy(program: Run) -> None:
    """Whatever locks other threads hold at that moment, the child ends."""
    done = program(
        f"""{ACTORS}
probes = [Inline.start() for _ in range(10)]
over = threading.Event()
def churn():
    while not over.is_set():
        for probe in probes:
            probe.call(lambda self: self.send_after(0.001, 1), None)
        Own.start().stop()
threads = [threading.Thread(target=churn) for _ in range(3)]
for thread in threads:
    thread.start()
ends = []
for _ in range(30):
    pid = os.fork()
    if not pid:
        signal.alarm(10)
        live_cells()
        try:
            probes[0].cast(1)
        except ForkedRuntimeError:
            os._exit(5)
        os._exit(6)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
over.set()
for thread in threads:
    thread.join()
print(set(ends))
""",
        arguments=QUIET,
    )
    assert done.out == ["{5}"]
    assert done.err == ""


def test_a_fork_while_another_thread_holds_every_lock(program: Run) -> None:
    """Nothing in the child waits for a thread that it does not have."""
    done = program(
        f"""{ACTORS}
from slither_actors.actors import _life, _runtime
probe = Probe.start()
read, write = os.pipe()
probe.call(lambda self: (self.watch(read, print), self.send_after(3600, 1)))
held, release = threading.Event(), threading.Event()
def hold():
    scheduler, timers = _runtime.scheduler, _runtime.timers
    with _life.lock, scheduler.lock, scheduler.poller._lock, timers._condition:
        held.set()
        release.wait()
holding = threading.Thread(target=hold)
holding.start()
held.wait()
pid = os.fork()
if not pid:
    signal.alarm(10)
    live_cells()
    whereis("nobody")
    actor = probe._cell.actor
    for use in (lambda: probe.call(1), lambda: Probe.start(name="x"), lambda: actor.send_after(0, 1)):
        try:
            print("gave", use(), flush=True)
        except ForkedRuntimeError:
            pass
    probe._cell.actor.unwatch(read)
    sys.exit(3)
await_child(pid)
release.set()
holding.join()
""",
        arguments=QUIET,
    )
    assert done.out == ["child ended with 3", "terminate in parent"]
    assert done.err == ""


def test_multiprocessing_may_fork(program: Run) -> None:
    """A forked process of the standard library runs and ends as usual, started by an actor, too."""
    done = program(
        f"""{ACTORS}
import multiprocessing
context = multiprocessing.get_context("fork")
def start(_=None):
    process = context.Process(target=print, args=("ran",), kwargs=dict(flush=True))
    process.start()
    process.join(10)
    return process.exitcode
probe = Probe.start()
print(start(), probe.call(start, 20))
""",
        arguments=QUIET,
    )
    assert done.out == ["ran", "ran", "0 0", "terminate in parent"]
    assert done.err == ""


def test_an_actor_may_start_other_programs(program: Run) -> None:
    """They have nothing to do with the actors, and the interpreter does not warn of them."""
    done = program(
        f"""{ACTORS}
import subprocess
probe = Probe.start()
print(probe.call(lambda _: subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout.strip()))
""",
        arguments=("-W", "error"),
    )
    assert done.out == ["hello", "terminate in parent"]
    assert done.err == ""


def test_a_fork_before_any_actor_ran(program: Run) -> None:
    """A child of a process that only imported the package, such as a fork server, has its own actors."""
    done = program(
        f"""{ACTORS}
pid = os.fork()
if not pid:
    print(Inline.start().call("in the child"), flush=True)
    sys.exit(0)
await_child(pid)
print(Inline.start().call("in the parent"), flush=True)
""",
        arguments=QUIET,
    )
    assert done.out == ["in the child", "child ended with 0", "in the parent"]
    assert done.err == ""
