"""Supervisors: starting, restarting and stopping children."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.actors import (
    BRUTAL_KILL,
    KILLED,
    SHUTDOWN,
    Actor,
    ChildCounts,
    ChildSpec,
    Ignore,
    Supervisor,
    SupervisorRef,
    _child,
    whereis,
)
from slither_actors.actors._cell import live_cells
from slither_actors.errors import ChildError, OptionError, StartError
from tests.actors.children import Child, Clock, kill, spec, starts, stops, supervise
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_child, "clock", clock)
    return clock


def states(supervisor: SupervisorRef) -> list[tuple[object, str]]:
    return [(info.id, info.state) for info in supervisor.which_children()]


# -- start and stop -----------------------------------------------------------------


def test_children_start_in_order_and_stop_in_reverse(log: Log) -> None:
    """Each may rely on those before it."""
    supervisor = Supervisor.start([spec(log, "a"), spec(log, "b"), spec(log, "c")])
    supervisor.stop()
    assert log.rest() == starts("a", "b", "c") + stops("c", "b", "a")


def test_a_failed_start_stops_what_had_started(log: Log) -> None:
    """The supervisor does not start; its reason names the child and what it ended with."""
    with pytest.raises(StartError) as caught:
        Supervisor.start([spec(log, "a"), spec(log, "b"), spec(log, "c", crash), spec(log, "d")])
    assert log.rest() == starts("a", "b", "c") + stops("b", "a")
    kind, (problem, id, error) = caught.value.reason
    assert (kind, problem, id) == (SHUTDOWN, "failed_to_start_child", "c")
    assert "ZeroDivisionError" in str(error)
    assert not live_cells()


def test_an_ignored_child_is_kept_and_not_running(log: Log) -> None:
    """Its spec stays, so that it may be started by hand."""
    wanted = []

    def at_start(_: Any) -> None:
        if not wanted:
            raise Ignore

    supervisor = supervise(log, spec(log, "a", at_start), spec(log, "b"))
    assert states(supervisor) == [("b", "running"), ("a", "stopped")]
    wanted.append(True)
    supervisor.restart_child("a")
    assert states(supervisor) == [("b", "running"), ("a", "running")]


def test_an_ignored_temporary_child_is_not_kept(log: Log) -> None:
    """It will never run, so nothing is to be known of it; as for `start_child`."""

    def ignore(_: Any) -> None:
        raise Ignore

    supervisor = supervise(log, spec(log, "a", ignore, restart="temporary"), spec(log, "b"))
    assert states(supervisor) == [("b", "running")]
    assert supervisor.start_child(spec(log, "c", ignore, restart="temporary")) is None
    assert states(supervisor) == [("b", "running")]


def test_the_end_of_a_supervisor_ends_its_children(log: Log) -> None:
    """Also when it is killed: the exit signal of their parent takes them along."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"))
    refs = [supervisor.child("a"), supervisor.child("b")]
    supervisor.kill()
    for ref in refs:
        assert ref is not None
        assert ref.join(LONG)
        assert ref.exit_reason == KILLED


def test_a_crash_report_names_the_supervisors_child(log: Log) -> None:
    """A child started under a name is found by it, restarted or not."""
    supervisor = supervise(log, Child.child_spec(log, "a", name="registered"))
    first = whereis("registered")
    assert first is supervisor.child("Child")
    assert first is not None
    first.kill()
    log.get()
    settle(supervisor_child := supervisor.child("Child"))  # type: ignore[arg-type]
    assert whereis("registered") is supervisor_child is not first


