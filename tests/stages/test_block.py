"""A full buffer that makes those wait who push events into the stage."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from slither_actors.actors import Exit, Request
from slither_actors.errors import ActorExitError, CallTimeoutError, MailboxFullError, StartError
from slither_actors.stages import (
    Subscription,
    ask,
    async_info,
    cancel,
    complete,
    drain,
    estimate_buffered_count,
    statistics,
    sync_info,
    sync_subscribe,
)
from tests.stages.gates import Gate
from tests.stages.probes import SECONDS, Middle, Silent, Sink, ended, inside, seen, settle, until


class Pushed(Silent):
    """Emits what it is called, cast and told; notes what it handled."""

    buffer_size = 3
    buffer_keep = "block"

    def init(self, limit: int = 0, **options: Any) -> None:
        self.handled: list[Any] = []
        super().init(limit, **options)

    def handle_call(self, request: Any, sender: Request) -> Any:
        self.handled.append(request)
        self.emit(request)
        return "emitted"

    def handle_cast(self, message: Any) -> None:
        self.handled.append(message)
        self.emit(message)

    def handle_info(self, message: Any) -> None:
        self.handled.append(message)
        if isinstance(message, list):
            self.emit(message)


class Bounded(Pushed):
    mailbox_size = 2
    mailbox_overflow = "block"


def full(kind: Any = Pushed, **options: Any) -> tuple[Any, Any, Subscription]:
    """Return a producer with a full buffer, and a consumer that has not asked."""
    source, sink = kind.start(**options), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    source.cast([0, 1, 2])
    assert statistics(source).blocked
    return source, sink, subscription


def test_messages_wait_while_the_buffer_is_full_and_keep_their_order() -> None:
    """Calls, casts, infos and tells alike."""
    source, sink, subscription = full()
    source.cast([3])
    source.info([4])
    source.tell([5])
    answered: list[Any] = []
    caller = threading.Thread(target=lambda: answered.append(source.call([6])))
    caller.start()
    until(lambda: statistics(source).held == 4)
    source.cast([7])
    numbers = statistics(source)
    assert (numbers.held, numbers.buffered, numbers.times_blocked) == (5, 3, 1)
    assert seen(source, "handled") == [[0, 1, 2]]
    assert not answered
    ask(subscription, 8)
    caller.join(SECONDS)
    settle(source, sink)
    assert answered == ["emitted"]
    assert seen(sink, "events") == [*range(8)]
    assert not statistics(source).blocked


def test_nothing_is_dropped_and_the_buffer_holds_its_size_and_what_one_callback_emits() -> None:
    """A callback cannot wait for room: its demand would never be heard."""
    source, sink = Pushed.start(), Sink.start()
    for start in range(0, 100, 10):
        source.cast(range(start, start + 10))
    settle(source)
    numbers = statistics(source)
    assert (numbers.buffered, numbers.held, numbers.discarded) == (10, 9, 0)
    sync_subscribe(sink, to=source, max_demand=4)
    settle(source, sink, rounds=100)
    assert seen(sink, "events") == [*range(100)]
    assert statistics(source).buffer.peak == 12  # type: ignore[union-attr]


def test_there_is_room_as_soon_as_the_buffer_is_below_its_size() -> None:
    """One message is handled, and the others go on waiting."""
    source, sink, subscription = full()
    source.cast([3])
    source.cast([4])
    ask(subscription, 1)
    settle(sink, source)
    numbers = statistics(source)
    assert (numbers.buffered, numbers.held, numbers.times_blocked) == (3, 1, 2)
    assert seen(source, "handled") == [[0, 1, 2], [3]]


def test_those_who_send_to_a_bounded_mailbox_wait() -> None:
    """What the stage keeps still counts as the mailbox's."""
    source, sink, subscription = full(Bounded)
    source.cast([3])
    source.cast([4])
    settle(source)
    assert statistics(source).held == 2
    sent = threading.Event()

    def send() -> None:
        source.cast([5])
        sent.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert not sent.wait(0.05)
    ask(subscription, 1)
    assert sent.wait(SECONDS)
    settle(source)
    assert statistics(source).held == 2
    ask(subscription, 5)
    settle(sink, source)
    assert seen(sink, "events") == [*range(6)]
    assert source._cell.inbox.bounded == 0
    sender.join(SECONDS)


