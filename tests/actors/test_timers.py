"""Messages that arrive later."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from slither_actors.actors import Ref, _runtime, _timers
from slither_actors.actors._timers import TimerThread
from slither_actors.errors import OptionError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, settle


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def ref(log: Log) -> Ref:
    return Quiet.start(log)


def after(ref: Ref, seconds: float, message: Any, **more: Any) -> Any:
    return ref.call(lambda probe: probe.send_after(seconds, message, **more))


def heap_size() -> int:
    return len(_runtime.timers._heap)


def test_a_timer_is_a_message_not_before_its_time(ref: Ref, log: Log) -> None:
    """`send_after` is handled by `handle_info`, once."""
    before = time.monotonic()
    timer = after(ref, 0.02, "now")
    assert timer.active
    assert log.get() == "now"
    assert time.monotonic() - before >= 0.02
    assert not timer.active
    assert timer.cancel() is False


def test_timers_arrive_in_the_order_of_their_times(
    ref: Ref, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if they were set in another order; equal times in the order in which they were set."""

    class Stopped:
        monotonic = staticmethod(itertools.repeat(time.monotonic()).__next__)

    def set_all(probe: Probe) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(_timers, "time", Stopped)
            for number in (3, 1, 2, 3, 1, 2):
                probe.send_after(0.01 * number, number)

    ref.call(set_all)
    assert log.take(6) == [1, 1, 2, 2, 3, 3]


def test_a_cancelled_timer_does_not_arrive(ref: Ref, log: Log) -> None:
    """`cancel` says whether it was in time."""
    timer = after(ref, 0.2, "never")
    after(ref, 0.21, "later")
    assert timer.cancel() is True
    assert timer.cancel() is False
    assert log.get() == "later"


def test_cancel_takes_back_a_message_that_is_on_its_way(ref: Ref, log: Log) -> None:
    """A timer that has fired into the mailbox is dropped there."""
    gate = Gate()

    def held(probe: Probe) -> None:
        timer = probe.send_after(0, "never")
        gate()
        timer.cancel()

    ref.cast(held)
    gate.wait()
    while not ref._cell.inbox:
        threading.Event().wait(0.001)
    gate.open()
    settle(ref)
    assert log.rest() == []


def test_a_period_repeats_until_it_is_cancelled(ref: Ref, log: Log) -> None:
    """The timer arrives again and again."""
    timer = after(ref, 0, "tick", period=0.002)
    assert log.take(5) == ["tick"] * 5
    assert timer.cancel() is True
    settle(ref)
    log.rest()
    after(ref, 0.02, "end")
    assert log.get() == "end"


def test_a_busy_actor_gets_fewer_ticks_and_no_backlog(ref: Ref, log: Log) -> None:
    """Periods that passed while the actor was busy are one message."""
    gate = Gate()
    timer = after(ref, 0, "tick", period=0.0001)
    log.get()
    ref.cast(gate)
    gate.wait()
    threading.Event().wait(0.05)
    assert len(ref._cell.inbox) <= 1
    gate.open()
    timer.cancel()


def test_a_dead_owner_gets_nothing_and_leaves_nothing(ref: Ref) -> None:
    """The end of an actor cancels its timers."""
    timers = [after(ref, 3600, "never", period=period) for period in (None, 1)]
    ref.kill()
    assert ref.join(LONG)
    assert not any(timer.active for timer in timers)
    assert not ref._cell.timers


def test_cancelled_timers_do_not_pile_up(ref: Ref) -> None:
    """A timeout for each call that is nearly always cancelled costs no memory."""

    def churn(probe: Probe) -> None:
        for _ in range(20_000):
            probe.send_after(3600, "timeout").cancel()

    ref.call(churn, LONG)
    assert heap_size() < 5000
    assert not ref._cell.timers


def test_a_timer_runs_a_function(ref: Ref, log: Log) -> None:
    """`run_after` is for the library's own messages."""
    ref.call(lambda probe: probe.run_after(0, lambda each, argument: each.log.add(argument), "ran"))
    assert log.get() == "ran"


def test_a_message_that_cannot_be_sent_stops_no_other(
    ref: Ref, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """The timer thread survives whatever `put` raises."""

    class Unreachable:
        timers = None

        def put(self, _: Any) -> None:
            raise MemoryError("no thread")

    _runtime.timers.start(Unreachable(), 0, (print, None))  # type: ignore[arg-type]
    after(ref, 0.01, "alive")
    assert log.get() == "alive"
    assert "a timer's message could not be sent: no thread" in caplog.text


def test_a_closed_timer_thread_ends() -> None:
    """Its thread is gone, and timers that are set then never fire."""
    timers = TimerThread()
    ref = Quiet.start()
    timers.start(ref._cell, 3600, (print, None))
    timers.close(LONG)
    assert not timers._thread.is_alive()  # type: ignore[union-attr]
    timers.start(ref._cell, 0, (print, None))


def test_a_storm_of_timers_is_on_time(log: Log) -> None:
    """Twenty thousand timers, half of them cancelled, all others once and not much too late."""

    class Late(Quiet):
        def handle_info(self, due: float) -> None:
            self.log.add(time.monotonic() - due)

    refs = [Late.start(log) for _ in range(20)]

    def set_many(probe: Probe) -> None:
        now = time.monotonic()
        for number in range(1000):
            due = 0.1 + number % 100 / 1000
            probe.send_after(due, now + due)
            probe.send_after(due, now + due).cancel()

    for each in refs:
        each.call(set_many, LONG)
    lateness = sorted(log.take(20_000))
    assert lateness[0] >= 0
    assert lateness[len(lateness) // 2] < 0.5
    for each in refs:
        settle(each)
    assert log.rest() == []


@pytest.mark.parametrize(
    ("seconds", "period", "message"),
    [
        (float("inf"), None, "option 'seconds' is inf"),
        (float("nan"), None, "option 'seconds' is nan"),
        (1, 0, "option 'period' is 0; allowed is a finite number of seconds above 0"),
        (1, -1, "option 'period' is -1"),
        (1, float("nan"), "option 'period' is nan"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    seconds: float, period: float | None, message: str, ref: Ref
) -> None:
    """A timer that never arrives, or arrives without end, is a mistake of who sets it."""

    def refused(probe: Probe) -> None:
        with pytest.raises(OptionError, match=message):
            probe.send_after(seconds, "never", period=period)

    ref.call(refused)
    assert ref.statistics().timers == 0


def test_the_timer_thread_outlives_a_wait_for_the_next_century(log: Log) -> None:
    """Python refuses to wait so long at once; the timers of everybody would end with the thread."""
    script = """
import queue
from slither_actors.actors import Server

class Late(Server):
    def init(self, log):
        self.log = log
        self.send_after(1e10, "next century")
    def handle_cast(self, seconds):
        self.send_after(seconds, "soon")
    def handle_info(self, message):
        self.log.put(message)

log = queue.SimpleQueue()
late = Late.start(log)
for _ in range(20):
    late.cast(0.01)
    assert log.get(timeout=10) == "soon"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
