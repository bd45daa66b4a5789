"""Everything goes wrong at random for a while, and what is promised is checked all along.

Workers live below supervisors of each kind. Some threads kill, crash, suspend, stop and restart them and
resize their partitions; others call them, send them numbered messages and watch them. Afterwards all of
the tree has to run again, and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors.actors import (
    Down,
    DynamicSupervisor,
    PartitionSupervisor,
    Ref,
    Registry,
    RegistryRef,
    Server,
    Supervisor,
    TaskSupervisor,
    whereis,
    zombies,
)
from slither_actors.actors._cell import live_cells
from slither_actors.errors import ActorError, ActorExitError, CallTimeoutError, ChildError
from tests.actors.probes import LONG, in_thread
from tests.reliability import seeded
from tests.reliability.test_load import rss
from tests.soaking import soak_seconds

ALWAYS = 10**9


class World:
    """What all parts of one storm share, and what they found to be wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.last: dict[object, Ref] = {}
        """The newest incarnation of each child."""
        self.outcomes = {"reply": 0, "timeout": 0, "exit": 0}
        self.over = threading.Event()

    def blame(self, what: str) -> None:
        self.wrong.append(what)


class Worker(Server):
    """Answers, and checks that what it is sent arrives in order and that it has no predecessor."""

    def init(self, world: World, registry: object, id: object) -> None:
        self.world, self.seen = world, dict[int, int]()
        before = world.last.get(id)
        if id is not None and before is not None and before.is_alive():
            world.blame(f"{id} starts while {before} lives")
        world.last[id] = self.ref
        found = whereis(registry)
        if found is None:
            raise LookupError("there is no registry at this moment")
        assert isinstance(found, RegistryRef)
        found.register(id)
        self.send_after(0.001, "tick", period=0.005)

    def handle_call(self, request: Any, sender: Any) -> Any:
        return request

    def handle_cast(self, message: Any) -> None:
        if callable(message):
            message()
            return
        sender, number = message
        if self.seen.get(sender, number - 1) != number - 1:
            self.world.blame(f"{self.ref} got {number} after {self.seen[sender]} of {sender}")
        self.seen[sender] = number

    def handle_info(self, message: Any) -> None:
        if message != "tick":
            self.world.blame(f"{self.ref} got {message!r}")


class Checker(Server):
    """Watches, and counts what it is told."""

    def init(self, world: World) -> None:
        self.world, self.open = world, dict[Any, Ref]()

    def handle_call(self, request: Any, sender: Any) -> Any:
        return len(self.open)

    def handle_cast(self, ref: Ref) -> None:
        self.open[self.monitor(ref)] = ref

    def handle_info(self, message: Any) -> None:
        if not isinstance(message, Down) or self.open.pop(message.monitor, None) is not message.ref:
            self.world.blame(f"the checker got {message}")
        elif message.ref.is_alive():
            self.world.blame(f"{message.ref} is down and alive")


def crash() -> None:
    raise LookupError("on purpose")


def tree(world: World) -> Any:
    def workers(place: str, count: int) -> list[Any]:
        return [
            Worker.child_spec(world, "soak", (place, n), id=n, name=(place, n), shutdown=LONG)
            for n in range(count)
        ]

    fixed = [
        Supervisor.child_spec(workers(strategy, 4), strategy=strategy, max_restarts=ALWAYS, id=strategy)
        for strategy in ("one_for_one", "one_for_all", "rest_for_one")
    ]
    partitioned = PartitionSupervisor.child_spec(
        Worker.child_spec(world, "soak", shutdown=LONG),
        partitions=4, max_restarts=ALWAYS, id="partitions",
        with_arguments=lambda args, kwargs, n: ((*args, ("partition", n)), kwargs),
    )  # fmt: skip
    registry = Registry.child_spec(keys="duplicate", name="soak", id="registry")
    dynamic = DynamicSupervisor.child_spec(max_restarts=ALWAYS, id="dynamic")
    tasks = TaskSupervisor.child_spec(id="tasks")
    return Supervisor.start([registry, *fixed, partitioned, dynamic, tasks], max_restarts=ALWAYS)


