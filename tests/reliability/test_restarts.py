"""Ten thousand restarts, a thousand crashes at one time, and ends in the middle of a restart."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    DynamicSupervisor,
    DynamicSupervisorRef,
    RegistryRef,
    Server,
    Supervisor,
    SupervisorRef,
)
from slither_actors.actors._cell import live_cells
from tests.actors.probes import LONG, Log, Quiet, in_thread
from tests.reliability import eventually, seeded

ALWAYS = 1_000_000
Run = Callable[..., Any]


class Counted(Server):
    """Counts its starts; a cast ends it as asked."""

    def init(self, started: Callable[[], int], log: Log, registry: RegistryRef | None = None) -> None:
        self.number = started()
        if registry is not None:
            registry.register("child")
            self.monitor(registry)
            self.send_after(3600, "late")
            self.send_after(0, "soon", period=3600)
        log.add(self.ref)

    def handle_info(self, message: Any) -> None:
        assert message in ("soon", "late")

    def handle_cast(self, message: Any) -> None:
        if message == "crash":
            raise ZeroDivisionError(self.number)
        self.stop(message)


THOUSANDS = """
import gc, itertools, logging, os, threading
from slither_actors.actors import *
from slither_actors.actors import _runtime
from slither_actors.actors._cell import live_cells
from slither_actors.actors._name_table import names
from slither_actors.actors._ref import Ref
from tests.actors.probes import Log
from tests.reliability.test_restarts import Counted
logging.disable(logging.CRITICAL)

def rss():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def counts():
    cell = registry._cell
    held = [len(each or ()) for each in (cell.monitors, cell.links, cell.watching, supervisor._cell.links)]
    descriptors = len(os.listdir("/proc/self/fd"))
    return threading.active_count(), descriptors, registry.count(), len(names), len(live_cells()), held

serial, log = itertools.count(1), Log()
registry = Registry.start(keys="unique")
spec = Counted.child_spec(lambda: next(serial), log, registry, name="phoenix")
supervisor = Supervisor.start([spec], max_restarts=10**9)

def restart(times):
    for number in range(times):
        ref = current[0]
        how = number % 4
        ref.kill() if how == 0 else ref.cast("crash" if how == 1 else ("normal", "shutdown")[how - 2])
        current[0] = log.get()

current = [log.get()]
restart(500)
supervisor.which_children(); gc.collect()
before, objects, memory, timers = counts(), len(gc.get_objects()), rss(), len(_runtime.timers._heap)
restart(10_000)
supervisor.which_children(); gc.collect()
after = counts()
print("counts", before == after or (before, after))
print("started", current[0]._cell.actor.number, next(serial) - 1, supervisor.which_children()[0].restarts)
print("objects", len(gc.get_objects()) - objects < objects / 100)
print("timers", len(_runtime.timers._heap) < 3000)
print("memory", rss() - memory < 5_000_000 or rss() - memory)
supervisor.stop()
registry.stop()
"""


def test_ten_thousand_restarts_leave_nothing(program: Run) -> None:
    """By kill, crash, normal end and shutdown: threads, descriptors, entries, links, timers and memory stay.

    Each incarnation was started exactly once, and the supervisor has counted them.
    """
    done = program(THOUSANDS, timeout=40)
    assert done.out == [
        "counts True",
        "started 10501 10501 10500",
        "objects True",
        "timers True",
        "memory True",
    ]
    assert done.err == ""


# -- many crashes at one instant -------------------------------------------------------


def start_many(count: int, supervisors: int, **options: Any) -> tuple[list[SupervisorRef], list[Any], Log]:
    """Start so many children below so many supervisors; return these, the children and the log of starts."""
    serial, log = itertools.count(1), Log()
    each = count // supervisors
    refs = []
    for _ in range(supervisors):
        specs = [Counted.child_spec(lambda: next(serial), log, id=number) for number in range(each)]
        ref = Supervisor.start(specs, **options)
        assert isinstance(ref, SupervisorRef)
        refs.append(ref)
    return refs, log.take(count), log


@pytest.mark.parametrize("supervisors", [1, 10, 1000])
def test_a_thousand_that_crash_at_one_time_are_restarted_once_each(supervisors: int) -> None:
    """No exit signal is lost, none counts twice, whoever supervises them."""
    refs, children, log = start_many(1000, supervisors, max_restarts=ALWAYS)
    half = len(children) // 2
    for join in [
        in_thread(lambda part=part: [child.cast("crash") for child in part])  # type: ignore[misc]
        for part in (children[:half], children[half:])
    ]:
        join()
    again = log.take(1000)
    assert len({*children, *again}) == 2000
    infos = [info for ref in refs for info in ref.which_children()]
    assert {info.ref for info in infos} == set(again)
    assert [info.restarts for info in infos] == [1] * 1000
    assert log.rest() == []
    for ref in refs:
        ref.stop()


@pytest.mark.parametrize("allowed", [0, 1, 99, 100])
def test_the_restart_limit_is_exact_when_all_crash_at_one_time(allowed: int) -> None:
    """Of a hundred crashes so many are restarted as are allowed; one more ends the supervisor, and all."""
    (ref,), children, log = start_many(100, 1, max_restarts=allowed, max_seconds=1000)
    for child in children:
        child.cast("crash")
    if allowed == 100:
        log.take(100)
        assert ref.count_children().active == 100
        ref.stop()
    else:
        assert ref.join(LONG)
        assert ref.exit_reason == SHUTDOWN
    assert len(log.rest()) == (0 if allowed == 100 else allowed)
    assert not live_cells()


def test_a_dynamic_supervisor_restarts_a_thousand_once_each() -> None:
    """Those that are transient and ended normally are not restarted."""
    serial, log = itertools.count(1), Log()
    supervisor = DynamicSupervisor.start(max_restarts=ALWAYS)
    assert isinstance(supervisor, DynamicSupervisorRef)
    spec = Counted.child_spec(lambda: next(serial), log, restart="transient")
    children = [supervisor.start_child(spec) for _ in range(1000)]
    log.take(1000)
    for number, child in enumerate(children):
        child.cast("crash" if number % 2 else NORMAL)
    assert len(set(log.take(500))) == 500
    for child in children:
        assert child.join(LONG)
    assert eventually(lambda: supervisor.count_children().active == 500)
    assert log.rest() == []
    supervisor.stop()


# -- restarts that go wrong, and ends in the middle -----------------------------------------


class World:
    """What the children of one test share."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.clumsy = 0.0
        """How likely a start or an end crashes."""
        self.started: list[float] = []

    def stumble(self, where: str) -> None:
        if self.chance.random() < self.clumsy:
            raise LookupError(where)


