"""Servers: starting, the kinds of messages, and the end."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from slither_actors.actors import (
    KILLED,
    NO_REPLY,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Actor,
    Crash,
    Failure,
    Ignore,
    Ref,
    Request,
    Server,
    _name_table,
    is_abnormal,
    whereis,
)
from slither_actors.errors import ActorExitError, CallTimeoutError, NameTakenError, OptionError, StartError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle

# -- starting -------------------------------------------------------------------


def test_start_returns_when_init_is_done() -> None:
    """What `init` set up is there when the starter has the ref."""
    ref = Quiet.start(label="ready")
    assert ref.call(lambda probe: probe.label) == "ready"


def test_init_runs_as_the_actor() -> None:
    """In `init`, ``self.ref`` is the server's own; what it sends itself waits until `init` is done."""
    log = Log()

    def at_start(probe: Probe) -> None:
        probe.ref.info("sent by init")
        log.add("init")

    ref = Quiet.start(log, at_start=at_start)
    settle(ref)
    assert log.rest() == ["init", "sent by init"]


def test_a_raise_in_init_fails_the_start() -> None:
    """The starter gets a StartError with the crash as its reason and the exception as its cause."""
    with pytest.raises(StartError, match="did not start: ZeroDivisionError: on purpose") as caught:
        Quiet.start(at_start=crash)
    assert isinstance(caught.value.reason, Crash)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "in crash" in caught.value.reason.traceback_text


@pytest.mark.parametrize("own_thread", [False, True])
def test_system_exit_in_init_fails_the_start_only(own_thread: bool) -> None:
    """It ends this actor, not its starter."""
    cls = type("Exiting", (Quiet,), {"own_thread": own_thread})

    def leave(_: Any) -> None:
        raise SystemExit(3)

    with pytest.raises(StartError) as caught:
        cls.start(at_start=leave)
    assert isinstance(caught.value.reason.exception, SystemExit)


@pytest.mark.parametrize("own_thread", [False, True])
def test_stop_in_init_fails_the_start_with_its_reason(own_thread: bool) -> None:
    """A server that gives up in `init` has not started, and `terminate` does not run."""
    log = Log()
    cls = type("Stopping", (Probe,), {"own_thread": own_thread})
    with pytest.raises(StartError) as caught:
        cls.start(log, at_start=lambda probe: probe.stop(("shutdown", "no licence")))
    assert caught.value.reason == ("shutdown", "no licence")
    assert log.rest() == []


@pytest.mark.parametrize("own_thread", [False, True])
def test_ignore_in_init_reaches_the_starter(own_thread: bool) -> None:
    """`Ignore` is raised as it is: not an error, but no server either."""
    cls = type("Ignoring", (Quiet,), {"own_thread": own_thread})

    def ignore(_: Any) -> None:
        raise Ignore

    with pytest.raises(Ignore):
        cls.start(at_start=ignore)


