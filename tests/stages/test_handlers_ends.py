"""How coroutines end with their stage, and the stage with them."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Crash, Down, Supervisor, zombies
from slither_actors.stages import Producer, Subscription, sync_subscribe
from slither_actors.stages._job import current_job
from slither_actors.stages._loop import shared
from tests.stages.gates import Gate
from tests.stages.probes import SECONDS, Silent, Sink, Source, ended, inside, seen, until


class Waiting(Sink):
    gate: Gate

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        await self.gate.wait(events[0])

    def terminate(self, reason: Any) -> None:
        self.left.append(("terminate", list(self.gate.cancelled)))


class Stubborn(Sink):
    """Does not end when it is cancelled."""

    gate: Gate

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        while not self.gate.is_open:
            try:
                await self.gate.wait(events[0])
            except asyncio.CancelledError:
                self.got.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def busy(cls: type[Any], gate: Gate, events: Sequence[int] = (1,), **options: Any) -> Any:
    """Start a stage whose coroutines wait at the gate."""
    source = Silent.start()
    stage = cls.start(gate=gate, max_concurrency=len(events), **options)
    sync_subscribe(stage, to=source, max_demand=len(events), min_demand=len(events) - 1, cancel="temporary")
    inside(source, lambda s: s.emit(events))
    gate.await_waiting(*events)
    return stage


def test_a_coroutine_that_raises_crashes_the_stage(caplog: pytest.LogCaptureFixture) -> None:
    """The reason is its exception with its own traceback, and the report says that it was a coroutine."""

    class Broken(Sink):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            await self.look_up(events)

        async def look_up(self, events: Sequence[Any]) -> None:
            await asyncio.sleep(0)
            raise LookupError(events[0])

    source, sink = Source.start(10), Broken.start()
    sync_subscribe(sink, to=source)
    reason = ended(sink)
    assert isinstance(reason, Crash)
    assert repr(reason.exception) == "LookupError(0)"
    assert "await self.look_up(events)" in reason.traceback_text
    assert "raise LookupError(events[0])" in reason.traceback_text
    assert "last message: coroutine_ended the coroutine Broken.handle_events(10 events)" in caplog.text


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_no_exception_of_a_coroutine_ends_the_event_loop(raised: type[BaseException]) -> None:
    """Nor is one taken for a cancellation that nobody has asked for."""

    class Broken(Sink):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            raise raised

    source, sink = Source.start(10), Broken.start()
    sync_subscribe(sink, to=source)
    reason = ended(sink)
    assert isinstance(reason, Crash)
    assert type(reason.exception) is raised
    gate = Gate()
    gate.open()
    source, sink = Source.start(10), Waiting.start(gate=gate)
    sync_subscribe(sink, to=source)
    assert ended(sink) == "normal"


def test_a_crash_cancels_the_other_coroutines(gate: Gate) -> None:
    """At once, whatever the order of results."""

    class Crashing(Waiting):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            await self.gate.wait(events[0])
            raise LookupError

    stage = busy(Crashing, gate, range(3))
    gate.open(2)
    assert isinstance(ended(stage), Crash)
    assert sorted(gate.cancelled) == [0, 1]
    assert seen(stage, "left") == [("terminate", gate.cancelled)]


def test_a_stop_cancels_the_coroutines_before_terminate(gate: Gate) -> None:
    """Which finds none of them running."""
    stage = busy(Waiting, gate, range(3))
    stage.stop("normal", timeout=SECONDS)
    ((_, cancelled),) = seen(stage, "left")
    assert sorted(cancelled) == [0, 1, 2]


def test_a_kill_cancels_the_coroutines(gate: Gate) -> None:
    """Before its monitors are told of the end."""
    told: list[Any] = []

    class Watching(Sink):
        def handle_info(self, message: Down) -> None:  # type: ignore[override]
            told.append((message.reason, sorted(gate.cancelled)))

    stage, watching = busy(Waiting, gate, range(3)), Watching.start()
    inside(watching, lambda s: s.monitor(stage))
    stage.kill()
    until(lambda: told)
    assert told == [("killed", [0, 1, 2])]


def test_the_end_waits_for_coroutines_that_tidy_up(gate: Gate) -> None:
    """As long as `cancel_timeout`."""
    tidied = threading.Event()

    class Tidy(Waiting):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            try:
                await self.gate.wait(events[0])
            finally:
                await asyncio.sleep(0.05)
                tidied.set()

    busy(Tidy, gate).stop("normal", timeout=SECONDS)
    assert tidied.is_set()


def test_a_coroutine_that_swallows_its_cancellation_is_abandoned(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """Listed with its stack, logged, and off the list when it ends."""
    stage = busy(Stubborn, gate, cancel_timeout=0.05)
    stage.stop("normal", timeout=SECONDS)
    assert stage.exit_reason == "normal"
    (zombie,) = [each for each in zombies() if each.actor is stage]
    assert "Stubborn.handle_events(1 events), which was cancelled" in zombie.stack
    assert "await self.gate.wait(events[0])" in zombie.stack
    (record,) = [each for each in caplog.records if each.levelno == logging.CRITICAL]
    assert "something that it had started has not, which is abandoned" in record.getMessage()
    gate.open()
    until(lambda: not [each for each in zombies() if each.actor is stage])


def test_the_shutdown_time_of_a_child_ends_the_wait(gate: Gate) -> None:
    """The supervisor kills the stage, which gives its coroutines up."""
    source = Silent.start()

    class Child(Stubborn):
        cancel_timeout = None

        def init(self, **options: Any) -> None:
            super().init(gate=gate)
            self.subscribe_to = [{"to": source, "cancel": "temporary"}]

    tree = Supervisor.start([Child.child_spec(shutdown=0.2)])
    stage = tree.child("Child")
    inside(source, lambda s: s.emit([1]))
    gate.await_waiting(1)
    began = time.monotonic()
    tree.stop("shutdown", timeout=SECONDS)
    assert 0.15 < time.monotonic() - began < 5
    assert stage.exit_reason == "killed"
    assert [each.actor for each in zombies()] == [stage]
    gate.open()
    until(lambda: not zombies())


def test_an_abandoned_coroutine_counts_for_its_supervisor(gate: Gate) -> None:
    """An exclusive child has no successor as long as one runs."""
    source = Silent.start()

    class Child(Stubborn):
        def init(self, **options: Any) -> None:
            super().init(gate=gate, cancel_timeout=0.01)
            self.subscribe_to = [{"to": source, "cancel": "temporary"}]

        def handle_cast(self, message: Any) -> None:
            raise LookupError

    tree = Supervisor.start([Child.child_spec(exclusive=True)])
    inside(source, lambda s: s.emit([1]))
    gate.await_waiting(1)
    tree.child("Child").cast("crash")
    assert ended(tree) == "shutdown"
    gate.open()
    until(lambda: not zombies())


def test_an_ended_stage_leaves_no_task(gate: Gate) -> None:
    """However it ends."""
    for end in ("stop", "kill", "stop", "kill"):
        stage = busy(Waiting, gate, range(3))
        getattr(stage, end)()
        ended(stage)
    assert shared.loop is not None
    until(lambda: not asyncio.all_tasks(shared.loop))


def test_what_comes_of_a_coroutine_after_complete_is_dropped(gate: Gate) -> None:
    """The stage ends with what was emitted, and does not wait for it."""

    class Told(Producer):
        async def handle_demand(self, demand: int) -> list[int]:  # type: ignore[override]
            await gate.wait("demand")
            return [2]

        def handle_cast(self, message: Any) -> None:
            self.emit([1])
            self.complete()

    source, sink = Told.start(), Sink.start()
    sync_subscribe(sink, to=source)
    gate.await_waiting("demand")
    source.cast("enough")
    assert ended(sink) == "normal"
    assert sink._cell.actor.events == [1]
    assert gate.cancelled == ["demand"]


# -- the process -------------------------------------------------------------------------

PROGRAM = """
import asyncio, gc, logging, os, sys, threading
from slither_actors.stages import Consumer, from_iterable, sync_subscribe

