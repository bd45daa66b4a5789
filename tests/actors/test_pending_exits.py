"""An actor that is to end waits for nobody any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.actors import (
    KILLED,
    NO_REPLY,
    SHUTDOWN,
    Actor,
    Ref,
    Supervisor,
    SupervisorRef,
    Task,
    TaskSupervisor,
    await_many,
    zombies,
)
from slither_actors.actors._life import live_cells
from slither_actors.errors import ActorExitError, ExitPendingError, StartError
from tests.actors.children import spec, supervise
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, Trapper, crash


class Silent(Quiet):
    """Says when it was called, and never answers."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.log.add("called")
        return NO_REPLY


class Full(Quiet):
    mailbox_size = 1
    mailbox_overflow = "block"


class Slow(Actor):
    def on_receive(self, message: Any) -> Any:
        message()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def gate() -> Any:
    """Where others are held until the test is over."""
    gate = Gate()
    yield gate
    gate.open()


def begin(wait: Callable[[], Any], waiter: Ref) -> None:
    """Have `waiter` begin a wait, and return when it has."""
    waiter.cast(lambda _: wait())
    deadline = time.monotonic() + LONG
    while waiter._cell.waiting_on is None and waiter._cell.wake is None:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def a_call(gate: Gate) -> Any:
    return Silent.start().call(1, None)


def a_deferred_inline_call(gate: Gate) -> Any:
    inline = type("Inline", (Silent,), {"inline_calls": True})
    return inline.start().call(1, None)  # type: ignore[attr-defined]


def a_join(gate: Gate) -> Any:
    return Quiet.start().join()


def a_stop(gate: Gate) -> Any:
    other = Quiet.start()
    other.cast(gate)
    return other.stop()


def a_look_inside(gate: Gate) -> Any:
    other = Quiet.start()
    other.cast(gate)
    return other.get_state(None)


def a_task(gate: Gate) -> Any:
    return Task.async_(gate).await_(None)


def many_tasks(gate: Gate) -> Any:
    return await_many([Task.async_(gate), Task.async_(gate)], None)


def a_stream_of_tasks(gate: Gate) -> Any:
    tasks = TaskSupervisor.start()
    return list(tasks.async_stream(gate, [1], timeout=None))


def a_full_mailbox(gate: Gate) -> Any:
    other = Full.start()
    other.cast(gate)
    gate.wait()
    for number in range(2):
        other.cast(number)


def a_future(gate: Gate) -> Any:
    return Slow.start().ask(gate)


def a_run(gate: Gate) -> Any:
    def source() -> Any:
        gate()
        yield 1

    return dispatch.run(source(), executor=dispatch.InlineExecutor(list))


WAITS = [
    a_call,
    a_deferred_inline_call,
    a_join,
    a_stop,
    a_look_inside,
    a_task,
    many_tasks,
    a_stream_of_tasks,
    a_full_mailbox,
    a_future,
    a_run,
]


