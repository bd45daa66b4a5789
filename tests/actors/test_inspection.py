"""Looking inside a running actor: state, suspending, numbers, traces."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from slither_actors.actors import KILLED, Actor, Down, Request, Supervisor, TracedMessage, trace
from slither_actors.errors import ActorExitError, CallCycleError, CallTimeoutError, OptionError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, Trapper, crash, in_thread, settle


class Counter(Quiet):
    def init(self, log: Log | None = None, *_: Any) -> None:
        self.log = Log() if log is None else log
        self.count = 0
        self._secret = "hidden"

    def handle_info(self, message: Any) -> None:
        self.count += message
        self.log.add(self.count)


# -- state ----------------------------------------------------------------------


def test_get_state_returns_the_public_attributes_after_the_messages_before() -> None:
    """In turn with the other messages, so that it is an answer to what was sent."""
    ref = Counter.start()
    ref.info(1)
    ref.info(2)
    state = ref.get_state()
    assert state.keys() == {"log", "count"}
    assert state["count"] == 3


def test_the_state_is_a_dict_of_the_callers_own() -> None:
    """To change it changes nothing in the actor."""
    ref = Counter.start()
    ref.get_state()["count"] = 7
    assert ref.get_state()["count"] == 0


def test_the_state_of_a_pykka_actor_is_without_what_pykka_put_there() -> None:
    """Only what is the user's."""

    class Plain(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.colour = "red"

    ref: Any = Plain.start()
    assert ref.get_state() == {"colour": "red"}


def test_replace_state_sets_and_removes_attributes() -> None:
    """And returns the new state."""
    ref = Counter.start()
    new = ref.replace_state(lambda state: {"count": state["count"] + 5, "log": state["log"], "extra": 1})
    assert new == ref.get_state()
    assert new["count"] == 5
    ref.replace_state(lambda state: {name: state[name] for name in ("count", "log")})
    assert "extra" not in ref.get_state()


def test_a_function_that_raises_leaves_the_state_and_the_actor() -> None:
    """The exception is the caller's."""
    ref = Counter.start()
    with pytest.raises(KeyError):
        ref.replace_state(lambda state: {"count": state["nothing"]})
    assert ref.get_state()["count"] == 0


class Fixed(Counter):
    """One attribute has no setter, one a setter that notes it, one refuses to go."""

    @property
    def fixed(self) -> int:
        return 1

    @property
    def doubled(self) -> int:
        return self._doubled

    @doubled.setter
    def doubled(self, value: int) -> None:
        self._doubled = 2 * value

    def __delattr__(self, name: str) -> None:
        if name == "log":
            raise AttributeError(name)
        super().__delattr__(name)


@pytest.mark.parametrize(
    "new",
    [{"extra": 1, "doubled": 2, "log": None, "fixed": 5}, {"count": 7}, {"extra": 1, 3: 4, "log": None}],
)
def test_a_state_that_is_refused_changes_nothing(new: dict[Any, Any]) -> None:
    """One of the attributes cannot be set or deleted: none is, and the actor lives."""
    ref = Fixed.start()
    before = dict(vars(ref._cell.actor))
    with pytest.raises((AttributeError, OptionError)):
        ref.replace_state(lambda _: new)
    assert vars(ref._cell.actor) == before
    ref.info(1)
    assert ref.get_state()["count"] == 1


def test_an_actor_cannot_ask_for_its_own_state() -> None:
    """It would wait for itself: an error at once, as with any call."""
    ref = Quiet.start()
    caught = Log()

    def look(server: Any) -> None:
        try:
            server.ref.get_state()
        except CallCycleError as error:
            caught.add(error)

    ref.cast(look)
    assert isinstance(caught.get(), CallCycleError)


def test_the_end_of_the_actor_ends_the_wait() -> None:
    """Of a request that is in the mailbox, and of a later one."""
    ref = Quiet.start()
    gate = Gate()
    ref.cast(gate)
    gate.wait()
    asked = in_thread(lambda: ref.get_state(None))
    while not ref._cell.inbox:
        pass
    ref.kill()
    gate.open()
    with pytest.raises(ActorExitError):
        asked()
    with pytest.raises(ActorExitError):
        ref.get_state()


# -- suspend and resume -----------------------------------------------------------


def test_a_suspended_actor_keeps_its_messages_until_it_goes_on() -> None:
    """In their order; what was sent before is handled first."""
    log = Log()
    ref = Counter.start(log)
    ref.info(1)
    ref.suspend()
    assert log.rest() == [1]
    ref.info(10)
    ref.info(100)
    with pytest.raises(CallTimeoutError):
        ref.call(None, 0.0)
    assert ref.statistics().mailbox == 3
    ref.resume()
    settle(ref)
    assert log.rest() == [11, 111]


def test_a_suspended_actor_answers_those_who_look_inside() -> None:
    """As often as they ask, with messages waiting or without."""
    ref = Counter.start()
    ref.suspend()
    assert ref.get_state()["count"] == 0
    ref.info(5)
    assert ref.get_state()["count"] == 0
    assert ref.replace_state(lambda state: {**state, "count": 1})["count"] == 1
    ref.suspend()
    ref.resume()
    assert ref.get_state()["count"] == 6
    ref.resume()


def test_a_request_that_was_behind_suspend_in_the_mailbox_is_answered() -> None:
    """It was sent to an actor that was not suspended yet."""
    ref = Counter.start()
    gate = Gate()
    ref.cast(gate)
    gate.wait()
    suspended = in_thread(lambda: ref.suspend(LONG))
    while len(ref._cell.inbox) < 1:
        pass
    ref.info(1)
    asked = in_thread(lambda: ref.get_state(LONG))
    while len(ref._cell.inbox) < 3:
        pass
    gate.open()
    suspended()
    assert asked()["count"] == 0
    ref.resume()
    assert ref.get_state()["count"] == 1


def test_a_suspend_that_nobody_waits_for_any_more_does_not_happen() -> None:
    """The caller was told that it failed."""
    ref = Counter.start()
    gate = Gate()
    ref.cast(gate)
    gate.wait()
    with pytest.raises(CallTimeoutError):
        ref.suspend(0.0)
    gate.open()
    settle(ref)


@pytest.mark.parametrize(
    "end", [lambda ref: ref.stop(timeout=LONG), lambda ref: ref.exit(), lambda ref: ref.kill()]
)
def test_a_suspended_actor_can_be_ended(end: Any) -> None:
    """And `terminate` runs where it runs otherwise."""
    log = Log()
    ref = Probe.start(log)
    ref.suspend()
    ref.cast("never handled")
    end(ref)
    assert ref.join(LONG)
    assert log.rest() == ([] if ref.exit_reason == KILLED else [("terminate", "", ref.exit_reason)])


def test_a_suspended_server_that_traps_exits_ends_with_its_supervisor() -> None:
    """The parent's signal is no message; other signals wait."""
    tree: Any = Supervisor.start([Trapper.child_spec(shutdown=None)])
    child = tree.child("Trapper")
    child.suspend()
    child.exit("shutdown")
    child.get_state()
    tree.stop("shutdown", timeout=LONG)
    assert child.exit_reason == "shutdown"


def test_calls_of_an_inline_server_wait_as_well() -> None:
    """Nothing runs in the caller's thread while the server is suspended."""

    class Inline(Quiet):
        inline_calls = True

    ref = Inline.start()
    ref.suspend()
    with pytest.raises(CallTimeoutError):
        ref.call(1, 0.0)
    ref.resume()
    assert ref.call(2) == 2


def test_suspending_and_resuming_under_load_loses_nothing() -> None:
    """Whoever comes between the two, messages are handled once and requests answered."""
    log = Log()
    ref = Counter.start(log)

    def send() -> None:
        for _ in range(1000):
            ref.info(1)

    def look() -> None:
        for _ in range(200):
            ref.suspend(LONG)
            ref.get_state(LONG)
            ref.resume(LONG)

    def peek() -> None:
        for _ in range(200):
            ref.get_state(LONG)

    for wait in [in_thread(run) for run in (send, look, peek, send)]:
        wait()
    assert ref.get_state()["count"] == 2000
    assert log.take(2000) == list(range(1, 2001))


# -- numbers ----------------------------------------------------------------------


def test_statistics_are_read_without_the_actor() -> None:
    """Of one that is busy, and of one that is dead."""
    ref, other, watcher = Quiet.start(), Quiet.start(), Quiet.start()
    monitor = watcher.run(lambda server, _: server.monitor(ref))
    ref.run(lambda server, _: (server.link(other), server.send_after(1000, None), server.monitor(other)))
    gate = Gate()
    ref.cast(gate)
    gate.wait()
    ref.cast(1)
    numbers = ref.statistics()
    assert (numbers.alive, numbers.suspended, numbers.mailbox, numbers.dropped) == (True, False, 1, 0)
    assert (numbers.links, numbers.monitors, numbers.monitoring, numbers.timers) == (1, 1, 1, 1)
    assert numbers.mailbox_size is None
    gate.open()
    ref.stop()
    assert not ref.statistics().alive
    assert ref.statistics().links == 0
    assert monitor.id


@pytest.mark.parametrize("inline", [True, False])
def test_statistics_count_what_was_handled(inline: bool) -> None:
    """Calls in the caller's thread included; the number and the uptime stay when the actor has ended."""
    ref = type("Counted", (Quiet,), {"inline_calls": inline}).start()  # type: ignore[attr-defined]
    before = ref.statistics()
    for number in range(100):
        ref.cast(number)
    for number in range(10):
        ref.call(number)
    ref.cast(crash)
    assert ref.join(LONG)
    while ref._cell.handled < 111:  # the slice is counted when it is over
        threading.Event().wait(0.001)
    first, second = ref.statistics(), ref.statistics()
    assert first.handled == 111
    assert before.handled == 0
    assert 0 <= before.uptime <= first.uptime < LONG
    assert first.uptime == second.uptime


def test_statistics_count_what_a_bounded_mailbox_dropped() -> None:
    """With its bound."""

    class Small(Quiet):
        mailbox_size = 1
        mailbox_overflow = "drop_new"

    ref = Small.start()
    gate = Gate()
    ref.cast(gate)
    gate.wait()
    for _ in range(3):
        ref.cast(None)
    numbers = ref.statistics()
    assert (numbers.mailbox, numbers.mailbox_size, numbers.dropped) == (1, 1, 2)
    gate.open()


# -- traces -----------------------------------------------------------------------


def test_a_trace_tells_each_message_before_it_runs() -> None:
    """Its kind and its text, calls and signals among them."""
    log = Log()
    ref = Trapper.start(log)
    with trace(ref, log.add):
        ref.cast("a")
        ref.call("b")
        ref.info("c")
        ref.exit("shutdown")
        ref.run(lambda server, _: server.send_after(0, "d"))
        settle(ref)
    settle(ref)
    seen = [entry for entry in log.rest() if isinstance(entry, TracedMessage)]
    assert {traced.ref for traced in seen} == {ref}
    assert [traced.kind for traced in seen if traced.kind != "deliver"] == [
        "cast", "call", "info", "exit_signal", "run", "call",
    ]  # fmt: skip
    assert [traced.text for traced in seen][:3] == ["'a'", "'b'", "'c'"]


def test_a_trace_comes_before_the_handler() -> None:
    """So that the message of a handler that hangs is seen."""
    log = Log()
    ref = Quiet.start(log)
    trace(ref, lambda traced: log.add(traced.text))
    ref.cast("message")
    assert log.take(2) == ["'message'", "message"]


def test_each_message_is_told_once() -> None:
    """Whatever the slices: a handful at a time, or one by one."""
    log = Log()
    ref = Quiet.start()
    with trace(ref, lambda traced: log.add(traced.text)):
        for number in range(300):
            ref.cast(number)
        for _ in range(100):
            settle(ref)
    assert log.rest() == [str(number) for number in range(300)] + ["None"] * 100


def test_a_trace_that_has_stopped_costs_nothing() -> None:
    """The actor is as before: its attention is on nothing."""
    ref = Quiet.start()
    handle = trace(ref, lambda _: None)
    settle(ref)
    assert ref._cell.attention
    handle.stop()
    handle.stop()
    settle(ref)
    settle(ref)
    assert not ref._cell.attention
    assert ref._cell.tracers == ()


def test_several_traces_of_one_actor() -> None:
    """Each gets every message; one that stops takes the others nothing."""
    log = Log()
    ref = Quiet.start()
    first = trace(ref, lambda _: log.add(1))
    trace(ref, lambda _: log.add(2))
    settle(ref)
    first.stop()
    settle(ref)
    assert log.rest() == [1, 2, 2]


def test_a_trace_that_raises_is_logged_and_stopped(caplog: pytest.LogCaptureFixture) -> None:
    """The actor does not notice."""
    ref = Quiet.start()

    def fail(_: TracedMessage) -> None:
        raise ZeroDivisionError

    trace(ref, fail)
    settle(ref)
    settle(ref)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(ref) in record.getMessage()


def test_calls_of_an_inline_server_are_traced() -> None:
    """They run in the actor's turn meanwhile."""

    class Inline(Quiet):
        inline_calls = True

        def handle_call(self, request: Any, sender: Request) -> Any:
            return threading.get_ident()

    ref = Inline.start()
    log = Log()
    assert ref.call("before") == threading.get_ident()
    with trace(ref, lambda traced: log.add((traced.kind, traced.text))):
        assert ref.call("traced") != threading.get_ident()
    assert log.rest() == [("call", "'traced'")]


def test_what_ends_an_actor_is_traced() -> None:
    """A kill and the news of another's end as well."""
    log, news = Log(), Log()
    ref, other = Quiet.start(news), Quiet.start()
    trace(ref, lambda traced: log.add(traced.kind))
    ref.cast(lambda server: server.monitor(other))
    settle(ref)
    other.stop()
    assert isinstance(news.get(), Down)
    ref.kill()
    assert ref.join(LONG)
    assert log.rest() == ["cast", "call", "down", "kill"]