# -- restart -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "end", "again"),
    [
        ("permanent", "crash", True),
        ("permanent", "normal", True),
        ("permanent", "kill", True),
        ("permanent", "shutdown", True),
        ("transient", "crash", True),
        ("transient", "kill", True),
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("temporary", "crash", False),
        ("temporary", "normal", False),
    ],
)
def test_who_is_restarted_after_which_end(restart: str, end: str, again: bool, log: Log) -> None:
    """Permanent always, transient after an abnormal end, temporary never; a temporary one is forgotten."""
    supervisor = supervise(log, spec(log, "a", restart=restart))
    ref = supervisor.child("a")
    assert ref is not None
    if end == "crash":
        ref.cast(crash)
    elif end == "kill":
        ref.kill()
    else:
        ref.stop(end, block=False)
    assert ref.join(LONG)
    found = states(supervisor)
    if again:
        assert found == [("a", "running")]
        assert supervisor.child("a") is not ref
    else:
        assert found == ([] if restart == "temporary" else [("a", "stopped")])


def test_one_for_one_restarts_the_one(log: Log) -> None:
    """The others do not notice."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"), spec(log, "c"))
    kill(supervisor, "b")
    assert log.get() == ("start", "b")
    settle(supervisor.child("c"))  # type: ignore[arg-type]
    assert log.rest() == []


def test_one_for_all_restarts_all(log: Log) -> None:
    """The others stop in reverse, then all start in order."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"), spec(log, "c"), strategy="one_for_all")
    kill(supervisor, "b")
    assert log.take(5) == stops("c", "a") + starts("a", "b", "c")


def test_rest_for_one_restarts_those_after_it(log: Log) -> None:
    """The ones before it stay."""
    supervisor = supervise(
        log, spec(log, "a"), spec(log, "b"), spec(log, "c"), spec(log, "d"), strategy="rest_for_one"
    )
    first = supervisor.child("a")
    kill(supervisor, "b")
    assert log.take(5) == stops("d", "c") + starts("b", "c", "d")
    assert supervisor.child("a") is first


def test_a_group_restart_revives_what_was_terminated(log: Log) -> None:
    """As in OTP: one_for_all starts a child again that had been stopped by hand."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"), strategy="one_for_all")
    supervisor.terminate_child("a")
    log.rest()
    kill(supervisor, "b")
    assert log.take(2) == starts("a", "b")


def test_a_group_restart_drops_temporary_children(log: Log) -> None:
    """They are stopped with the others and not started again."""
    supervisor = supervise(log, spec(log, "a", restart="temporary"), spec(log, "b"), strategy="one_for_all")
    kill(supervisor, "b")
    assert log.take(2) == [("stop", "a"), ("start", "b")]
    assert states(supervisor) == [("b", "running")]


def test_children_that_end_together_are_all_restarted(log: Log) -> None:
    """Two hundred at one time: each is started exactly once more."""
    labels = [str(number) for number in range(200)]
    supervisor = supervise(log, *(spec(log, label) for label in labels), max_restarts=200)
    refs = [info.ref for info in supervisor.which_children()]
    for ref in refs:
        assert ref is not None
        ref.kill()
    assert sorted(log.take(200)) == sorted(starts(*labels))
    assert supervisor.count_children().active == 200
    assert log.rest() == []


# -- the restart limit ------------------------------------------------------------------


def test_one_restart_more_than_allowed_ends_the_supervisor(log: Log, clock: Clock) -> None:
    """Three within five seconds are allowed; at the fourth it stops its children and ends: shutdown."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"))
    for _ in range(3):
        kill(supervisor, "a")
        assert log.get() == ("start", "a")
    kill(supervisor, "a")
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    assert log.rest() == stops("b")


def test_restarts_outside_the_window_do_not_count(log: Log, clock: Clock) -> None:
    """A child may die for ever if it does so slowly."""
    supervisor = supervise(log, spec(log, "a"), max_restarts=1, max_seconds=5)
    for _ in range(10):
        kill(supervisor, "a")
        assert log.get() == ("start", "a")
        clock.now += 6.1
    assert supervisor.is_alive()
    kill(supervisor, "a")
    log.get()
    clock.now += 3.9
    kill(supervisor, "a")
    assert supervisor.join(LONG)


