"""Holding stages, and ending one or a graph of them in time."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Ref, Server
from slither_actors.errors import ActorExitError, CallCycleError, OptionError
from slither_actors.stages import (
    BroadcastFanOut,
    PartitionFanOut,
    Subscription,
    ask,
    complete,
    connected,
    drain,
    from_iterable,
    pause,
    resume,
    statistics,
    stop,
    sync_subscribe,
)
from slither_actors.stages._control import _begin_pause
from tests.stages.gates import Gate
from tests.stages.probes import SECONDS, Middle, Silent, Sink, Source, ended, inside, seen, settle, until

# -- pause ---------------------------------------------------------------------------------


def test_a_paused_producer_remembers_demand() -> None:
    """It hears of all of it at once when it goes on; twice is as once."""
    source, sink = Source.start(100), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    pause(source)
    pause(source)
    for count in (2, 3):
        ask(subscription, count)
    settle(sink, source)
    numbers = statistics(source)
    assert (numbers.paused, numbers.unmet) == (True, 5)
    assert seen(source, "demands") == []
    resume(source)
    resume(source)
    settle(source, sink)
    assert seen(source, "demands") == [5]
    assert seen(sink, "events") == [*range(5)]
    assert not statistics(source).paused


def test_a_paused_producer_serves_from_its_buffer_and_emits_what_it_is_told_to() -> None:
    """Only its own code for demand is held."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    inside(source, lambda stage: stage.emit([1, 2]))
    pause(source)
    ask(subscription, 5)
    settle(sink, source)
    inside(source, lambda stage: stage.emit([3]))
    assert seen(sink, "events") == [1, 2, 3]
    resume(source)
    assert seen(source, "demands") == [3]


def test_a_paused_consumer_gets_its_events_when_it_goes_on() -> None:
    """At most `max_demand` wait, for nothing is asked for meanwhile."""
    source, sink = Source.start(100), Sink.start()
    pause(sink)
    sync_subscribe(sink, to=source, max_demand=10, min_demand=5)
    settle(sink, source, sink)
    assert seen(sink, "batches") == []
    assert statistics(sink).waiting == 10
    assert seen(source, "demands") == [10]
    resume(sink)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [*range(100)]
    assert {len(batch) for batch in seen(sink, "batches")} == {5}


def test_the_end_of_a_producer_waits_behind_the_events_of_a_paused_consumer() -> None:
    """Else they would be lost."""
    source, sink = Source.start(3), Sink.start()
    pause(sink)
    sync_subscribe(sink, to=source)
    ended(source)
    settle(sink)
    assert sink.is_alive()
    resume(sink)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [0, 1, 2]


def test_a_paused_producer_consumer_holds_both_sides() -> None:
    """It handles nothing, and its buffer goes on serving."""
    source, middle, sink = Source.start(12), Middle.start(lambda e: [*e, *e]), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=4, min_demand=2)
    ask(subscription, 1)
    settle(sink, middle, source, middle)
    pause(middle)
    before = seen(middle, "batches")
    ask(subscription, 100)
    settle(sink, middle, source, middle, sink)
    assert seen(middle, "batches") == before
    resume(middle)
    assert ended(middle) == "normal"
    assert sorted(seen(sink, "events")) == sorted([*range(12), *range(12)])


def test_a_generator_is_not_read_on_while_its_stage_is_paused() -> None:
    """Demand that comes meanwhile is remembered."""

    class Endless(Silent):
        def handle_demand(self, demand: int) -> Iterator[int]:  # type: ignore[override]
            return itertools.count()

    source, sink = Endless.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 2)
    settle(sink, source)
    pause(source)
    ask(subscription, 3)
    settle(sink, source)
    assert seen(sink, "events") == [0, 1]
    resume(source)
    settle(source)
    assert seen(sink, "events") == [*range(5)]


def test_a_generator_is_held_between_two_strokes() -> None:
    """What it was asked for before is read when its stage goes on."""

    class Endless(Silent):
        def handle_demand(self, demand: int) -> Iterator[int]:  # type: ignore[override]
            return itertools.count()

    source, sink = Endless.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    source.suspend()
    ask(subscription, 3000)
    source.send(_begin_pause)
    source.resume()
    settle(source, sink)
    assert seen(sink, "count") == 1024
    resume(source)
    settle(source, sink)
    assert seen(sink, "count") == 3000


