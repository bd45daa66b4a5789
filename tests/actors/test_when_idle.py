"""Messages that wait until nothing else is to be done."""

from __future__ import annotations

import os
import random
import sys
import threading
from typing import Any

import pytest

from slither_actors.actors import Server, _runtime
from slither_actors.actors._scheduler import Scheduler
from tests.actors.probes import LONG, Gate, Log, Quiet, in_thread


def when_idle(probe: Server, entry: Any) -> None:
    """Have the probe note `entry` when its scheduler has nothing else to do."""
    probe._cell.scheduler.when_idle(probe._cell, (_note, entry))


def _note(probe: Any, entry: Any) -> None:
    probe.log.add(entry)


@pytest.fixture(params=["scheduler", "wide_scheduler"])
def any_scheduler(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_it_comes_behind_what_was_sent_later(scheduler: Scheduler) -> None:
    """What is queued in the whole scheduler goes first, and what that leads to."""
    log = Log()
    asker, other = Quiet.start(log), Quiet.start(log)

    def ask(probe: Quiet) -> None:
        when_idle(probe, "idle")
        other.cast(lambda _: probe.ref.info("answer"))

    asker.cast(ask)
    assert log.take(2) == ["answer", "idle"]


@pytest.mark.usefixtures("any_scheduler")
def test_who_is_busy_does_not_put_it_off_for_ever() -> None:
    """It comes while two actors send to each other without an end."""
    log, going = Log(), threading.Event()
    going.set()
    one, two = Quiet.start(log), Quiet.start(log)

    def hop(probe: Quiet) -> None:
        if going.is_set():
            (two if probe.ref == one else one).cast(hop)

    one.cast(hop)
    Quiet.start(log).cast(lambda probe: when_idle(probe, "idle"))
    assert log.get() == "idle"
    going.clear()


def test_descriptors_that_are_always_ready_do_not_put_it_off_for_ever(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes although each look at the descriptors finds something, as beside pools that are busy."""
    log = Log()
    read, write = os.pipe()
    reader = Quiet.start(log)
    reader.call(lambda probe: probe.watch(read, print))  # type: ignore[misc]
    monkeypatch.setattr(scheduler, "poll_now", lambda: True)
    Quiet.start(log).cast(lambda probe: when_idle(probe, "idle"))
    assert log.get() == "idle"
    monkeypatch.undo()
    reader.call(lambda probe: probe.unwatch(read))  # type: ignore[misc]
    os.close(read)
    os.close(write)


@pytest.mark.usefixtures("any_scheduler")
@pytest.mark.parametrize("wait", ["of the framework", "of its own"])
def test_a_handler_that_blocks_does_not_put_it_off(wait: str) -> None:
    """Another thread sees to it."""
    log, gate = Log(), Gate()
    asked = Quiet.start(log)

    def ask(probe: Quiet) -> None:
        when_idle(asked._cell.actor, "idle")  # type: ignore[attr-defined]
        if wait == "of the framework":
            _runtime.blocking()
        gate()

    Quiet.start(log).cast(ask)
    assert log.get() == "idle"
    gate.open()


@pytest.mark.usefixtures("any_scheduler")
def test_it_comes_to_who_was_asked_in_the_callers_thread() -> None:
    """A call may run in the thread that makes it, where no thread of the scheduler is at work."""
    log = Log()
    probe = Quiet.start(log)
    for number in range(50):
        probe.call(lambda probe, n=number: when_idle(probe, n))  # type: ignore[misc]
        assert log.get() == number


def test_a_dead_actor_gets_nothing(scheduler: Scheduler) -> None:
    """The message is rejected as any other, and the scheduler goes on."""
    probe = Quiet.start()
    cell = probe._cell  # type: ignore[attr-defined]
    probe.stop()
    scheduler.when_idle(cell, (_note, "late"))
    assert Quiet.start().call("answered", LONG) == "answered"
    assert not scheduler.at_rest


def test_one_that_comes_as_the_last_thread_goes_to_rest_is_not_lost(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has looked already, and who wishes still sees it at work."""
    log = Log()
    probe = Quiet.start(log)
    rest, wishes = scheduler.rest, [lambda: when_idle(probe._cell.actor, "idle")]  # type: ignore[attr-defined]

    def late(runner: Any) -> bool:
        while wishes:
            wishes.pop()()
        return rest(runner)

    monkeypatch.setattr(scheduler, "rest", late)
    probe.info("news")
    assert log.take(2) == ["news", "idle"]


@pytest.mark.usefixtures("any_scheduler")
def test_none_is_lost() -> None:
    """Wishes of many threads, at the same time as the scheduler goes to rest, are all fulfilled."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        log = Log()
        probes = [Quiet.start(log) for _ in range(4)]

        def wish(seed: int) -> None:
            dice = random.Random(seed)
            for _ in range(300):
                if dice.random() < 0.5:
                    dice.choice(probes).call(lambda probe: when_idle(probe, seed))
                else:
                    when_idle(dice.choice(probes)._cell.actor, seed)  # type: ignore[attr-defined]

        for join in [in_thread(lambda n=n: wish(n)) for n in range(4)]:  # type: ignore[misc]
            join()
        assert sorted(log.take(1200)) == sorted(seed for seed in range(4) for _ in range(300))
    finally:
        sys.setswitchinterval(before)
