"""More messages, timers and memory than anybody needs."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slither_actors.actors import (
    Crash,
    Server,
    Supervisor,
    TaskSupervisor,
    TaskSupervisorRef,
    _runtime,
)
from slither_actors.actors._class_options import Overflow
from slither_actors.errors import ActorExitError, MailboxFullError, StartError
from tests.actors.probes import LONG, Log, Probe, Quiet, in_thread, settle
from tests.reliability import seeded

MEGABYTE = 1_000_000


def rss() -> int:
    """Return the bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# -- mailboxes ---------------------------------------------------------------------------


class Slow(Quiet):
    """Takes its time for each message."""

    mailbox_size = 100

    def handle_cast(self, message: Any) -> None:
        time.sleep(0.001)
        self.handled = getattr(self, "handled", 0) + 1


@pytest.mark.parametrize("overflow", ["raise", "drop_new", "drop_old", "block"])
@pytest.mark.parametrize("end", ["terminate_child", "exit", "kill"])
def test_a_full_mailbox_is_bounded_and_an_end_overtakes_it(overflow: Overflow, end: str) -> None:
    """With producers that send far faster than it reads, each message a kilobyte and more."""
    kind = type("Slow", (Slow,), {"mailbox_overflow": overflow})
    supervisor: Any = Supervisor.start([kind.child_spec(id="slow", restart="temporary")])  # type: ignore[attr-defined]
    ref, over = supervisor.child("slow"), threading.Event()
    before = rss()

    def produce() -> tuple[int, int]:
        sent = refused = 0
        while not over.is_set():
            try:
                ref.cast(bytearray(20_000))
                sent += 1
            except MailboxFullError:
                refused += 1
        return sent, refused

    producing = [in_thread(produce) for _ in range(2)]
    deadline = time.monotonic() + LONG
    while ref.statistics().mailbox < 100 and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    threading.Event().wait(0.1)
    held = rss() - before
    begun = time.monotonic()
    supervisor.terminate_child("slow") if end == "terminate_child" else getattr(ref, end)()
    assert ref.join(LONG)
    took = time.monotonic() - begun
    over.set()
    (sent, refused), (more, again) = (join() for join in producing)
    assert took < 0.2
    assert held < 50 * MEGABYTE
    assert (refused + again > 0) == (overflow == "raise")
    assert (ref.statistics().dropped > 0) == (overflow in ("drop_new", "drop_old"))
    assert sent + more >= 100
    supervisor.stop()


# -- timers -------------------------------------------------------------------------------


class Owner(Server):
    """Notes which timers fired, and for whom."""

    def init(self, log: list[Any]) -> None:
        self.log = log

    def handle_call(self, request: Any, sender: Any) -> Any:
        return request(self)

    def handle_info(self, message: Any) -> None:
        self.log.append((self.ref, message, time.monotonic()))


def test_a_hundred_thousand_timers_of_which_half_are_cancelled_and_owners_die() -> None:
    """Each that is left fires once, for the incarnation that set it, and not before its time."""
    chance, log = seeded(), list[Any]()
    supervisor: Any = Supervisor.start(
        [Owner.child_spec(log, id=number) for number in range(100)], max_restarts=1000
    )
    owners = [info.ref for info in supervisor.which_children()]
    expected: dict[Any, set[tuple[int, float]]] = {}

    def set_many(owner: Any) -> set[tuple[int, float]]:
        kept = set()
        for number in range(1000):
            due = time.monotonic() + 1.0 + chance.random()
            timer = owner.send_after(due - time.monotonic(), (number, due))
            if number % 2:
                timer.cancel()
            else:
                kept.add((number, due))
        return kept

    for owner in owners:
        expected[owner] = owner.call(set_many, LONG)
    doomed = owners[::2]
    for owner in doomed:
        owner.kill()
    dead = time.monotonic()
    for owner in doomed:
        assert owner.join(LONG)
    died = time.monotonic()
    left = sum(len(expected[owner]) for owner in owners[1::2])
    while sum(ref not in doomed for ref, _, _ in list(log)) < left and time.monotonic() < dead + LONG:
        threading.Event().wait(0.01)
    threading.Event().wait(0.05)
    fired: dict[Any, list[tuple[int, float]]] = {}
    for ref, message, at in log:
        assert at >= message[1]
        assert ref not in doomed or at <= died
        fired.setdefault(ref, []).append(message)
    for owner in owners[1::2]:
        assert sorted(fired.pop(owner)) == sorted(expected[owner])
    assert set(fired) <= set(doomed), "none fires for a successor"
    for ref, messages in fired.items():
        assert set(messages) <= expected[ref]
    supervisor.stop()
    settle(Quiet.start())
    assert len(_runtime.timers._heap) < 50_000 + 1024


