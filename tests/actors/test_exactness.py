"""Where supervisors that follow OTP tend to differ from it, one by one.

Most are tested where they belong; here is what is not, and where the others are:

* attempts count, a group counts once, restarts by hand do not: `test_supervisor`,
  ``test_each_failed_attempt_counts``, ``test_a_group_restart_counts_once``,
  ``test_restarts_by_hand_do_not_count``
* one more than allowed, not as many: ``test_one_restart_more_than_allowed_ends_the_supervisor``
* a transient supervisor that gives up stays down:
  ``test_a_transient_supervisor_that_gives_up_is_not_restarted``
* transient keeps its spec, temporary does not: ``test_who_is_restarted_after_which_end``,
  ``test_terminate_child_keeps_the_spec``
* one_for_all revives: ``test_a_group_restart_revives_what_was_terminated``
* a group that fails in the middle: ``test_a_group_restart_that_fails_in_the_middle``
* a dynamic supervisor stops all at one time: `test_dynamic_supervisor`,
  ``test_all_children_stop_at_one_time``
* which_children lists the newest first: ``test_which_children_lists_the_newest_first``
* terminate_child twice: fine in ``test_terminate_child_keeps_the_spec``, an error in
  `test_dynamic_supervisor`, ``test_terminate_child_forgets_it``
* a child keeps the reason of its own:
  ``test_a_child_that_dies_while_it_is_stopped_keeps_its_reason``
* a failed start in init rolls back, one in a restart is tried again:
  ``test_a_failed_start_stops_what_had_started``,
  ``test_a_supervisor_serves_requests_between_attempts``
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from slither_actors.actors import BRUTAL_KILL, KILLED, SHUTDOWN, Down, _zombie
from slither_actors.errors import StartError
from tests.actors.children import spec, starts, stops, supervise
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_static_supervisor_stops_one_after_the_other(log: Log) -> None:
    """The next one is not told before the last one has ended."""
    gate = Gate()

    class Slow(Quiet):
        def terminate(self, reason: Any) -> None:
            gate()
            log.add(("stop", "slow"))

    supervisor = supervise(log, spec(log, "a"))
    supervisor.start_child(Slow.child_spec(shutdown=None))
    first = supervisor.child("a")
    assert first is not None
    stop = in_thread(lambda: supervisor.stop(SHUTDOWN))
    gate.wait()
    settle(first)
    assert log.rest() == []
    gate.open()
    stop()
    assert log.rest() == stops("slow", "a")


@pytest.mark.parametrize(
    ("shutdown", "reason", "noted"), [(0, SHUTDOWN, stops("a")), (BRUTAL_KILL, KILLED, [])]
)
def test_no_time_to_end_is_not_a_brutal_kill(
    shutdown: Any, reason: str, noted: list[Any], log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 0 seconds the child is asked first: one that is idle ends by itself."""
    monkeypatch.setattr(_zombie, "_GRACE", LONG)
    supervisor = supervise(log, spec(log, "a", shutdown=shutdown))
    ref = supervisor.child("a")
    assert ref is not None
    supervisor.terminate_child("a")
    assert ref.exit_reason == reason
    assert log.rest() == noted


def test_a_restart_by_hand_that_fails_is_the_callers_matter(log: Log) -> None:
    """It is not tried again, stops nobody, and does not count: here none is allowed."""
    tries: list[int] = []

    def at_start(_: Any) -> None:
        tries.append(1)
        if len(tries) > 1:
            crash()

    supervisor = supervise(
        log, spec(log, "a"), spec(log, "b", at_start), spec(log, "c"), strategy="one_for_all", max_restarts=0
    )
    supervisor.terminate_child("b")
    log.rest()
    with pytest.raises(StartError):
        supervisor.restart_child("b")
    assert [(info.id, info.state) for info in supervisor.which_children()] == [
        ("c", "running"),
        ("b", "stopped"),
        ("a", "running"),
    ]
    assert len(tries) == 2
    assert log.rest() == starts("b")


def test_down_waits_its_turn(log: Log) -> None:
    """It comes after what was in the mailbox before, and before what was sent after."""
    gate, target, watcher = Gate(), Quiet.start(), Probe.start(log)
    watcher.call(lambda probe: probe.monitor(target), LONG)
    watcher.cast(gate)
    gate.wait()
    watcher.cast(1)
    target.stop()
    watcher.cast(2)
    gate.open()
    before, down, after = log.take(3)
    assert (before, after) == (1, 2)
    assert isinstance(down, Down)


def test_only_the_supervisor_is_ahead_of_the_mailbox(log: Log) -> None:
    """A child that is told to end does not handle what it was sent before."""
    gate = Gate()
    supervisor = supervise(log)
    ref = supervisor.start_child(Probe.child_spec(log, "a", id="a", shutdown=None))
    ref.cast(gate)
    gate.wait()
    ref.cast("not handled")
    stop = in_thread(lambda: supervisor.terminate_child("a"))
    while not ref._cell.control:
        threading.Event().wait(0.001)
    gate.open()
    stop()
    assert log.rest() == [("terminate", "a", SHUTDOWN)]
