"""Producers whose demand accumulates: one log of demand and events, replayed in its order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.actors import NO_REPLY, Request
from slither_actors.errors import ActorExitError, OptionError, StartError
from slither_actors.stages import (
    BroadcastFanOut,
    ask,
    async_info,
    cancel,
    complete,
    demand,
    estimate_buffered_count,
    from_iterable,
    statistics,
    sync_info,
    sync_subscribe,
)
from tests.stages.probes import Middle, Silent, Sink, Source, ended, seen, settle


class Logging(Silent):
    """Notes demand and emits what is cast to it; infos are noted as well."""

    def init(self, limit: int = 0, **options: Any) -> None:
        self.order: list[Any] = []
        super().init(limit, **options)

    def handle_demand(self, demand: int) -> list[str]:  # type: ignore[override]
        self.order.append(demand)
        return [f"for {demand}"]

    def handle_cast(self, message: Any) -> None:
        self.emit(message)

    def handle_info(self, message: Any) -> None:
        self.order.append(message)


def test_a_producer_forwards_by_default() -> None:
    """As GenStage's."""
    source = Silent.start()
    assert demand(source) == "forward"


@pytest.mark.parametrize("how", ["in init", "on the class"])
def test_demand_accumulates_until_it_is_forwarded(how: str) -> None:
    """`handle_demand` hears of each ask on its own; nothing is summed."""
    if how == "in init":
        source = Silent.start(demand="accumulate")
    else:
        source = type("Accumulating", (Silent,), {"demand": "accumulate"}).start()
    sinks = [Sink.start(mode="manual") for _ in range(2)]
    subscriptions = [sync_subscribe(sink, to=source) for sink in sinks]
    for count in (3, 4):
        for subscription in subscriptions:
            ask(subscription, count)
    settle(source, *sinks)
    assert demand(source) == "accumulate"
    assert seen(source, "demands") == []
    assert statistics(source).unmet == 14
    demand(source, "forward")
    assert seen(source, "demands") == [3, 3, 4, 4]
    assert demand(source) == "forward"


def test_events_and_demand_are_replayed_entry_by_entry() -> None:
    """Two asks, and a list emitted after each, have their effect in this order."""
    source, sink = Logging.start(demand="accumulate"), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 2)
    settle(sink, source)
    source.cast([1, 2, 3])
    ask(subscription, 5)
    settle(sink, source)
    source.cast([4])
    settle(sink, source)
    assert seen(sink, "batches") == []
    assert statistics(source).logged == 4
    demand(source, "forward")
    settle(source, sink)
    # The first ask leaves one open, which gets the 1; 2 and 3 are buffered and meet two of the five.
    assert seen(source, "order") == [2, 3]
    assert seen(sink, "batches") == [["for 2"], [1], [2, 3], ["for 3"], [4]]
    assert statistics(source).logged == 0


def test_what_is_in_the_log_is_not_buffered() -> None:
    """The estimate does not count it; the log has no limit."""
    source = Logging.start(demand="accumulate", buffer_size=2)
    source.cast(range(10))
    assert estimate_buffered_count(source) == 0
    assert statistics(source).logged == 10
    demand(source, "forward")
    assert estimate_buffered_count(source) == 2
    assert statistics(source).discarded == 8


def test_what_was_buffered_before_stays_and_comes_first() -> None:
    """Nothing is sent while demand accumulates, and order is kept."""
    source, sink = Logging.start(), Sink.start(mode="manual")
    source.cast([1, 2])
    demand(source, "accumulate")
    ask(sync_subscribe(sink, to=source), 4)
    settle(sink, source)
    source.cast([3])
    assert estimate_buffered_count(source) == 2
    assert seen(sink, "events") == []
    demand(source, "forward")
    settle(source, sink)
    assert seen(sink, "events") == [1, 2, "for 2", 3]