# -- what a crash keeps ---------------------------------------------------------------------


class Big:
    """Megabytes, whose end can be seen."""

    size: ClassVar[int] = MEGABYTE

    def __init__(self, gone: Log) -> None:
        # Touched, or it would not be in memory.
        self.bytes = bytearray(b"x") * self.size
        weakref.finalize(self, gone.add, "gone")


class Heavy(Quiet):
    def init(self, gone: Log, where: str) -> None:  # type: ignore[override]
        super().init()
        self.gone, self.where = gone, where
        self.crash_in("init")

    def crash_in(self, where: str) -> None:
        if self.where == where:
            big = Big(self.gone)
            try:
                raise LookupError(len(big.bytes))
            except LookupError as cause:
                raise ValueError(where) from cause

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.crash_in("call")

    def handle_cast(self, message: Any) -> None:
        self.crash_in("cast")

    def handle_continue(self, value: Any) -> None:
        self.crash_in("continue")

    def terminate(self, reason: Any) -> None:
        self.crash_in("terminate")


class HeavyInline(Heavy):
    inline_calls = True


class HeavyOwn(Heavy):
    own_thread = True


def fail_in_task(gone: Log) -> None:
    big = Big(gone)
    raise ValueError(len(big.bytes))


def provoke(kind: type[Heavy], gone: Log, where: str) -> Any:
    """Have a server crash with megabytes in its hands; return the reason that is left."""
    try:
        ref = kind.start(gone, where)
    except StartError as error:
        return error.reason
    watcher = Probe.start(log := Log())
    watcher.call(lambda probe: [probe.monitor(ref), None][-1])
    if where == "call":
        try:
            ref.call("crash", LONG)
        except ActorExitError as error:
            return error.reason
    elif where == "cast":
        ref.cast("crash")
    elif where == "continue":
        ref.send(lambda server, _: server.continue_with())
    else:
        ref.stop(block=False)
    return log.get().reason


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is in a cycle stays: nothing that big may wait for the collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("where", ["init", "call", "cast", "continue", "terminate"])
@pytest.mark.parametrize("kind", [Heavy, HeavyInline, HeavyOwn])
def test_a_crash_frees_what_its_frames_held(where: str, kind: type[Heavy], no_collector: None) -> None:
    """At once, without the collector, though everybody remembers the reason."""
    gone, reasons = Log(), []
    for _ in range(2):
        reasons.append(provoke(kind, gone, where))
        assert gone.get() == "gone"
    assert all(isinstance(reason, Crash) for reason in reasons)


def test_ten_crashes_with_a_hundred_megabytes_cost_nothing(
    no_collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory is what it was; so it is after a task's crash and one under a supervisor."""
    monkeypatch.setattr(Big, "size", 100 * MEGABYTE)
    tasks = TaskSupervisor.start()
    assert isinstance(tasks, TaskSupervisorRef)
    gone = Log()
    outcomes: list[Any] = [provoke(Heavy, gone, "cast"), gone.get()]
    before = rss()
    for _ in range(10):
        outcomes.append(provoke(Heavy, gone, "call"))
        assert gone.get() == "gone"
        outcomes.append(tasks.async_nolink(fail_in_task, gone).yield_(LONG))
        assert gone.get() == "gone"
    assert rss() - before < 50 * MEGABYTE
    tasks.stop()


WAYS: dict[str, Callable[[Any], Any]] = {
    "call": lambda ref: ref.call("crash", LONG),
    "a failed start": lambda _: Heavy.start(Log(), "init"),
    "a failed tree": lambda _: Supervisor.start([Supervisor.child_spec([Heavy.child_spec(Log(), "init")])]),
    "a failed child": lambda _: Supervisor.start([]).start_child(Heavy.child_spec(Log(), "init")),  # type: ignore[attr-defined]
    "a refused request": lambda _: Supervisor.start([]).delete_child("nobody"),  # type: ignore[attr-defined]
    "a timeout": lambda _: Quiet.start().call(lambda _: time.sleep(0.01), 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_error_that_was_caught_keeps_nothing_of_who_caught_it(way: str, no_collector: None) -> None:
    """Nor of the frames between: the error and its frames are in no cycle."""
    gone, ref = Log(), Heavy.start(Log(), "call")

    def use() -> None:
        big = Big(gone)
        try:
            WAYS[way](ref)
        except Exception:  # noqa: BLE001 - any of them
            big.bytes[0] = 0

    use()
    assert gone.get() == "gone"
