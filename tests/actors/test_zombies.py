"""Actors that were abandoned and whose handlers run on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pykka
import pytest

from slither_actors import telemetry
from slither_actors.actors import (
    KILLED,
    SHUTDOWN,
    Actor,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorRef,
    Ref,
    Registry,
    RegistryRef,
    Request,
    SupervisorRef,
    Task,
    _async_kill,
    _runtime,
    _zombie,
    when_named,
    zombies,
)
from slither_actors.actors._async_kill import HandlerBrokenOff
from slither_actors.actors._scheduler import Scheduler
from slither_actors.actors._zombie import bury
from slither_actors.errors import AbandonedError, ChildError, OptionError, StartError
from tests.actors.children import Clock, kill, spec, supervise
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, settle


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Where the handlers of zombies are; it opens at the end, and then there are none."""
    gate = Gate()
    yield gate
    gate.open()
    await_no_zombies()


def await_no_zombies() -> None:
    for _ in range(int(LONG * 1000)):
        if not zombies():
            return
        threading.Event().wait(0.001)
    raise AssertionError(zombies())


def hasty(log: Log, label: str, **more: Any) -> ChildSpec:
    return spec(log, label, shutdown=0, **more)


def hold(supervisor: SupervisorRef, id: object, gate: Callable[[Any], Any]) -> Ref:
    """Have a child enter the gate."""
    ref = supervisor.child(id)
    assert ref is not None
    arrived = threading.Event()

    def handler(probe: Any) -> None:
        arrived.set()
        gate(probe)

    ref.cast(handler)
    assert arrived.wait(LONG)
    return ref


def test_a_zombie_is_listed_until_its_handler_returns(log: Log, gate: Gate) -> None:
    """With its age and where it is now."""
    supervisor = supervise(log, hasty(log, "a"))
    ref = hold(supervisor, "a", gate)
    assert zombies() == []
    supervisor.terminate_child("a")
    (zombie,) = zombies()
    assert zombie.actor is ref
    assert 0 <= zombie.age < LONG
    assert "in __call__" in zombie.stack
    gate.open()
    await_no_zombies()


