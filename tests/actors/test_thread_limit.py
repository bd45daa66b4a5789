"""More actors that wait for one another than there are threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.actors import Actor, Ref, Server, TaskSupervisor
from slither_actors.actors._scheduler import Scheduler
from slither_actors.errors import ActorExitError, ThreadLimitError
from tests.actors.probes import LONG, Log, Probe

_MANY = 12
"""More than the two threads of `small_scheduler`, fewer than the 16 that relieve one another there."""

_TOO_MANY = 40


class Link(Server):
    """One of a chain: asks the next, and adds one to the answer."""

    def init(self, following: Ref | None) -> None:
        self.following = following

    def handle_call(self, request: Any, sender: Any) -> Any:
        return 0 if self.following is None else 1 + self.following.call(request, None)


class AskingLink(Actor):
    """The same through Pykka's interface."""

    def __init__(self, following: Any) -> None:
        super().__init__(following)
        self.following = following

    def on_receive(self, message: Any) -> Any:
        return 0 if self.following is None else 1 + self.following.ask(message)


class Narrow(Probe):
    """Makes senders wait for room."""

    mailbox_size = 1
    mailbox_overflow = "block"


def chain(length: int, kind: Callable[[Any], Any]) -> Any:
    first = None
    for _ in range(length):
        first = kind(first)
    return first


def settled(scheduler: Scheduler) -> Any:
    """The statistics of a scheduler that has nothing to do, once its threads are back."""
    deadline = time.monotonic() + LONG
    while True:
        found = scheduler.statistics()
        if found.parked == found.threads or time.monotonic() > deadline:
            return found
        time.sleep(0.001)


def assert_at_rest(scheduler: Scheduler) -> None:
    found = settled(scheduler)
    assert found.threads <= found.thread_limit == 2
    assert (found.run_queue, found.attached, found.blocked) == (0, 0, 0)
    assert found.parked == found.threads == len(scheduler.runners)


def test_a_chain_of_calls_may_be_longer_than_there_are_threads(small_scheduler: Scheduler) -> None:
    """While all threads wait for actors there are more; these leave again."""
    assert chain(_MANY, Link.start).call("how long?", LONG) == _MANY - 1
    assert small_scheduler.statistics().hand_overs == _MANY - 1
    assert_at_rest(small_scheduler)


def test_a_chain_of_asks_may_be_longer_than_there_are_threads(small_scheduler: Scheduler) -> None:
    """The wait of a Pykka ask is one for an actor, too."""
    assert chain(_MANY, AskingLink.start).ask("how long?", timeout=LONG) == _MANY - 1
    assert_at_rest(small_scheduler)


def test_who_is_waited_for_runs_before_those_who_would_only_wait(small_scheduler: Scheduler) -> None:
    """A thousand actors that call one server at the same time need no thousand threads."""
    server, log = Probe.start(), Log()
    callers = [Probe.start(log, str(number)) for number in range(1000)]
    for caller in callers:
        caller.cast(lambda probe: probe.log.add(server.call(probe.label, LONG)))
    assert sorted(log.take(1000)) == sorted(str(number) for number in range(1000))
    assert_at_rest(small_scheduler)


def test_senders_that_wait_for_room_let_the_receiver_run(small_scheduler: Scheduler) -> None:
    """A bounded mailbox that blocks its senders is emptied, even if there are more of them than threads."""
    log = Log()
    receiver = Narrow.start(log)
    for _ in range(_MANY):
        Probe.start().cast(lambda _: receiver.cast("sent"))
    assert log.take(_MANY) == ["sent"] * _MANY
    assert_at_rest(small_scheduler)


def test_tasks_may_await_tasks_deeper_than_there_are_threads(small_scheduler: Scheduler) -> None:
    """Awaiting a task is a wait for an actor."""
    supervisor = TaskSupervisor.start()

    def nest(depth: int) -> int:
        return 0 if not depth else 1 + supervisor.async_(nest, depth - 1).await_(LONG)

    assert supervisor.async_(nest, _MANY).await_(LONG) == _MANY
    supervisor.stop()
    assert_at_rest(small_scheduler)


def test_the_wait_after_which_nothing_would_move_is_refused(small_scheduler: Scheduler) -> None:
    """It raises an error that names the limit, which ends the chain from its far end; all go on then."""
    links = [Link.start(None)]
    for _ in range(_TOO_MANY):
        links.append(Link.start(links[-1]))
    with pytest.raises(ActorExitError):
        links[-1].call("how long?", LONG)
    dead = [link for link in links if not link.is_alive()]
    refused = dead[0].exit_reason.exception
    assert isinstance(refused, ThreadLimitError)
    assert (refused.threads, refused.limit) == (16, 2)
    assert "thread_limit" in str(refused)
    assert len(dead) == 16
    assert links[5].call("and now?", LONG) == 5
    assert_at_rest(small_scheduler)


def test_the_limit_can_be_raised_while_the_program_runs(small_scheduler: Scheduler) -> None:
    """As the error says: `scheduler.thread_limit` is read at each new thread."""
    small_scheduler.thread_limit = _TOO_MANY + 1
    assert chain(_TOO_MANY, Link.start).call("how long?", LONG) == _TOO_MANY - 1
    assert settled(small_scheduler).blocked == 0