class Slow(Consumer):
    max_concurrency = 3

    async def init(self, started):
        self.started = started

    async def handle_events(self, events, source):
        if 2 in events:  # the last of the three that run
            self.started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            print("cancelled", flush=True)

    async def terminate(self, reason):
        await asyncio.sleep(0)
        print("terminate", reason, flush=True)

started = threading.Event()
source = from_iterable(range(100))
sink = Slow.start(started)
sync_subscribe(sink, to=source, max_demand=10, min_demand=9)
assert started.wait(20)
"""


def test_the_exit_of_the_program_cancels_coroutines_and_says_nothing(program: Any) -> None:
    """In asyncio's debug mode, with all warnings: nothing pending, nothing that was never awaited."""
    done = program(PROGRAM, arguments=("-X", "dev", "-W", "error"))
    assert done.out == ["cancelled"] * 3 + ["terminate shutdown"]
    assert done.err == ""
    assert done.seconds < 15


def test_the_exit_does_not_wait_for_a_coroutine_that_blocks_the_loop(program: Any) -> None:
    """It is a mistake, and told as one; the program ends."""
    done = program(
        """
import threading, time
from slither_actors.stages import Consumer, from_iterable, sync_subscribe

class Blocking(Consumer):
    cancel_timeout = 0.2

    async def handle_events(self, events, source):
        started.set()
        time.sleep(3600)

started = threading.Event()
sync_subscribe(Blocking.start(), to=from_iterable(range(100)))
assert started.wait(20)
""",
        arguments=("-X", "dev"),
    )
    assert "something that it had started has not, which is abandoned" in done.err
    assert "never awaited" not in done.err
    assert "was destroyed" not in done.err
    assert done.seconds < 20


