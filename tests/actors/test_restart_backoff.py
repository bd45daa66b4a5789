"""Supervisors that wait before they restart a child."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import (
    SHUTDOWN,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorRef,
    SupervisorRef,
    Task,
    _child,
    _runtime,
)
from slither_actors.errors import ChildError, OptionError
from tests.actors.children import Clock, ManualTimers, kill, spec, starts, stops, supervise
from tests.actors.probes import LONG, Log, crash
from tests.actors.simulation import Simulation

DOUBLING = Backoff(min=1, max=100, jitter=0, reset_after=60)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> ManualTimers:
    timers = ManualTimers()
    monkeypatch.setattr(_runtime, "timers", timers)
    return timers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_child, "clock", clock)
    return clock


def slow(log: Log, label: str, at_start: Any = None, **more: Any) -> ChildSpec:
    return spec(log, label, at_start, backoff=DOUBLING, **more)


def states(supervisor: SupervisorRef) -> list[tuple[object, str]]:
    return [(info.id, info.state) for info in supervisor.which_children()]


def test_a_restart_waits_and_the_supervisor_does_not(log: Log, timers: ManualTimers) -> None:
    """Meanwhile the child is "restarting", the others run, and requests are served."""
    supervisor = supervise(log, slow(log, "a"), spec(log, "b"))
    kill(supervisor, "a")
    assert states(supervisor) == [("b", "running"), ("a", "restarting")]
    assert supervisor.count_children().active == 1
    for refused in (supervisor.restart_child, supervisor.delete_child):
        with pytest.raises(ChildError) as caught:
            refused("a")
        assert caught.value.reason == "restarting"
    assert log.rest() == []
    timers.fire()
    assert log.rest() == starts("a")
    assert states(supervisor) == [("b", "running"), ("a", "running")]


def test_waits_grow_until_the_child_has_run_long_enough(log: Log, timers: ManualTimers, clock: Clock) -> None:
    """1, 2 and 4 seconds in a row; after a minute of life 1 second again."""
    supervisor = supervise(log, slow(log, "a"), max_restarts=100)
    for delay in (1, 2, 4):
        kill(supervisor, "a")
        supervisor.count_children()
        assert timers.delays() == [delay]
        timers.fire()
        clock.now += 59
    clock.now += 1
    kill(supervisor, "a")
    supervisor.count_children()
    assert timers.delays() == [1]


def test_chance_is_an_input(log: Log, timers: ManualTimers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jitter comes on top of the wait."""
    monkeypatch.setattr(_child, "uniform", lambda: 0.5)
    supervisor = supervise(log, spec(log, "a", backoff=Backoff(min=1, max=100, jitter=0.5)))
    kill(supervisor, "a")
    supervisor.count_children()
    assert timers.delays() == [1.25]


def test_a_restart_that_fails_waits_again(log: Log, timers: ManualTimers, clock: Clock) -> None:
    """Each attempt is one in the row and counts against the limit, here two."""
    broken = False

    def at_start(_: Any) -> None:
        if broken:
            crash()

    supervisor = supervise(log, slow(log, "a", at_start), max_restarts=2)
    broken = True
    kill(supervisor, "a")
    supervisor.count_children()
    assert timers.delays() == [1]
    timers.fire()
    assert timers.delays() == [2]
    assert states(supervisor) == [("a", "restarting")]
    waiting = timers._waiting[0]
    assert timers.take(waiting)
    waiting._cell.put(waiting._message)
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    assert timers.delays() == []


def test_terminate_child_ends_the_wait(log: Log, timers: ManualTimers) -> None:
    """The child stays stopped, and the row begins anew."""
    supervisor = supervise(log, slow(log, "a"))
    kill(supervisor, "a")
    supervisor.terminate_child("a")
    assert timers.delays() == []
    assert states(supervisor) == [("a", "stopped")]
    supervisor.restart_child("a")
    kill(supervisor, "a")
    supervisor.count_children()
    assert timers.delays() == [1]
    supervisor.terminate_child("a")
    supervisor.delete_child("a")
    assert timers.delays() == []


def test_the_end_of_the_supervisor_ends_the_wait(log: Log, timers: ManualTimers) -> None:
    """Nothing starts after it."""
    supervisor = supervise(log, slow(log, "a"))
    kill(supervisor, "a")
    supervisor.stop(SHUTDOWN)
    assert timers.delays() == []
    assert log.rest() == []


@pytest.mark.parametrize(
    ("strategy", "stopped"), [("one_for_all", ["c", "a"]), ("rest_for_one", ["c"]), ("one_for_one", [])]
)
def test_those_that_depend_on_the_child_wait_with_it(
    strategy: str, stopped: list[str], log: Log, timers: ManualTimers
) -> None:
    """They are stopped at once, and start when it does."""
    supervisor = supervise(log, spec(log, "a"), slow(log, "b"), spec(log, "c"), strategy=strategy)
    kill(supervisor, "b")
    supervisor.count_children()
    assert log.rest() == stops(*stopped)
    timers.fire()
    assert log.rest() == starts(*sorted(["b", *stopped]))


def test_a_wait_ends_when_the_child_is_restarted_with_another(log: Log, timers: ManualTimers) -> None:
    """An earlier child takes it along, and it starts once."""
    supervisor = supervise(log, spec(log, "a"), slow(log, "b"), strategy="rest_for_one")
    kill(supervisor, "b")
    kill(supervisor, "a")
    supervisor.count_children()
    assert log.rest() == starts("a", "b")
    assert timers.delays() == []


def test_a_wait_is_over_when_another_child_of_the_group_does_not_start(log: Log) -> None:
    """It is the other one that is being restarted then; when that is given up, the child is stopped."""
    simulation = Simulation()
    try:
        fails = []
        first = spec(log, "a", lambda _: crash() if fails else None)
        supervisor = supervise(log, first, slow(log, "b"), strategy="one_for_all")
        kill(supervisor, "b")
        fails.append(True)
        simulation.timers.fire(0)
        simulation.ask(supervisor, ("terminate_child", "a"))
        simulation.run_all()
        assert states(supervisor) == [("b", "stopped"), ("a", "stopped")]
        supervisor.restart_child("b")
    finally:
        simulation.close()


def test_a_dynamic_supervisor_waits_as_well(log: Log, timers: ManualTimers) -> None:
    """The waiting child counts as one, and terminate_child knows it by its last ref."""
    supervisor = DynamicSupervisor.start(max_children=2)
    assert isinstance(supervisor, DynamicSupervisorRef)
    refs = [supervisor.start_child(slow(log, label)) for label in ("a", "b")]
    for ref in refs:
        ref.kill()
        assert ref.join(LONG)
    assert [info.state for info in supervisor.which_children()] == ["restarting", "restarting"]
    with pytest.raises(ChildError):
        supervisor.start_child(slow(log, "c"))
    supervisor.terminate_child(refs[1])
    assert timers.delays() == [1]
    timers.fire()
    assert log.rest() == starts("a", "b", "a")
    (info,) = supervisor.which_children()
    assert info.state == "running"
    with pytest.raises(ChildError):
        supervisor.terminate_child(refs[0])


def test_the_option_is_checked() -> None:
    """In a task's spec as well."""
    assert Task.child_spec(crash, backoff=DOUBLING).backoff is DOUBLING
    with pytest.raises(OptionError, match="allowed are a Backoff, None"):
        Task.child_spec(crash, backoff=1.0)  # type: ignore[arg-type]