@pytest.mark.parametrize("policy", ["raise", "drop_new", "drop_old"])
def test_the_mailbox_of_a_full_stage_overflows_as_it_says(policy: str) -> None:
    """What the stage has taken and keeps is not dropped."""
    kind = type("Bounded", (Pushed,), {"mailbox_size": 2, "mailbox_overflow": policy})
    source, sink, subscription = full(kind)
    source.cast([3])
    settle(source)
    source.cast([4])
    settle(source)
    if policy == "raise":
        with pytest.raises(MailboxFullError):
            source.cast([5])
    else:
        source.cast([5])
    ask(subscription, 10)
    settle(sink, source)
    assert seen(sink, "events") == [*range(5)]


def test_a_call_whose_caller_has_given_up_is_not_handled_later() -> None:
    """And takes no room in the mailbox for ever."""
    source, sink, subscription = full(Bounded)
    with pytest.raises(CallTimeoutError):
        source.call([3], timeout=0.02)
    source.suspend()
    with pytest.raises(CallTimeoutError):
        source.call([3], timeout=0.02)
    source.resume()
    settle(source)
    assert source._cell.inbox.bounded == 1  # the first, which is kept
    ask(subscription, 10)
    settle(sink, source)
    assert seen(source, "handled") == [[0, 1, 2]]
    assert source._cell.inbox.bounded == 0
    assert source.call([4]) == "emitted"


def test_what_comes_while_many_are_released_does_not_overtake_them() -> None:
    """They are released some at a time, for others to have their turn."""

    class Echo(Pushed):
        def handle_cast(self, message: Any) -> None:
            super().handle_cast(message)
            if message == [3]:
                self.ref.cast(["last"])

    source, sink, subscription = full(Echo, buffer_size=3)
    for each in range(3, 150):
        source.cast([each])
    settle(source)
    ask(subscription, 1000)
    settle(sink, source)
    assert seen(sink, "events") == [*range(150), "last"]


# -- what goes on ------------------------------------------------------------------------


def test_subscriptions_cancels_and_ends_of_consumers_are_handled() -> None:
    """So that the buffer can empty."""
    source, sink, subscription = full()
    source.cast([3])
    cancel(subscription)
    settle(sink, source)
    assert seen(source, "left") == [("cancel", "normal")]
    other = Sink.start(mode="manual")
    sync_subscribe(other, to=source)
    other.stop("shutdown")
    settle(source)
    assert seen(source, "left")[1:] == [("down", "shutdown")]
    third = Sink.start()
    sync_subscribe(third, to=source)
    settle(third, source, third)
    assert seen(third, "events") == [0, 1, 2, 3]


def test_requests_of_the_library_are_answered() -> None:
    """The state, the estimate, the ordered infos, which come when the buffer is empty."""
    source, sink, subscription = full()
    assert estimate_buffered_count(source) == 3
    sync_info(source, "a")
    async_info(source, "b")
    assert "handle_cast" not in source.get_state()
    assert source.get_state()["handled"] == [[0, 1, 2]]
    source.cast([3])
    ask(subscription, 4)
    settle(sink, source)
    assert seen(source, "handled") == [[0, 1, 2], "a", "b", [3]]


def test_exit_signals_reach_a_full_stage() -> None:
    """Trapped or not."""

    class Trapping(Pushed):
        trap_exit = True

    source, _, _ = full()
    source.exit("shutdown")
    assert ended(source) == "shutdown"
    source, _, _ = full(Trapping)
    source.exit("shutdown")
    settle(source)
    assert [type(message) for message in seen(source, "handled")] == [list, Exit]


