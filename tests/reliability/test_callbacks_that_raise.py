"""An exception of any kind, in any callback, ends the actor that raised it and nobody else."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.actors import (
    Actor,
    Crash,
    Down,
    DynamicSupervisor,
    DynamicSupervisorRef,
    Ref,
    Supervisor,
    SupervisorRef,
    Task,
    TaskSupervisor,
    TaskSupervisorRef,
    trace,
)
from slither_actors.errors import ActorExitError, StartError
from tests.actors.probes import LONG, Log, Probe, Quiet, crash, in_thread, settle
from tests.reliability import eventually

REPEATS = 20


class OddError(BaseException):
    """Nothing that a handler of exceptions expects."""


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Refuses every assignment, that of a traceback too."""

    number: int = 1


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even as text")

    __repr__ = __str__


FAULTS: list[Callable[[], BaseException]] = [
    lambda: ValueError("plain"),
    lambda: SystemExit(3),
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    OddError,
    FrozenError,
    UnprintableError,
    lambda: BaseExceptionGroup("several", [FrozenError(), OddError()]),
    RecursionError,
    MemoryError,
]


def failing(fault: Callable[[], BaseException]) -> tuple[type[BaseException], Callable[..., Any]]:
    """What is to be raised, and the function that raises it."""

    def fail(*_: Any) -> Any:
        raise fault()

    return type(fault()), fail


class Victim(Quiet):
    """Runs functions wherever a server has a callback."""

    last: Callable[..., Any] | None = None
    shown: Callable[..., Any] | None = None

    def handle_info(self, message: Any) -> None:
        message(self)

    def handle_continue(self, value: Any) -> None:
        value(self)

    def format_state(self) -> object:
        return "" if self.shown is None else self.shown()

    def terminate(self, reason: Any) -> None:
        if self.last is not None:
            self.last()


class Inline(Victim):
    inline_calls = True


class Own(Victim):
    own_thread = True


def in_terminate(ref: Ref, fail: Any) -> None:
    ref.call(lambda victim: setattr(victim, "last", fail))
    ref.stop(block=False)


def in_format_state(ref: Ref, fail: Any) -> None:
    ref.call(lambda victim: setattr(victim, "shown", crash))
    ref.cast(fail)


def in_watch(ref: Ref, fail: Any) -> None:
    read, write = os.pipe()
    ref.call(lambda victim: victim.watch(read, fail))
    os.write(write, b"x")
    assert ref.join(LONG)
    os.close(read)
    os.close(write)


def by_replacing(_: Any, fail: Any) -> Any:
    return fail()


CALLS: dict[str, Callable[[Ref, Any], Any]] = {
    "handle_call": lambda ref, fail: ref.call(fail, LONG),
    "run": lambda ref, fail: ref.run(by_replacing, fail, LONG),
}
PLACES: dict[str, Callable[[Ref, Any], Any]] = {
    "handle_cast": lambda ref, fail: ref.cast(fail),
    "handle_info": lambda ref, fail: ref.info(fail),
    "handle_continue": lambda ref, fail: ref.call(lambda victim: victim.continue_with(fail)),
    "a timer": lambda ref, fail: ref.call(lambda victim: [victim.run_after(0, fail)]),
    "a message by function": lambda ref, fail: ref.send(fail),
    "a Pykka tell": lambda ref, fail: ref.tell(fail),
    "terminate": in_terminate,
    "format_state": in_format_state,
    "a watch": in_watch,
}


@pytest.fixture
def bystander() -> Any:
    """Watches, by monitor and link, and must live."""

    class Bystander(Probe):
        trap_exit = True

        def terminate(self, reason: Any) -> None:
            pass

    return Bystander.start(Log())


@pytest.mark.parametrize("kind", [Victim, Inline, Own])
@pytest.mark.parametrize("place", CALLS)
def test_who_calls_is_answered_with_what_was_raised(place: str, kind: type[Victim], bystander: Ref) -> None:
    """Whatever it is; the reason of the end is the same, and no other actor ends."""
    for fault in FAULTS * REPEATS:
        expected, fail = failing(fault)
        ref = kind.start()
        # Not in the main thread, where a `KeyboardInterrupt` in an inline call would be the user's Ctrl-C.
        with pytest.raises(ActorExitError) as caught:
            in_thread(lambda ref=ref, fail=fail: CALLS[place](ref, fail))()  # type: ignore[misc]
        reason = caught.value.reason
        assert isinstance(reason, Crash)
        assert type(reason.exception) is expected
        assert reason.exception.__traceback__ is None
        assert ref.join(LONG)
        assert ref.exit_reason is reason
    assert bystander.call("alive") == "alive"