def test_no_coroutine_is_started_for_a_paused_stage() -> None:
    """One that runs goes on, and what it returns is emitted."""
    gate = Gate()

    class Slow(Silent):
        async def handle_demand(self, demand: int) -> list[int]:  # type: ignore[override]
            await gate.wait(demand)
            return [demand] * demand

    source, sink = Slow.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 1)
    gate.await_waiting(1)
    ask(subscription, 2)
    settle(sink, source)
    pause(source)
    gate.open(1)
    until(lambda: seen(sink, "events") == [1])
    settle(source)
    gate.await_waiting()
    resume(source)
    gate.await_waiting(2)
    gate.open()
    until(lambda: seen(sink, "events") == [1, 2, 2])


def test_a_coroutine_consumer_can_be_paused() -> None:
    """What waited for the coroutine goes on waiting."""
    gate = Gate()

    class Slow(Sink):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:  # type: ignore[override]
            await gate.wait(events[0])
            self.batches.append(list(events))

    source, sink = Source.start(4), Slow.start()
    sync_subscribe(sink, to=source, max_demand=2, min_demand=1)
    gate.await_waiting(0)
    pause(sink)
    gate.open(0)
    until(lambda: seen(sink, "batches") == [[0]])
    settle(sink, source, sink)
    gate.await_waiting()
    gate.open()
    resume(sink)
    assert ended(sink) == "normal"
    assert seen(sink, "batches") == [[0], [1], [2], [3]]


def test_a_stage_may_pause_itself() -> None:
    """A call to itself would wait for itself."""

    class Once(Source):
        def handle_demand(self, demand: int) -> range:
            pause(self.ref)
            return super().handle_demand(demand)

    source, sink = Once.start(100), Sink.start()
    sync_subscribe(sink, to=source, max_demand=4, min_demand=2)
    settle(sink, source, sink)
    assert len(seen(source, "demands")) == 1


@pytest.mark.parametrize("function", [pause, resume])
def test_to_hold_something_else_is_an_error_at_the_call(function: Any) -> None:
    """As is a dead stage."""
    with pytest.raises(OptionError, match="no stage"):
        function(Server.start())
    source = Silent.start()
    source.stop()
    with pytest.raises(ActorExitError):
        function(source)


# -- complete ------------------------------------------------------------------------------


def test_a_producer_can_be_completed_from_outside() -> None:
    """It ends when its buffer is taken; the consumers with it."""
    source, sink = Silent.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    inside(source, lambda stage: stage.emit([1, 2]))
    complete(source, ("shutdown", "enough"))
    settle(source)
    assert source.is_alive()
    assert statistics(source).completing
    ask(subscription, 2)
    assert ended(source) == ended(sink) == ("shutdown", "enough")
    assert seen(sink, "events") == [1, 2]


def test_a_paused_producer_can_be_completed() -> None:
    """What it has emitted is taken."""
    source, sink = Silent.start(), Sink.start()
    inside(source, lambda stage: stage.emit([1]))
    pause(source)
    complete(source)
    sync_subscribe(sink, to=source)
    assert ended(sink) == "normal"
    assert seen(sink, "events") == [1]


class Casting(Silent):
    """Emits, in a coroutine, what is cast to it."""

    def init(self, gate: Gate, **options: Any) -> None:
        self.gate = gate
        super().init(**options)

    async def handle_cast(self, message: Any) -> None:
        await self.gate.wait(message)
        self.emit([message])

    async def handle_info(self, message: Any) -> None:
        await self.handle_cast(message)


def test_complete_comes_behind_the_coroutines_of_the_messages_before_it() -> None:
    """What they emit was pushed before the end; what is pushed after it is lost with the stage."""
    gate = Gate()
    source, sink = Casting.start(gate), Sink.start()
    sync_subscribe(sink, to=source)
    settle(sink, source)
    source.cast(1)
    source.info(2)
    complete(source, ("shutdown", "enough"))
    complete(source)
    source.cast(3)
    gate.await_waiting(1)
    settle(source, sink)
    assert not statistics(source).completing
    gate.open(1)
    gate.await_waiting(2)
    settle(source, sink)
    assert not statistics(source).completing
    gate.open(2)
    assert ended(source) == ended(sink) == ("shutdown", "enough")
    assert seen(sink, "events") == [1, 2]
    assert 3 not in gate.waiting


def test_the_end_of_a_producer_comes_behind_the_coroutines_of_a_producer_consumer() -> None:
    """It completes it, as `complete` does."""
    gate = Gate()

    class Pushed(Middle):
        async def handle_cast(self, message: Any) -> None:
            await gate.wait(message)
            self.emit([message])

    source, middle, sink = Source.start(2), Pushed.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    middle.cast("pushed")
    gate.await_waiting("pushed")
    sync_subscribe(middle, to=source)
    ended(source)
    settle(middle, sink)
    gate.open()
    assert ended(sink) == ended(middle) == "normal"
    assert seen(sink, "events") == [0, 1, "pushed"]


