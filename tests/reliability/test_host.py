"""The program has habits of its own: handlers of SIGCHLD, threads that reap, warnings that are errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

REAPING = {
    "a handler of its own": """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
""",
    "SIG_IGN": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "a thread that reaps": """
def reap():
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.001)
threading.Thread(target=reap, daemon=True).start()
""",
}


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("habit", REAPING)
def test_a_worker_that_dies_is_noticed_whoever_reaps_it(habit: str, method: str, program: Run) -> None:
    """Its batch fails and no other, another worker takes its place, the actors live, and nothing is left."""
    done = program(
        f"""
import os, queue, signal, sys, threading, time
from slither_actors.actors import Server
from slither_actors.errors import WorkerCrashError
from slither_actors.pool import Job, Pool, Target
from tests.pool import work
{REAPING[habit]}
class Inbox(Server):
    def done(self, job):
        outcomes.put(job)

def run(*deeds):
    jobs = [Job(Target(work.crash_on), [(deed, n)], inbox, Inbox.done) for n, deed in enumerate(deeds)]
    for job in jobs:
        pool.send(Pool.submit, job)
    for _ in jobs:
        outcomes.get(timeout=15)
    return jobs

outcomes = queue.SimpleQueue()
inbox, pool = Inbox.start(), Pool.start("tests", workers=2, start_method={method!r})
first = run(*["SIGKILL" if n in (3, 7) else "nothing" for n in range(12)])
print([n for n, job in enumerate(first) if type(job.error) is WorkerCrashError])
print([n for n, job in enumerate(first) if job.error is None and job.results == [n]])
second = run(*["nothing"] * 12)
print([job.results == [n] for n, job in enumerate(second)] == [True] * 12)
pool.stop()
pids = {{job.worker_pid for job in (*first, *second)}}
deadline = time.monotonic() + 5
while any(os.path.exists(f"/proc/{{pid}}") for pid in pids) and time.monotonic() < deadline:
    time.sleep(0.01)
print(len(pids) >= 3, [pid for pid in pids if os.path.exists(f"/proc/{{pid}}")])
"""
    )
    assert done.out == ["[3, 7]", str([0, 1, 2, 4, 5, 6, 8, 9, 10, 11]), "True", "True []"]
    assert done.err == ""


# -- the interpreter ------------------------------------------------------------------------


TOUR = """
import gc, os, sys, threading, time
from slither_actors.actors import *

class Probe(Server):
    def init(self, *_):
        self.started = True
    def handle_call(self, request, sender):
        return request(self) if callable(request) else request
    def handle_cast(self, message):
        message(self)
    def handle_info(self, message):
        pass

class Own(Probe):
    own_thread = True

class Bounded(Probe):
    mailbox_size, mailbox_overflow = 2, "block"

def crash(_):
    raise LookupError("on purpose")

import logging
logging.disable(logging.CRITICAL)
for kind in (Probe, Own, Bounded):
    children = [kind.child_spec(id=n) for n in range(3)]
    tree = Supervisor.start(children, strategy="one_for_all", max_restarts=10**6)
    for _ in range(20):
        child = tree.which_children()[0].ref
        child.cast(crash)
        child.join()
    tree.stop()
registry = Registry.start(keys="unique")
tasks = TaskSupervisor.start()
print(sum(outcome.get() for outcome in tasks.async_stream(abs, range(50), max_concurrency=4)))
read, write = os.pipe()
probe = Probe.start(name="probe")
registry.register_actor(probe, "key")
probe.call(lambda self: self.watch(read, lambda actor, fd: os.read(fd, 1)))
probe.call(lambda self: [self.send_after(0, 1, period=0.001)])
os.write(write, b"x")
probe.call(lambda self: self.unwatch(read))
os.close(read)
os.close(write)
partitions = PartitionSupervisor.start(Probe, partitions=4)
partitions.resize(2)
partitions.stop()
del tree, child
gc.collect()
print("done")
"""


def test_nothing_is_left_open_in_development_mode(program: Run) -> None:
    """With every warning an error: no descriptor, lock or thread is left to the collector."""
    arguments = ("-X", "dev", "-W", "error", "-W", "error::ResourceWarning")
    done = program(TOUR, arguments=arguments)
    assert done.out == ["1225", "done"]
    assert done.err == ""


def test_actors_start_while_imports_are_slow(program: Run) -> None:
    """From several threads, at their first use, when each module takes a while to be found."""
    done = program("""
import importlib.abc, sys, threading, time

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith(("slither_actors", "pykka", "attr", "blinker")):
            time.sleep(0.005)
        return None

sys.meta_path.insert(0, Slow())
answers = []
def use(number):
    from slither_actors.actors import Server, Supervisor
    class Echo(Server):
        def handle_call(self, request, sender):
            return request
    tree = Supervisor.start([Echo])
    answers.append(tree.child("Echo").call(number))
    tree.stop()
threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(answers))
""")
    assert done.out == [str(list(range(8)))]
    assert done.err == ""


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_actors_tests_pass_in_development_mode() -> None:
    """All of them, with warnings of resources as errors."""
    folder = Path(__file__).parent.parent / "actors"
    arguments = ["-X", "dev", "-W", "error::ResourceWarning", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *arguments, str(folder)],
        cwd=folder.parent.parent, capture_output=True, text=True, timeout=850, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