class Storm:
    """One thread of it."""

    def __init__(self, world: World, top: Any, checker: Ref, chance: random.Random, number: int) -> None:
        self.world, self.top, self.checker, self.chance, self.number = world, top, checker, chance, number
        self.sent: dict[Ref, int] = {}

    def run(self, deeds: list[Callable[[Storm], object]]) -> None:
        while not self.world.over.is_set():
            deed = self.chance.choice(deeds)
            try:
                deed(self)
            except ActorError:  # who was meant has just ended
                continue
            except Exception as error:  # noqa: BLE001 - anything else is a finding
                self.world.blame(f"{deed.__name__}: {error!r}")

    def worker(self) -> Ref:
        return self.chance.choice(list(self.world.last.values()))

    def supervisor(self, *ids: str) -> Any:
        ref = self.top.child(self.chance.choice(ids))
        if ref is None:
            raise ChildError("it is being restarted", "restarting")
        return ref

    # -- what goes wrong ----------------------------------------------------------------

    def kill(self) -> None:
        self.worker().kill()

    def crash(self) -> None:
        self.worker().cast(crash)

    def exit(self) -> None:
        self.worker().exit(self.chance.choice(["normal", "shutdown", ("odd", 1)]))

    def block(self) -> None:
        self.worker().cast(lambda: time.sleep(0.002))

    def suspend(self) -> None:
        ref = self.worker()
        try:
            ref.suspend(0.1)
        finally:
            ref.resume(LONG)

    def restart_child(self) -> None:
        supervisor, id = (
            self.supervisor("one_for_one", "one_for_all", "rest_for_one"),
            self.chance.randrange(4),
        )
        supervisor.terminate_child(id)
        supervisor.restart_child(id)

    def kill_supervisor(self) -> None:
        if self.chance.random() < 0.1:
            self.supervisor("one_for_one", "one_for_all", "dynamic", "tasks", "registry").kill()

    def resize(self) -> None:
        self.supervisor("partitions").resize(self.chance.randrange(1, 5))

    def come_and_go(self) -> None:
        dynamic = self.supervisor("dynamic")
        spec = Worker.child_spec(self.world, "soak", None, restart="transient", shutdown=LONG)
        ref = dynamic.start_child(spec)
        if self.chance.random() < 0.7:
            ref.cast(crash)
            ref.stop(block=False)
        children = [info.ref for info in dynamic.which_children()]
        dynamic.terminate_child(self.chance.choice(children or [ref]) or ref)

    def run_tasks(self) -> None:
        tasks = self.supervisor("tasks")
        made = [tasks.async_nolink(crash if n % 3 == 0 else time.time) for n in range(6)]
        for task in made:
            if task.yield_(LONG) is None:
                self.world.blame(f"{task} has no outcome")

    # -- what must work all the same --------------------------------------------------------

    def call(self) -> None:
        ref, number = self.worker(), self.chance.random()
        timeout = self.chance.choice([0.0, 0.0001, 0.01, LONG])
        begun = time.monotonic()
        try:
            if ref.call(number, timeout) != number:
                self.world.blame(f"{ref} answered another call")
            outcome = "reply"
        except CallTimeoutError:
            outcome = "timeout"
        except ActorExitError:
            outcome = "exit"
        self.world.outcomes[outcome] += 1  # by several threads, so roughly
        if time.monotonic() - begun > timeout + 5:
            self.world.blame(f"a call with a timeout of {timeout} s took {time.monotonic() - begun} s")

    def send(self) -> None:
        ref = self.worker()
        for _ in range(20):
            self.sent[ref] = number = self.sent.get(ref, 0) + 1
            ref.cast((self.number, number))

    def watch(self) -> None:
        self.checker.cast(self.worker())


WRONG = [
    Storm.kill, Storm.crash, Storm.exit, Storm.block, Storm.suspend, Storm.restart_child,
    Storm.kill_supervisor, Storm.resize, Storm.come_and_go, Storm.run_tasks,
]  # fmt: skip
RIGHT = [Storm.call, Storm.send, Storm.watch]


def storm(seconds: float, chance: random.Random) -> World:
    """Let it rage, then check what is left."""
    world = World()
    checker, top = Checker.start(world), tree(world)
    threads = [Storm(world, top, checker, random.Random(chance.random()), number) for number in range(6)]
    raging = [in_thread(lambda one=one: one.run(WRONG if one.number % 2 else RIGHT)) for one in threads]  # type: ignore[misc]
    world.over.wait(seconds)
    world.over.set()
    for join in raging:
        join()
    calm(top)
    inner = [info.ref for info in top.which_children()]
    children = [info.ref for ref in inner if hasattr(ref, "which_children") for info in ref.which_children()]
    expected = {top, checker, *inner, *children} - {None}
    for cell in live_cells():
        if cell.ref not in expected and not cell.join(LONG):
            world.blame(f"{cell.describe()} is left over")
    registry = whereis("soak")
    assert isinstance(registry, RegistryRef)
    registered = {ref for _, ref, _ in registry.select()}
    for ref in registered ^ {ref for ref in children if ref is not None}:
        world.blame(f"{ref} is {'' if ref in registered else 'not '}registered")
    top.stop(timeout=LONG)
    deadline = time.monotonic() + LONG
    while checker.call("open", LONG) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    if checker.call("open", LONG):
        world.blame(f"{checker.call('open', LONG)} monitors were never told")
    checker.stop()
    if live_cells() or zombies():
        world.blame(f"left over are {live_cells()}, {zombies()}")
    return world


def calm(top: Any) -> None:
    """Wait until every child that has to run does, and start those that were stopped by hand."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        waiting = False
        for info in top.which_children():
            if info.ref is None or not info.ref.is_alive():
                waiting = True
            elif hasattr(info.ref, "which_children"):
                for child in info.ref.which_children():
                    if child.state == "stopped" and info.id != "partitions":
                        info.ref.restart_child(child.id)
                    waiting |= child.state == "restarting" or (
                        child.ref is not None and not child.ref.is_alive()
                    )
        if not waiting:
            return
    raise AssertionError(top.render())


def test_a_storm_leaves_the_tree_as_it_was() -> None:
    """Order, outcomes, watches, names and who is alive, after seconds of random faults."""
    world = storm(1.5, seeded())
    assert world.wrong == []
    assert all(world.outcomes.values())


@contextlib.contextmanager
def unkept_log() -> Iterator[None]:
    """Records are made and thrown away: pytest would keep half an hour of them.

    No fixture: pytest listens to what does not propagate, too, from when the test begins.
    """
    logger, handler = logging.getLogger("slither_actors"), logging.NullHandler()
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_a_storm_of_half_an_hour_leaves_nothing() -> None:
    """As above, again and again; memory and objects do not grow."""
    chance = seeded()
    with unkept_log():
        assert storm(60.0, chance).wrong == []
        gc.collect()
        memory, blocks, objects = rss(), sys.getallocatedblocks(), len(gc.get_objects())
        end = time.monotonic() + soak_seconds(1800)
        while time.monotonic() < end:
            assert storm(60.0, chance).wrong == []
            gc.collect()
            assert len(gc.get_objects()) < objects + 500  # a storm makes many thousands of actors
            assert sys.getallocatedblocks() < blocks + 10_000
    # The threads of the C library's allocator each keep some of what was free.
    assert rss() - memory < 100_000_000
