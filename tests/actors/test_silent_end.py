"""The end of an actor whose class has nothing to say to it: whoever stops it may do it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pykka import ActorRegistry

from slither_actors.actors import Actor, Down, Server, Supervisor
from slither_actors.actors._cell import Cell
from tests.actors.probes import LONG, Gate, Log, Probe, in_thread, settle


class Silent(Probe):
    terminate = Server.terminate


class SilentActor(Actor):
    def on_receive(self, message: Any) -> Any:
        return message() if callable(message) else message


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Log:
    """In which threads actors die."""
    log, die = Log(), Cell.die

    def note(cell: Cell, reason: Any) -> None:
        log.add(threading.get_ident())
        die(cell, reason)

    monkeypatch.setattr(Cell, "die", note)
    return log


def test_it_needs_no_other_thread(deaths: Log) -> None:
    """An idle server without a `terminate`, an idle actor without an `on_stop`."""
    assert Silent.start().stop() is True
    assert SilentActor.start().stop() is True
    assert deaths.take(2) == [threading.get_ident()] * 2


def test_a_supervisor_ends_its_children_itself(deaths: Log) -> None:
    """So does one that stops a child: it would wait anyway."""
    tree = Supervisor.start([Silent.child_spec()])
    assert Supervisor.terminate is not Server.terminate
    tree.stop()
    child, supervisor = deaths.take(2)
    assert child == supervisor != threading.get_ident()


@pytest.mark.parametrize("on_the_object", [False, True])
def test_a_terminate_runs_where_handlers_run(on_the_object: bool) -> None:
    """Never in the thread that stops the server, whether the class has it or the object."""
    log = Log()

    class Ending(Server):
        def init(self) -> None:
            if on_the_object:
                self.terminate = self.note  # type: ignore[method-assign]

        def note(self, reason: Any) -> None:
            log.add(threading.get_ident())

        if not on_the_object:
            terminate = note

    Ending.start().stop()
    assert log.get() != threading.get_ident()
    assert log.rest() == []


def test_an_on_stop_runs_where_handlers_run() -> None:
    """As the other hooks of Pykka do."""
    log = Log()

    class Ending(Actor):
        def on_stop(self) -> None:
            log.add(threading.get_ident())

    Ending.start().stop()
    assert log.get() != threading.get_ident()


def test_it_is_an_end_like_any_other() -> None:
    """The name is free, the reason is kept, who watches or is linked is told, later calls are refused."""
    log = Log()
    watcher = Probe.start(log)
    ref = Silent.start(name="silent")
    watcher.call(lambda probe: probe.monitor(ref))
    ref.stop("enough")
    down = log.get()
    assert (type(down), down.ref, down.reason) == (Down, ref, "enough")
    assert (ref.is_alive(), ref.exit_reason, ref.stop()) == (False, "enough", False)
    Silent.start(name="silent").stop()


def test_the_end_of_a_silent_actor_is_known_to_pykka() -> None:
    """It is out of the registry, and a second stop finds it dead."""
    ref = SilentActor.start()
    assert ref.stop() is True
    assert ActorRegistry.get_by_urn(ref.actor_urn) is None
    assert (ref.is_alive(), ref.stop()) == (False, False)


def test_what_was_sent_before_is_handled_before() -> None:
    """A server that has messages or runs one ends after them."""
    log, gate = Log(), Gate()
    ref = Silent.start(log)
    ref.cast(gate)
    ref.cast("before")
    gate.wait()
    stopped = in_thread(ref.stop)
    gate.open()
    assert stopped() is True
    assert log.rest() == ["before"]


def test_a_message_that_waits_is_handled_before() -> None:
    """The server is idle for a moment between two looks at its mailbox."""
    ref = Silent.start(log := Log())
    ref._cell.inbox.append((lambda probe, _: probe.log.add("waiting"), None))
    ref.stop()
    assert log.rest() == ["waiting"]


def test_a_kill_that_waits_comes_first() -> None:
    """What is ahead of the mailbox is ahead of a stop, too."""
    ref = Silent.start()
    ref._cell.control.append((lambda probe, _: probe._cell.die("killed"), None))
    ref._cell.attention = True
    ref.stop()
    assert ref.exit_reason == "killed"


def test_a_stop_that_ctrl_c_breaks_off_is_finished_by_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread gets its interrupt, and the actor ends all the same."""
    ref, other = Silent.start(), Silent.start()
    attend, main = Cell.attend, threading.get_ident()

    def interrupted(cell: Cell) -> bool:
        if threading.get_ident() == main:
            raise KeyboardInterrupt
        return attend(cell)

    monkeypatch.setattr(Cell, "attend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ref.stop("enough")
    assert ref.join(LONG)
    assert ref.exit_reason == "enough"
    settle(other)


def test_a_sender_during_the_end_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mailbox is looked at once more when the token is given back."""
    ref = Silent.start()
    die = Cell.die
    calls: list[Any] = []

    def slow(cell: Cell, reason: Any) -> None:
        if cell is ref._cell:
            calls.append(in_thread(lambda: ref.call("meanwhile", LONG)))
            while not cell.inbox:
                pass
        die(cell, reason)

    monkeypatch.setattr(Cell, "die", slow)
    ref.stop()
    with pytest.raises(Exception, match="normal"):
        calls[0]()
