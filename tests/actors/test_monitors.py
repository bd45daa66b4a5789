"""Monitors: one `Down` for each, whatever happens."""

from __future__ import annotations

import gc
import threading

import pytest

from slither_actors.actors import KILLED, NOPROC, NORMAL, Crash, Down, Ref
from tests.actors.probes import LONG, Gate, Log, Quiet, crash, in_thread, settle


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def watcher(log: Log) -> Ref:
    return Quiet.start(log)


def monitor(watcher: Ref, target: Ref) -> object:
    return watcher.call(lambda probe: probe.monitor(target), LONG)


@pytest.mark.parametrize("end", ["stop", "kill", "crash", "exit"])
def test_down_has_the_reason(end: str, watcher: Ref, log: Log) -> None:
    """However the target ends, its watcher gets the monitor, the ref and the reason."""
    target = Quiet.start()
    handle = monitor(watcher, target)
    if end == "stop":
        target.stop()
    elif end == "kill":
        target.kill()
    elif end == "crash":
        target.cast(crash)
    else:
        target.exit(("shutdown", 1))
    down = log.get()
    assert isinstance(down, Down)
    assert down.monitor is handle
    assert down.ref is target
    if end == "crash":
        assert isinstance(down.reason, Crash)
    else:
        assert down.reason == {"stop": NORMAL, "kill": KILLED, "exit": ("shutdown", 1)}[end]


def test_a_monitor_on_a_dead_actor_is_noproc(watcher: Ref, log: Log) -> None:
    """It comes at once."""
    target = Quiet.start()
    target.stop()
    monitor(watcher, target)
    assert log.get().reason == NOPROC


def test_each_monitor_gets_its_own_down(watcher: Ref, log: Log) -> None:
    """Three monitors on one actor are three messages."""
    target = Quiet.start()
    handles = {monitor(watcher, target) for _ in range(3)}
    target.kill()
    assert {down.monitor for down in log.take(3)} == handles
    settle(watcher)
    assert log.rest() == []


def test_down_comes_after_what_was_sent_before(watcher: Ref, log: Log) -> None:
    """An actor's last messages are handled before the news of its end."""
    target = Quiet.start()
    for _ in range(50):
        target = Quiet.start()
        monitor(watcher, target)

        def send(probe: Quiet) -> None:
            for number in range(100):
                watcher.info(number)
            probe.stop()

        target.cast(send)
        entries = log.take(101)
        assert entries[:100] == list(range(100))
        assert isinstance(entries[100], Down)


def test_no_down_after_cancel(watcher: Ref, log: Log) -> None:
    """A monitor that was taken back says nothing any more."""
    target = Quiet.start()
    monitor(watcher, target).cancel()  # type: ignore[attr-defined]
    target.kill()
    assert target.join(LONG)
    settle(watcher)
    assert log.rest() == []


def test_cancel_takes_back_a_down_that_is_on_its_way(watcher: Ref, log: Log) -> None:
    """A `Down` that waits in the mailbox already is dropped."""
    target, gate = Quiet.start(), Gate()
    handle = monitor(watcher, target)

    def held(_: Quiet) -> None:
        gate()
        handle.cancel()  # type: ignore[attr-defined]

    watcher.cast(held)
    gate.wait()
    target.kill()
    assert target.join(LONG)
    gate.open()
    settle(watcher)
    assert log.rest() == []


def test_monitors_that_race_with_the_end_get_one_down_each(watcher: Ref, log: Log) -> None:
    """Monitor against death, thousands of times: exactly one `Down`, with the reason or noproc."""
    count = 3000
    targets = [Quiet.start() for _ in range(count)]
    killing = in_thread(lambda: [target.kill() for target in targets])
    handles = watcher.call(lambda probe: [probe.monitor(target) for target in targets], LONG)
    killing()
    downs = log.take(count)
    settle(watcher)
    assert log.rest() == []
    assert {down.monitor for down in downs} == set(handles)
    assert {down.reason for down in downs} <= {KILLED, NOPROC}


def test_a_dead_watchers_monitors_are_forgotten() -> None:
    """A server that lives long does not collect the monitors of clients that came and went."""
    target = Quiet.start()
    for _ in range(100):
        watcher = Quiet.start()
        monitor(watcher, target)
        watcher.stop()
    assert not target._cell.monitors
    target.stop()


def test_a_handled_down_leaves_nothing(watcher: Ref, log: Log) -> None:
    """A watcher that lives long does not collect what it has watched."""
    for _ in range(100):
        target = Quiet.start()
        monitor(watcher, target)
        target.kill()
        log.get()
    monitor(watcher, target := Quiet.start()).cancel()  # type: ignore[attr-defined]
    assert not watcher._cell.watching
    assert not target._cell.monitors


def test_watchers_of_one_actor_are_all_told() -> None:
    """A thousand watchers, from several threads."""
    target, arrived = Quiet.start(), threading.Semaphore(0)

    class Counting(Quiet):
        def handle_info(self, message: object) -> None:
            arrived.release()

    def watch() -> None:
        for _ in range(250):
            monitor(Counting.start(), target)

    for join in [in_thread(watch) for _ in range(4)]:
        join()
    gc.collect()
    target.kill()
    for _ in range(1000):
        assert arrived.acquire(timeout=LONG)