@pytest.mark.parametrize("own_thread", [False, True])
@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_ends_when_the_actor_is_to_end(
    wait: Callable[[Gate], Any], own_thread: bool, log: Log, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """The supervisor's deadline is not needed, `terminate` runs, and it is no crash."""
    cls = type("Waiter", (Probe,), {"own_thread": own_thread})
    supervisor = supervise(log)
    waiter = supervisor.start_child(cls.child_spec(log, "a", id="a", shutdown=LONG))  # type: ignore[attr-defined]
    begin(lambda: wait(gate), waiter)
    supervisor.terminate_child("a")
    assert waiter.exit_reason == SHUTDOWN
    assert log.rest() == [("terminate", "a", SHUTDOWN)]
    assert caplog.text == ""


def test_a_kill_ends_a_wait_as_well(log: Log, gate: Gate) -> None:
    """Nothing is abandoned, and no callback runs any more."""
    waiter = Probe.start(log)
    begin(lambda: a_call(gate), waiter)
    waiter.kill()
    assert waiter.join(LONG)
    assert waiter.exit_reason == KILLED
    assert log.rest() == []
    assert zombies() == []


def test_the_end_of_a_linked_actor_does(log: Log, gate: Gate) -> None:
    """With its reason, though other messages are before the signal."""
    waiter, other = Probe.start(log, "a"), Quiet.start()
    waiter.call(lambda probe: probe.link(other))
    begin(lambda: a_call(gate), waiter)
    waiter.cast("not handled")
    other.cast(crash)
    assert waiter.join(LONG)
    assert log.rest() == [("terminate", "a", other.exit_reason)]
    assert waiter.exit_reason is other.exit_reason


def test_one_that_traps_exits_is_let_alone(log: Log) -> None:
    """To it a signal is a message like others; a kill is none."""
    silent = Silent.start(called := Log())
    waiter = Trapper.start(log)
    waiter.cast(lambda _: silent.call(1, None))
    called.get()
    waiter.exit("please")
    waiter.cast("behind")
    assert not waiter.join(0.05)
    waiter.kill()
    assert waiter.join(LONG)


def test_one_that_traps_exits_looks_at_them_in_its_turn(log: Log) -> None:
    """A handler's wait is undisturbed, and so are later ones."""
    gate = Gate()
    other = Quiet.start()
    other.cast(gate)
    waiter = Trapper.start(log)
    waiter.cast(lambda probe: log.add(other.call("answer", LONG)))
    gate.wait()
    waiter.exit("please")
    gate.open()
    assert log.get() == "answer"
    assert log.get().reason == "please"
    assert waiter.call(lambda _: other.call("again")) == "again"


def test_whoever_begins_to_trap_exits_meanwhile_gets_the_message(log: Log, gate: Gate) -> None:
    """And waits again as it likes."""
    other, waiter = Quiet.start(), Quiet.start(log)

    def handler(probe: Any) -> None:
        gate(probe)
        probe.trap_exit = True

    waiter.cast(handler)
    gate.wait()
    waiter.exit("please")
    gate.open()
    assert log.get().reason == "please"
    assert waiter.call(lambda _: other.call("answer")) == "answer"


def test_caught_it_is_raised_by_the_next_wait(log: Log, gate: Gate) -> None:
    """Whatever that waits for, and nothing is sent."""
    heard = Log()
    other = Probe.start(heard)

    def handler(_: Any) -> None:
        for wait in (a_call, a_join, a_task, lambda _: other.call(heard.add), lambda _: Quiet.start().join()):
            try:
                wait(gate)
            except Exception as error:  # noqa: BLE001 - as users do
                log.add(type(error))

    waiter = Quiet.start(log)
    waiter.cast(handler)
    while waiter._cell.waiting_on is None:
        threading.Event().wait(0.001)
    waiter.exit()
    assert waiter.join(LONG)
    assert log.rest() == [ExitPendingError] * 5
    assert waiter.exit_reason == SHUTDOWN
    assert heard.rest() == []


def test_what_is_raised_from_it_is_no_crash(log: Log, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that wraps what a wait raises ends for the same reason."""

    def handler() -> None:
        try:
            a_call(gate)
        except ExitPendingError as error:
            raise RuntimeError("wrapped") from error

    waiter = Probe.start(log, "a")
    begin(handler, waiter)
    waiter.exit()
    assert waiter.join(LONG)
    assert waiter.exit_reason == SHUTDOWN
    assert caplog.text == ""


def test_another_error_is_a_crash(log: Log, gate: Gate) -> None:
    """One in the clean-up, for example: somebody should see it."""

    def handler() -> None:
        try:
            a_call(gate)
        finally:
            crash()

    waiter = Quiet.start(log)
    begin(handler, waiter)
    waiter.exit()
    assert waiter.join(LONG)
    assert isinstance(waiter.exit_reason.exception, ZeroDivisionError)


class Farewell(Probe):
    """Waits in its last callback."""

    def terminate(self, reason: Any) -> None:
        self.log.add(("reply", self.last()))


def test_the_last_callback_may_wait(log: Log) -> None:
    """Also if a second signal comes meanwhile."""
    gate = Gate()
    other = Quiet.start()
    other.cast(gate)
    ref = Farewell.start(log)
    ref.call(lambda probe: setattr(probe, "last", lambda: other.call("answer", LONG)))
    ref.exit()
    while ref._cell.waiting_on is None:
        threading.Event().wait(0.001)
    ref.exit("again")
    gate.open()
    assert log.get() == ("reply", "answer")
    assert ref.join(LONG)
    assert ref.exit_reason == SHUTDOWN


def test_a_kill_breaks_off_the_last_callback(log: Log, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """So a supervisor that waits for its end needs to abandon nobody."""
    supervisor = supervise(log)
    ref = supervisor.start_child(Farewell.child_spec(log, id="a", shutdown=0.01))
    ref.call(lambda probe: setattr(probe, "last", lambda: a_call(gate)))
    supervisor.terminate_child("a")
    assert ref.exit_reason == KILLED
    assert caplog.text == ""
    assert log.rest() == []


def test_an_init_that_waits_is_ended_too(log: Log, gate: Gate) -> None:
    """The start fails for the reason of the exit."""
    refs: list[Ref] = []
    waiting = threading.Event()

    def at_start(probe: Any) -> None:
        refs.append(probe.ref)
        waiting.set()
        a_call(gate)

    starter = threading.Thread(target=lambda: log.add(attempt(lambda: Quiet.start(log, "a", at_start))))
    starter.start()
    assert waiting.wait(LONG)
    while refs[0]._cell.waiting_on is None:
        threading.Event().wait(0.001)
    refs[0].exit()
    error = log.get()
    starter.join(LONG)
    assert isinstance(error, StartError)
    assert error.reason == SHUTDOWN


@pytest.mark.parametrize("reason", [KILLED, "over"])
@pytest.mark.parametrize("depth", [1, 3])
def test_the_end_of_who_starts_reaches_an_init_that_waits(
    reason: str, depth: int, log: Log, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """Starter and child share a thread: both end at once, and neither has crashed."""
    refs: list[Ref] = []

    def at_start(probe: Any) -> None:
        refs.append(probe.ref)
        if len(refs) < depth:
            Quiet.start_link(log, at_start=at_start)
        else:
            log.add("waits")
            a_call(gate)

    starter = Quiet.start(log)
    starter.cast(lambda _: Quiet.start_link(log, at_start=at_start))
    assert log.get() == "waits"
    starter.kill() if reason == KILLED else starter.exit(reason)
    for ref in (starter, *refs):
        assert ref.join(LONG)
        assert ref.exit_reason == reason
    assert caplog.text == ""
    assert not zombies()


def test_who_is_to_end_starts_nobody_that_waits(log: Log, gate: Gate) -> None:
    """The exit that came before the start ends the waits in `init` as well."""
    starter = Quiet.start(log)

    def start(probe: Probe) -> None:
        probe.ref.exit("over")
        Quiet.start_link(log, at_start=lambda _: a_call(gate))

    starter.cast(start)
    assert starter.join(LONG)
    assert starter.exit_reason == "over"


def attempt(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - looked at by the test
        return error


def test_the_reply_is_dropped_that_comes_too_late(log: Log) -> None:
    """As after a timeout: the server lives on."""
    silent = Silent.start(called := Log())
    senders: list[Any] = []
    silent.replace_state(lambda state: state)

    class Keeps(Quiet):
        def handle_call(self, request: Any, sender: Any) -> Any:
            senders.append(sender)
            called.add("called")
            return NO_REPLY

    keeper = Keeps.start()
    waiter = Quiet.start()
    waiter.cast(lambda _: keeper.call(1, None))
    called.get()
    waiter.exit()
    assert waiter.join(LONG)
    senders[0].reply("late")
    assert keeper.statistics().deferred == 0
    assert keeper.is_alive()


def test_a_killed_supervisor_takes_the_child_that_it_waits_for(log: Log, gate: Gate) -> None:
    """Though the link to it is gone already: nobody else would end it."""
    supervisor = supervise(log, spec(log, "b"))
    child = supervisor.start_child(Farewell.child_spec(log, id="a", shutdown=None))
    child.call(lambda probe: setattr(probe, "last", lambda: a_call(gate)))
    other = supervisor.child("b")
    assert other is not None
    outcome = Log()
    thread = threading.Thread(target=lambda: outcome.add(attempt(lambda: supervisor.terminate_child("a"))))
    thread.start()
    while supervisor._cell.wake is None or child._cell.waiting_on is None:
        threading.Event().wait(0.001)
    supervisor.kill()
    assert isinstance(outcome.get(), (ActorExitError, ExitPendingError))
    thread.join(LONG)
    for ref in (supervisor, child, other):
        assert ref.join(LONG)
        assert ref.exit_reason == KILLED


def test_a_supervisor_goes_on_with_what_it_stops(log: Log, gate: Gate) -> None:
    """The signal of its own supervisor comes when it has stopped that child."""
    inner = Supervisor.child_spec([spec(log, "a", shutdown=None)], id="inner")
    outer = Supervisor.start([inner])
    assert isinstance(outer, SupervisorRef)
    log.take(1)
    supervisor = outer.child("inner")
    assert isinstance(supervisor, SupervisorRef)
    child = supervisor.child("a")
    assert child is not None
    child.cast(gate)
    gate.wait()
    thread = threading.Thread(target=lambda: attempt(lambda: supervisor.terminate_child("a")))
    thread.start()
    while supervisor._cell.wake is None:
        threading.Event().wait(0.001)
    outer.stop(SHUTDOWN, block=False)
    assert not outer.join(0.05)
    gate.open()
    assert outer.join(LONG)
    thread.join(LONG)
    assert child.exit_reason == SHUTDOWN
    assert supervisor.exit_reason == SHUTDOWN


@pytest.mark.parametrize("tell", [True, False])
def test_pykkas_actors_are_freed_as_well(tell: bool, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """From a tell or an ask; who asked is told that it is dead."""
    ref = Slow.start()
    asked = None if tell else ref.ask(lambda: a_call(gate), block=False)
    if tell:
        ref.tell(lambda: a_call(gate))
    while ref._cell.waiting_on is None:
        threading.Event().wait(0.001)
    ref.exit()
    assert ref.join(LONG)
    assert ref.exit_reason == SHUTDOWN
    if asked is not None:
        with pytest.raises(Exception, match="stopped before"):
            asked.get(timeout=LONG)
    assert "ERROR" not in caplog.text


class OwnThread(Quiet):
    own_thread = True


@pytest.mark.parametrize("start", [OwnThread.start, OwnThread.start_link])
def test_who_is_to_end_leaves_no_actor_with_its_own_thread_half_started(
    start: Callable[[], Ref], gate: Gate
) -> None:
    """The starter would have to wait for `init`, which it must not: the start fails, and nobody lives on."""
    starter = Quiet.start()

    def start_another(_: Any) -> None:
        gate()
        start()

    before = set(live_cells())
    starter.cast(start_another)
    gate.wait()
    starter.exit("enough")
    gate.open()
    assert starter.join(LONG)
    assert starter.exit_reason == "enough"
    assert set(live_cells()) < before