def test_the_limit_is_for_all_children_together(log: Log, clock: Clock) -> None:
    """It is the supervisor's, not a child's."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"), max_restarts=1)
    kill(supervisor, "a")
    log.get()
    kill(supervisor, "b")
    assert supervisor.join(LONG)


def test_a_group_restart_counts_once(log: Log, clock: Clock) -> None:
    """However many children it takes along."""
    supervisor = supervise(
        log, spec(log, "a"), spec(log, "b"), spec(log, "c"), strategy="one_for_all", max_restarts=2
    )
    for _ in range(2):
        kill(supervisor, "b")
        log.take(5)
    assert supervisor.count_children().active == 3


def test_no_restart_may_be_allowed(log: Log, clock: Clock) -> None:
    """With a limit of zero the first end is the supervisor's, too."""
    supervisor = supervise(log, spec(log, "a"), max_restarts=0)
    kill(supervisor, "a")
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN


def test_restarts_by_hand_do_not_count(log: Log, clock: Clock) -> None:
    """Nor do ends that lead to no restart."""
    supervisor = supervise(log, spec(log, "a", restart="transient"), max_restarts=0)
    for _ in range(5):
        supervisor.terminate_child("a")
        supervisor.restart_child("a")
        supervisor.child("a").stop()  # type: ignore[union-attr]
        supervisor.restart_child("a")
    assert supervisor.is_alive()


# -- a restart that fails -----------------------------------------------------------------


class Fuse:
    """An ``at_start`` that raises while it is blown, and counts."""

    def __init__(self) -> None:
        self.blown = False
        self.calls = 0

    def __call__(self, _: Any) -> None:
        self.calls += 1
        if self.blown:
            crash()


def test_each_failed_attempt_counts(log: Log, clock: Clock) -> None:
    """The limit is reached by attempts alone: five allowed are five tries."""
    fuse = Fuse()
    supervisor = supervise(log, spec(log, "a", fuse), max_restarts=5)
    fuse.blown, fuse.calls = True, 0
    kill(supervisor, "a")
    assert supervisor.join(LONG)
    assert fuse.calls == 5


def test_a_supervisor_serves_requests_between_attempts(log: Log, clock: Clock) -> None:
    """It is asked while a child fails to start again and again, and goes on when that works."""
    fuse = Fuse()
    supervisor = supervise(log, spec(log, "a", fuse), spec(log, "b"), max_restarts=1_000_000)
    fuse.blown = True
    kill(supervisor, "a")
    assert states(supervisor) == [("b", "running"), ("a", "restarting")]
    for refused in (supervisor.restart_child, supervisor.delete_child):
        with pytest.raises(ChildError) as caught:
            refused("a")
        assert caught.value.reason == "restarting"
    with pytest.raises(ChildError) as caught:
        supervisor.start_child(spec(log, "a"))
    assert caught.value.reason == "already_started"
    fuse.blown = False
    while states(supervisor) != [("b", "running"), ("a", "running")]:
        threading.Event().wait(0.001)


def test_terminate_child_ends_the_attempts(log: Log, clock: Clock) -> None:
    """A child that does not start again may be given up by hand."""
    fuse = Fuse()
    supervisor = supervise(log, spec(log, "a", fuse), max_restarts=1_000_000)
    fuse.blown = True
    kill(supervisor, "a")
    supervisor.terminate_child("a")
    assert states(supervisor) == [("a", "stopped")]
    tries = fuse.calls
    supervisor.which_children()
    assert fuse.calls == tries
    fuse.blown = False
    assert supervisor.restart_child("a").is_alive()


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        # The second attempt begins with the child that failed: one_for_all stops the first one again.
        ("one_for_all", [*starts("a", "b", "c"), *stops("b", "a"), *starts("a", "b", "c")]),
        ("rest_for_one", starts("a", "b", "c", "c")),
    ],
)
def test_a_group_restart_that_fails_in_the_middle(
    strategy: Any, expected: list[tuple[str, str]], log: Log, clock: Clock
) -> None:
    """It is tried again from the child that failed."""
    failures = iter([False, True, False])

    def at_start(_: Any) -> None:
        if next(failures):
            crash()

    supervisor = supervise(log, spec(log, "a"), spec(log, "b"), spec(log, "c", at_start), strategy=strategy)
    kill(supervisor, "a")
    assert log.take(2) == stops("c", "b")
    assert log.take(len(expected)) == expected


