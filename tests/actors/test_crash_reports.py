"""What is told of a crash, in the log and as an event."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.actors import Actor, Crash, Server, Supervisor
from slither_actors.errors import ActorExitError
from tests.actors.probes import LONG, Log, Quiet, crash, settle


@pytest.fixture
def reports() -> Iterator[Log]:
    """The metadata of each crash."""
    log = Log()
    with telemetry.attach("slither.actor.crash", lambda *args: log.add(args[3])):
        yield log


class Session(Quiet):
    def init(self, *args: Any, **kwargs: Any) -> None:
        super().init(*args, **kwargs)
        self.password = "secret"

    def format_state(self) -> object:
        return {"label": self.label, "password": "***"}


def test_a_crash_is_an_event(reports: Log) -> None:
    """With who, why, the last message, the ancestors and the state."""
    tree: Any = Supervisor.start([Quiet.child_spec(name="child", restart="temporary")], name="tree")
    ref = tree.child("Quiet")
    who = str(ref)
    ref.cast(crash)
    report = reports.get()
    assert report.keys() == {"actor", "name", "ref", "reason", "last_message", "ancestors", "state"}
    assert (report["actor"], report["name"], report["ref"]) == (who, "child", ref)
    assert isinstance(report["reason"], Crash)
    assert report["last_message"].startswith("cast <function crash")
    assert report["ancestors"] == (f"Supervisor 'tree' <{tree.id}>",)
    assert report["state"] == "{'log': <Log>, 'label': ''}"
    tree.stop("shutdown")


def test_the_log_has_the_ancestors_and_the_state(caplog: pytest.LogCaptureFixture) -> None:
    """The nearest ancestor first."""
    inner = Supervisor.child_spec([Quiet.child_spec(restart="temporary")], name="inner")
    outer: Any = Supervisor.start([inner], name="outer")
    ref = outer.child("Supervisor").child("Quiet")
    ref.cast(crash)
    assert ref.join(LONG)
    (record,) = caplog.records
    lines = record.getMessage().splitlines()
    assert [line.split(" <")[0] for line in lines if line.startswith("ancestors: ")] == [
        "ancestors: Supervisor 'inner'"
    ]
    assert f"Supervisor 'outer' <{outer.id}>" in lines[2]
    assert lines[3] == "state: {'log': <Log>, 'label': ''}"
    outer.stop("shutdown")


def test_the_traceback_begins_with_the_actors_own_code(caplog: pytest.LogCaptureFixture) -> None:
    """The frames above every callback, which nobody learns from, are left out."""
    with pytest.raises(ActorExitError):
        Quiet.start().call(crash)
    (record,) = caplog.records
    files = [line.split('"')[1] for line in record.getMessage().splitlines() if line.startswith("  File ")]
    assert files
    assert {Path(file).parent.name for file in files} == {"actors"}
    assert {Path(file).name for file in files} == {"probes.py"}


def test_a_crash_of_the_runtimes_own_code_has_all_frames() -> None:
    """There is nothing below them to begin with."""

    class Unhandled(Quiet):
        handle_call = Server.handle_call

    with pytest.raises(ActorExitError, match="has no handle_call") as caught:
        Unhandled.start().call(1)
    assert "in handle_call" in caught.value.reason.traceback_text


def test_format_state_redacts(reports: Log, caplog: pytest.LogCaptureFixture) -> None:
    """What it leaves out is neither in the log nor in the event."""
    Session.start(label="anna").cast(crash)
    assert reports.get()["state"] == "{'label': 'anna', 'password': '***'}"
    assert "secret" not in caplog.text


def test_a_format_state_that_raises_costs_the_state_only(reports: Log) -> None:
    """The report of the crash goes out all the same."""

    class Broken(Quiet):
        def format_state(self) -> object:
            raise ValueError

    ref = Broken.start()
    ref.cast(crash)
    report = reports.get()
    assert report["state"] == "<format_state raised ValueError>"
    assert isinstance(report["reason"].exception, ZeroDivisionError)


def test_a_state_of_any_size_is_shown_in_short(reports: Log) -> None:
    """The first entries of a container; an object by its class, its `repr` is not run."""

    class Huge:
        def __repr__(self) -> str:
            raise AssertionError("may take a million rows to write")

    def grow(server: Any) -> None:
        server.rows = dict.fromkeys(range(1_000_000))
        server.keys = set(range(1000))
        server.text = "x" * 1_000_000
        server.huge = Huge()
        crash()

    Quiet.start().cast(grow)
    state = reports.get()["state"]
    assert "'rows': {0: None, 1: None" in state
    assert "<set of 1000>" in state
    assert len(state) <= 1000


def test_a_crash_without_a_message_has_none(reports: Log) -> None:
    """One in `terminate` is nobody's fault."""

    class Dying(Quiet):
        def terminate(self, reason: Any) -> None:
            crash()

    Dying.start().stop()
    assert reports.get()["last_message"] is None


def test_a_receiver_that_raises_does_no_harm() -> None:
    """Neither to the report in the log nor to the end of the actor."""
    with telemetry.attach("slither.actor.crash", lambda *_: crash()):
        ref = Quiet.start()
        ref.cast(crash)
        assert ref.join(LONG)
    assert isinstance(ref.exit_reason.exception, ZeroDivisionError)


def test_the_crash_of_a_pykka_actor_is_an_event_too(reports: Log) -> None:
    """Pykka logs it; a raise in an ask is the caller's and no crash."""

    class Plain(Actor):
        def on_receive(self, message: Any) -> Any:
            raise ZeroDivisionError(message)

    ref: Any = Plain.start()
    with pytest.raises(ZeroDivisionError):
        ref.ask("asked")
    ref.tell("told")
    assert reports.get()["last_message"] == "envelope 'told'"
    assert reports.rest() == []


def test_an_end_that_is_no_crash_is_not_reported(reports: Log) -> None:
    """Stop, exit and kill are not."""
    for end in ("stop", "exit", "kill"):
        ref = Quiet.start()
        settle(ref)
        getattr(ref, end)()
        assert ref.join(LONG)
    assert reports.rest() == []
