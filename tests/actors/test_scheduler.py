"""Who runs an actor, when, and in which thread."""

from __future__ import annotations

import gc
import logging
import os
import random
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.actors import NO_REPLY, Ref, Server, _cell, _life, _runtime, _stall_watch
from slither_actors.actors._scheduler import Scheduler
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, in_thread, settle


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads interrupt each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# -- order and exclusion ------------------------------------------------------


class Counting(Server):
    """Counts in a way that loses updates if two threads run it at one time."""

    def init(self) -> None:
        self.count = 0
        self.last: dict[int, int] = {}
        self.out_of_order = 0

    def handle_cast(self, message: tuple[int, int]) -> None:
        sender, number = message
        count = self.count
        if self.last.get(sender, -1) != number - 1:
            self.out_of_order += 1
        self.last[sender] = number
        self.count = count + 1

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.count, self.out_of_order


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fixture", ["scheduler", "wide_scheduler"])
def test_one_message_at_a_time_in_the_order_of_each_sender(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    """Many threads send to one actor: nothing runs twice at once, and each sender's order is kept."""
    request.getfixturevalue(fixture)
    ref = Counting.start()

    def send(sender: int) -> None:
        for number in range(2000):
            ref.cast((sender, number))

    for join in [in_thread(lambda n=n: send(n)) for n in range(8)]:  # type: ignore[misc]
        join()
    assert ref.call(None, LONG) == (16_000, 0)


class Hopper(Server):
    """Passes tokens on to others at random until they have hopped enough."""

    def init(self, seed: int, done: threading.Semaphore) -> None:
        self.random = random.Random(seed)
        self.done = done
        self.others: list[Ref] = []
        self.hops = 0

    def handle_cast(self, others: list[Ref]) -> None:
        self.others = others

    def handle_info(self, left: int) -> None:
        self.hops += 1
        if not left:
            self.done.release()
        else:
            self.others[self.random.randrange(len(self.others))].info(left - 1)


def hop(messages: int, *, seed: int, actors: int, tokens: int) -> None:
    done = threading.Semaphore(0)
    dice = random.Random(seed)
    hoppers = [Hopper.start(seed + n, done) for n in range(actors)]
    for each in hoppers:
        each.cast(dice.sample(hoppers, k=dice.randint(1, actors)))
    hops = messages // tokens
    for _ in range(tokens):
        dice.choice(hoppers).info(hops)
    for arrived in range(tokens):
        assert done.acquire(timeout=LONG + messages / 20_000), f"lost after {arrived} tokens"
    assert sum(each._cell.actor.hops for each in hoppers) == tokens * (hops + 1)  # type: ignore[attr-defined]
    for each in hoppers:
        each.kill()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("actors", "tokens"), [(2, 1), (3, 2), (20, 5), (50, 200)])
@pytest.mark.parametrize("fixture", ["scheduler", "wide_scheduler"])
def test_no_wake_up_is_lost(fixture: str, actors: int, tokens: int, request: pytest.FixtureRequest) -> None:
    """Tokens that hop over random graphs all arrive, after exactly as many messages as they had hops."""
    request.getfixturevalue(fixture)
    hop(30_000, seed=actors, actors=actors, tokens=tokens)


@pytest.mark.usefixtures("impatient")
def test_no_wake_up_is_lost_between_threads() -> None:
    """Calls from plain threads, each of which finds an idle server and an idle scheduler, all return."""
    refs = [Quiet.start() for _ in range(4)]

    def ask(seed: int) -> None:
        dice = random.Random(seed)
        for number in range(500):
            assert dice.choice(refs).call(number, LONG) == number

    for join in [in_thread(lambda n=n: ask(n)) for n in range(4)]:  # type: ignore[misc]
        join()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("seed", range(10))
def test_no_wake_up_is_lost_in_ten_million_messages(seed: int) -> None:
    """The same, a million messages on each of ten graphs."""
    dice = random.Random(seed)
    hop(1_000_000, seed=seed, actors=dice.randint(2, 200), tokens=dice.randint(1, 300))


# -- fairness -------------------------------------------------------------------