# -- requests ---------------------------------------------------------------------------------


def test_which_children_lists_the_newest_first(log: Log) -> None:
    """With id, ref, state and type."""
    inner = Supervisor.child_spec([], id="inner")
    supervisor = Supervisor.start([spec(log, "a"), inner])
    newest, oldest = supervisor.which_children()  # type: ignore[attr-defined]
    assert (newest.id, newest.state, newest.type) == ("inner", "running", "supervisor")
    assert isinstance(newest.ref, SupervisorRef)
    assert (oldest.id, oldest.state, oldest.type) == ("a", "running", "worker")


def test_count_children_counts_by_kind(log: Log) -> None:
    """Specs, running ones, supervisors and workers."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b"))
    supervisor.start_child(Supervisor.child_spec([]))
    supervisor.terminate_child("a")
    assert supervisor.count_children() == ChildCounts(specs=3, active=2, supervisors=1, workers=2)


def test_start_child_adds_a_child(log: Log) -> None:
    """It is supervised like those that were there at the start; extra arguments are appended each time."""
    supervisor = supervise(log)
    ref = supervisor.start_child(ChildSpec(id="a", start=(Child, (log,), {})), "label")
    assert ref.call(lambda probe: probe.label) == "label"
    kill(supervisor, "a")
    assert log.take(2) == starts("label", "label")


def test_start_child_refuses_an_id_that_is_taken(log: Log) -> None:
    """It says whether that child runs."""
    supervisor = supervise(log, spec(log, "a"))
    with pytest.raises(ChildError, match="has a child 'a' already") as caught:
        supervisor.start_child(spec(log, "a"))
    assert caught.value.reason == "already_started"
    supervisor.terminate_child("a")
    with pytest.raises(ChildError) as caught:
        supervisor.start_child(spec(log, "a"))
    assert caught.value.reason == "already_present"


def test_a_child_that_does_not_start_is_not_kept(log: Log) -> None:
    """The error has the child's reason, and the supervisor goes on."""
    supervisor = supervise(log)
    with pytest.raises(StartError, match="ZeroDivisionError"):
        supervisor.start_child(spec(log, "a", crash))
    assert supervisor.which_children() == []


def test_a_bad_child_is_the_callers_error(log: Log) -> None:
    """What is no child spec is refused before it reaches the supervisor."""
    supervisor = supervise(log)

    class Broken(Quiet):
        @classmethod
        def child_spec(cls, *args: Any, **kwargs: Any) -> ChildSpec:
            raise LookupError("no configuration")

    with pytest.raises(LookupError):
        supervisor.start_child(Broken)
    with pytest.raises(OptionError, match="allowed are child specs and server classes"):
        supervisor.start_child("child")
    assert supervisor.is_alive()


@pytest.mark.parametrize("request_", [None, "which_children", ("explode",), ()])
def test_a_request_that_it_does_not_know_is_the_callers_error(request_: Any, log: Log) -> None:
    """It does not cost the children their lives."""
    supervisor = supervise(log, spec(log, "a"))
    with pytest.raises(ValueError, match="does not know the request"):
        supervisor.call(request_)
    assert supervisor.count_children().active == 1


def test_terminate_child_keeps_the_spec(log: Log) -> None:
    """Twice is fine; a temporary child is forgotten; an unknown one is an error."""
    supervisor = supervise(log, spec(log, "a"), spec(log, "b", restart="temporary"))
    for _ in range(2):
        supervisor.terminate_child("a")
    supervisor.terminate_child("b")
    assert states(supervisor) == [("a", "stopped")]
    assert log.rest() == stops("a", "b")
    with pytest.raises(ChildError, match="has no child 'b'") as caught:
        supervisor.terminate_child("b")
    assert caught.value.reason == "not_found"