class Fragile(Quiet):
    """Crashes at its start and at its end, as chance has it."""

    def init(self, world: World) -> None:  # type: ignore[override]
        super().init()
        self.world = world
        world.stumble("at its start")
        world.started.append(time.monotonic())

    def terminate(self, reason: Any) -> None:
        self.world.stumble("at its end")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_crashes_at_the_start_and_at_the_end_of_a_restart(strategy: Any) -> None:
    """Hundreds of them: in the end all children run, each once, and nobody else does."""
    world = World(seeded())
    specs = [Fragile.child_spec(world, id=number) for number in range(6)]
    supervisor: Any = Supervisor.start(specs, strategy=strategy, max_restarts=ALWAYS)
    world.clumsy = 0.2
    for _ in range(100):
        for info in supervisor.which_children():
            if info.ref is not None and world.chance.random() < 0.3:
                info.ref.kill()
    while not all(info.ref and info.ref.is_alive() for info in supervisor.which_children()):
        continue
    refs = {info.ref for info in supervisor.which_children()}
    assert {cell.ref for cell in live_cells()} == refs | {supervisor}
    supervisor.stop()
    assert not live_cells()


ENDS: dict[str, Callable[[Any], object]] = {
    "stop": lambda ref: ref.stop(SHUTDOWN, block=False),
    "order": lambda ref: ref._cell.order_end(SHUTDOWN),
    "kill": lambda ref: ref.kill(),
    "parent": lambda ref: ref._cell.parent.ref.stop(SHUTDOWN, block=False),
}


@pytest.mark.parametrize("kind", ["one_for_one", "one_for_all", "rest_for_one", "dynamic"])
@pytest.mark.parametrize("end", ENDS)
def test_a_supervisor_that_is_ended_in_the_middle_of_a_restart_leaves_nobody(end: str, kind: Any) -> None:
    """At a hundred random moments: all children end, and none starts after its supervisor has ended."""
    chance = seeded()
    if kind == "dynamic":
        inner = DynamicSupervisor.child_spec(max_restarts=ALWAYS, id="inner", restart="temporary")
    else:
        inner = Supervisor.child_spec([], strategy=kind, max_restarts=ALWAYS, id="inner", restart="temporary")
    for _ in range(100):
        world = World(chance)
        outer: Any = Supervisor.start([inner])
        supervisor = outer.child("inner")
        children = [supervisor.start_child(Fragile.child_spec(world, id=number)) for number in range(4)]
        world.clumsy = 0.1
        killing = in_thread(lambda children=children: [child.kill() for child in children])  # type: ignore[misc]
        threading.Event().wait(chance.random() * 0.001)
        ENDS[end](supervisor)
        assert supervisor.join(LONG)
        ended = time.monotonic()
        killing()
        for cell in live_cells() if end == "kill" else ():
            # The links end the children of one that was killed, and nobody waits for that.
            assert cell is outer._cell or cell.join(LONG)
        assert [cell.ref for cell in live_cells() if end != "parent" and cell is not outer._cell] == []
        outer.stop()
        assert live_cells() == []
        assert max(world.started) < ended


def test_a_tree_that_is_stopped_while_all_of_it_crashes_ends() -> None:
    """Three levels, each child crashing again and again: the stop returns, and the tree is gone."""
    chance = seeded()
    for _ in range(30):
        leaves = [Quiet.child_spec(id=number) for number in range(3)]
        middle = [
            Supervisor.child_spec(leaves, strategy="one_for_all", max_restarts=ALWAYS, id=number)
            for number in range(3)
        ]
        top = Supervisor.start(middle, strategy="rest_for_one", max_restarts=ALWAYS)
        over = threading.Event()

        def destroy(top: Any = top, over: threading.Event = over) -> None:
            while not over.is_set():
                for cell in live_cells():
                    if cell is not top._cell and chance.random() < 0.2:
                        cell.ref.exit(KILLED) if chance.random() < 0.5 else cell.kill()

        destroying = in_thread(destroy)
        threading.Event().wait(chance.random() * 0.02)
        assert top.stop(SHUTDOWN, timeout=LONG)
        over.set()
        destroying()
        for cell in live_cells():  # of a supervisor that was killed: their links end them
            assert cell.join(LONG)
        assert live_cells() == []