def test_a_raise_in_the_constructor_leaves_nothing() -> None:
    """Nobody should define ``__init__``; one that raises takes no name and leaves no actor."""

    class Constructed(Quiet):
        def __init__(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Constructed.start(name="constructed")
    assert whereis("constructed") is None


def test_an_actor_killed_while_it_starts_in_its_own_thread_fails_the_start() -> None:
    """The starter is not left waiting for an `init` that will never end."""
    gate = Gate()
    cls = type("Own", (Quiet,), {"own_thread": True})
    start = in_thread(lambda: cls.start(name="starting", at_start=gate))  # type: ignore[attr-defined]
    gate.wait()
    ref = whereis("starting")
    assert ref is not None
    ref._cell.die(KILLED)  # what abandoning it does
    with pytest.raises(StartError, match="killed"):
        start()
    gate.open()


# -- names ----------------------------------------------------------------------


def test_a_name_finds_the_live_actor() -> None:
    """`whereis` returns the ref that the name was given to, and its ref knows the name."""
    ref = Quiet.start(name="finder")
    assert whereis("finder") is ref
    assert ref.name == "finder"
    assert whereis("nobody") is None


def test_a_taken_name_is_refused() -> None:
    """A second actor of the name does not start, and the first keeps it."""
    ref = Quiet.start(name="taken")
    with pytest.raises(NameTakenError, match="'taken' is taken by Quiet 'taken'"):
        Quiet.start(name="taken")
    assert whereis("taken") is ref
    assert ref.call("alive") == "alive"


@pytest.mark.parametrize("own_thread", [False, True])
def test_a_failed_start_frees_the_name(own_thread: bool) -> None:
    """The next actor may have it at once."""
    cls = type("Failing", (Quiet,), {"own_thread": own_thread})
    with pytest.raises(StartError):
        cls.start(name="again", at_start=crash)
    assert whereis("again") is None
    assert cls.start(name="again").call("yes") == "yes"


def test_a_name_is_free_when_the_actor_has_ended() -> None:
    """Whoever has waited for the end may take the name: no cleanup lags behind."""
    for _ in range(200):
        Quiet.start(name="brief").stop()
    assert _name_table.names.get("brief") is None


def test_a_name_is_free_when_down_arrives() -> None:
    """A watcher that is told of the end can start a successor of the same name."""
    watcher = Quiet.start(log := Log())
    for _ in range(100):
        ref = Quiet.start(name="monitored")
        watcher.call(lambda probe, ref=ref: probe.monitor(ref))
        ref.kill()
        log.get()
        assert whereis("monitored") is None


# -- messages ---------------------------------------------------------------------


def test_calls_casts_and_infos_go_to_their_handlers_in_order() -> None:
    """One sender's messages of all kinds are handled in the order in which they were sent."""

    class Kinds(Server):
        def init(self, log: Log) -> None:
            self.log = log

        def handle_call(self, request: Any, sender: Any) -> Any:
            self.log.add(("call", request))
            return request

        def handle_cast(self, message: Any) -> None:
            self.log.add(("cast", message))

        def handle_info(self, message: Any) -> None:
            self.log.add(("info", message))

    ref = Kinds.start(log := Log())
    for number in range(50):
        ref.cast(number)
        ref.info(number)
        ref.call(number)
    expected = [(kind, number) for number in range(50) for kind in ("cast", "info", "call")]
    assert log.rest() == expected


def test_a_message_without_a_handler_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """A call or cast that the class does not handle is a crash; an info is logged and dropped."""

    class Bare(Server):
        pass

    with pytest.raises(ActorExitError, match="Bare got a call and has no handle_call: 'what'"):
        Bare.start().call("what")
    ref = Bare.start()
    ref.info("stray")
    ref.cast("order")
    assert ref.join(LONG)
    assert "got a message that it does not handle: 'stray'" in caplog.text
    assert "Bare got a cast and has no handle_cast: 'order'" in str(ref.exit_reason)


def test_continue_runs_before_any_other_message() -> None:
    """`continue_with` goes ahead of what waits in the mailbox already."""

    class Continuing(Quiet):
        def handle_continue(self, value: Any) -> None:
            self.log.add(("continue", value))

    gate, log = Gate(), Log()
    ref = Continuing.start(log)

    def held(probe: Probe) -> None:
        gate()
        probe.continue_with(1)
        probe.continue_with(2)

    ref.cast(held)
    gate.wait()
    ref.info("waiting")
    gate.open()
    assert log.take(3) == [("continue", 1), ("continue", 2), "waiting"]


def test_continue_from_init_runs_first() -> None:
    """What `init` continues with precedes the first message of anybody."""

    class Continuing(Quiet):
        def handle_continue(self, value: Any) -> None:
            self.log.add(value)

    ref = Continuing.start(log := Log(), at_start=lambda probe: probe.continue_with("first"))
    ref.info("second")
    assert log.take(2) == ["first", "second"]


def test_a_message_to_a_dead_actor_is_dropped() -> None:
    """`cast` and `info` never raise."""
    ref = Quiet.start()
    ref.stop()
    ref.cast("late")
    ref.info("late")
    ref.exit()
    ref.kill()


# -- calls ----------------------------------------------------------------------------


def test_a_call_to_a_dead_server_is_noproc() -> None:
    """It raises at once, and says that there is nobody."""
    ref = Quiet.start()
    ref.stop()
    with pytest.raises(ActorExitError) as caught:
        ref.call("anybody?", None)
    assert caught.value.reason == NOPROC


def test_a_crash_answers_its_caller_with_the_reason() -> None:
    """The caller gets the reason, with the exception and its traceback as text."""
    ref = Quiet.start()
    with pytest.raises(ActorExitError, match="ZeroDivisionError: on purpose") as caught:
        ref.call(crash)
    assert isinstance(caught.value.reason, Crash)
    assert ref.exit_reason is caught.value.reason


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_base_exception_ends_this_actor_only(error: type[BaseException]) -> None:
    """The caller is answered and no other actor stops."""
    ref, other = Quiet.start(), Quiet.start()

    def leave(_: Any) -> None:
        raise error

    with pytest.raises(ActorExitError) as caught:
        ref.call(leave)
    assert isinstance(caught.value.reason.exception, error)
    assert other.call("alive") == "alive"


@pytest.mark.parametrize("end", ["crash", "stop", "kill", "exit"])
def test_calls_that_wait_at_the_end_get_the_reason(end: str) -> None:
    """Whatever ends the server, every call in its mailbox is answered with the server's own reason."""
    gate, ref = Gate(), Quiet.start()

    def held(probe: Probe) -> None:
        gate()
        if end == "crash":
            crash()
        if end == "stop":
            probe.stop(("shutdown", "done"))

    ref.cast(held)
    gate.wait()
    calls = [in_thread(lambda: ref.call("pending", LONG)) for _ in range(3)]
    while len(ref._cell.inbox) < 3:
        threading.Event().wait(0.001)
    if end == "kill":
        ref.kill()
    if end == "exit":
        ref.exit(("shutdown", "asked"))
    gate.open()
    for call in calls:
        with pytest.raises(ActorExitError) as caught:
            call()
        assert caught.value.reason == ref.exit_reason
    expected = {"stop": ("shutdown", "done"), "kill": KILLED, "exit": ("shutdown", "asked")}
    if end == "crash":
        assert isinstance(ref.exit_reason, Crash)
    else:
        assert ref.exit_reason == expected[end]


def test_a_call_that_is_being_handled_is_answered_when_its_server_is_given_up() -> None:
    """An abandoned handler never returns; its caller is told nevertheless."""
    gate, ref = Gate(), Quiet.start()
    call = in_thread(lambda: ref.call(gate, None))
    gate.wait()
    threading.Event().wait(0.05)  # the caller has looked whether it is alive, and waits
    ref._cell.die(KILLED)  # what abandoning it does
    with pytest.raises(ActorExitError, match="killed"):
        call()
    with pytest.raises(ActorExitError, match="noproc"):
        ref.call("later", None)
    gate.open()


def test_a_call_that_arrives_as_its_server_dies_is_answered() -> None:
    """Calls race with kills ten thousand times in all: each ends with a reply or a reason."""

    def ask(refs: list[Ref]) -> int:
        answered = 0
        for ref in refs:
            try:
                answered += ref.call(1, LONG)
            except ActorExitError as error:
                assert error.reason in (KILLED, NOPROC)  # noqa: PT017 - the reply is fine as well
        return answered

    refs = [Quiet.start() for _ in range(2500)]
    asking = [in_thread(lambda: ask(refs)) for _ in range(4)]
    for ref in refs:
        ref.kill()
    for join in asking:
        join()


def test_a_call_that_arrives_as_its_server_is_given_up_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was alive when the caller looked; its stuck handler will reject nothing."""
    gate, ref = Gate(), Quiet.start()
    ref.cast(gate)
    gate.wait()
    expect = Request.expect

    def too_late(request: Request) -> None:
        ref._cell.die(KILLED)
        expect(request)

    monkeypatch.setattr(Request, "expect", too_late)
    with pytest.raises(ActorExitError, match="killed"):
        ref.call("pending", LONG)
    gate.open()


def test_a_late_reply_is_dropped() -> None:
    """After a timeout the reply goes nowhere, and the next call gets its own."""
    gate, ref = Gate(), Quiet.start()

    def late(_: Any) -> str:
        gate()
        return "late"

    with pytest.raises(CallTimeoutError, match="did not answer within 0.01 s"):
        ref.call(late, 0.01)
    gate.open()
    assert ref.call("own", LONG) == "own"


def test_a_call_whose_caller_gave_up_is_skipped() -> None:
    """A server that is behind does not work for callers that are gone."""
    gate, log, ref = Gate(), Log(), Quiet.start()
    ref.cast(gate)
    gate.wait()
    with pytest.raises(CallTimeoutError):
        ref.call(lambda _: log.add("handled"), 0.01)
    gate.open()
    settle(ref)
    assert log.rest() == []


def test_a_reply_and_a_timeout_at_one_time_have_one_outcome() -> None:
    """A call that is answered just when it times out returns the reply or raises, and nothing hangs."""
    ref = Quiet.start()
    outcomes = set()
    for _ in range(2000):
        try:
            outcomes.add(ref.call("reply", 0.00002))
        except CallTimeoutError:
            outcomes.add("timeout")
    assert outcomes <= {"reply", "timeout"}
    assert ref.call("in step", LONG) == "in step"


def test_a_failure_has_an_exception() -> None:
    """Anything else could not be raised at the caller: who returns it hears of it."""
    with pytest.raises(OptionError, match="'no such row'; allowed is an exception"):
        Failure("no such row")  # type: ignore[arg-type]


def test_a_call_fails_with_an_exception() -> None:
    """`Request.fail` refuses anything else where it is called, and the call can still be answered."""
    ref = Quiet.start()

    def fail(probe: Probe) -> Any:
        with pytest.raises(TypeError, match="not with 'no such row'"):
            probe.sender.fail("no such row")
        return "answered"

    assert ref.call(fail) == "answered"


def test_a_failure_is_raised_at_the_caller_and_the_server_lives() -> None:
    """A returned `Failure` is the path for what is expected to fail."""
    ref = Quiet.start()
    with pytest.raises(LookupError, match="no such row"):
        ref.call(lambda _: Failure(LookupError("no such row")))
    assert ref.call("alive") == "alive"


def test_a_reply_may_come_later() -> None:
    """A server that returns NO_REPLY answers when it likes, from any thread."""
    ref = Quiet.start()
    senders = Log()

    def later(probe: Probe) -> Any:
        senders.add(probe.sender)
        return NO_REPLY

    calls = [in_thread(lambda: ref.call(later, LONG)) for _ in range(3)]
    waiting = senders.take(3)
    assert ref.call("meanwhile") == "meanwhile"
    waiting[0].reply("one")
    waiting[1].fail(LookupError("two"))
    ref.cast(lambda _: waiting[2].reply("three"))
    results = []
    for call in calls:
        try:
            results.append(call())
        except LookupError as error:
            results.append(str(error))
    assert sorted(results) == ["one", "three", "two"]
    settle(ref)  # it may just have woken its caller
    assert not ref._cell.deferred


def test_only_the_first_reply_counts() -> None:
    """A second reply is dropped."""
    ref = Quiet.start()

    def twice(probe: Probe) -> Any:
        probe.sender.reply("first")
        probe.sender.fail(LookupError("second"))
        return "third"

    assert ref.call(twice) == "first"


def test_a_deferred_reply_is_the_reason_if_the_server_ends() -> None:
    """Nobody waits for a reply that cannot come any more."""
    ref = Quiet.start()
    held = Log()
    call = in_thread(lambda: ref.call(lambda probe: held.add(probe.sender) or NO_REPLY, None))
    held.get()
    ref.stop(SHUTDOWN)
    with pytest.raises(ActorExitError, match="shutdown"):
        call()


def test_a_ref_runs_a_function_in_the_actor() -> None:
    """`send` and `run` are for the library's own requests: ``function(actor, argument)`` as a message."""
    ref = Quiet.start(label="me")
    log = Log()
    ref.send(lambda probe, argument: log.add((probe.label, argument)), 1)
    assert log.get() == ("me", 1)
    assert ref.run(lambda probe, argument: (probe.label, argument), 2) == ("me", 2)


# -- the end ------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, ("shutdown", "moved"), "anything else"])
def test_terminate_gets_the_reason_that_the_actor_ends_with(reason: Any) -> None:
    """`stop` from inside: the callback ends, then `terminate` runs with the reason, then it is dead."""
    ref = Probe.start(log := Log())
    ref.cast(lambda probe: (probe.stop(reason), log.add("still in the callback")))
    assert ref.join(LONG)
    assert log.rest() == ["still in the callback", ("terminate", "", reason)]
    assert ref.exit_reason == reason
    assert not ref.is_alive()


def test_a_crash_runs_terminate() -> None:
    """`terminate` cleans up after a crash as well."""
    ref = Probe.start(log := Log())
    ref.cast(crash)
    assert ref.join(LONG)
    (entry,) = log.rest()
    assert entry[:2] == ("terminate", "")
    assert isinstance(entry[2], Crash)


def test_a_crash_in_terminate_is_the_reason() -> None:
    """What `terminate` raises replaces the reason, as in OTP."""

    class Broken(Quiet):
        def terminate(self, reason: Any) -> None:
            raise LookupError("in terminate")

    ref = Broken.start()
    assert ref.stop() is True
    assert isinstance(ref.exit_reason.exception, LookupError)


def test_stop_handles_what_was_sent_before() -> None:
    """`Ref.stop` is graceful: the mailbox up to it is handled, what comes later is not."""
    gate, log = Gate(), Log()
    ref = Probe.start(log)
    ref.cast(gate)
    gate.wait()
    ref.info("before")
    assert ref.stop(block=False) is None
    ref.info("after")
    gate.open()
    assert ref.join(LONG)
    assert log.rest() == ["before", ("terminate", "", NORMAL)]


def test_stop_of_a_dead_actor_returns_false() -> None:
    """As in Pykka: True if this call ended it, False if it was dead already."""
    ref = Quiet.start()
    assert ref.stop() is True
    assert ref.stop() is False


def test_stop_gives_up_after_its_timeout() -> None:
    """The actor ends later all the same."""
    gate, ref = Gate(), Quiet.start()
    ref.cast(gate)
    gate.wait()
    with pytest.raises(CallTimeoutError):
        ref.stop(timeout=0.01)
    assert ref.is_alive()
    gate.open()
    assert ref.join(LONG)


def test_kill_runs_no_callback_and_overtakes_the_mailbox() -> None:
    """It takes effect at the next message boundary, ahead of all that waits, also if exits are trapped."""
    gate, log = Gate(), Log()
    cls = type("Trapping", (Probe,), {"trap_exit": True})
    ref = cls.start(log)  # type: ignore[attr-defined]
    ref.cast(gate)
    gate.wait()
    for number in range(200):
        ref.info(number)
    ref.kill()
    gate.open()
    assert ref.join(LONG)
    assert log.rest() == []
    assert ref.exit_reason == KILLED


def test_an_exit_signal_from_outside_overtakes_the_mailbox() -> None:
    """`exit` does not wait behind a backlog, and `terminate` runs."""
    gate, log = Gate(), Log()
    ref = Probe.start(log)
    ref.cast(gate)
    gate.wait()
    ref.info("waiting")
    ref.exit(("shutdown", "now"))
    gate.open()
    assert ref.join(LONG)
    assert log.rest() == [("terminate", "", ("shutdown", "now"))]


def test_a_normal_exit_signal_is_ignored() -> None:
    """As in OTP: ``"normal"`` kills nobody."""
    ref = Quiet.start()
    ref.exit(NORMAL)
    assert ref.call("alive") == "alive"


@pytest.mark.parametrize(
    ("reason", "abnormal"),
    [
        (NORMAL, False),
        (SHUTDOWN, False),
        (("shutdown", 1), False),
        (("shutdown", 1, 2), True),
        (KILLED, True),
        (NOPROC, True),
        ("else", True),
        (Crash(ValueError(), ""), True),
    ],
)
def test_which_reasons_are_abnormal(reason: Any, abnormal: bool) -> None:
    """Everything but normal, shutdown and (shutdown, term)."""
    assert is_abnormal(reason) is abnormal


# -- crash reports and what they keep ----------------------------------------------------------


def test_a_crash_is_logged_with_the_last_message(caplog: pytest.LogCaptureFixture) -> None:
    """The report names the actor, the exception, the message that was handled and the traceback."""
    ref = Quiet.start(name="reported")
    ref.cast(crash)
    assert ref.join(LONG)
    (record,) = caplog.records
    text = record.getMessage()
    assert record.levelno == logging.ERROR
    assert f"Quiet 'reported' <{ref.id}> crashed: ZeroDivisionError: on purpose" in text
    assert "last message: cast <function crash" in text
    assert "Traceback" in text


def test_a_crash_in_continue_is_not_blamed_on_the_message_before(caplog: pytest.LogCaptureFixture) -> None:
    """The report shows what was being handled."""

    class Continuing(Quiet):
        def handle_continue(self, value: Any) -> None:
            crash()

    ref = Continuing.start()
    with pytest.raises(ActorExitError):
        ref.call(lambda probe: (probe.continue_with("the culprit"), NO_REPLY)[1])
    assert "last message: continue 'the culprit'" in caplog.text


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_what_cannot_be_printed_is_a_crash_like_any_other() -> None:
    """A `repr` or `str` that raises, of message or exception, ends only this actor."""

    def raise_it(_: Any) -> None:
        raise UnprintableError

    ref = Quiet.start()
    with pytest.raises(ActorExitError):
        ref.call(raise_it)

    class Message:
        def __repr__(self) -> str:
            raise RuntimeError

        def __call__(self, _: Any) -> None:
            crash()

    ref = Quiet.start()
    ref.cast(Message())
    assert ref.join(LONG)


def test_a_log_handler_that_raises_hurts_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """The crash report goes to standard error instead, and the scheduler's thread lives on."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the log is full")

    handler = Broken()
    logger = logging.getLogger("slither_actors.actors")
    logger.addHandler(handler)
    try:
        ref = Quiet.start()
        ref.cast(crash)
        assert ref.join(LONG)
        assert Quiet.start().call("alive") == "alive"
    finally:
        logger.removeHandler(handler)
    assert "a log handler raised RuntimeError" in capfd.readouterr().err


class Big:
    """Something whose end can be seen."""


@pytest.mark.parametrize("chained", ["plain", "cause and context", "group"])
def test_a_crash_keeps_no_frames(chained: str) -> None:
    """A reason that is remembered does not keep the locals of the callback that raised."""
    gone = threading.Event()

    def raise_it(_: Any) -> None:
        big = Big()
        weakref.finalize(big, gone.set)
        if chained == "plain":
            raise ValueError
        try:
            try:
                raise ValueError(1)
            except ValueError as first:
                if chained == "group":
                    raise BaseExceptionGroup("both", [first, SystemExit()]) from None
                raise LookupError(2)  # noqa: B904 - the context is the point
        except LookupError as second:
            raise TypeError(3) from KeyError(second.args)

    ref = Quiet.start()
    ref.cast(raise_it)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason, Crash)
    gc.collect()
    assert gone.wait(LONG)


def test_a_user_message_with_a_reject_method_is_left_alone() -> None:
    """Only the library's own requests are rejected at the end of an actor."""
    rejected = Log()

    class Order:
        def reject(self, reason: Any) -> None:
            rejected.add(reason)

    gate, ref = Gate(), Quiet.start()
    ref.cast(gate)
    gate.wait()
    ref.info(Order())
    ref.cast(Order())
    ref.kill()
    gate.open()
    assert ref.join(LONG)
    assert rejected.rest() == []


@pytest.mark.parametrize("end", [lambda ref: ref.stop(), lambda ref: ref.cast(crash), lambda ref: ref.kill()])
@pytest.mark.parametrize("kind", [Quiet, type("Threaded", (Quiet,), {"own_thread": True})])
def test_a_ref_of_a_dead_actor_keeps_nothing_of_it(kind: type[Quiet], end: Callable[[Ref], Any]) -> None:
    """Neither its state nor, after a crash, the frames of its handler: refs are kept for long."""
    ref = kind.start(label="gone")
    settle(ref)
    actor = weakref.ref(ref._cell.actor)
    end(ref)
    assert ref.join(LONG)
    settle(Quiet.start())  # the scheduler's thread goes on to another actor
    deadline = time.monotonic() + LONG
    while actor() is not None:  # a thread of its own is about to end
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    assert str(ref) == f"{kind.__name__} <{ref.id}>"
    ref.cast("late")
    with pytest.raises(ActorExitError):
        ref.call("late")


def test_a_pykka_ref_knows_as_much_of_a_dead_actor() -> None:
    """Its URN and that it has stopped; a late ask is refused."""

    class Greeter(Actor):
        def greet(self) -> str:
            return "Hello"

    ref = Greeter.start()
    urn, actor = ref.actor_urn, weakref.ref(ref._cell.actor)
    ref.stop()
    assert ref._cell.join(LONG)
    settle(Quiet.start())
    gc.collect()
    assert actor() is None
    assert ref.actor_urn == urn
    assert not ref.is_alive()
    assert ref.actor_stopped.is_set()
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("late")
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


def test_a_ref_is_described_and_not_pickled() -> None:
    """Its text names class, name and number; it cannot leave the process."""
    import pickle

    ref = Quiet.start(name="described")
    assert str(ref) == f"Quiet 'described' <{ref.id}>"
    assert repr(ref) == f"<Ref of Quiet 'described' <{ref.id}>>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ref)