def test_restart_child_starts_a_stopped_child(log: Log) -> None:
    """A running or unknown one is refused; a start that fails leaves it stopped."""
    fuse = Fuse()
    supervisor = supervise(log, spec(log, "a", fuse))
    with pytest.raises(ChildError) as caught:
        supervisor.restart_child("a")
    assert caught.value.reason == "running"
    supervisor.terminate_child("a")
    fuse.blown = True
    with pytest.raises(StartError):
        supervisor.restart_child("a")
    assert states(supervisor) == [("a", "stopped")]
    fuse.blown = False
    assert supervisor.restart_child("a").is_alive()
    with pytest.raises(ChildError) as caught:
        supervisor.restart_child("x")
    assert caught.value.reason == "not_found"


def test_delete_child_forgets_a_stopped_child(log: Log) -> None:
    """A running or unknown one is refused."""
    supervisor = supervise(log, spec(log, "a"))
    with pytest.raises(ChildError) as caught:
        supervisor.delete_child("a")
    assert caught.value.reason == "running"
    supervisor.terminate_child("a")
    supervisor.delete_child("a")
    assert supervisor.which_children() == []
    with pytest.raises(ChildError) as caught:
        supervisor.delete_child("a")
    assert caught.value.reason == "not_found"


# -- stopping a child -----------------------------------------------------------------------------


def test_a_child_that_is_stopped_gets_shutdown(log: Log) -> None:
    """Its `terminate` runs with the reason shutdown."""
    supervisor = Supervisor.start([Probe.child_spec(log, "a", id="a")])
    supervisor.terminate_child("a")  # type: ignore[attr-defined]
    assert log.get() == ("terminate", "a", SHUTDOWN)


def test_brutal_kill_runs_no_callback(log: Log) -> None:
    """The child is killed without being asked."""
    supervisor = supervise(log, spec(log, "a", shutdown=BRUTAL_KILL))
    ref = supervisor.child("a")
    supervisor.terminate_child("a")
    assert ref is not None
    assert ref.exit_reason == KILLED
    assert log.rest() == []


