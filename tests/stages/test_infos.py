"""Messages that wait behind the events, and what is estimated of the buffer."""

from __future__ import annotations

import functools
import logging
from typing import Any

import pytest

from slither_actors.actors import NO_REPLY, Down, Request, Server
from slither_actors.errors import ActorExitError, OptionError
from slither_actors.stages import (
    PartitionFanOut,
    ask,
    async_info,
    cancel,
    estimate_buffered_count,
    sync_info,
    sync_subscribe,
)
from tests.stages.probes import Middle, Silent, Sink, ended, inside, seen, settle


class Heard:
    """Notes infos."""

    def handle_info(self, message: Any) -> None:
        if not hasattr(self, "infos"):
            self.infos: list[Any] = []
        self.infos.append(message)

    def handle_cast(self, message: Any) -> None:
        self.emit(message)  # type: ignore[attr-defined]


class Talking(Heard, Silent):
    pass


class TalkingMiddle(Heard, Middle):
    pass


class TalkingSink(Heard, Sink):
    pass


def infos(ref: Any) -> list[Any]:
    return inside(ref, lambda stage: list(getattr(stage, "infos", [])))


# -- the estimate ------------------------------------------------------------------------


def test_the_estimate_is_the_length_of_the_buffer() -> None:
    """Of a producer and of a producer-consumer; infos are not counted."""
    source, middle = Talking.start(), TalkingMiddle.start()
    for ref in (source, middle):
        assert estimate_buffered_count(ref) == 0
        ref.cast(range(7))
        async_info(ref, "no event")
        assert estimate_buffered_count(ref) == 7


def test_what_waits_in_front_of_a_producer_consumer_is_not_buffered() -> None:
    """Nor what a partition has queued."""
    source, middle = Silent.start(), Middle.start()
    sync_subscribe(middle, to=source)
    settle(middle, source)
    inside(source, lambda stage: stage.emit([1, 2]))
    settle(source, middle)
    assert estimate_buffered_count(middle) == 0
    halves = Silent.start(dispatcher=functools.partial(PartitionFanOut, 2))
    even, odd = Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=halves, partition=0, max_demand=10)
    sync_subscribe(odd, to=halves, partition=1)
    settle(even, odd, halves)
    inside(halves, lambda stage: stage.emit(range(10)))
    assert estimate_buffered_count(halves) == 0


def test_the_estimate_of_a_consumer_is_nothing_and_an_error_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has no buffer."""
    sink = Sink.start()
    with caplog.at_level(logging.ERROR):
        assert estimate_buffered_count(sink) == 0
    assert "a consumer has no buffer" in caplog.text


# -- the order ----------------------------------------------------------------------------


@pytest.mark.parametrize("send", [sync_info, async_info])
def test_an_info_comes_at_once_when_nothing_is_buffered(send: Any) -> None:
    """To each kind of stage."""
    for kind in (Talking, TalkingMiddle, TalkingSink):
        ref = kind.start()
        send(ref, "hello")
        settle(ref)
        assert infos(ref) == ["hello"]


@pytest.mark.parametrize("send", [sync_info, async_info])
@pytest.mark.parametrize("kind", [Talking, TalkingMiddle])
def test_an_info_comes_behind_the_last_event_that_is_buffered_now(kind: Any, send: Any) -> None:
    """Later events do not hold it up; those sent before it come in their order."""
    source, sink = kind.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    source.cast([1, 2, 3])
    send(source, "a")
    send(source, "b")
    source.cast([4])
    send(source, "c")
    for count, heard in ((2, []), (1, ["a", "b"]), (1, ["a", "b", "c"])):
        ask(subscription, count)
        settle(sink, source)
        assert infos(source) == heard
    assert seen(sink, "events") == [1, 2, 3, 4]


def test_one_ask_over_several_infos_keeps_them_in_their_places() -> None:
    """What an info's handler emits comes behind what was buffered."""

    class Echo(Talking):
        def handle_info(self, message: Any) -> None:
            super().handle_info(message)
            self.emit([message])

    source, sink = Echo.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    source.cast([1])
    async_info(source, "a")
    source.cast([2])
    async_info(source, "b")
    ask(subscription, 10)
    settle(sink, source)
    assert infos(source) == ["a", "b"]
    assert seen(sink, "events") == [1, 2, "a", "b"]


def test_an_info_is_released_when_the_event_in_front_of_it_is_dropped() -> None:
    """By an overflow that keeps the last."""
    source = Talking.start(buffer_size=2)
    source.cast([1])
    async_info(source, "a")
    source.cast([2])
    settle(source)
    assert infos(source) == []
    source.cast([3])
    settle(source)
    assert infos(source) == ["a"]


def test_an_info_waits_for_events_that_a_partition_has_queued() -> None:
    """For those that were queued when it came, and no others."""
    source = Talking.start(dispatcher=functools.partial(PartitionFanOut, 2))
    even, odd = Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=source, partition=0, max_demand=10, cancel="temporary")
    subscription = sync_subscribe(odd, to=source, partition=1)
    settle(even, odd, source)
    source.cast(range(10))
    sync_info(source, "behind")
    settle(source, even)
    assert infos(source) == []
    ask(subscription, 4)
    settle(odd, source)
    assert infos(source) == []
    ask(subscription, 1)
    settle(odd, source)
    assert infos(source) == ["behind"]