@pytest.mark.parametrize("place", PLACES)
def test_who_watches_is_told_what_was_raised(place: str, bystander: Ref) -> None:
    """Once for each monitor and each link, and no other actor ends."""
    log = bystander._cell.actor.log
    kinds = (Victim, Own) if place in {"handle_cast", "terminate"} else (Victim,)
    for kind in kinds:
        for fault in FAULTS * 3:
            expected, fail = failing(fault)
            ref = kind.start()
            bystander.call(lambda probe, ref=ref: [probe.monitor(ref), probe.link(ref), None][-1])
            PLACES[place](ref, fail)
            told = log.take(2)
            assert {type(message).__name__ for message in told} == {"Down", "Exit"}
            assert {type(message.reason.exception) for message in told} == {expected}
    settle(bystander)
    assert log.rest() == []


@pytest.mark.parametrize("own_thread", [False, True])
def test_what_init_raises_is_the_starters_error(own_thread: bool, bystander: Ref) -> None:
    """A start in an actor and one below a supervisor fail; who starts lives, nothing is left."""
    kind = type("Child", (Quiet,), {"own_thread": own_thread})
    supervisor: Any = Supervisor.start([])
    for fault in FAULTS:
        expected, fail = failing(fault)

        def start(_: Any, fail: Any = fail) -> Any:
            try:
                return kind.start_link(at_start=fail)  # type: ignore[attr-defined]
            except StartError as error:
                return error.reason

        reasons = [bystander.call(start, LONG)]
        with pytest.raises(StartError) as caught:
            supervisor.start_child(kind.child_spec(at_start=fail))  # type: ignore[attr-defined]
        reasons.append(caught.value.reason)
        assert [type(reason.exception) for reason in reasons] == [expected, expected]
    assert supervisor.count_children().specs == 0
    assert not bystander._cell.links
    supervisor.stop()


def test_the_hooks_of_a_pykka_actor_end_that_actor() -> None:
    """In `on_start`, `on_failure` and `on_stop`; a server beside it lives."""
    other = Quiet.start()

    class Failing(Actor):
        def __init__(self, hook: str, fail: Callable[..., Any]) -> None:
            super().__init__()
            self.hook = hook
            self.fail = fail

        def on_start(self) -> None:
            if self.hook == "on_start":
                self.fail()

        def on_failure(self, *_: Any) -> None:
            if self.hook == "on_failure":
                self.fail()

        def on_stop(self) -> None:
            if self.hook == "on_stop":
                self.fail()

    for fault in FAULTS:
        _, fail = failing(fault)
        for hook in ("on_start", "on_failure", "on_stop"):
            ref: Any = Failing.start(hook, fail)
            if hook == "on_failure":
                ref._cell.put((crash, None))
                ref._cell.put((lambda actor, _: actor._crash(ZeroDivisionError(), None), None))
            elif hook == "on_stop":
                ref.stop(block=False)
            assert ref.join(LONG), (hook, fault)
    assert other.call("alive") == "alive"


def test_a_task_that_raises_ends_alone() -> None:
    """Its outcome has what was raised; who waits, and its supervisor, live."""
    tasks = TaskSupervisor.start()
    assert isinstance(tasks, TaskSupervisorRef)
    for fault in FAULTS * REPEATS:
        expected, fail = failing(fault)
        outcome: Any = tasks.async_nolink(fail).yield_(LONG)
        assert type(outcome.reason.exception) is expected
    _, fail = failing(OddError)
    with pytest.raises(ActorExitError):
        Task.async_(fail).await_(LONG)
    assert tasks.is_alive()
    tasks.stop()


# -- what users send may be as nasty as it likes -------------------------------------


class Nasty:
    """Raises whatever one does with it."""

    def __getattr__(self, name: str) -> Any:
        raise OddError(name)

    def _raise(self, *_: Any) -> Any:
        raise OddError("touched")

    __eq__ = __ne__ = __bool__ = __len__ = __iter__ = __repr__ = __str__ = __format__ = _raise  # type: ignore[assignment]
    __hash__ = _raise