@pytest.mark.parametrize("cls", [Child, type("Trapping", (Child,), {"trap_exit": True})])
def test_a_child_that_does_not_end_is_abandoned(
    cls: type[Child], log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """After its time the supervisor goes on; the log says so and shows where the child is."""
    gate = Gate()
    supervisor = supervise(log, cls.child_spec(log, "a", id="a", shutdown=0.05))
    ref = supervisor.child("a")
    assert ref is not None
    call = in_thread(lambda: ref.call(gate, None))
    gate.wait()
    before = time.monotonic()
    supervisor.terminate_child("a")
    assert 0.05 <= time.monotonic() - before < 2
    assert ref.exit_reason == KILLED
    (record,) = caplog.records
    assert record.levelname == "CRITICAL"
    assert "is abandoned: its handler still runs" in record.getMessage()
    assert "in __call__" in record.getMessage()
    with pytest.raises(Exception, match="killed"):
        call()
    supervisor.restart_child("a")
    gate.open()
    assert log.take(1) == starts("a")


def test_an_abandoned_handler_that_returns_does_nothing_more(log: Log) -> None:
    """What waits in the dead actor's mailbox is not handled, and its `terminate` does not run."""
    gate = Gate()
    supervisor = supervise(log, spec(log, "a", shutdown=0))
    ref = supervisor.child("a")
    assert ref is not None
    ref.cast(gate)
    gate.wait()
    ref.info("waiting")
    supervisor.terminate_child("a")
    gate.open()
    while ref._cell.acquire(False) is False:
        threading.Event().wait(0.001)
    ref._cell.release()
    assert log.rest() == []


def test_a_shutdown_without_limit_waits(log: Log) -> None:
    """None gives the child as long as it takes."""
    gate = Gate()
    supervisor = supervise(log, spec(log, "a", shutdown=None))
    supervisor.child("a").cast(gate)  # type: ignore[union-attr]
    gate.wait()
    stopping = in_thread(lambda: supervisor.terminate_child("a"))
    threading.Event().wait(0.1)
    gate.open()
    stopping()
    assert log.rest() == stops("a")


def test_a_child_that_dies_while_it_is_stopped_keeps_its_reason(log: Log) -> None:
    """The supervisor does not mind."""

    class Broken(Quiet):
        def terminate(self, reason: Any) -> None:
            raise LookupError

    supervisor = supervise(
        log,
    )
    ref = supervisor.start_child(Broken)
    supervisor.terminate_child("Broken")
    assert isinstance(ref.exit_reason.exception, LookupError)
    assert supervisor.is_alive()


def test_a_supervisor_that_is_stopped_in_a_group_restart_leaves_nobody(log: Log) -> None:
    """Whatever it was doing, no child lives or starts after `stop` has returned."""
    for _ in range(50):
        supervisor = supervise(log, *(spec(log, str(n)) for n in range(5)), strategy="one_for_all")
        supervisor.child("2").kill()  # type: ignore[union-attr]
        supervisor.stop(SHUTDOWN)
        assert live_cells() == []
        log.rest()


# -- trees -------------------------------------------------------------------------------------


def test_an_inner_supervisor_that_gives_up_is_restarted(log: Log, clock: Clock) -> None:
    """Its parent starts it again, with its children."""
    inner = Supervisor.child_spec([spec(log, "a"), spec(log, "b")], max_restarts=0, id="inner")
    supervisor = Supervisor.start([inner])
    log.take(2)
    first = supervisor.child("inner")  # type: ignore[attr-defined]
    first.child("a").kill()
    assert log.take(3) == stops("b") + starts("a", "b")
    assert supervisor.child("inner") is not first  # type: ignore[attr-defined]


def test_a_transient_supervisor_that_gives_up_is_not_restarted(log: Log, clock: Clock) -> None:
    """Surprising and exact: its reason is shutdown, which is not abnormal."""
    inner = Supervisor.child_spec([spec(log, "a")], max_restarts=0, id="inner", restart="transient")
    supervisor = Supervisor.start([inner])
    log.take(1)
    first = supervisor.child("inner")  # type: ignore[attr-defined]
    first.child("a").kill()
    assert first.join(LONG)
    assert states(supervisor) == [("inner", "stopped")]  # type: ignore[arg-type]


def test_giving_up_runs_up_the_tree(log: Log, clock: Clock) -> None:
    """A child that cannot live takes its supervisor along, then that one's, to the top."""
    innermost = Supervisor.child_spec([spec(log, "a")], max_restarts=0)
    middle = Supervisor.child_spec([innermost], max_restarts=0)
    supervisor = Supervisor.start([middle, spec(log, "b")], max_restarts=0)
    log.take(2)
    path = [supervisor]
    for _ in range(2):
        path.append(path[-1].child("Supervisor"))  # type: ignore[attr-defined]
    path[-1].child("a").cast(crash)  # type: ignore[attr-defined]
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == SHUTDOWN
    assert not live_cells()
    assert ("stop", "b") in log.rest()


def test_a_tree_stops_from_its_leaves(log: Log) -> None:
    """Inner supervisors stop their children before they end themselves, in reverse order."""
    left = Supervisor.child_spec([spec(log, "a"), spec(log, "b")], id="left")
    right = Supervisor.child_spec([spec(log, "c"), spec(log, "d")], id="right")
    supervisor = Supervisor.start([left, right])
    log.take(4)
    supervisor.stop()
    assert log.rest() == stops("d", "c", "b", "a")


def test_an_inner_supervisor_has_no_time_limit_to_stop() -> None:
    """Its child spec says supervisor and shutdown None, so that its children have their own times."""
    child = Supervisor.child_spec([])
    assert (child.type, child.shutdown) == ("supervisor", None)
    assert Supervisor.child_spec([], shutdown=1).shutdown == 1
    assert Quiet.child_spec().shutdown == 5.0


# -- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restart": "always"}, "option 'restart' is 'always'"),
        ({"shutdown": -1}, "option 'shutdown' is -1"),
        ({"shutdown": "kill"}, "option 'shutdown' is 'kill'"),
        ({"shutdown": True}, "option 'shutdown' is True"),
        ({"shutdown": float("inf")}, "option 'shutdown' is inf"),
        ({"type": "boss"}, "option 'type' is 'boss'"),
        ({"start": (Quiet, ())}, "allowed is .server class, args, kwargs."),
        ({"start": (print, (), {})}, "allowed is .server class, args, kwargs."),
    ],
)
def test_a_child_spec_is_checked(options: dict[str, Any], message: str) -> None:
    """Each bad option is named, with what is allowed."""
    with pytest.raises(OptionError, match=message):
        ChildSpec(**{"id": "a", "start": (Quiet, (), {}), **options})