def test_an_info_is_released_when_its_partition_is_given_up() -> None:
    """The events in front of it are dropped with the subscription."""
    source = Talking.start(dispatcher=functools.partial(PartitionFanOut, 2))
    even, odd = Sink.start(), Sink.start(mode="manual")
    sync_subscribe(even, to=source, partition=0, max_demand=10, cancel="temporary")
    subscription = sync_subscribe(odd, to=source, partition=1, cancel="temporary")
    settle(even, odd, source)
    source.cast(range(10))
    async_info(source, "behind")
    cancel(subscription)
    settle(odd, source)
    assert infos(source) == ["behind"]


def test_the_info_of_a_producer_consumer_waits_for_what_waits_in_front_of_it() -> None:
    """First for the events that have no demand yet, then for what became of them."""
    source, middle, sink = Silent.start(), TalkingMiddle.start(lambda e: [*e, *e]), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=10)
    settle(sink, middle, source)
    inside(source, lambda stage: stage.emit([1, 2]))
    settle(source, middle)
    sync_info(middle, "behind")
    assert infos(middle) == []
    ask(subscription, 3)
    settle(sink, middle)
    assert infos(middle) == []
    ask(subscription, 1)
    settle(sink, middle)
    assert infos(middle) == ["behind"]
    assert seen(sink, "events") == [1, 2, 1, 2]


def test_an_info_gets_through_a_full_mailbox() -> None:
    """It was let in when it was sent, and is not refused when its turn comes."""

    class Small(Talking):
        mailbox_size = 1
        mailbox_overflow = "raise"

    source, sink = Small.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    settle(sink, source)
    source.cast([1])
    sync_info(source, "behind")
    source.suspend()
    ask(subscription, 1)
    source.cast([2])
    source.resume()
    settle(source, sink)
    assert infos(source) == ["behind"]
    assert source.is_alive()


def test_infos_need_a_stage() -> None:
    """An error at the call; a dead stage is one for those that wait only."""
    other, source = Server.start(), Silent.start()
    for send in (sync_info, async_info):
        with pytest.raises(OptionError, match="no stage"):
            send(other, "x")
    with pytest.raises(OptionError, match="no stage"):
        estimate_buffered_count(other)
    source.stop()
    async_info(source, "x")
    with pytest.raises(ActorExitError):
        sync_info(source, "x")


# -- calls, casts, infos ----------------------------------------------------------------


class Order(Silent):
    """Notes in which order its events and its replies arrive, in the sink's thread and the caller's."""

    def handle_call(self, request: Any, sender: Request) -> Any:
        if request == "reply first":
            sender.reply("replied")
            self.emit([request])
            return NO_REPLY
        self.emit([request])
        return "replied"


@pytest.mark.parametrize(
    ("request_", "order"),
    [("emit first", ["deliver", "reply"]), ("reply first", ["reply", "deliver"])],
)
def test_events_go_ahead_of_the_reply_unless_it_is_given_first(
    request_: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`emit` sends at once, and so does `reply`; what a callback returns comes last."""
    source, sink = Order.start(), Sink.start()
    subscription = sync_subscribe(sink, to=source)
    settle(sink, source)
    log: list[str] = []
    put, reply = subscription.consumer_put, Request.reply

    def noting_put(message: Any) -> None:
        log.append(message[0].__name__)
        put(message)

    def noting_reply(request: Request, value: Any = None) -> None:
        if value == "replied" and not request.answered:
            log.append("reply")
        reply(request, value)

    subscription.consumer_put = noting_put
    monkeypatch.setattr(Request, "reply", noting_reply)
    assert source.call(request_) == "replied"
    settle(source, sink)
    assert log == order


def test_a_down_that_is_no_consumers_goes_to_handle_info() -> None:
    """A stage may monitor others."""
    source, other, sink = Talking.start(), Server.start(), Sink.start()
    sync_subscribe(sink, to=source)
    inside(source, lambda stage: stage.monitor(other))
    other.stop("shutdown")
    sink.stop()
    settle(source)
    (down,) = infos(source)
    assert isinstance(down, Down)
    assert (down.ref, down.reason) == (other, "shutdown")


@pytest.mark.parametrize("kind", [Silent, Middle, Sink])
def test_an_info_without_a_handler_is_logged_and_dropped(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In order or not."""
    ref = kind.start()
    ref.info("hello")
    async_info(ref, "world")
    settle(ref)
    assert ref.is_alive()
    assert caplog.text.count("got a message that it does not handle") == 2


def test_a_cast_without_a_handler_ends_the_stage() -> None:
    """As of any server."""
    source = Silent.start()
    source.cast("x")
    assert "no handle_cast" in str(ended(source))