def test_a_stubborn_coroutine_is_told_of_once_at_the_exit(program: Any) -> None:
    """By the library, not by asyncio as well."""
    done = program(
        """
import asyncio, threading
from slither_actors.stages import Consumer, from_iterable, sync_subscribe

class Stubborn(Consumer):
    cancel_timeout = 0.1

    async def handle_events(self, events, source):
        started.set()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

started = threading.Event()
sync_subscribe(Stubborn.start(), to=from_iterable(range(100)))
assert started.wait(20)
""",
        arguments=("-X", "dev"),
    )
    assert done.err.count("is abandoned") == 1
    assert "destroyed" not in done.err
    assert "never awaited" not in done.err


def test_coroutines_are_not_there_in_the_child_of_a_fork(program: Any) -> None:
    """A stage cannot be started; the parent's go on, and the child ends quietly."""
    done = program(
        PROGRAM
        + """
from slither_actors.errors import ForkedRuntimeError
pid = os.fork()
if not pid:
    try:
        Slow.start(started)
    except ForkedRuntimeError:
        print("refused", flush=True)
    sys.exit(7)
_, status = os.waitpid(pid, 0)
print("child", os.waitstatus_to_exitcode(status), flush=True)
""",
        arguments=("-W", "ignore::DeprecationWarning"),
    )
    assert done.out == ["refused", "child 7"] + ["cancelled"] * 3 + ["terminate shutdown"]
    assert done.err == ""


def test_a_child_forked_before_the_first_coroutine_has_a_loop_of_its_own(program: Any) -> None:
    """Nothing was started in the parent, so nothing is missing."""
    done = program(
        """
import os, sys
from slither_actors.stages import Consumer, from_iterable, sync_subscribe

class Adding(Consumer):
    async def init(self):
        self.total = 0

    async def handle_events(self, events, source):
        self.total += sum(events)

    def terminate(self, reason):
        print(f"{self.total}\\n", end="", flush=True)

def run():
    sink = Adding.start()
    sync_subscribe(sink, to=from_iterable(range(100)))
    assert sink.join(20)

pid = os.fork()
run()
if pid:
    os.waitpid(pid, 0)
""",
        arguments=("-X", "dev"),
    )
    assert done.out == ["4950", "4950"]
    assert done.err == ""


def test_nothing_keeps_the_coroutines_that_have_ended(gate: Gate) -> None:
    """Neither the event loop nor the stage."""
    jobs: list[weakref.ref[Any]] = []

    class Looking(Waiting):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            jobs.append(weakref.ref(current_job(self)))
            self.got.set()

    source, sink = Silent.start(), Looking.start()
    sync_subscribe(sink, to=source)
    inside(source, lambda s: s.emit([1]))
    assert seen(sink, "got").wait(SECONDS)
    until(lambda: inside(sink, lambda s: s._lane.is_idle))
    until(lambda: gc.collect() >= 0 and jobs[0]() is None)
