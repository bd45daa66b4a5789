"""Dynamic supervisors, and tasks under one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from slither_actors.actors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    ChildCounts,
    Crash,
    DynamicSupervisor,
    DynamicSupervisorRef,
    Ignore,
    Supervisor,
    TaskSupervisor,
    TaskSupervisorRef,
    _child,
)
from slither_actors.actors._cell import live_cells
from slither_actors.errors import ChildError, OptionError, StartError
from tests.actors.children import Child, Clock, spec
from tests.actors.probes import LONG, Gate, Log, Quiet, crash


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_child, "clock", clock)
    return clock


def dynamic(**options: Any) -> DynamicSupervisorRef:
    ref = DynamicSupervisor.start(**options)
    assert isinstance(ref, DynamicSupervisorRef)
    return ref


def test_children_come_on_demand(log: Log) -> None:
    """Their ids need not differ; extra arguments are appended."""
    supervisor = dynamic()
    refs = [supervisor.start_child(spec(log, "a")) for _ in range(3)]
    refs.append(supervisor.start_child(Child, log, "extra"))
    assert len(set(refs)) == 4
    assert refs[3].call(lambda probe: probe.label) == "extra"
    assert [info.ref for info in supervisor.which_children()] == refs[::-1]
    assert {info.id for info in supervisor.which_children()} == {None}
    assert supervisor.count_children() == ChildCounts(specs=4, active=4, supervisors=0, workers=4)


def test_a_child_starts_again_with_its_extra_arguments(log: Log) -> None:
    """They are as much a part of it as those of its spec."""
    supervisor = dynamic()
    supervisor.start_child(Child, log, "extra").kill()
    assert log.take(2) == [("start", "extra")] * 2


def test_all_children_stop_at_one_time() -> None:
    """Their `terminate` callbacks overlap: each waits here for all the others."""
    barrier = threading.Barrier(20)

    class Meeting(Quiet):
        def terminate(self, reason: Any) -> None:
            barrier.wait(LONG)

    supervisor = dynamic()
    refs = [supervisor.start_child(Meeting) for _ in range(20)]
    supervisor.stop(timeout=LONG)
    assert {ref.exit_reason for ref in refs} == {SHUTDOWN}


def test_max_children_is_a_limit(log: Log) -> None:
    """One more is refused until one has ended."""
    supervisor = dynamic(max_children=2)
    first = supervisor.start_child(spec(log, "a"))
    supervisor.start_child(spec(log, "b"))
    with pytest.raises(ChildError, match="has 2 children, its max_children") as caught:
        supervisor.start_child(spec(log, "c"))
    assert caught.value.reason == "max_children"
    supervisor.terminate_child(first)
    supervisor.start_child(spec(log, "c"))


@pytest.mark.parametrize(
    ("restart", "end", "again"),
    [
        ("permanent", "normal", True),
        ("transient", "crash", True),
        ("transient", "normal", False),
        ("temporary", "crash", False),
    ],
)
def test_restarts_follow_the_spec(restart: str, end: str, again: bool, log: Log) -> None:
    """As under a static supervisor, but what is not restarted is forgotten."""
    supervisor = dynamic()
    ref = supervisor.start_child(spec(log, "a", restart=restart))
    if end == "crash":
        ref.cast(crash)
    else:
        ref.stop(NORMAL, block=False)
    assert ref.join(LONG)
    children = supervisor.which_children()
    assert len(children) == again
    assert all(info.ref is not ref for info in children)


def test_one_restart_more_than_allowed_ends_it(log: Log, clock: Clock) -> None:
    """With the reason shutdown, after it has stopped the others."""
    supervisor = dynamic(max_restarts=1)
    other = supervisor.start_child(spec(log, "b"))
    supervisor.start_child(spec(log, "a")).kill()
    log.take(3)
    supervisor.which_children()[0].ref.kill()  # type: ignore[union-attr]
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    assert other.exit_reason == SHUTDOWN


def test_a_restart_that_fails_is_tried_again(log: Log, clock: Clock) -> None:
    """Each attempt counts, and the supervisor serves requests between them."""
    blown = []

    def at_start(_: Any) -> None:
        if blown:
            crash()

    supervisor = dynamic(max_restarts=1_000_000)
    ref = supervisor.start_child(spec(log, "a", at_start))
    blown.append(True)
    ref.kill()
    assert ref.join(LONG)
    (info,) = supervisor.which_children()
    assert (info.ref, info.state) == (None, "restarting")
    assert supervisor.count_children().active == 0
    blown.clear()
    while supervisor.count_children().active == 0:
        threading.Event().wait(0.001)


def test_terminate_child_forgets_it(log: Log) -> None:
    """It is not restarted; who is no child is an error, also one that has just been one."""
    supervisor = dynamic()
    ref = supervisor.start_child(spec(log, "a"))
    supervisor.terminate_child(ref)
    assert ref.exit_reason == SHUTDOWN
    assert supervisor.which_children() == []
    for stranger in (ref, Quiet.start()):
        with pytest.raises(ChildError) as caught:
            supervisor.terminate_child(stranger)
        assert caught.value.reason == "not_found"


def test_a_child_that_does_not_start_is_not_kept(log: Log) -> None:
    """The caller gets the reason; an ignored start gives None."""
    supervisor = dynamic()
    with pytest.raises(StartError, match="ZeroDivisionError"):
        supervisor.start_child(spec(log, "a", crash))

    def ignore(_: Any) -> None:
        raise Ignore

    assert supervisor.start_child(spec(log, "a", ignore)) is None
    with pytest.raises(OptionError):
        supervisor.start_child("child")
    assert supervisor.which_children() == []
    assert supervisor.count_children().specs == 0


def test_it_is_a_child_itself(log: Log) -> None:
    """Under a supervisor it counts as one, and its children end with the tree."""
    supervisor = Supervisor.start([DynamicSupervisor.child_spec(id="pool", max_children=3)])
    pool = supervisor.child("pool")  # type: ignore[attr-defined]
    pool.start_child(spec(log, "a"))
    assert supervisor.count_children().supervisors == 1  # type: ignore[attr-defined]
    supervisor.stop()
    assert live_cells() == []


def test_thousands_of_children_come_and_go(log: Log) -> None:
    """Nothing of them is left."""
    supervisor = dynamic()
    for _ in range(2000):
        supervisor.terminate_child(supervisor.start_child(Quiet))
    assert supervisor.count_children().specs == 0
    assert not supervisor._cell.links
    assert len(live_cells()) == 1


# -- tasks ------------------------------------------------------------------------------------


@pytest.fixture
def tasks() -> TaskSupervisorRef:
    ref = TaskSupervisor.start()
    assert isinstance(ref, TaskSupervisorRef)
    return ref


def test_a_task_runs_a_function_once(tasks: TaskSupervisorRef, log: Log) -> None:
    """With its arguments, and then it ends normally."""
    ref = tasks.start_child(lambda *args, **kwargs: log.add((args, kwargs)), 1, two=2)
    assert log.get() == ((1,), {"two": 2})
    assert ref.join(LONG)
    assert ref.exit_reason == NORMAL
    assert tasks.which_children() == []


def test_start_child_does_not_wait_for_the_task(tasks: TaskSupervisorRef) -> None:
    """Tasks run at one time, and count as children while they do."""
    gates = [Gate() for _ in range(5)]
    refs = [tasks.start_child(gate) for gate in gates]
    for gate in gates:
        gate.wait()
    assert tasks.count_children().active == 5
    for gate, ref in zip(gates, refs, strict=True):
        gate.open()
        assert ref.join(LONG)


def test_a_task_that_raises_hurts_nobody(tasks: TaskSupervisorRef, log: Log) -> None:
    """It is a crash of the task, and it is not run again."""
    ref = tasks.start_child(crash, None)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason, Crash)
    tasks.start_child(log.add, "next")
    assert log.get() == "next"
    assert tasks.is_alive()


def test_tasks_end_with_their_supervisor(
    tasks: TaskSupervisorRef, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that does not return in its time is abandoned."""
    gate = Gate()
    ref = tasks.start_child(gate)
    gate.wait()
    child = tasks._cell.actor._running[ref]  # type: ignore[attr-defined]
    object.__setattr__(child.spec, "shutdown", 0.01)
    tasks.stop(timeout=LONG)
    assert ref.exit_reason == KILLED
    assert "abandoned" in caplog.text
    gate.open()


@pytest.mark.parametrize("value", [-1, "2", True, 1.5])
def test_max_children_is_checked(value: Any) -> None:
    """It is a number of children."""
    with pytest.raises(
        StartError, match="option 'max_children' is .*; allowed is an integer of at least 0, or"
    ):
        DynamicSupervisor.start(max_children=value)
