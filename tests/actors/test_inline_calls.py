"""Servers whose calls may run in the caller's thread."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import pytest

from slither_actors.actors import NO_REPLY, Ref
from slither_actors.errors import ActorExitError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle


class Inline(Quiet):
    inline_calls = True


def ident(_: Any = None) -> int:
    return threading.get_ident()


def test_a_call_to_an_idle_server_runs_in_the_callers_thread() -> None:
    """Only where the class says so."""
    assert Inline.start().call(ident) == ident()
    assert Quiet.start().call(ident) != ident()


def test_an_inline_call_runs_as_the_server() -> None:
    """What it starts and monitors is the server's own, not the caller's."""
    ref = Inline.start(log := Log())
    other = Quiet.start()
    ref.call(lambda probe: probe.monitor(other))
    other.kill()
    assert log.get().ref is other


def test_a_busy_server_is_called_through_its_mailbox() -> None:
    """One message at a time, in order, holds for inline servers, too."""
    gate, ref = Gate(), Inline.start()
    ref.cast(gate)
    gate.wait()
    call = in_thread(lambda: ref.call(ident, LONG))
    gate.open()
    assert isinstance(call(), int)


def test_earlier_messages_of_the_caller_come_first() -> None:
    """A cast is handled before a call that follows it."""
    ref = Inline.start(log := Log())
    for number in range(200):
        ref.cast(number)
        ref.call(lambda _, n=number: log.add(("call", n)))
    assert log.rest() == [entry for number in range(200) for entry in (number, ("call", number))]


def test_a_message_that_waits_comes_before_an_inline_call() -> None:
    """The server is idle for a moment between two looks at its mailbox."""
    ref = Inline.start(log := Log())
    ref._cell.inbox.append((lambda probe, _: probe.log.add("waiting"), None))
    ref.call(lambda _: log.add("call"), LONG)
    assert log.take(2) == ["waiting", "call"]


def test_inline_calls_from_many_threads_exclude_each_other() -> None:
    """A counter that is read and written apart loses nothing."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    ref = Inline.start(at_start=lambda probe: setattr(probe, "count", 0))

    def count(probe: Probe) -> None:
        value = probe.count  # type: ignore[attr-defined]
        probe.count = value + 1  # type: ignore[attr-defined]

    def many() -> None:
        for _ in range(2000):
            ref.call(count, LONG)

    for join in [in_thread(many) for _ in range(4)]:
        join()
    sys.setswitchinterval(before)
    assert ref.call(lambda probe: probe.count) == 8000


def test_a_message_that_comes_during_an_inline_call_is_handled() -> None:
    """The token is given back and the mailbox looked at again."""
    gate, ref = Gate(), Inline.start(log := Log())
    call = in_thread(lambda: ref.call(gate, LONG))
    gate.wait()
    ref.info("meanwhile")
    gate.open()
    call()
    assert log.get() == "meanwhile"


def test_an_inline_crash_is_the_servers() -> None:
    """The caller gets the reason, and the server is dead."""
    ref = Inline.start()
    with pytest.raises(ActorExitError, match="ZeroDivisionError"):
        ref.call(crash)
    assert not ref.is_alive()


def test_an_inline_server_may_answer_later() -> None:
    """NO_REPLY waits in the caller as for any server."""
    ref = Inline.start()
    senders = Log()
    call = in_thread(lambda: ref.call(lambda probe: senders.add(probe.sender) or NO_REPLY, LONG))
    senders.get().reply("later")
    assert call() == "later"


def test_the_first_answer_of_an_inline_call_counts() -> None:
    """One through the sender before the returned one; none after it."""
    ref, senders = Inline.start(), Log()
    assert ref.call(lambda probe: probe.sender.reply("first") or "second") == "first"
    assert ref.call(lambda probe: senders.add(probe.sender) or "first") == "first"
    sender = senders.get()
    assert sender.answered
    sender.reply("late")
    assert sender.result() is None


def test_an_inline_server_may_stop_in_a_call() -> None:
    """It ends after the callback, as always."""
    ref = Inline.start()
    assert ref.call(lambda probe: probe.stop() or "bye") == "bye"
    assert not ref.is_alive()


def test_inline_calls_nest() -> None:
    """A server that runs in its caller's thread may call another that does."""
    refs: list[Ref] = [Inline.start() for _ in range(5)]

    def at(position: int) -> Any:
        return ident if position == 5 else lambda _: refs[position].call(at(position + 1))

    assert refs[0].call(at(1)) == ident()


def test_ctrl_c_in_an_inline_call_reaches_the_main_program() -> None:
    """The interrupt is the user's: the main thread gets it, though it struck in the server's code."""
    ref = Inline.start()

    def interrupt(_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ref.call(interrupt)
    assert not ref.is_alive()
    settle(Inline.start())