def test_accumulating_again_keeps_the_log() -> None:
    """And forwarding again does nothing."""
    source, sink = Logging.start(demand="accumulate"), Sink.start(mode="manual")
    source.cast([1])
    demand(source, "accumulate")
    ask(sync_subscribe(sink, to=source), 1)
    settle(sink, source)
    demand(source, "forward")
    demand(source, "forward")
    settle(source, sink)
    assert seen(sink, "events") == [1]


def test_all_consumers_of_a_broadcast_get_the_first_event() -> None:
    """What it is for: each is there before the first event is made."""
    source = from_iterable(range(100), dispatcher=BroadcastFanOut, demand="accumulate")
    sinks = [Sink.start() for _ in range(3)]
    for sink in sinks:
        sync_subscribe(sink, to=source, max_demand=7)
    settle(source, *sinks)
    demand(source, "forward")
    for sink in sinks:
        assert ended(sink) == "normal"
        assert seen(sink, "events") == list(range(100))


def test_the_end_waits_behind_the_log() -> None:
    """Else the logged events would be lost."""
    source, sink = Logging.start(demand="accumulate"), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    settle(sink, source)
    source.cast([1, 2])
    complete(source)
    settle(source)
    assert source.is_alive()
    demand(source, "forward")
    assert ended(source) == ended(sink) == "normal"
    assert seen(sink, "events") == [1, 2]


def test_infos_behind_logged_events_come_in_their_place() -> None:
    """Those with nothing logged in front of them come at once."""
    source, sink = Logging.start(demand="accumulate"), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    sync_info(source, "free")
    assert seen(source, "order") == ["free"]
    source.cast([1])
    async_info(source, "a")
    async_info(source, "b")
    settle(source)
    assert seen(source, "order") == ["free"]
    demand(source, "forward")
    settle(source)
    assert seen(source, "order") == ["free"]  # the event is in the buffer now
    ask(subscription, 1)
    settle(source, sink)
    assert seen(source, "order") == ["free", "a", "b"]


def test_a_generator_of_events_is_replayed_as_well() -> None:
    """It is started for the first demand and read on for the second."""

    class Counting(Source):
        def handle_demand(self, demand: int) -> Iterator[int]:  # type: ignore[override]
            self.demands.append(demand)
            yield from range(100)

    source, sink = Counting.start(demand="accumulate"), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    for count in (2, 3):
        ask(subscription, count)
    settle(sink, source)
    demand(source, "forward")
    settle(source, sink)
    assert seen(sink, "events") == [0, 1, 2, 3, 4]
    assert seen(source, "demands") == [2]


def test_a_call_is_answered_while_its_events_are_logged() -> None:
    """Emitting does not wait."""

    class Answering(Silent):
        def handle_call(self, request: Any, sender: Request) -> Any:
            sender.reply("first")
            self.emit(request)
            return NO_REPLY

    source = Answering.start(demand="accumulate")
    assert source.call([1]) == "first"
    assert statistics(source).logged == 1


def test_a_stop_amid_the_replay_ends_it() -> None:
    """Later entries are not handled any more."""

    class Short(Logging):
        def handle_demand(self, demand: int) -> list[str]:
            self.stop()
            return super().handle_demand(demand)

    source, sink = Short.start(demand="accumulate"), Sink.start(mode="manual", cancel="temporary")
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    ask(subscription, 1)
    ask(subscription, 1)
    settle(sink, source)
    source.cast([9])
    demand(source, "forward")
    assert ended(source) == "normal"
    assert seen(source, "order") == [1]
    assert seen(sink, "events") == ["for 1"]


def test_the_asks_of_a_consumer_that_has_left_are_forgotten() -> None:
    """What is in the log goes to the others."""
    source = Logging.start(demand="accumulate")
    sinks = [Sink.start(mode="manual") for _ in range(2)]
    first, second = [sync_subscribe(sink, to=source, cancel="temporary") for sink in sinks]
    ask(first, 3)
    source.cast([1])
    ask(second, 2)
    cancel(first)
    settle(*sinks, source)
    demand(source, "forward")
    settle(source, *sinks)
    assert seen(source, "order") == [1]
    assert seen(sinks[1], "events") == [1, "for 1"]
    assert seen(sinks[0], "events") == []