def test_timers_wait_as_well() -> None:
    """Their handlers may emit."""
    source, sink, subscription = full()
    inside(source, lambda stage: stage.send_after(0.0, [3]))
    until(lambda: statistics(source).held == 1)
    ask(subscription, 4)
    settle(sink, source)
    assert seen(sink, "events") == [0, 1, 2, 3]


def test_a_stop_ends_a_full_stage_and_answers_those_who_wait() -> None:
    """A caller learns that the stage is gone, a sender waits no longer."""
    source, _, _ = full(Bounded)
    outcome: list[Any] = []

    def call() -> None:
        try:
            source.call([3])
        except ActorExitError as error:
            outcome.append(error)

    threads = [threading.Thread(target=call)]
    threads[0].start()
    until(lambda: statistics(source).held == 1)
    source.cast([4])
    settle(source)
    threads += [threading.Thread(target=source.cast, args=([each],)) for each in (5, 6)]
    for thread in threads[1:]:
        thread.start()
    source.stop("shutdown")
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert len(outcome) == 1


def test_a_kill_answers_those_who_wait_too() -> None:
    """A dead stage keeps nobody."""
    source, _, _ = full(Bounded)
    for each in (3, 4):
        source.cast([each])
    settle(source)
    sender = threading.Thread(target=source.cast, args=([5],))
    sender.start()
    source.kill()
    sender.join(SECONDS)
    assert not sender.is_alive()
    future = full()[0]
    asked = future.ask([3], block=False)
    until(lambda: statistics(future).held == 1)
    future.kill()
    with pytest.raises(Exception, match="not found|stopped|dead|ended|killed"):
        asked.get(timeout=SECONDS)


def test_a_stage_that_sends_to_itself_does_not_wait_for_itself() -> None:
    """Its mailbox being full is an error there, without a bound it is kept like the others."""

    class Selfish(Pushed):
        def handle_cast(self, message: Any) -> None:
            super().handle_cast(message)
            if message[0] < 10:
                self.ref.cast([message[0] + 1])

    source, sink = Selfish.start(), Sink.start()
    source.cast([0])
    until(lambda: statistics(source).blocked)
    sync_subscribe(sink, to=source)
    until(lambda: seen(sink, "count") == 11)
    assert seen(sink, "events") == [*range(11)]


def test_a_handler_that_crashes_on_a_message_that_was_kept_ends_the_stage() -> None:
    """The caller gets the crash, as of any call."""

    class Fragile(Pushed):
        def handle_call(self, request: Any, sender: Request) -> Any:
            raise ValueError(request)

    source, _, subscription = full(Fragile)
    outcome: list[Any] = []

    def call() -> None:
        try:
            source.call("broken")
        except ActorExitError as error:
            outcome.append(str(error.reason))

    caller = threading.Thread(target=call)
    caller.start()
    until(lambda: statistics(source).held == 1)
    ask(subscription, 1)
    caller.join(SECONDS)
    assert outcome == ["ValueError: broken"]


# -- ends -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["complete", "drain"])
def test_what_came_before_the_end_is_finished(end: str) -> None:
    """What is kept was sent before."""
    source, sink, subscription = full()
    source.cast([3])
    source.cast([4])
    if end == "complete":
        complete(source)
    else:
        drainer = threading.Thread(target=lambda: drain(source, timeout=SECONDS))
        drainer.start()
    settle(source)
    ask(subscription, 10)
    assert ended(source) == "normal"
    assert seen(sink, "events") == [*range(5)]
    if end == "drain":
        drainer.join(SECONDS)


@pytest.mark.parametrize("end", ["complete", "drain"])
def test_an_end_does_not_wait_for_what_comes_after_it(end: str) -> None:
    """Else it would never come while somebody goes on pushing."""
    source, sink, subscription = full()
    source.cast([3])
    settle(source)
    if end == "complete":
        complete(source)
    else:
        drainer = threading.Thread(target=lambda: drain(source, timeout=SECONDS))
        drainer.start()
    until(lambda: statistics(source).held == 2)
    for number in range(4, 1000):
        source.cast([number])
    settle(source)
    ask(subscription, 2000)
    assert ended(source) == "normal"
    events = seen(sink, "events")
    assert events == [*range(len(events))]
    assert 4 <= len(events) < 500
    if end == "drain":
        drainer.join(SECONDS)


