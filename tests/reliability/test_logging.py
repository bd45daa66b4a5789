"""Log handlers and telemetry receivers that raise, send, block or hold locks: the actors go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.actors import BRUTAL_KILL, DynamicSupervisor, DynamicSupervisorRef, Server, Supervisor
from slither_actors.actors._scheduler import Scheduler
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle

Run = Callable[..., Any]


class OddError(BaseException):
    """Nothing that a handler of exceptions expects."""


class Broken(logging.Handler):
    """Takes nothing."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error("the log is full")


@pytest.fixture(params=[RuntimeError, SystemExit, OddError])
def broken_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every record of the library's raises at whoever logs it."""
    handler, root = Broken(request.param), logging.getLogger("slither_actors")
    root.addHandler(handler)
    yield
    root.removeHandler(handler)


def test_a_crash_that_cannot_be_logged_is_a_crash(
    broken_log: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Callers and monitors are told of it all the same, and standard error has the report."""
    watcher = Probe.start(log := Log())
    for _ in range(50):
        ref = Quiet.start()
        watcher.call(lambda probe, ref=ref: [probe.monitor(ref), None][-1])
        ref.cast(crash)
        assert isinstance(log.get().reason.exception, ZeroDivisionError)
    assert capfd.readouterr().err.count("not logged: a log handler raised") == 50


def test_a_supervisor_that_cannot_log_does_its_work(broken_log: None) -> None:
    """It tries again after a failed start, abandons who does not end, and gives up in an orderly way."""
    attempts: list[int] = []

    def at_start(_: Any) -> None:
        attempts.append(1)
        if len(attempts) in (2, 3):
            crash()

    supervisor: Any = Supervisor.start([Quiet.child_spec(at_start=at_start)], max_restarts=10)
    stuck, gate = supervisor.start_child(Quiet.child_spec(id="stuck", shutdown=BRUTAL_KILL)), Gate()
    supervisor.child("Quiet").kill()
    stuck.cast(gate)
    gate.wait()
    supervisor.terminate_child("stuck")
    deadline = time.monotonic() + LONG
    while len(attempts) < 4 and time.monotonic() < deadline:
        supervisor.which_children()
    assert len(attempts) == 4
    gate.open()
    dynamic = DynamicSupervisor.start(max_restarts=0)
    assert isinstance(dynamic, DynamicSupervisorRef)
    dynamic.start_child(Quiet.child_spec()).cast(crash)
    assert dynamic.join(LONG)
    assert dynamic.exit_reason == "shutdown"
    supervisor.stop()


def test_the_runtimes_threads_survive_their_own_complaints(
    broken_log: None, small_scheduler: Scheduler
) -> None:
    """That of the monitor, which finds all threads blocked: handlers that block are seen afterwards, too."""
    for _ in range(3):
        gates = [Gate(), Gate()]
        small_scheduler.complained = False
        for gate in gates:
            Quiet.start().cast(gate)
            gate.wait()
        late = Quiet.start()
        answer = in_thread(lambda late=late: late.call("late", LONG))  # type: ignore[misc]
        threading.Event().wait(0.05)
        gates[0].open()
        assert answer() == "late"
        gates[1].open()


def test_a_receiver_that_raises_is_detached_though_that_cannot_be_logged(broken_log: None) -> None:
    """The actor whose event it was ends as it would have."""
    for error in (RuntimeError, SystemExit, OddError):

        def receive(*_: Any, error: type[BaseException] = error) -> None:
            raise error

        supervisor: Any = Supervisor.start([Quiet.child_spec()], max_restarts=10)
        with telemetry.attach("slither.*", receive) as handle:
            ref = supervisor.child("Quiet")
            ref.cast(crash)
            assert ref.join(LONG)
            assert not handle.attached
        assert isinstance(ref.exit_reason.exception, ZeroDivisionError)
        assert supervisor.count_children().active == 1
        supervisor.stop()


def test_a_formatter_that_raises_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with any program's log, the handler says so itself."""
    monkeypatch.setattr(logging, "raiseExceptions", False)

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise OddError if record.levelno == logging.ERROR else RuntimeError

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logger = logging.getLogger("slither_actors")
    logger.addHandler(handler)
    try:
        ref = Server.start()
        ref.info("not handled, which is a warning")
        settle(Quiet.start())
        ref.cast("not handled, which is a crash")
        assert ref.join(LONG)
    finally:
        logger.removeHandler(handler)


# -- locks ------------------------------------------------------------------------------


def test_a_handler_may_call_an_actor() -> None:
    """While the handler's lock is held, and while other actors wait for that lock to report crashes."""
    heard = Log()
    listener = Quiet.start()

    class Calling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.add(listener.call(record.levelname, LONG))
            listener.cast(lambda _: None)

    handler, logger = Calling(), logging.getLogger("slither_actors.actors")
    logger.addHandler(handler)
    try:
        refs = [Quiet.start() for _ in range(100)]
        for ref in refs:
            ref.cast(crash)
        assert heard.take(100) == ["ERROR"] * 100
        for ref in refs:
            assert ref.join(LONG)
    finally:
        logger.removeHandler(handler)


def test_a_lock_of_the_log_that_is_held_stops_only_who_logs() -> None:
    """The crashes wait for it; what needs no log goes on; then all crashes are reported."""
    handler, logger = logging.StreamHandler(), logging.getLogger("slither_actors.actors")
    handler.stream = open("/dev/null", "w")  # noqa: PTH123, SIM115 - closed below
    logger.addHandler(handler)
    others = [Quiet.start() for _ in range(20)]
    refs = [Quiet.start() for _ in range(20)]
    assert handler.lock is not None
    try:
        with handler.lock:
            for ref in refs:
                ref.cast(crash)
            for other in others:
                assert other.call("alive", LONG) == "alive"
            assert any(ref.is_alive() for ref in refs)
        for ref in refs:
            assert ref.join(LONG)
    finally:
        logger.removeHandler(handler)
        handler.stream.close()


def test_forks_while_actors_log(program: Run) -> None:
    """The child logs, uses actors in vain, and ends; the parent's actors go on."""
    done = program(
        """
import io, logging, os, signal, sys, threading
from slither_actors.actors import Server
from slither_actors.errors import ForkedRuntimeError

logging.basicConfig(stream=io.StringIO())

class Noisy(Server):
    def handle_cast(self, message):
        logging.getLogger("noisy").error("%s", message)
        1 / 0
    def handle_call(self, request, sender):
        return request

over = threading.Event()
def churn():
    while not over.is_set():
        ref = Noisy.start()
        ref.cast("crash")
        ref.join()

threads = [threading.Thread(target=churn) for _ in range(3)]
for thread in threads:
    thread.start()
probe = Noisy.start()
ends = []
for _ in range(20):
    pid = os.fork()
    if not pid:
        signal.alarm(10)
        logging.getLogger("child").error("says so")
        try:
            probe.call(1)
        except ForkedRuntimeError:
            sys.exit(5)
        os._exit(6)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
over.set()
for thread in threads:
    thread.join()
print(set(ends), probe.call("alive"))
""",
        arguments=("-W", "ignore::DeprecationWarning"),
        watchdog=False,
    )
    assert done.out == ["{5} alive"]
    assert done.err == ""
