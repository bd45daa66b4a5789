"""Bounded mailboxes: what happens to the message for which there is no room."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from slither_actors.actors import Actor, Down, Exit, Ref
from slither_actors.actors._cell import Cell
from slither_actors.actors._scheduler import Scheduler
from slither_actors.errors import CallTimeoutError, MailboxFullError, OptionError
from tests.actors.probes import LONG, Gate, Log, Quiet, in_thread, settle


class Raising(Quiet):
    mailbox_size = 2


class DropNew(Raising):
    mailbox_overflow = "drop_new"


class DropOld(Raising):
    mailbox_overflow = "drop_old"


class Blocking(Raising):
    mailbox_overflow = "block"


def held(cls: type[Quiet], log: Log) -> tuple[Ref, Gate]:
    """Start a server that is busy until the gate opens; its mailbox is empty."""
    ref = cls.start(log)
    gate = Gate()
    ref.cast(gate)
    gate.wait()
    return ref, gate


def until_waiting(cell: Any) -> None:
    """Return when a sender waits for room."""
    deadline = time.monotonic() + LONG
    while not cell.inbox.changed._waiters:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_full_mailbox_raises_at_the_sender() -> None:
    """The default; the error has the actor and the bound, and what was let in is handled."""
    log = Log()
    ref, gate = held(Raising, log)
    ref.cast(1)
    ref.info(2)
    for send in (ref.cast, ref.info, ref.tell, ref.call):
        with pytest.raises(MailboxFullError, match="is full \\(2 messages\\)") as caught:
            send(3)
        assert (caught.value.actor, caught.value.size) == (str(ref), 2)
    gate.open()
    assert log.take(2) == [1, 2]
    settle(ref)
    assert log.rest() == []


def test_room_comes_back_with_every_message_that_is_handled() -> None:
    """The bound counts what waits, not what was ever sent."""
    log = Log()
    ref = Raising.start(log)
    for number in range(10):
        ref.cast(number)
        assert log.get() == number


def test_drop_new_drops_the_message_that_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    """The sender is not told; the first drop is logged, all are counted."""
    log = Log()
    ref, gate = held(DropNew, log)
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            ref.cast(number)
    gate.open()
    assert log.take(2) == [0, 1]
    settle(ref)
    assert log.rest() == []
    assert ref._cell.dropped == 3  # type: ignore[attr-defined]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "messages are dropped" in caplog.text


def test_drop_old_keeps_the_newest() -> None:
    """What has waited longest makes room."""
    log = Log()
    ref, gate = held(DropOld, log)
    for number in range(5):
        ref.cast(number)
    gate.open()
    assert log.take(2) == [3, 4]


def test_a_call_that_is_dropped_is_answered() -> None:
    """Nobody waits for an answer that cannot come, whichever end is dropped."""
    log = Log()
    for cls in (DropNew, DropOld):
        ref, gate = held(cls, log)
        first = in_thread(lambda ref=ref: ref.call(1, LONG))  # type: ignore[misc]
        while len(ref._cell.inbox) < 1:
            time.sleep(0.001)
        ref.cast(2)
        if cls is DropNew:
            with pytest.raises(MailboxFullError):
                ref.call(3, LONG)
            gate.open()
            assert first() == 1
        else:
            ref.cast(3)
            with pytest.raises(MailboxFullError):
                first()
            gate.open()


def test_signals_downs_timers_and_stop_need_no_room() -> None:
    """Neither refused nor dropped for others, and they take no room themselves."""
    log = Log()

    class Trapping(DropOld):
        trap_exit = True

    ref, gate = held(Trapping, log)
    other = Quiet.start()
    down = in_thread(lambda: ref.run(lambda server, watched: server.monitor(watched), other, LONG))
    while not ref._cell.inbox:
        time.sleep(0.001)
    ref.cast(1)
    ref.cast(2)
    ref.exit("shutdown")
    other.stop()
    ref.cast(3)
    gate.open()
    monitor = down()
    assert log.take(4) == [2, Exit(None, "shutdown"), 3, Down(monitor, other, "noproc")]
    assert ref._cell.dropped == 1  # type: ignore[attr-defined]

    ref, gate = held(Raising, log)
    ref.cast(1)
    ref.cast(2)
    ref.stop(block=False)
    gate.open()
    assert ref.join(LONG)
    assert ref.exit_reason == "normal"


def test_block_makes_a_thread_wait_for_room() -> None:
    """And no longer."""
    log = Log()
    ref, gate = held(Blocking, log)
    ref.cast(1)
    ref.cast(2)
    sent = in_thread(lambda: ref.cast(3))
    until_waiting(ref._cell)
    assert log.rest() == []
    gate.open()
    sent()
    assert log.take(3) == [1, 2, 3]


def test_an_actor_that_blocks_hands_over(scheduler: Scheduler) -> None:
    """The others, its receiver among them, go on in another thread."""
    log = Log()
    ref, gate = held(Blocking, log)
    ref.cast(1)
    ref.cast(2)
    sender = Quiet.start()
    before = scheduler.statistics().hand_overs
    sender.cast(lambda _: ref.cast(3))
    until_waiting(ref._cell)
    assert scheduler.statistics().hand_overs > before
    settle(Quiet.start())
    gate.open()
    assert log.take(3) == [1, 2, 3]


def test_the_end_of_the_actor_ends_the_wait() -> None:
    """To a dead actor a cast does nothing, whether it was full or not."""
    ref, gate = held(Blocking, Log())
    ref.cast(1)
    ref.cast(2)
    waits = [in_thread(lambda: ref.cast(3)) for _ in range(3)]
    until_waiting(ref._cell)
    ref._cell.die("killed")  # as an actor that is abandoned: its handler still runs
    for wait in waits:
        wait()
    gate.open()


def test_an_actor_that_would_wait_for_itself_gets_the_error() -> None:
    """It alone could make room."""
    caught = threading.Event()

    def fill(server: Any) -> None:
        try:
            for number in range(3):
                server.ref.cast(number)
        except MailboxFullError:
            caught.set()

    Blocking.start().cast(fill)
    assert caught.wait(LONG)


def test_an_ask_of_pykka_that_is_dropped_is_answered() -> None:
    """Through its future; stop still gets through."""
    gate = Gate()

    class Full(Actor):
        mailbox_size = 1
        mailbox_overflow = "drop_new"

        def on_receive(self, message: Any) -> Any:
            return gate() if message is gate else message

    ref = Full.start()
    ref.tell(gate)
    gate.wait()
    kept = ref.ask(1, block=False)
    dropped = ref.ask(2, block=False)
    with pytest.raises(MailboxFullError):
        dropped.get(timeout=LONG)
    stopped = ref.stop(block=False)
    gate.open()
    assert kept.get(timeout=LONG) == 1
    assert stopped.get(timeout=LONG)


def test_a_caller_that_gave_up_takes_its_room_until_it_is_skipped() -> None:
    """The message waits as any other; the handler does not run for it."""
    log = Log()
    ref, gate = held(Raising, log)
    with pytest.raises(CallTimeoutError):
        ref.call(lambda _: log.add("ran"), 0.0)
    gate.open()
    settle(ref)
    assert log.rest() == []


@pytest.mark.parametrize("options", [{"mailbox_size": 0}, {"mailbox_size": True}, {"mailbox_overflow": "x"}])
def test_a_wrong_bound_is_refused_with_the_class(options: dict[str, Any]) -> None:
    """When it is defined, and when it is started if the class was changed since."""
    with pytest.raises(OptionError, match="Wrong: option 'mailbox_"):
        type("Wrong", (Raising,), options)
    changed: Any = type("Wrong", (Raising,), {})
    for name, value in options.items():
        setattr(changed, name, value)
    with pytest.raises(OptionError, match="Wrong: option 'mailbox_"):
        changed.start()


def test_no_message_is_lost_or_counted_twice_under_load() -> None:
    """Many blocking senders, a small mailbox: everything arrives and the room is all there at the end."""
    log = Log()
    ref = Blocking.start(log)

    def send() -> None:
        for _ in range(500):
            ref.cast(1)

    done = [in_thread(send) for _ in range(4)]
    for wait in done:
        wait()
    assert log.take(2000) == [1] * 2000
    settle(ref)
    assert ref._cell.inbox.bounded == 0  # type: ignore[attr-defined]


def test_an_unbounded_actor_has_a_plain_cell() -> None:
    """It pays nothing for the bounds of others."""
    assert type(Quiet.start()._cell) is Cell
