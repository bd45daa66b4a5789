"""Supervisors that end with their significant children."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import (
    SHUTDOWN,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorRef,
    Supervisor,
    SupervisorRef,
)
from slither_actors.errors import OptionError, StartError
from tests.actors.children import kill, spec, starts, stops, supervise
from tests.actors.probes import LONG, Log


@pytest.fixture
def log() -> Log:
    return Log()


def significant(log: Log, label: str, restart: str = "transient") -> ChildSpec:
    return spec(log, label, restart=restart, significant=True)


def end(supervisor: SupervisorRef, id: object) -> None:
    """Have a child end normally."""
    child = supervisor.child(id)
    assert child is not None
    child.stop()


@pytest.mark.parametrize(
    ("restart", "abnormal"), [("transient", False), ("temporary", False), ("temporary", True)]
)
def test_any_significant_child_ends_the_supervisor(restart: str, abnormal: bool, log: Log) -> None:
    """The other children are stopped in reverse order, and the reason is shutdown."""
    supervisor = supervise(
        log, spec(log, "a"), significant(log, "b", restart), significant(log, "c"),
        auto_shutdown="any_significant",
    )  # fmt: skip
    if abnormal:
        kill(supervisor, "b")
    else:
        end(supervisor, "b")
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    noted = log.rest()
    assert noted[not abnormal :] == stops("c", "a")


def test_all_significant_children_have_to_end(log: Log) -> None:
    """The supervisor goes on while one of them runs, whatever the others do."""
    supervisor = supervise(
        log, spec(log, "a", restart="temporary"), significant(log, "b"), significant(log, "c"),
        auto_shutdown="all_significant",
    )  # fmt: skip
    end(supervisor, "a")
    end(supervisor, "b")
    supervisor.count_children()
    assert supervisor.is_alive()
    end(supervisor, "c")
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN


def test_a_restart_is_no_end(log: Log) -> None:
    """A transient child that ends abnormally is restarted, significant or not."""
    supervisor = supervise(log, significant(log, "a"), auto_shutdown="any_significant")
    kill(supervisor, "a")
    assert log.get() == ("start", "a")
    supervisor.count_children()
    assert supervisor.is_alive()


def test_an_end_that_the_supervisor_causes_does_not_count(log: Log) -> None:
    """Neither terminate_child nor a group restart ends it."""
    supervisor = supervise(
        log, spec(log, "a"), significant(log, "b"), significant(log, "c", "temporary"),
        auto_shutdown="any_significant", strategy="one_for_all",
    )  # fmt: skip
    supervisor.terminate_child("b")
    assert log.rest() == stops("b")
    kill(supervisor, "a")
    assert log.take(3) == [*stops("c"), *starts("a", "b")]
    supervisor.count_children()
    assert supervisor.is_alive()


def test_a_child_that_is_not_significant_ends_alone(log: Log) -> None:
    """Only the significant ones count."""
    supervisor = supervise(
        log, spec(log, "a", restart="temporary"), significant(log, "b"), auto_shutdown="any_significant"
    )
    end(supervisor, "a")
    supervisor.count_children()
    assert supervisor.is_alive()


def test_a_permanent_child_cannot_be_significant(log: Log) -> None:
    """It never ends for good."""
    with pytest.raises(OptionError, match="permanent child"):
        spec(log, "a", significant=True)


def test_significant_children_need_an_auto_shutdown(log: Log) -> None:
    """With "never" they are refused before anything starts, and by start_child."""
    with pytest.raises(StartError) as caught:
        Supervisor.start([spec(log, "a"), significant(log, "b")])
    assert isinstance(caught.value.__cause__, OptionError)
    supervisor = supervise(log)
    with pytest.raises(OptionError, match="auto_shutdown is 'never'"):
        supervisor.start_child(significant(log, "a"))
    dynamic = DynamicSupervisor.start()
    assert isinstance(dynamic, DynamicSupervisorRef)
    with pytest.raises(OptionError, match="dynamic supervisor"):
        dynamic.start_child(significant(log, "a"))
    assert log.rest() == []


@pytest.mark.parametrize("value", ["always", None, True])
def test_auto_shutdown_is_checked(value: Any) -> None:
    """The error names what is allowed."""
    with pytest.raises(StartError) as caught:
        Supervisor.start([], auto_shutdown=value)
    assert "'never', 'any_significant', 'all_significant'" in str(caught.value.__cause__)