def test_a_full_mailbox_costs_the_others_one_slice(scheduler: Scheduler) -> None:
    """An actor with a thousand messages gives way after a slice of 64."""
    busy, other, seen = Quiet.start(), Quiet.start(), Log()

    def send(_: Any) -> None:
        busy._cell.actor.count = 0  # type: ignore[attr-defined]
        for _n in range(1000):
            busy.cast(lambda probe: setattr(probe, "count", probe.count + 1))
        other.cast(lambda _: seen.add(busy._cell.actor.count))  # type: ignore[attr-defined]

    Quiet.start().cast(send)
    assert seen.get() <= _cell._SLICE


@pytest.mark.parametrize("chain_first", [True, False])
def test_a_chain_of_local_sends_starves_nobody(chain_first: bool, scheduler: Scheduler) -> None:
    """Two actors that answer each other for ever let a third one run after a few hops."""
    one, two, other, seen = Quiet.start(), Quiet.start(), Quiet.start(), Log()
    hops = [0]

    def ping(probe: Probe) -> None:
        hops[0] += 1
        (two if probe.ref is one else one).cast(ping)

    def begin(_: Any) -> None:
        if chain_first:
            one.cast(ping)
        other.cast(lambda _: seen.add(hops[0]))
        if not chain_first:
            one.cast(ping)

    Quiet.start().cast(begin)
    assert seen.get() <= 3


# -- handlers that block ----------------------------------------------------------


class Sleeper(Quiet):
    def handle_info(self, message: threading.Semaphore) -> None:
        time.sleep(0.1)
        message.release()


def sleep_two_hundred_times() -> tuple[float, float]:
    """Return the seconds for all of them and for the slowest answer of another actor meanwhile."""
    sleepers = [Sleeper.start() for _ in range(200)]
    other = Quiet.start()
    done = threading.Semaphore(0)
    late = 0.0
    started = time.monotonic()
    for each in sleepers:
        each.info(done)
    slept = 0
    while slept < 200:
        before = time.monotonic()
        other.call(None, LONG)
        late = max(late, time.monotonic() - before)
        while slept < 200 and done.acquire(timeout=0.001):
            slept += 1
    return time.monotonic() - started, late


def test_two_hundred_sleepers_are_done_within_half_a_second() -> None:
    """Handlers that sleep 0.1 s each overlap, and meanwhile another actor answers within 50 ms."""
    # A machine that is busy with something else may need a second attempt; a scheduler that waits
    # for the sleepers, or goes around them one by one, fails every one.
    attempts = []
    for _ in range(4):
        attempts.append(sleep_two_hundred_times())
        took, late = attempts[-1]
        if took < 0.5 and late < 0.05:
            return
    pytest.fail(f"seconds until all were done, slowest answer: {attempts}")


def test_a_wait_of_the_framework_hands_over_at_once(scheduler: Scheduler) -> None:
    """An actor that calls another does not need the monitor to let that one run."""
    server, client = Quiet.start(), Quiet.start()
    settle(client)
    before = scheduler.statistics()
    assert client.call(lambda _: server.call("asked")) == "asked"
    after = scheduler.statistics()
    assert after.hand_overs == before.hand_overs + 1


def test_a_handler_that_blocks_is_seen_and_counted(scheduler: Scheduler) -> None:
    """The monitor goes around a handler that waits outside the framework, and says for how long."""
    gate, stuck, other = Gate(), Quiet.start(), Quiet.start()
    stuck.cast(gate)
    gate.wait()
    assert other.call("answered", LONG) == "answered"
    during = scheduler.statistics()
    assert during.stalls >= 1
    assert during.blocked == 1
    gate.open()
    settle(stuck)
    settle(other)
    after = scheduler.statistics()
    assert after.blocked == 0
    assert after.longest_stall > 0


