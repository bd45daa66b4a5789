"""A message that runs at once where its actor is idle, and is a message like any other where it is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.actors import Ref, Server
from slither_actors.actors._call import send_inline
from slither_actors.actors._runtime import current_cell


class Log(Server):
    """Keeps what it is sent, with the actor that seemed to run and the thread."""

    def init(self) -> None:
        self.kept: list[tuple[Any, Any, int]] = []
        self.busy = threading.Event()
        self.go_on = threading.Event()

    def keep(self, what: Any) -> None:
        self.kept.append((what, current_cell(), threading.get_ident()))

    def block(self, _: Any) -> None:
        self.busy.set()
        assert self.go_on.wait(20)

    def fail(self, _: Any) -> None:
        raise LookupError("as told")

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.kept


class Sender(Server):
    """Sends from inside an actor."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        ref, function, argument = request
        send_inline(ref, function, argument)
        kept = getattr(ref._cell.actor, "kept", [])
        return len(kept), threading.get_ident(), current_cell() is self.ref._cell


@pytest.fixture
def log() -> Iterator[Ref]:
    ref = Log.start()
    go_on = ref._cell.actor.go_on
    yield ref
    go_on.set()
    ref.kill()


@pytest.fixture
def sender() -> Iterator[Ref]:
    ref = Sender.start()
    yield ref
    ref.stop()


def test_an_idle_actor_runs_it_at_once(log: Ref, sender: Ref) -> None:
    """In the sender's thread and as itself; the sender is itself again afterwards."""
    log.call(None)
    count, thread, is_sender = sender.call((log, Log.keep, "x"))
    assert (count, is_sender) == (1, True)
    assert log.call(None) == [("x", log._cell, thread)]


def test_a_busy_actor_runs_it_later(log: Ref, sender: Ref) -> None:
    """After what it is doing, and what came before."""
    log.send(Log.block)
    assert log._cell.actor.busy.wait(20)
    log.send(Log.keep, "before")
    assert sender.call((log, Log.keep, "x"))[0] == 0
    log._cell.actor.go_on.set()
    assert [what for what, *_ in log.call(None)] == ["before", "x"]


def test_a_plain_thread_sends(log: Ref) -> None:
    """What it sends runs in a thread of the scheduler."""
    send_inline(log, Log.keep, "x")
    ((what, cell, thread),) = log.call(None)
    assert (what, cell) == ("x", log._cell)
    assert thread != threading.get_ident()


def test_to_itself_it_runs_at_once() -> None:
    """Before the messages that wait."""

    class Own(Log):
        def handle_call(self, request: Any, sender: Any) -> Any:
            send_inline(self.ref, Own.keep, "x")
            return len(self.kept)

    ref = Own.start()
    assert ref.call(None) == 1
    ref.stop()


@pytest.mark.filterwarnings("ignore")
def test_what_it_raises_is_the_crash_of_its_actor(log: Ref, sender: Ref) -> None:
    """The sender goes on."""
    log.call(None)
    assert sender.call((log, Log.fail, None))[2] is True
    assert log.join(20)
    assert isinstance(log.exit_reason.exception, LookupError)
    assert sender.is_alive()


def test_a_dead_or_suspended_actor_runs_nothing(log: Ref, sender: Ref) -> None:
    """The one for ever, the other until it goes on."""
    log.call(None)
    log._cell.suspended = log._cell.attention = True
    assert sender.call((log, Log.keep, "x"))[0] == 0
    log.kill()
    assert log.join(20)
    assert sender.call((log, Log.keep, "y"))[0] == 0