def test_what_waits_for_a_coroutine_ends_at_the_deadline_of_a_stop() -> None:
    """`complete` itself waits for nothing."""
    gate = Gate()
    source = Casting.start(gate)
    source.cast(1)
    gate.await_waiting(1)
    complete(source)
    settle(source)
    assert source.is_alive()
    assert stop(source, timeout=SECONDS) == ()
    assert gate.cancelled == [1]
    source = Casting.start(gate)
    source.cast(2)
    gate.await_waiting(2)
    complete(source)
    assert drain(source, timeout=0.05).killed == {source: 0}


def test_a_full_buffer_that_blocks_completes_behind_the_coroutines_that_wait_for_room() -> None:
    """They are started when there is room, one after the other, and the end comes behind them."""
    gate = Gate()
    gate.open()
    source, sink = Casting.start(gate, buffer_size=1, buffer_keep="block"), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    settle(sink, source)
    source.suspend()
    for number in range(4):
        source.cast(number)
    complete(source)
    source.resume()
    until(lambda: statistics(source).buffered == 1)
    settle(source)
    assert not statistics(source).completing
    ask(subscription, 100)
    assert ended(source) == "normal"
    settle(sink)
    assert seen(sink, "events") == [0, 1, 2, 3]


def test_a_drained_consumer_waits_for_the_coroutines_of_its_messages() -> None:
    """Their effects were asked for before the end."""
    gate, done = Gate(), []

    class Slow(Sink):
        async def handle_cast(self, message: Any) -> None:
            await gate.wait(message)
            done.append(message)

    sink = Slow.start()
    sink.cast(1)
    sink.cast(2)
    gate.await_waiting(1)
    reports: list[Any] = []
    drainer = threading.Thread(target=lambda: reports.append(drain(sink, timeout=SECONDS)))
    drainer.start()
    until(lambda: inside(sink, lambda stage: stage._draining))
    gate.open()
    drainer.join(SECONDS)
    assert reports[0].ended == {sink: "normal"}
    assert done == [1, 2]


def test_a_consumer_cannot_be_completed() -> None:
    """It has nobody to complete for; a dead producer is left alone."""
    with pytest.raises(OptionError, match="no producer"):
        complete(Sink.start())
    source = Silent.start()
    source.stop()
    complete(source)


# -- drain ---------------------------------------------------------------------------------


def chain(*, cancel: str = "permanent", **options: Any) -> tuple[Any, Any, Any]:
    source, middle, sink = Source.start(10**9), Middle.start(), Sink.start()
    sync_subscribe(sink, to=middle, cancel=cancel, **options)
    sync_subscribe(middle, to=source, cancel=cancel, **options)
    return source, middle, sink


@pytest.mark.parametrize("cancel", ["permanent", "transient", "temporary"])
def test_a_drained_graph_loses_nothing(cancel: str) -> None:
    """All that was made is handled, all stages end normally, whatever the subscriptions say."""
    stages = chain(cancel=cancel, max_demand=10)
    until(lambda: seen(stages[2], "count") > 100)
    report = drain(*connected(stages[1]), timeout=SECONDS)
    assert report.ended == dict.fromkeys(stages, "normal")
    assert (report.killed, report.lost) == ({}, 0)
    assert seen(stages[2], "events") == [*range(seen(stages[0], "next"))]


def test_a_consumer_of_two_producers_waits_for_both() -> None:
    """The normal end of the first would end it otherwise."""
    sources, sink = [Source.start(10**9), Silent.start()], Sink.start()
    for source in sources:
        sync_subscribe(sink, to=source, max_demand=10)
    until(lambda: seen(sink, "count") > 50)
    settle(sources[1])
    pause(sink)
    inside(sources[1], lambda stage: stage.emit([-1, -2]))
    report = drain(*sources, sink, timeout=SECONDS)
    assert set(report.ended.values()) == {"normal"}
    events = seen(sink, "events")
    assert sorted(events) == [-2, -1, *range(seen(sources[0], "next"))]