@pytest.mark.parametrize(
    ("children", "options", "message"),
    [
        ([], {"strategy": "one_for_none"}, "option 'strategy' is 'one_for_none'; allowed are 'one_for_one'"),
        ([Quiet, Quiet], {}, "has the id 'Quiet' 2 times"),
        (Quiet, {}, "option 'children' is .*; allowed is a list of child specs"),
        ([object()], {}, "allowed are child specs and server classes"),
        ([], {"max_restarts": -1}, "option 'max_restarts' is -1; allowed is an integer of at least 0"),
        ([], {"max_restarts": "3"}, "option 'max_restarts' is '3'"),
        ([], {"max_seconds": 0}, "option 'max_seconds' is 0; allowed is a number of seconds above 0"),
        ([], {"max_seconds": float("nan")}, "option 'max_seconds' is nan"),
    ],
)
def test_a_supervisor_checks_its_options(children: Any, options: Any, message: str) -> None:
    """Nothing starts if one is wrong."""
    with pytest.raises(StartError, match=message):
        Supervisor.start(children, **options)


def test_a_pykka_actor_is_no_child() -> None:
    """It has no start that could fail or be linked; the error says what to do."""

    class Pykka(Actor):
        pass

    with pytest.raises(StartError, match="make it a Server"):
        Supervisor.start([Pykka])
    with pytest.raises(OptionError, match="server class"):
        ChildSpec(id="a", start=(Pykka, (), {}))


def test_a_supervisor_is_defined_as_a_class(log: Log) -> None:
    """A subclass calls ``super().init`` with its children."""

    class Tree(Supervisor):
        def init(self, label: str) -> None:
            super().init([spec(log, label)], strategy="rest_for_one")

    Tree.start("a").stop()
    assert log.rest() == starts("a") + stops("a")


# -- telemetry, retention ------------------------------------------------------------------------


def test_starts_restarts_and_ends_are_told(log: Log, clock: Clock) -> None:
    """Telemetry hears of every child's start, end and restart, and of giving up."""
    heard = []
    signals = {
        telemetry.SUPERVISOR_CHILD_START: "start",
        telemetry.SUPERVISOR_CHILD_EXIT: "exit",
        telemetry.SUPERVISOR_CHILD_RESTART: "restart",
        telemetry.SUPERVISOR_GAVE_UP: "gave up",
    }
    receivers = []
    for signal, word in signals.items():
        receivers.append(lambda _, word=word, **__: heard.append(word))
        signal.connect(receivers[-1])
    try:
        supervisor = supervise(log, spec(log, "a"), max_restarts=1)
        kill(supervisor, "a")
        log.get()
        kill(supervisor, "a")
        assert supervisor.join(LONG)
    finally:
        for signal, receiver in zip(signals, receivers, strict=True):
            signal.disconnect(receiver)
    assert heard == ["start", "exit", "restart", "start", "exit", "gave up"]


def test_thousands_of_restarts_leave_nothing(log: Log) -> None:
    """Objects, links, names and live actors are as many after three thousand restarts as before."""
    supervisor = supervise(log, spec(log, "a", name="phoenix"), max_restarts=10_000)

    def restart(times: int) -> int:
        for _ in range(times):
            kill(supervisor, "a")
            assert log.get() == ("start", "a")
        supervisor.which_children()
        gc.collect()
        return len(gc.get_objects())

    before = restart(100)
    after = restart(3000)
    assert after - before < before / 100
    assert len(live_cells()) == 2
    assert len(supervisor._cell.links or ()) == 1
