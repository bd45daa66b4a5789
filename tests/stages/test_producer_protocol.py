"""What a producer does with the messages of its consumers, in which order, and with wrong ones."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import Request
from slither_actors.stages import Subscription, _protocol, ask, cancel, sync_subscribe
from slither_actors.stages._receiver import subscription_options
from tests.stages.probes import Middle, Silent, Sink, ended, inside, seen, settle


def stranger(source: Any, sink: Any) -> Subscription:
    """A subscription that the producer has not heard of."""
    return Subscription(sink, subscription_options({"to": source, "cancel": "temporary"}))


@pytest.mark.parametrize("kind", [Silent, Middle])
@pytest.mark.parametrize("message", ["ask", "cancel"])
def test_an_unknown_subscription_is_cancelled(kind: Any, message: str) -> None:
    """Its consumer is told, and the producer goes on."""
    source, sink = kind.start(), Sink.start()
    subscription = stranger(source, sink)
    if message == "ask":
        ask(subscription, 3)
    else:
        cancel(subscription)
    settle(source, sink)
    assert seen(sink, "left") == [("cancel", "unknown_subscription")]
    assert source.is_alive()


def test_a_subscription_that_is_there_already_is_cancelled() -> None:
    """The first goes on at the producer, the consumer hears of the refusal."""
    source, sink = Silent.start(), Sink.start()
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    settle(sink, source)
    source.send(_protocol.subscribe, subscription)
    settle(source, sink)
    assert seen(sink, "left") == [("cancel", "duplicated_subscription")]
    assert len(seen(source, "joined")) == 1


def test_handle_subscribe_runs_before_the_fan_out_knows_the_consumer() -> None:
    """What it emits is for those who are there, and is buffered if there are none."""

    class Greeting(Silent):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> None:  # type: ignore[override]
            self.known = source in self._fan_out.statistics().outstanding
            self.emit(["hello"])
            self.kept = self._buffer.length

    source, sink = Greeting.start(), Sink.start()
    sync_subscribe(sink, to=source)
    settle(sink, source)
    assert inside(source, lambda stage: (stage.known, stage.kept)) == (False, 1)
    assert seen(sink, "events") == ["hello"]


def test_handle_cancel_runs_before_the_fan_out_forgets_the_consumer() -> None:
    """So it can see what the consumer had asked for."""

    class Parting(Silent):
        def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
            self.asked = self._fan_out.statistics().outstanding.get(source)

    source, sink = Parting.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    ask(subscription, 5)
    cancel(subscription)
    settle(sink, source)
    assert inside(source, lambda stage: stage.asked) == 5
    assert inside(source, lambda stage: stage._fan_out.statistics().outstanding) == {}


@pytest.mark.parametrize("callback", ["handle_subscribe", "handle_cancel", "handle_demand"])
def test_a_stop_in_a_callback_ends_the_producer_with_its_reason(callback: str) -> None:
    """Whatever else the callback decides."""
    kind = type("Stopping", (Silent,), {callback: lambda self, *args: self.stop(("shutdown", callback))})
    source, sink = kind.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    if callback == "handle_demand":
        ask(subscription, 1)
    elif callback == "handle_cancel":
        cancel(subscription)
    assert ended(source) == ("shutdown", callback)


def test_a_call_can_stop_the_producer_emit_and_reply() -> None:
    """In this order: the events, the reply, the end."""

    class Closing(Silent):
        def handle_call(self, request: Any, sender: Request) -> str:
            self.emit([request])
            self.stop("shutdown")
            return "bye"

    source, sink = Closing.start(), Sink.start()
    sync_subscribe(sink, to=source)
    settle(sink, source)
    assert source.call("last") == "bye"
    assert ended(source) == ended(sink) == "shutdown"
    assert seen(sink, "events") == ["last"]


def test_a_producer_consumer_is_not_asked_by_handle_demand() -> None:
    """Demand lets it handle events."""
    demands: list[int] = []

    class Asked(Middle):
        def handle_demand(self, demand: int) -> None:
            demands.append(demand)

    middle, sink = Asked.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    settle(sink, middle)
    assert not demands


def test_an_ask_for_nothing_sends_nothing() -> None:
    """It is no error."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    ask(sync_subscribe(sink, to=source), 0)
    settle(sink, source)
    assert seen(source, "demands") == []