def test_consumers_hear_of_the_drain_before_their_producers_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the end of the first producer would be the end of them."""
    stages = chain(max_demand=10)
    order: list[Any] = []
    send = Ref.send

    def noting(ref: Ref, function: Any, argument: Any = None) -> None:
        order.append(ref)
        send(ref, function, argument)

    with monkeypatch.context() as patch:
        patch.setattr(Ref, "send", noting)
        drain(*stages, timeout=SECONDS)
    assert [ref for ref in order if ref in stages][-1] is stages[0]


def test_one_producer_can_be_drained_alone() -> None:
    """Its consumers do as their subscriptions say."""
    source, sink = Silent.start(), Sink.start()
    sync_subscribe(sink, to=source, cancel="temporary")
    inside(source, lambda stage: stage.emit([1, 2]))
    assert drain(source, timeout=SECONDS).ended == {source: "normal"}
    assert seen(sink, "events") == [1, 2]
    assert sink.is_alive()


def test_a_stage_drained_alone_leaves_its_producers() -> None:
    """It takes nothing new, and finishes what it has."""
    source, middle, sink = chain(max_demand=10)
    until(lambda: seen(sink, "count") > 100)
    assert drain(middle, sink, timeout=SECONDS).ended == {middle: "normal", sink: "normal"}
    settle(source)
    assert source.is_alive()
    assert seen(sink, "events") == [*range(seen(sink, "count"))]
    assert seen(source, "left") == [("cancel", "normal")]


def test_what_a_partition_has_queued_is_finished() -> None:
    """By whom it is queued for."""
    source = Silent.start(dispatcher=functools.partial(PartitionFanOut, 2))
    sinks = [Sink.start(), Sink.start()]
    pause(sinks[1])
    for number, sink in enumerate(sinks):
        sync_subscribe(sink, to=source, partition=number, max_demand=4)
    settle(*sinks, source)
    inside(source, lambda stage: stage.emit(range(8)))
    assert drain(*connected(source), timeout=SECONDS).lost == 0
    assert [seen(sink, "events") for sink in sinks] == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_the_log_of_an_accumulating_producer_is_sent() -> None:
    """It has been emitted."""
    source, sink = Silent.start(demand="accumulate"), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    settle(sink, source)
    inside(source, lambda stage: stage.emit([1, 2]))
    assert drain(source, sink, timeout=SECONDS).lost == 0
    assert seen(sink, "events") == [1, 2]
    assert seen(source, "demands") == []


def test_a_paused_stage_is_drained() -> None:
    """It would hold the others up to the deadline."""
    stages = chain(max_demand=10)
    pause(stages[1])
    settle(*stages)
    report = drain(*stages, timeout=SECONDS)
    assert set(report.ended.values()) == {"normal"}
    assert seen(stages[2], "events") == [*range(seen(stages[0], "next"))]


def test_coroutines_at_work_are_waited_for() -> None:
    """Of the producer, in the middle and at the end; what they return counts."""
    gate = Gate()

    class SlowSource(Source):
        async def handle_demand(self, demand: int) -> range:  # type: ignore[override]
            await gate.wait("source")
            return super().handle_demand(demand)

    class SlowMiddle(Middle):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
            await gate.wait("middle")
            return super().handle_events(events, source)

    source, middle, sink = SlowSource.start(10**9), SlowMiddle.start(), Sink.start()
    sync_subscribe(sink, to=middle, max_demand=4)
    sync_subscribe(middle, to=source, max_demand=4)
    gate.await_waiting("source")
    done: list[Any] = []
    drainer = threading.Thread(target=lambda: done.append(drain(source, middle, sink, timeout=SECONDS)))
    drainer.start()
    until(lambda: inside(source, lambda stage: stage._draining))
    gate.open()
    drainer.join(SECONDS)
    assert done[0].lost == 0
    assert seen(sink, "events") == [*range(seen(source, "next"))] == [0, 1, 2, 3]


def test_coroutines_that_handle_messages_are_waited_for() -> None:
    """What they emit was asked for before the end; demand that comes meanwhile is not met any more."""
    gate = Gate()

    class Slow(Silent):
        async def handle_cast(self, message: Any) -> None:
            await gate.wait(message)
            self.emit([message])

    source, sink = Slow.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 5)
    settle(sink, source)
    source.cast(1)
    source.cast(2)
    gate.await_waiting(1)
    done: list[Any] = []
    drainer = threading.Thread(target=lambda: done.append(drain(source, sink, timeout=SECONDS)))
    drainer.start()
    until(lambda: inside(source, lambda stage: stage._draining))
    ask(subscription, 5)
    settle(source)
    gate.open()
    drainer.join(SECONDS)
    assert done[0].ended == {source: "normal", sink: "normal"}
    assert seen(sink, "events") == [1, 2]
    assert seen(source, "demands") == [5]


def test_what_is_lost_at_the_deadline_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """The deadline is one for all; those left are killed."""
    release = threading.Event()

    class Stuck(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            release.wait(SECONDS)

    source, sink, other = Silent.start(), Stuck.start(), Silent.start()
    sync_subscribe(sink, to=source, max_demand=4, min_demand=2)
    settle(sink, source)
    inside(source, lambda stage: stage.emit(range(4)))
    inside(source, lambda stage: stage.emit(range(10)))
    inside(other, lambda stage: stage.emit(range(5)))
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        report = drain(source, sink, other, timeout=0.2)
    assert time.monotonic() - began < 5
    release.set()
    # The consumer is at work on the first half of the list.
    assert report.killed == {source: 10, sink: 2, other: 5}
    assert report.lost == 17
    assert "was killed; 10 events are lost" in caplog.text
    assert ended(source) == ended(other) == "killed"


def test_events_on_their_way_count_as_lost() -> None:
    """In the mailbox of a consumer that is stuck."""
    release, stuck = threading.Event(), threading.Event()

    class Stuck(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            stuck.set()
            release.wait(SECONDS)

    source, sink = Silent.start(), Stuck.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=0)
    settle(sink, source)
    for _ in range(3):
        inside(source, lambda stage: stage.emit([1]))
    assert stuck.wait(SECONDS)
    assert drain(source, sink, timeout=0.1).killed == {sink: 2}
    release.set()


def test_draining_what_is_dead_or_drained_already_is_no_error() -> None:
    """Its reason is told."""
    source, sink = Silent.start(), Sink.start()
    source.stop("shutdown")
    drain(sink, timeout=SECONDS)
    assert drain(source, sink, timeout=SECONDS).ended == {source: "shutdown", sink: "normal"}


def test_a_stage_that_crashes_while_it_is_drained_is_told_of() -> None:
    """The others go on."""

    class Fragile(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            raise ValueError(5)

    source, sinks = Silent.start(dispatcher=BroadcastFanOut), [Fragile.start(), Sink.start()]
    for sink in sinks:
        pause(sink)
        sync_subscribe(sink, to=source, max_demand=4)
    settle(*sinks, source)
    inside(source, lambda stage: stage.emit([1]))
    report = drain(source, *sinks, timeout=SECONDS)
    assert str(report.ended[sinks[0]]) == "ValueError: 5"
    assert report.ended[sinks[1]] == report.ended[source] == "normal"


@pytest.mark.parametrize("function", [functools.partial(drain, timeout=1), stop])
def test_a_stage_cannot_wait_for_its_own_end(function: Any) -> None:
    """It is told so instead of waiting for the deadline."""
    source = Silent.start()

    def end_itself(stage: Any) -> str:
        with pytest.raises(CallCycleError):
            function(stage.ref)
        return "told"

    assert inside(source, end_itself) == "told"
    with pytest.raises(OptionError, match="no stage"):
        function(Server.start())
    with pytest.raises(OptionError, match="timeout"):
        drain(source, timeout="long")  # type: ignore[arg-type]


# -- stop ----------------------------------------------------------------------------------


def test_many_stages_stop_within_one_deadline() -> None:
    """The time does not add up; those that are stuck are killed and named."""
    release, stuck = threading.Event(), threading.Event()

    class Stuck(Silent):
        def terminate(self, reason: Any) -> None:
            stuck.set()
            release.wait(SECONDS)

    good, bad = [Silent.start(), Sink.start()], [Stuck.start() for _ in range(3)]
    began = time.monotonic()
    killed = stop(good[0], *bad, good[1], reason="shutdown", timeout=0.3)
    assert time.monotonic() - began < 3
    release.set()
    assert set(killed) == set(bad)
    assert [ref.exit_reason for ref in good] == ["shutdown", "shutdown"]
    assert stop(*good, *bad) == ()


def test_a_graph_can_be_stopped() -> None:
    """Found from any of its stages."""
    stages = chain(max_demand=10)
    assert set(connected(stages[0])) == set(connected(stages[1])) == set(connected(*stages)) == set(stages)
    assert stop(*connected(stages[2]), timeout=SECONDS) == ()
    assert {ref.exit_reason for ref in stages} == {"normal"}


def test_a_stage_alone_is_connected_with_nobody() -> None:
    """Nor is a dead one; what is no stage is an error."""
    source = from_iterable([])
    assert connected(source) == (source,)
    source.stop()
    assert connected(source) == (source,)
    with pytest.raises(OptionError, match="no stage"):
        connected(Server.start())
