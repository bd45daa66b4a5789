"""Actors that were abandoned and whose handlers run on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

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
    SupervisorRef,
    zombies,
)
from slither_actors.errors import AbandonedError, ChildError, OptionError, StartError
from tests.actors.children import kill, spec, supervise
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


def test_a_zombie_starts_calls_and_registers_nobody(log: Log, gate: Gate) -> None:
    """Each of them raises, in its handler."""
    other, echo, registry = Quiet.start(log), Echo.start(), Registry.start(keys="unique")
    assert isinstance(registry, RegistryRef)
    attempts: list[Callable[[], Any]] = [
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


def test_what_a_zombie_sends_and_answers_is_dropped(log: Log, gate: Gate) -> None:
    """Nobody takes it for the word of its successor."""
    heard = Log()
    other = Quiet.start(heard)
    done = threading.Event()

    def handler(probe: Any) -> None:
        gate(probe)
        other.cast("cast")
        other.info("info")
        other.tell("tell")
        probe.sender.reply("late")
        probe.send_after(0, "timer")
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