def test_demand_that_a_leaving_consumer_sets_free_is_logged_too() -> None:
    """The slowest of a broadcast goes; what the others have asked for is then all theirs."""
    source = Logging.start(dispatcher=BroadcastFanOut)
    sinks = [Sink.start(mode="manual") for _ in range(2)]
    first, second = [sync_subscribe(sink, to=source, cancel="temporary") for sink in sinks]
    ask(second, 4)
    settle(*sinks, source)
    demand(source, "accumulate")
    cancel(first)
    settle(*sinks, source)
    assert seen(source, "order") == []
    source.cast([1])
    demand(source, "forward")
    settle(source, *sinks)
    assert seen(source, "order") == [4]
    assert seen(sinks[1], "events") == ["for 4", 1]


def test_a_producer_that_has_completed_is_asked_for_nothing_of_the_log() -> None:
    """Neither for asks nor for demand that was set free."""
    source = Logging.start(dispatcher=BroadcastFanOut)
    sinks = [Sink.start(mode="manual") for _ in range(2)]
    first, second = [sync_subscribe(sink, to=source, cancel="temporary") for sink in sinks]
    ask(second, 4)
    settle(*sinks, source)
    demand(source, "accumulate")
    cancel(first)
    ask(second, 2)
    settle(*sinks, source)
    source.cast([1])
    complete(source)
    demand(source, "forward")
    assert ended(source) == "normal"
    assert seen(source, "order") == []
    assert seen(sinks[1], "events") == [1]


def test_an_ask_of_a_stranger_is_refused_at_once() -> None:
    """As while demand is forwarded."""
    source, sink = Logging.start(demand="accumulate"), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    cancel(subscription)
    settle(sink, source, rounds=1)
    ask(subscription, 1)
    settle(source)
    assert statistics(source).unmet == 0


# -- misuse ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Middle, Sink])
@pytest.mark.parametrize("mode", [(), ("forward",), ("accumulate",)])
def test_the_mode_of_what_is_no_producer_is_an_error_at_the_call(kind: Any, mode: Any) -> None:
    """GenStage logs it, accepts it silently or crashes the stage."""
    stage = kind.start()
    with pytest.raises(OptionError, match="only a Producer has a mode of demand"):
        demand(stage, *mode)
    settle(stage)
    assert stage.is_alive()


@pytest.mark.parametrize("mode", ["backward", 5, ["forward"]])
def test_another_mode_is_an_error_at_the_call(mode: Any) -> None:
    """The producer does not hear of it."""
    source = Silent.start()
    with pytest.raises(OptionError, match="'forward', 'accumulate'"):
        demand(source, mode)
    with pytest.raises(StartError, match="option 'demand' is .*'forward', 'accumulate'"):
        Silent.start(demand=mode)


@pytest.mark.parametrize("mode", ["forward", "accumulate"])
def test_a_producer_consumer_has_no_such_option(mode: str) -> None:
    """It fails the start, as in GenStage."""
    with pytest.raises(StartError, match="only a Producer has a mode"):
        Middle.start(demand=mode)


def test_the_mode_of_a_dead_producer() -> None:
    """To get it is an error, to set it does nothing: setting is a cast."""
    source = Silent.start()
    source.stop()
    demand(source, "accumulate")
    with pytest.raises(ActorExitError):
        demand(source)


def test_a_wrong_option_of_an_iterable_producer_fails_its_start() -> None:
    """As those of other producers."""
    with pytest.raises(StartError, match="option 'demand'"):
        from_iterable([], demand="never")  # type: ignore[arg-type]