class Sink(Probe):
    """Takes everything and looks at nothing."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        return request[0](self) if type(request) is tuple else request

    def handle_cast(self, message: Any) -> None:
        self.log.add(message)

    def terminate(self, reason: Any) -> None:
        pass


class DroppingSink(Sink):
    mailbox_size = 1
    mailbox_overflow = "drop_old"


class InlineSink(Sink):
    inline_calls = True


@pytest.mark.parametrize("kind", [Sink, DroppingSink, InlineSink])
def test_the_runtime_does_not_touch_what_it_carries(kind: type[Sink]) -> None:
    """Messages, replies and timers are neither compared, shown, hashed nor tested, also under a trace."""
    log, nasty = Log(), Nasty()
    ref = kind.start(log)
    with trace(ref, lambda _: None):
        for _ in range(REPEATS):
            assert ref.call(nasty, LONG) is nasty
            for send in (ref.cast, ref.info, ref.tell):
                send(nasty)
                assert log.get() is nasty
            ref.call((lambda sink: [sink.send_after(0, nasty)],), LONG)
            assert log.get() is nasty
    assert ref.is_alive()


def test_what_is_rejected_is_not_touched_either() -> None:
    """A mailbox full of it does not keep the actor from ending, nor its monitors from being told."""
    log = Log()
    watcher = Probe.start(log)
    for _ in range(REPEATS):
        ref = Sink.start(Log())
        watcher.call(lambda probe, ref=ref: [probe.monitor(ref), None][-1])
        ref.suspend()
        ref.cast(Nasty())
        ref.info(Nasty())
        ref.tell(Nasty())
        ref.send(lambda *_: None, Nasty())
        ref.kill()
        assert isinstance(log.get(), Down)


def test_a_reason_is_not_touched_on_its_way() -> None:
    """Neither by links, monitors and callers, nor by supervisors that have to judge it."""
    downs, nasty = Log(), Nasty()
    watcher = Probe.start(downs)
    fixed: Any = Supervisor.start([], max_restarts=1000)
    dynamic = DynamicSupervisor.start(max_restarts=1000)
    assert isinstance(fixed, SupervisorRef)
    assert isinstance(dynamic, DynamicSupervisorRef)
    for restart in ("permanent", "transient", "temporary"):
        for supervisor in (fixed, dynamic):
            ref = supervisor.start_child(Sink.child_spec(Log(), restart=restart, id=restart))  # type: ignore[arg-type]
            linked = Sink.start(Log())
            linked.call((lambda sink, ref=ref: sink.link(ref),))
            watcher.call(lambda probe, ref=ref: [probe.monitor(ref), None][-1])
            with pytest.raises(ActorExitError) as caught:
                ref.call((lambda sink: [sink.stop(nasty), sink.ref.call("me")],), LONG)
            assert isinstance(caught.value.reason, Crash), "the call to itself was the crash"
            assert type(downs.get()) is Down
            assert linked.join(LONG)
    assert eventually(lambda: [info.state for info in fixed.which_children()] == ["running", "running"])
    other = Sink.start(Log())
    other.call((lambda sink: sink.stop(nasty),))
    assert other.join(LONG)
    assert other.exit_reason is nasty
    for supervisor in (fixed, dynamic):
        for restart in ("permanent", "transient", "temporary"):
            ref = supervisor.start_child(Sink.child_spec(Log(), restart=restart, id=(restart, 2)))  # type: ignore[arg-type]
            watcher.call(lambda probe, ref=ref: [probe.monitor(ref), None][-1])
            ref.exit(nasty)
            assert downs.get().reason is nasty
        assert eventually(lambda supervisor=supervisor: supervisor.count_children().active == 4)  # type: ignore[misc]
        supervisor.stop()


def test_a_name_that_cannot_be_shown_is_a_name(caplog: pytest.LogCaptureFixture) -> None:
    """A crash of its holder is reported, and the name is free then."""

    class Name(str):
        def __repr__(self) -> str:
            raise OddError

    for _ in range(REPEATS):
        ref = Quiet.start(name=Name("holder"))
        assert "whose text raised OddError" in str(ref)
        ref.cast(crash)
        assert ref.join(LONG)
    assert len(caplog.records) == REPEATS


def test_a_finalizer_that_raises_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a message, a reply, or a late reply that is dropped: Python says so and goes on."""
    heard = Log()
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: heard.add(unraisable.exc_type))

    class Dying:
        def __call__(self, _: Any) -> None:
            pass

        def __del__(self) -> None:
            raise OddError

    ref = Quiet.start()
    gate = threading.Event()
    for _ in range(REPEATS):
        ref.call(lambda _: Dying(), LONG)
        ref.cast(Dying())
        settle(ref)
    assert heard.take(2 * REPEATS) == [OddError] * (2 * REPEATS)
    with pytest.raises(TimeoutError):
        ref.call(lambda _: [gate.wait(LONG), Dying()][1], 0)
    gate.set()
    assert ref.call("alive", LONG) == "alive"