def test_the_thread_limit_is_reported_once(
    small_scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """With all threads blocked the log says so, and what waited runs as soon as one is free."""
    gates = [Gate(), Gate()]
    refs = [Quiet.start() for _ in range(3)]
    for gate, ref in zip(gates, refs, strict=False):
        ref.cast(gate)
        gate.wait()
    answer = in_thread(lambda: refs[2].call("late", LONG))
    deadline = time.monotonic() + LONG
    while not caplog.records and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert small_scheduler.statistics().run_queue == 1
    gates[0].open()
    assert answer() == "late"
    gates[1].open()
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "all 2 threads" in record.getMessage()


def test_the_thread_limit_is_reported_for_handlers_that_had_handed_over(
    small_scheduler: Scheduler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers that make a call and block after it look like those that wait; the log says so still."""
    monkeypatch.setattr(_stall_watch, "_OVERDUE", 0.05)
    server, gates, senders = Quiet.start(), [Gate(), Gate()], []

    def meet(probe: Probe) -> Any:
        senders.append(probe.sender)
        if len(senders) == len(gates):
            for sender in senders:
                sender.reply(None)
        return NO_REPLY

    for gate in gates:
        Quiet.start().cast(lambda _, gate=gate: (server.call(meet, LONG), gate()))
    for gate in gates:
        gate.wait()
    late = Quiet.start()
    answer = in_thread(lambda: late.call("late", LONG))
    deadline = time.monotonic() + LONG
    while not caplog.records and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    gates[0].open()
    assert answer() == "late"
    gates[1].open()
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "all 2 threads" in record.getMessage()


def test_the_thread_limit_is_not_reported_for_handlers_that_come_back(
    small_scheduler: Scheduler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More callers than threads that wait for a server, again and again, are no reason to complain."""
    monkeypatch.setattr(_stall_watch, "_OVERDUE", 0.3)
    server, log = Quiet.start(), Log()

    def ask_often(_: Any) -> None:
        for number in range(50):
            server.call(number, LONG)
        log.add("done")

    for _ in range(12):
        Quiet.start().cast(ask_often)
    assert log.take(12) == ["done"] * 12
    assert not caplog.records


def test_a_log_handler_may_send_messages(small_scheduler: Scheduler) -> None:
    """The scheduler's own complaints are logged while it holds no lock."""
    listener = Probe.start(log := Log())

    class Sending(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            in_thread(lambda: listener.info(record.levelname))()

    handler = Sending()
    logging.getLogger("slither_actors.actors").addHandler(handler)
    try:
        gates = [Gate(), Gate()]
        for gate in gates:
            Quiet.start().cast(gate)
            gate.wait()
        Quiet.start().cast(None)
        threading.Event().wait(0.1)
        for gate in gates:
            gate.open()
        assert log.get() == "CRITICAL"
    finally:
        logging.getLogger("slither_actors.actors").removeHandler(handler)


# -- threads ------------------------------------------------------------------------


class Own(Quiet):
    own_thread = True


def thread_name(_: Any = None) -> str:
    return threading.current_thread().name


def test_an_actor_may_have_a_thread_of_its_own() -> None:
    """All callbacks of such a class run in one thread that runs nothing else."""
    ref = Own.start(at_start=lambda probe: setattr(probe, "started_in", thread_name()))
    name = ref.call(thread_name)
    assert name.startswith("slither-Own-")
    assert ref.call(lambda probe: probe.started_in) == name
    assert Quiet.start().call(thread_name) != name


def threads_of_their_own() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("slither-Own-")]


@pytest.mark.parametrize("end", ["stop", "kill", "crash"])
def test_a_thread_of_its_own_ends_with_the_actor(end: str) -> None:
    """However the actor ends, its thread does, too."""
    ref = Own.start()
    settle(ref)
    (thread,) = threads_of_their_own()
    if end == "stop":
        ref.stop()
    elif end == "kill":
        ref.kill()
    else:
        ref.cast(lambda _: 1 / 0)
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_failed_start_leaves_no_thread() -> None:
    """The thread of an actor whose `init` raised ends."""
    with pytest.raises(Exception, match="did not start"):
        Own.start(at_start=lambda _: 1 / 0)
    for thread in threads_of_their_own():
        thread.join(LONG)
        assert not thread.is_alive()


def test_a_message_to_an_ended_thread_is_rejected() -> None:
    """A call that arrives after the end of the actor's own thread does not wait for ever."""
    ref = Own.start()
    ref.stop()
    for thread in threads_of_their_own():
        thread.join(LONG)
    request = _request_after_the_end(ref)
    assert request.wait(LONG)


def test_a_sender_that_is_late_finds_who_rejects_its_message() -> None:
    """It had looked up the scheduler just before the actor's own one ended."""
    ref = Own.start()
    late = ref._cell.scheduler
    ref.stop()
    for thread in threads_of_their_own():
        thread.join(LONG)
    ref._cell.scheduler = late
    assert _request_after_the_end(ref).wait(LONG)


def _request_after_the_end(ref: Ref) -> Any:
    from slither_actors.actors._handlers import _on_call
    from slither_actors.actors._request import Request

    request = Request(None, ref._cell)
    request.expect()
    ref._cell.put((_on_call, request))
    return request


def test_an_own_thread_closes_its_descriptors() -> None:
    """The poller of a scheduler of its own is closed with it."""
    before = set(Path("/proc/self/fd").iterdir())
    read, write = os.pipe()
    ref = Own.start()
    ref.call(lambda probe: probe.watch(read, lambda *_: None))
    (thread,) = threads_of_their_own()
    ref.stop()
    thread.join(LONG)
    os.close(read)
    os.close(write)
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_blocking_in_its_own_thread_is_no_stall(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """An actor with its own thread may block for as long as it likes: nobody looks."""
    gate, ref = Gate(), Own.start()
    read, write = os.pipe()
    ref.call(lambda probe: probe.watch(read, lambda *_: None))
    ref.cast(gate)
    gate.wait()
    ref.cast(None)
    assert ref._cell.scheduler.statistics().stalls == 0
    gate.open()
    settle(ref)
    ref.stop()
    os.close(read)
    os.close(write)
    assert not caplog.records


def test_close_ends_every_thread(scheduler: Scheduler) -> None:
    """A scheduler that is closed leaves no thread behind, however many it had started."""
    gates = [Gate() for _ in range(5)]
    refs = [Quiet.start() for _ in gates]
    for gate, ref in zip(gates, refs, strict=True):
        ref.cast(gate)
        gate.wait()
    assert scheduler.statistics().threads >= 5
    for gate, ref in zip(gates, refs, strict=True):
        gate.open()
        ref.stop()
    assert scheduler.close(LONG)
    assert scheduler.statistics().threads == 0


@pytest.mark.parametrize("begun", [False, True], ids=["before it begins", "once it has begun"])
def test_a_signal_may_break_off_the_start_of_a_thread(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    """Ctrl-C can arrive while the main thread starts one: the next message starts another."""
    start = threading.Thread.start
    interrupted = []

    def interrupt(thread: threading.Thread) -> None:
        if thread.name.startswith("slither-scheduler-of-test") and not interrupted:
            interrupted.append(thread)
            if begun:
                start(thread)
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scheduler.add_thread()
    assert (scheduler.statistics().threads, scheduler.statistics().attached) == (0, 0)
    ref = Quiet.start()
    ref.call("there?", LONG)
    ref.stop()
    if begun:
        interrupted[0].join(LONG)
        assert not interrupted[0].is_alive()
    assert scheduler.close(LONG)


def test_a_finalizer_may_send_at_any_place(scheduler: Scheduler) -> None:
    """The collector can run a `__del__` inside the runtime's own locks; sending there does not deadlock."""
    ref = Quiet.start(log := Log())

    def send() -> None:
        with scheduler.lock, _life.lock, _runtime.timers._condition:
            ref.cast("from a finalizer")

    in_thread(send)()
    assert log.get() == "from a finalizer"


def test_a_slice_that_raises_loses_one_actor_only(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """What must not happen is contained all the same: the thread goes on with the next actor."""

    class Broken:
        killed = False

        def run(self) -> None:
            raise MemoryError

        def kill(self) -> None:
            self.killed = True

    broken = Broken()
    scheduler.ready(broken)  # type: ignore[arg-type]
    assert Quiet.start().call("alive", LONG) == "alive"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert broken.killed


def test_an_idle_system_burns_no_processor_time() -> None:
    """With a thousand idle actors, a watched descriptor and a timer, a second costs next to nothing."""
    refs = [Quiet.start() for _ in range(1000)]
    read, write = os.pipe()
    refs[0].call(lambda probe: probe.watch(read, lambda *_: None))
    refs[1].call(lambda probe: probe.send_after(60, None))
    for ref in refs:
        settle(ref)
    gc.collect()
    threading.Event().wait(0.5)  # the monitor goes to sleep
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    before = time.process_time()
    threading.Event().wait(1.0)
    burnt = time.process_time() - before
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - switches
    refs[0].call(lambda probe: probe.unwatch(read))
    os.close(read)
    os.close(write)
    assert burnt < 0.01
    assert switches < 20


def test_statistics_say_what_there_is(scheduler: Scheduler) -> None:
    """Slices count up, and a thread that is done parks."""
    ref = Quiet.start()
    settle(ref)
    before = scheduler.statistics().slices
    settle(ref)
    deadline = time.monotonic() + LONG
    while (found := scheduler.statistics()).attached and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert found.slices > before
    assert found.threads == found.parked >= 1
    assert found.run_queue == 0
    assert found.thread_limit == 512
