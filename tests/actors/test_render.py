"""The tree as text."""

from __future__ import annotations

import re

import pytest

from slither_actors.actors import (
    Backoff,
    DynamicSupervisor,
    PartitionSupervisor,
    Server,
    Supervisor,
    SupervisorRef,
    TaskSupervisor,
    TaskSupervisorRef,
)
from tests.actors.children import kill, spec, supervise
from tests.actors.probes import LONG, Gate, Log, Quiet, in_thread


@pytest.fixture
def log() -> Log:
    return Log()


def lines(text: str) -> list[str]:
    """Without the numbers of the refs, which differ."""
    return re.sub(r"<\d+>", "<n>", text).splitlines()


def test_a_tree_of_all_kinds(log: Log) -> None:
    """Supervisors are followed by their children, in start order."""
    gate = Gate()
    tree = Supervisor.start(
        [
            spec(log, "a"),
            Supervisor.child_spec([spec(log, "b")], id="inner"),
            DynamicSupervisor.child_spec(id="dynamic"),
            PartitionSupervisor.child_spec(Quiet.child_spec(), partitions=2, id="partitions"),
            TaskSupervisor.child_spec(id="tasks"),
        ]
    )
    assert isinstance(tree, SupervisorRef)
    tasks = tree.child("tasks")
    assert isinstance(tasks, TaskSupervisorRef)
    tasks.start_child(gate)
    assert lines(tree.render(LONG)) == [
        "Supervisor <n>",
        "├─ a · Child <n> · running",
        "├─ inner · Supervisor <n> · running",
        "│  └─ b · Child <n> · running",
        "├─ dynamic · DynamicSupervisor <n> · running",
        "├─ partitions · PartitionSupervisor <n> · running",
        "│  ├─ 0 · Quiet <n> · running",
        "│  └─ 1 · Quiet <n> · running",
        "└─ tasks · TaskSupervisor <n> · running",
        "   └─ TaskActor <n> · running",
    ]
    assert lines(tasks.render(LONG)) == ["TaskSupervisor <n>", "└─ TaskActor <n> · running"]
    gate.open()


def test_states_and_restarts_are_shown(log: Log) -> None:
    """A child that is down has no ref."""
    tree = supervise(
        log, spec(log, "a"), spec(log, "b"), spec(log, "c", backoff=Backoff(min=100, max=100)),
    )  # fmt: skip
    for _ in range(2):
        kill(tree, "a")
        log.get()
    tree.terminate_child("b")
    kill(tree, "c")
    assert lines(tree.render(LONG)) == [
        "Supervisor <n>",
        "├─ a · Child <n> · running · 2 restarts",
        "├─ b · stopped",
        "└─ c · restarting",
    ]


def test_restarts_by_the_group_count_and_those_by_hand_do_not(log: Log) -> None:
    """Each child has its own number."""
    tree = supervise(log, spec(log, "a"), spec(log, "b"), spec(log, "c"), strategy="rest_for_one")
    tree.terminate_child("a")
    tree.restart_child("a")
    log.take(2)
    kill(tree, "b")
    log.take(3)
    assert [(info.id, info.restarts) for info in tree.which_children()] == [("c", 1), ("b", 1), ("a", 0)]


def test_a_dynamic_supervisor_counts_restarts_too(log: Log) -> None:
    """By child, though it has no id."""
    dynamic = DynamicSupervisor.start()
    ref = dynamic.start_child(spec(log, "a"))  # type: ignore[attr-defined]
    ref.kill()
    log.take(2)
    (info,) = dynamic.which_children()  # type: ignore[attr-defined]
    assert (info.id, info.restarts) == (None, 1)


def test_a_busy_supervisor_is_not_waited_for(log: Log) -> None:
    """The others are shown all the same."""
    gate = Gate()
    inner = Supervisor.child_spec(id="inner")
    tree = plant(inner, spec(log, "a"))
    busy = tree.child("inner")
    assert isinstance(busy, SupervisorRef)
    start = in_thread(lambda: busy.start_child(spec(log, "slow", gate)))
    gate.wait()
    assert lines(tree.render(0.5)) == [
        "Supervisor <n>",
        "├─ inner · Supervisor <n> · running",
        "│  └─ (busy)",
        "└─ a · Child <n> · running",
    ]
    gate.open()
    start()


def plant(*children: object) -> SupervisorRef:
    tree = Supervisor.start(children)
    assert isinstance(tree, SupervisorRef)
    return tree


def test_an_actor_of_the_tree_may_ask(log: Log) -> None:
    """While it starts, its supervisor waits for it and is busy; there is no deadlock."""
    tree = supervise(log)
    seen = Log()
    child = tree.start_child(spec(log, "a", lambda _: seen.add(tree.render(LONG))))
    assert lines(seen.get()) == ["Supervisor <n>", "└─ (busy)"]
    assert lines(child.call(lambda _: tree.render(LONG), LONG)) == [
        "Supervisor <n>",
        "└─ a · Child <n> · running",
    ]


def test_a_server_that_calls_itself_a_supervisor_is_not_asked() -> None:
    """It need not know what it is asked for, and would crash."""

    class Keeper(Server):
        child_type = "supervisor"

    tree = plant(Keeper)
    assert lines(tree.render(LONG)) == ["Supervisor <n>", "└─ Keeper · Keeper <n> · running"]
    assert lines(tree.render(LONG)) == ["Supervisor <n>", "└─ Keeper · Keeper <n> · running"]


def test_a_tree_that_has_ended_says_so() -> None:
    """It is a text, not an error."""
    tree = plant()
    tree.stop()
    assert lines(tree.render()) == ["Supervisor <n>", "└─ (ended: noproc)"]