def test_what_was_pushed_before_the_end_of_a_producer_is_finished() -> None:
    """The end of a producer-consumer waits behind the messages that wait for room."""

    class Side(Middle):
        buffer_size = 2
        buffer_keep = "block"

        def handle_cast(self, message: Any) -> None:
            self.emit(message)

    source, middle, sink = Silent.start(), Side.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    for start in (0, 2, 4):
        middle.cast([start, start + 1])
    settle(middle)
    assert statistics(middle).held == 2
    complete(source)
    ended(source)
    settle(middle)
    ask(subscription, 6)
    assert ended(middle) == "normal"
    assert seen(sink, "events") == [*range(6)]


# -- options and kinds ---------------------------------------------------------------------


def test_a_size_of_zero_blocks_with_the_first_event() -> None:
    """Nothing is taken while anything waits."""
    source = Pushed.start(buffer_size=0)
    source.cast([0])
    source.cast([1])
    settle(source)
    numbers = statistics(source)
    assert (numbers.buffered, numbers.held) == (1, 1)


def test_to_block_a_buffer_needs_a_size() -> None:
    """It would never be full; a producer-consumer has none by default."""
    with pytest.raises(StartError, match="with buffer_keep 'block' allowed is an integer"):
        Middle.start(buffer_keep="block")
    with pytest.raises(StartError, match="buffer_size"):
        Pushed.start(buffer_size=None)


def test_a_producer_consumer_may_block_too() -> None:
    """What is pushed into it waits; what comes from its producers has waited for demand before."""

    class Side(Middle):
        buffer_size = 2
        buffer_keep = "block"

        def handle_cast(self, message: Any) -> None:
            self.emit(message)

    middle, sink = Side.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    for start in (0, 2, 4):
        middle.cast([start, start + 1])
    settle(middle)
    assert statistics(middle).held == 2
    ask(subscription, 6)
    settle(sink, middle)
    assert seen(sink, "events") == [*range(6)]


def test_coroutines_that_handle_messages_are_not_started_while_it_is_full() -> None:
    """Those that run go on, and what they emit is kept."""
    gate = Gate()

    class Slow(Pushed):
        async def handle_cast(self, message: Any) -> None:
            await gate.wait(message[0])
            self.emit(message)

    source, sink = Slow.start(buffer_size=1), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    for each in range(3):
        source.cast([each])
    gate.await_waiting(0)
    gate.open(0)
    until(lambda: statistics(source).blocked)
    settle(source)
    gate.await_waiting()
    ask(subscription, 1)
    gate.await_waiting(1)
    gate.open()
    until(lambda: statistics(source).blocked)
    ask(subscription, 5)
    until(lambda: seen(sink, "count") == 3)
    assert seen(sink, "events") == [0, 1, 2]


def test_many_who_push_and_consumers_that_come_and_go_lose_nothing() -> None:
    """The buffer and the mailbox stay within their bounds, and nobody waits for ever."""
    source, sinks = Bounded.start(), [Sink.start(cancel="temporary") for _ in range(4)]
    pushers = [
        threading.Thread(target=lambda first=first: [source.cast([first + n]) for n in range(300)])
        for first in (0, 1000, 2000)
    ]
    for pusher in pushers:
        pusher.start()
    for sink in sinks[:-1]:
        subscription = sync_subscribe(sink, to=source, cancel="temporary", max_demand=7)
        until(lambda sink=sink: seen(sink, "count") > 50)
        numbers = statistics(source)
        assert numbers.held <= 2
        assert numbers.buffered <= 3
        cancel(subscription)
    sync_subscribe(sinks[-1], to=source, cancel="temporary", max_demand=7)
    for pusher in pushers:
        pusher.join(SECONDS)
    drain(source, timeout=SECONDS)
    events = [event for sink in sinks for event in seen(sink, "events")]
    assert sorted(events) == [first + n for first in (0, 1000, 2000) for n in range(300)]