def test_one_whose_handler_returns_while_it_is_looked_at_is_left_out(
    log: Log, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread does not wait for who looks."""
    supervisor = supervise(log, hasty(log, "a"))
    hold(supervisor, "a", gate)
    supervisor.terminate_child("a")
    is_zombie = _zombie.is_zombie

    def look(number: int) -> bool:
        found = is_zombie(number)
        gate.open()
        for _ in range(int(LONG * 1000)):
            if number not in _zombie.zombie_cells:
                return found
            threading.Event().wait(0.001)
        raise AssertionError(number)

    with monkeypatch.context() as patch:
        patch.setattr(_zombie, "is_zombie", look)
        assert zombies() == []


@pytest.mark.parametrize("own_thread", [False, True])
def test_a_handler_that_raises_has_returned(own_thread: bool, log: Log, gate: Gate) -> None:
    """It is no zombie any more, in a thread of its own neither."""
    cls = type("Threaded", (Probe,), {"own_thread": own_thread})
    supervisor = supervise(log)
    supervisor.start_child(cls.child_spec(log, id="a", shutdown=0))  # type: ignore[attr-defined]

    def raises(probe: Any) -> None:
        gate(probe)
        crash()

    hold(supervisor, "a", raises)
    supervisor.terminate_child("a")
    assert len(zombies()) == 1
    gate.open()
    await_no_zombies()


def test_its_end_is_told_as_killed(log: Log, gate: Gate) -> None:
    """To whoever listens to the supervisor's events."""
    told: list[Any] = []

    supervisor = supervise(log, hasty(log, "a"))
    hold(supervisor, "a", gate)

    def receiver(_: Any, **event: Any) -> None:
        told.append(event["metadata"]["reason"])

    with telemetry.SUPERVISOR_CHILD_EXIT.connected_to(receiver):
        supervisor.terminate_child("a")
    assert told == [KILLED]


# -- the limit -------------------------------------------------------------------


def test_one_zombie_more_than_allowed_ends_the_supervisor(
    log: Log, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """Its reason is shutdown; as many as allowed are fine."""
    supervisor = supervise(log, *(hasty(log, label) for label in "abc"), spec(log, "d"), max_zombies=2)
    for label in "ab":
        hold(supervisor, label, gate)
        supervisor.terminate_child(label)
    assert supervisor.count_children().active == 2
    hold(supervisor, "c", gate)
    supervisor.terminate_child("c")
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    assert "3 of its children were abandoned and still run, more than 2" in caplog.text
    assert [record.levelname for record in caplog.records].count("CRITICAL") == 3


def test_zombies_that_have_returned_do_not_count(log: Log) -> None:
    """Any number of them one after the other is fine."""
    supervisor = supervise(log, hasty(log, "a"), max_zombies=1)
    for _ in range(3):
        gate = Gate()
        hold(supervisor, "a", gate)
        supervisor.terminate_child("a")
        gate.open()
        await_no_zombies()
        supervisor.restart_child("a")
    assert supervisor.is_alive()


def test_a_group_restart_may_be_one_too_many(log: Log, gate: Gate) -> None:
    """Nothing is started then."""
    supervisor = supervise(log, hasty(log, "a"), hasty(log, "b"), strategy="one_for_all", max_zombies=0)
    hold(supervisor, "b", gate)
    kill(supervisor, "a")
    assert supervisor.join(LONG)
    assert log.rest() == []


def test_a_dynamic_supervisor_has_the_limit_as_well(log: Log, gate: Gate) -> None:
    """One that is zero allows none."""
    supervisor = DynamicSupervisor.start(max_zombies=0)
    assert isinstance(supervisor, DynamicSupervisorRef)
    ref = supervisor.start_child(hasty(log, "a"))
    ref.cast(gate)
    gate.wait()
    supervisor.terminate_child(ref)
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN


def test_many_that_are_stuck_cost_no_more_time_than_one(log: Log, gate: Gate) -> None:
    """Children that end at one time are also killed and abandoned at one time."""
    supervisor = DynamicSupervisor.start(max_zombies=100)
    stuck = [supervisor.start_child(hasty(log, str(number))) for number in range(30)]
    for ref in stuck:
        ref.cast(gate)
        gate.wait()
        gate.arrived.clear()
    began = time.monotonic()
    supervisor.stop(SHUTDOWN)
    assert time.monotonic() - began < 10 * _zombie._GRACE
    assert {ref.exit_reason for ref in stuck} == {KILLED}
    assert len(zombies()) == 30


@pytest.mark.parametrize("value", [-1, 1.5, True, None])
def test_the_limit_is_checked(value: Any, log: Log) -> None:
    """It is a number of actors."""
    with pytest.raises(StartError) as caught:
        supervise(log, max_zombies=value)
    assert isinstance(caught.value.__cause__, OptionError)


# -- exclusive children ------------------------------------------------------------


def test_a_zombie_has_a_successor_as_a_rule(log: Log, gate: Gate) -> None:
    """A child that is not exclusive is restarted with its group."""
    supervisor = supervise(log, hasty(log, "a"), hasty(log, "b"), strategy="one_for_all")
    hold(supervisor, "b", gate)
    kill(supervisor, "a")
    assert sorted(log.take(2)) == [("start", "a"), ("start", "b")]


def test_an_exclusive_child_has_none(log: Log, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """Its supervisor gives up, and starts nothing of the group."""
    children = (hasty(log, "a"), hasty(log, "b", exclusive=True))
    supervisor = supervise(log, *children, strategy="one_for_all")
    hold(supervisor, "b", gate)
    kill(supervisor, "a")
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    assert log.rest() == []
    assert "child 'b' is exclusive, was abandoned and still runs" in caplog.text


def test_an_exclusive_child_is_not_restarted_by_hand(log: Log, gate: Gate) -> None:
    """The caller is refused, and the supervisor lives on; later it may."""
    supervisor = supervise(log, hasty(log, "a", exclusive=True))
    hold(supervisor, "a", gate)
    supervisor.terminate_child("a")
    with pytest.raises(ChildError) as caught:
        supervisor.restart_child("a")
    assert caught.value.reason == "zombie"
    gate.open()
    await_no_zombies()
    assert supervisor.restart_child("a").is_alive()


# -- the fence ---------------------------------------------------------------------


class Echo(Actor):
    def on_receive(self, message: Any) -> Any:
        return message


def test_a_zombie_reaches_for_nobody(log: Log, gate: Gate) -> None:
    """Each attempt raises, in its handler."""
    other, echo, registry = Quiet.start(log), Echo.start(), Registry.start(keys="unique")
    assert isinstance(registry, RegistryRef)
    zombie: list[Any] = []
    attempts: list[Callable[[], Any]] = [
        lambda: other.stop(block=False),
        other.stop,
        other.exit,
        other.kill,
        other.join,
        other.get_state,
        other.suspend,
        lambda: when_named("name", other, lambda actor, _: None, timeout=0),
        lambda: Task.start(log.add, "task"),
        lambda: zombie[0].link(other),
        lambda: zombie[0].monitor(other),
        lambda: zombie[0].send_after(0, "timer"),
        lambda: zombie[0].run_after(0, lambda actor, _: log.add("timer")),
        lambda: zombie[0].continue_with(1),
        lambda: other.call(1),
        lambda: other.run(lambda actor, _: log.add("run")),
        lambda: echo.ask(1),
        Quiet.start,
        lambda: Quiet.start(name="taken"),
        Echo.start,
        lambda: registry.register("key"),
        lambda: registry.register_actor(other, "key"),
        lambda: registry.unregister_actor(other, "key"),
    ]
    outcomes = Log()

    def handler(probe: Any) -> None:
        zombie.append(probe)
        gate(probe)
        for attempt in attempts:
            try:
                outcomes.add(attempt())
            except Exception as error:  # noqa: BLE001 - looked at below
                outcomes.add(type(error))

    supervisor = supervise(log, hasty(log, "a"))
    hold(supervisor, "a", handler)
    supervisor.terminate_child("a")
    gate.open()
    assert outcomes.take(len(attempts)) == [AbandonedError] * len(attempts)
    assert registry.lookup("key") == []
    assert other.call(2) == 2, "others may"
    statistics = other.statistics()
    assert (statistics.links, statistics.monitors, statistics.suspended) == (0, 0, False)


def test_what_a_zombie_sends_and_answers_is_dropped(log: Log, gate: Gate) -> None:
    """Nobody takes it for the word of its successor."""
    heard = Log()
    other = Quiet.start(heard)
    asked = Request(None, other._cell)
    done = threading.Event()

    def handler(probe: Any) -> None:
        gate(probe)
        other.cast("cast")
        other.info("info")
        other.tell("tell")
        other.send(lambda actor, _: heard.add("send"))
        probe.sender.reply("late")
        asked.reply("for another")
        asked.fail(ValueError("for another"))
        done.set()

    class Asked(Probe):
        def handle_call(self, request: Any, sender: Any) -> Any:
            self.sender = sender
            handler(self)

    supervisor = supervise(log)
    ref = supervisor.start_child(Asked.child_spec(log, id="a", shutdown=0))
    outcome = Log()

    def call() -> None:
        try:
            outcome.add(ref.call(None, LONG))
        except Exception as error:  # noqa: BLE001 - looked at below
            outcome.add(error.reason)  # type: ignore[attr-defined]

    thread = threading.Thread(target=call)
    thread.start()
    gate.wait()
    supervisor.terminate_child("a")
    assert outcome.get() == KILLED
    gate.open()
    assert done.wait(LONG)
    thread.join(LONG)
    settle(other)
    assert heard.rest() == []
    assert log.rest() == []
    assert not asked.answered


def test_who_asked_through_pykka_is_told_as_well(log: Log, gate: Gate) -> None:
    """At once; what the zombie answers later is nobody's."""

    class Asked(Probe):
        def slow(self) -> str:
            gate()
            return "late"

    supervisor = supervise(log)
    ref = supervisor.start_child(Asked.child_spec(log, id="a", shutdown=0))
    future = ref.proxy().slow()
    gate.wait()
    supervisor.terminate_child("a")
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=LONG)
    gate.open()
    await_no_zombies()
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=LONG)


# -- being reminded ----------------------------------------------------------------


class Alarms:
    """In the place of the runtime's timers: holds what is to run, until a test runs it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], object]]] = []

    def call_after(self, delay: float, function: Callable[[], object]) -> None:
        self.waiting.append((delay, function))

    def fire(self) -> float:
        delay, function = self.waiting.pop()
        function()
        return delay


def test_a_zombie_is_logged_again_and_again(
    log: Log, gate: Gate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its age and its stack, less and less often, at least once an hour, until it has returned."""
    alarms, clock = Alarms(), Clock()
    monkeypatch.setattr(_runtime, "timers", alarms)
    monkeypatch.setattr(_zombie, "clock", clock)
    supervisor = supervise(log, hasty(log, "a"))
    hold(supervisor, "a", gate)
    told: list[Any] = []
    with telemetry.attach("slither.actor.zombie", lambda *event: told.append(event)):
        supervisor.terminate_child("a")
        delays = []
        for _ in range(12):
            clock.now += alarms.waiting[0][0]
            delays.append(alarms.fire())
    assert delays == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    texts = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert len(texts) == len(told) == 13
    assert "was abandoned 10 s ago, and its handler still runs" in texts[1]
    assert all("in __call__" in text for text in texts)
    _, sender, measurements, metadata = told[1]
    assert isinstance(sender, Ref)
    assert measurements["age"] == 10
    assert metadata["ref"] is sender
    assert "in __call__" in metadata["stack"]
    gate.open()
    await_no_zombies()
    alarms.fire()
    assert alarms.waiting == []
    assert len(caplog.records) == 13


def test_the_reminder_comes_by_the_clock(log: Log, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no actor, and nobody who asks."""
    monkeypatch.setattr(_zombie, "_FIRST_REMINDER", 0.01)
    told = Log()
    supervisor = supervise(log, hasty(log, "a"))
    hold(supervisor, "a", gate)
    with telemetry.attach("slither.actor.zombie", lambda *event: told.add(event[2]["age"])):
        supervisor.terminate_child("a")
        ages = told.take(3)
    assert ages == sorted(ages)


def test_an_actor_that_only_waits_for_a_thread_is_no_zombie(
    small_scheduler: Scheduler, log: Log, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """On a loaded machine it may be late; its handler does not run, so nothing is abandoned."""
    busy = [Quiet.start() for _ in range(2)]
    arrived = threading.Semaphore(0)

    def occupy(probe: Any) -> None:
        arrived.release()
        gate(probe)

    victim = Quiet.start()
    for ref in busy:
        ref.cast(occupy)
    for _ in busy:
        assert arrived.acquire(timeout=LONG)
    victim._cell.kill()
    bury(victim._cell)
    assert victim.exit_reason == KILLED
    assert zombies() == []
    assert "abandoned" not in caplog.text


# -- breaking off --------------------------------------------------------------------


class Looping(Probe):
    own_thread = True

    def handle_cast(self, message: Any) -> None:
        message()


def spin(go_on: threading.Event) -> None:
    while not go_on.is_set():
        pass


def loop(entered: threading.Event, go_on: threading.Event, noted: Log) -> None:
    try:
        entered.set()
        # A call: what is raised at the end of a ``while`` itself passes by the ``except`` around it on
        # CPython 3.12 and 3.13, https://github.com/python/cpython/issues/130279.
        spin(go_on)
        noted.add("returned")
    except BaseException as error:
        noted.add(type(error))
        raise


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()
    await_no_zombies()


def end_looping(go_on: threading.Event, handler: Callable[..., None] = loop, **options: Any) -> Log:
    """Abandon an actor in `handler`, and return what that noted."""
    supervisor = supervise(Log())
    noted, entered = Log(), threading.Event()
    ref = supervisor.start_child(Looping.child_spec(Log(), id="a", shutdown=0, **options))
    ref.cast(lambda: handler(entered, go_on, noted))
    assert entered.wait(LONG)
    supervisor.terminate_child("a")
    assert ref.exit_reason == KILLED
    return noted


def test_async_kill_breaks_a_loop_off(go_on: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    """It is no zombie any more when its supervisor goes on, and the log says what was done."""
    noted = end_looping(go_on, async_kill=True)
    assert noted.get() is HandlerBrokenOff
    assert zombies() == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "broken off (async_kill)" in caplog.text


def test_without_async_kill_nothing_is_broken_off(go_on: threading.Event) -> None:
    """A zombie is left to itself."""
    noted = end_looping(go_on)
    assert len(zombies()) == 1
    go_on.set()
    assert noted.get() == "returned"


def test_who_catches_everything_stays_a_zombie(go_on: threading.Event) -> None:
    """It is struck some times, with longer and longer times between, and then left to itself."""

    def stubborn(entered: threading.Event, go_on: threading.Event, noted: Log) -> None:
        while not go_on.is_set():
            with suppress(BaseException):
                loop(entered, go_on, noted)

    noted = end_looping(go_on, stubborn, async_kill=True)
    assert len(zombies()) == 1
    go_on.set()
    await_no_zombies()
    *struck, last = noted.rest()
    assert last == "returned"
    assert set(struck) == {HandlerBrokenOff}
    assert len(struck) <= 3


def test_a_strike_that_is_lost_is_not_the_last(go_on: threading.Event) -> None:
    """What strikes a finalizer, which may run in any code, is printed and does not leave it."""
    lost = threading.Event()

    class Last:
        def __del__(self) -> None:
            try:
                spin(go_on)
            except HandlerBrokenOff:
                lost.set()

    def collecting(entered: threading.Event, go_on: threading.Event, noted: Log) -> None:
        entered.set()
        Last()
        spin(go_on)

    end_looping(go_on, collecting, async_kill=True)
    assert lost.is_set()
    assert zombies() == []


def test_a_strike_after_the_handler_has_left_is_none(go_on: threading.Event) -> None:
    """One that is due again finds nobody; the thread's other actors, if it had any, would be safe."""
    cell = supervise(Log()).start_child(Looping.child_spec(Log(), id="a"))._cell
    thread = cell.scheduler.thread_of(cell) or threading.get_ident()
    assert not _async_kill._strike(cell, thread, {})
    assert not _async_kill._strike(cell, thread, {cell.id: None})
    assert _async_kill._struck == {}


def test_a_call_that_runs_another_server_is_not_broken_off(go_on: threading.Event) -> None:
    """The handler that would be hit is not the zombie's."""

    class Inline(Quiet):
        inline_calls = True

    inline = Inline.start()

    def calls(entered: threading.Event, go_on: threading.Event, noted: Log) -> None:
        inline.call(lambda _: loop(entered, go_on, noted), None)

    noted = end_looping(go_on, calls, async_kill=True)
    assert len(zombies()) == 1
    go_on.set()
    assert noted.get() == "returned"
    assert inline.call("alive") == "alive"


def test_what_did_not_arrive_is_taken_back(go_on: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that returns in time, in a call that waits in C, is the only one that it was meant for."""
    real = _async_kill._raise_in
    struck = threading.Event()

    def in_c(entered: threading.Event, _: threading.Event, noted: Log) -> None:
        entered.set()
        with suppress(HandlerBrokenOff):
            noted.add(held.acquire(timeout=LONG))

    held = threading.Lock()
    held.acquire()
    calls: list[int] = []

    def raise_in(thread: int, kind: Any) -> None:
        calls.append(thread)
        real(thread, kind)
        struck.set()

    monkeypatch.setattr(_async_kill, "_raise_in", raise_in)
    end_looping(go_on, in_c, async_kill=True)
    assert struck.is_set()
    assert tracing_works()  # it has not arrived, and nobody looks for it
    held.release()
    await_no_zombies()
    assert calls[0] == calls[-1]  # the last one is in its place, and is caught
    assert _async_kill._struck == {}
    assert tracing_works()


def tracing_works() -> bool:
    """Whether a function that a debugger looks at begins and ends; see `_async_kill._call_off_search`."""
    done = threading.Event()

    def traced() -> None:
        sys.settrace(lambda *_: None)
        spin(is_set)
        done.set()

    is_set = threading.Event()
    is_set.set()
    threading.Thread(target=traced, daemon=True).start()
    return done.wait(LONG)


def test_async_kill_is_for_actors_with_a_thread_of_their_own() -> None:
    """In any other thread it might hit an actor that runs later."""
    with pytest.raises(OptionError, match="is True for Quiet, whose thread runs other actors"):
        Quiet.child_spec(async_kill=True)
    with pytest.raises(OptionError, match="'async_kill' is 1"):
        Looping.child_spec(async_kill=1)  # type: ignore[arg-type]


# -- a program --------------------------------------------------------------------------


STUCK = {
    "in a sleep": "while not released.is_set(): time.sleep(0.01)",
    "on a lock": "lock.acquire()",
    "in a loop": "while not released.is_set(): pass",
}


@pytest.mark.parametrize("state", STUCK)
def test_a_stuck_callback_delays_nobody(state: str, program: Callable[..., Any]) -> None:
    """Its supervisor is done soon after the deadline; what it does when it is released has no effect."""
    done = program(f"""
import logging, threading, time
from slither_actors.actors import Server, Supervisor, zombies
from slither_actors.store import Store, StoreServer, Table
logging.basicConfig(format="%(levelname)s %(message)s")

class Kept(Store):
    rows = Table()
    def load(self, tables):
        tables.rows.put("key", "old")

heard, lock = [], threading.Lock()
released, entered, over = threading.Event(), threading.Event(), threading.Event()
lock.acquire()

class Other(Server):
    def handle_cast(self, message): heard.append(message)
    def handle_call(self, request, sender): return heard

class Stuck(Server):
    def handle_call(self, request, sender):
        entered.set()
        {STUCK[state]}
        for attempt in (
            lambda: other.cast("cast"),
            lambda: other.tell("tell"),
            lambda: Kept.rows.put("key", "new"),
            lambda: sender.reply("reply"),
        ):
            try:
                attempt()
            except Exception as error:
                print(type(error).__name__, flush=True)
        over.set()

StoreServer.start(Kept)
other = Other.start()
tree = Supervisor.start([Stuck.child_spec(shutdown=0.2, restart="temporary")])
stuck = tree.child("Stuck")
answers = []
def ask():
    try:
        answers.append(stuck.call("x", None))
    except Exception as error:
        answers.append(error.reason)
asker = threading.Thread(target=ask)
asker.start()
entered.wait()
began = time.monotonic()
tree.stop("shutdown")
took = time.monotonic() - began
print(0.2 <= took <= 3 or took, flush=True)                 # 0.3 on a machine that has nothing else to do
print(stuck.exit_reason, len(zombies()), "handle_call" in zombies()[0].stack, flush=True)
asker.join()
released.set()
lock.release()
over.wait()
while zombies():
    time.sleep(0.001)
print(other.call("heard"), Kept.rows.get("key"), answers, flush=True)
""")
    assert done.out == ["True", "killed 1 True", "AbandonedError", "[] old ['killed']"]
    assert done.err.count("CRITICAL") == 1
    assert "in handle_call" in done.err
