"""Streams: the events of producers in a plain loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.actors import Request, Server, zombies
from slither_actors.actors._zombie import bury
from slither_actors.errors import ActorExitError, OptionError, StreamError
from slither_actors.stages import (
    BroadcastFanOut,
    Subscription,
    connected,
    demand,
    drain,
    from_iterable,
    pause,
    resume,
    statistics,
    stream,
    sync_subscribe,
)
from tests.stages.probes import SECONDS, Middle, Silent, Source, ended, inside, seen, settle, until
from tests.stages.streams import endless, nothing_is_left, waiting_reader

# -- what comes --------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 2501])
def test_every_event_comes_in_order_and_then_it_ends(count: int) -> None:
    """And the next one after the end is no event either."""
    events = stream(from_iterable(range(count)))
    assert list(events) == list(range(count))
    assert list(events) == []


def test_no_producers_give_no_events() -> None:
    """It is empty, not an error."""
    assert list(stream()) == []


def test_it_subscribes_when_the_first_event_is_asked_for() -> None:
    """Not when it is made, nor when a loop over it is."""
    source = from_iterable(range(3))
    iterator = iter(stream(source))
    settle(source)
    assert inside(source, lambda stage: len(stage._consumers)) == 0
    assert next(iterator) == 0


def test_a_producer_is_a_ref_a_name_or_a_mapping_of_options() -> None:
    """Each with GenStage's defaults: 1000, and half of it."""
    one, two = Source.start(3), Source.start(5)
    from_iterable("ab", name="letters")
    got = list(stream(one, "letters", {"to": two, "max_demand": 4, "min_demand": 1}))
    assert sorted(map(str, got)) == sorted(map(str, [0, 1, 2, "a", "b", 0, 1, 2, 3, 4]))
    assert seen(one, "demands")[0] == 1000
    assert seen(two, "demands")[0] == 4


def test_a_name_is_looked_up_when_the_stream_begins() -> None:
    """The producer may start later, or again."""
    events = stream("late")
    from_iterable([1, 2], name="late")
    assert list(events) == [1, 2]


def test_options_of_the_fan_out_reach_it() -> None:
    """A selector, say."""
    source = from_iterable(range(10), dispatcher=BroadcastFanOut)
    assert list(stream({"to": source, "selector": lambda event: event % 2})) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("producers", "options", "option"),
    [
        ([{"to": "nobody", "max_demand": 0}], {}, "max_demand"),
        ([{"to": "nobody", "cancel": "never"}], {}, "cancel"),
        ([{"max_demand": 5}], {}, "to"),
        ([[1, 2]], {}, "to"),
        ([], {"chunks": 5}, "chunks"),
        ([], {"demand": "faster"}, "demand"),
    ],
)
def test_a_wrong_option_is_refused_at_the_call(
    producers: list[Any], options: dict[str, Any], option: str
) -> None:
    """And not at the first event."""
    with pytest.raises(OptionError) as caught:
        stream(*producers, **options)
    assert caught.value.option == option
    assert "stream" in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"), [("max_wait", 0.1), ("delivery", "at_least_once")], ids=["max_wait", "delivery"]
)
def test_what_a_reader_cannot_do_is_refused(option: str, value: Any) -> None:
    """At the call, when a name is looked up, and of a further subscription. Nothing crashes later."""
    source = endless()
    with pytest.raises(OptionError, match=f"stream: option '{option}'"):
        stream({"to": source, option: value})
    late = stream({"to": "late", option: value})
    Source.start(5, name="late")
    with pytest.raises(OptionError, match=f"stream: option '{option}'"):
        next(late)
    with stream(source) as events:
        assert next(events) == 0
        assert events.consumer is not None
        with pytest.raises(OptionError, match=f"sync_subscribe: option '{option}'"):
            sync_subscribe(events.consumer, to=source, **{option: value})
        assert next(events) == 1
    nothing_is_left(source)


def test_a_stage_that_is_no_producer_is_refused() -> None:
    """The error names it."""

    class Plain(Server):
        pass

    with pytest.raises(OptionError, match="is no producer"):
        stream(Plain.start())


def test_chunks_are_at_most_max_minus_min_long() -> None:
    """As those that `handle_events` gets."""
    source = from_iterable(range(25))
    got = list(stream({"to": source, "max_demand": 10, "min_demand": 6}, chunks=True))
    assert {len(chunk) for chunk in got} <= {1, 2, 3, 4}
    assert [event for chunk in got for event in chunk] == list(range(25))


def test_a_subscription_may_be_added_while_it_is_read() -> None:
    """GenStage's stream takes later subscriptions of its process."""
    one, two = Silent.start(), from_iterable([1, 2, 3])
    events = stream(one)
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.extend(events))
    reader.start()
    until(lambda: events.consumer)
    assert events.consumer is not None
    sync_subscribe(events.consumer, to=two, cancel="transient")
    until(lambda: len(got) == 3)
    one.stop()
    reader.join(SECONDS)
    assert got == [1, 2, 3]


# -- demand --------------------------------------------------------------------------------


def test_the_ask_for_a_chunk_goes_out_when_the_chunk_after_it_is_wanted() -> None:
    """A reader that stands still holds the producer, with never more than `max_demand` under way."""
    source = endless()
    events = iter(stream({"to": source, "max_demand": 10, "min_demand": 5}))
    assert [next(events) for _ in range(5)] == [0, 1, 2, 3, 4]
    settle(source)
    assert seen(source, "demands") == [10]
    next(events)
    settle(source)
    assert seen(source, "demands") == [10, 5]


def test_statistics_say_what_waits() -> None:
    """In any thread, at any time."""
    source = endless()
    events = stream({"to": source, "max_demand": 10, "min_demand": 5})
    before = events.statistics()
    assert (before.taken, before.producers, before.closed) == (0, 0, False)
    next(events)
    until(lambda: events.statistics().waiting == 5)
    now = events.statistics()
    assert (now.taken, now.outstanding, now.producers, now.closed) == (5, 5 + 5, 1, False)
    events.close()
    after = events.statistics()
    assert (after.waiting, after.closed) == (0, True) or after.closed


# -- in an actor ------------------------------------------------------------------------------------


class Reader(Server):
    """Reads a stream in its handlers."""

    def handle_call(self, request: Any, sender: Request) -> Any:
        return sum(stream(request))

    def handle_cast(self, message: Any) -> None:
        self.events = stream(message)
        next(self.events)

    def handle_info(self, message: Any) -> None:
        for _ in stream(message):
            pass


def test_it_is_read_in_the_handler_of_an_actor() -> None:
    """Which gives the run queue to the producers meanwhile."""
    middle = Middle.start(lambda events: [event + 1 for event in events])
    sync_subscribe(middle, to=from_iterable(range(1000)))
    assert Reader.start().call(middle) == 500500


def test_many_actors_read_one_another_at_the_same_time() -> None:
    """Each wait hands the thread over."""
    readers = [Reader.start() for _ in range(30)]
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda reader=reader: results.append(reader.call(from_iterable(range(100)))))
        for reader in readers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert results == [4950] * 30


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_actor_that_is_to_end_does_not_wait_on(end: str) -> None:
    """Its subscriptions end with it."""
    source, reader = Silent.start(), Reader.start()
    reader.info(source)
    until(lambda: seen(source, "demands"))
    (reader.kill if end == "kill" else lambda: reader.exit("shutdown"))()
    ended(reader)
    nothing_is_left(source)


def test_a_stream_that_an_actor_keeps_ends_with_it() -> None:
    """Whoever else has it gets an error that says so."""
    source, reader = endless(), Reader.start()
    reader.cast(source)
    events = inside(reader, lambda actor: actor.events)
    reader.stop()
    with pytest.raises(StreamError, match="Reader"):
        list(events)
    nothing_is_left(source)


def test_a_stream_of_a_producer_that_the_reader_crashed_raises_in_the_reader() -> None:
    """The caller of that one learns of it as of any crash."""

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    with pytest.raises(ActorExitError, match="no"):
        Reader.start().call(from_iterable(broken()))


def test_read_by_a_plain_loop_and_by_an_async_one_is_an_error() -> None:
    """Each would have what the other lacks."""
    events = stream(from_iterable([1]))
    next(events)
    with pytest.raises(RuntimeError, match="async for"):
        aiter(events)


def test_events_in_excess_are_read_as_well() -> None:
    """A producer of one's own may send more than it was asked for."""

    class Rude(Source):
        def _dispatch(self, events: Any) -> None:
            for consumer in self._consumers:
                put: Any = consumer.consumer_put
                put((_deliver, (consumer, [*events, "more"])))

    events = stream({"to": Rude.start(4, completes=False), "max_demand": 4})
    assert [next(events) for _ in range(5)] == [0, 1, 2, 3, "more"]
    events.close()


def _deliver(consumer: Any, argument: tuple[Subscription, Any]) -> None:
    consumer._receive(*argument)


def test_an_actor_that_is_abandoned_in_its_loop_leaves_nothing_behind() -> None:
    """Its subscriptions end when it is given up, and when it comes back its loop does."""
    source, reader, ends = endless(), BodyThatBlocks.start(), []
    reader.cast((source, ends))
    until(lambda: ends)
    reader.kill()
    bury(reader._cell)
    assert zombies()
    nothing_is_left(source)
    release, raised = ends[0]
    release.set()
    assert raised.wait(SECONDS)
    until(lambda: not zombies())


class BodyThatBlocks(Server):
    """Blocks in the body of its loop."""

    def handle_cast(self, message: Any) -> None:
        source, ends = message
        release, raised = threading.Event(), threading.Event()
        try:
            for _ in stream({"to": source, "max_demand": 1}):
                ends.append((release, raised))
                release.wait(SECONDS)
        finally:
            raised.set()


# -- with the rest of what stages do ------------------------------------------------------------------


@pytest.mark.parametrize("producers", [None, "the first"])
def test_the_producers_forward_demand_when_all_are_subscribed_to(producers: str | None) -> None:
    """Those that accumulated it until then; all, or those that are named."""
    one, two = from_iterable([1], demand="accumulate"), from_iterable([2], demand="accumulate")
    if producers is None:
        assert sorted(stream(one, two)) == [1, 2]
    else:
        events = stream(one, two, producers=[one])
        assert next(events) == 1
        assert demand(two) == "accumulate"
        events.close()


def test_the_stages_in_front_of_a_producer_can_be_told_instead() -> None:
    """The source of a chain, as GenStage has it."""
    source, middle = from_iterable(range(3), demand="accumulate"), Middle.start()
    sync_subscribe(middle, to=source)
    assert list(stream(middle, producers=[source])) == [0, 1, 2]


def test_a_producer_may_be_told_to_accumulate() -> None:
    """Behind the first ask, as in GenStage."""
    source = endless()
    with stream(source, demand="accumulate") as events:
        next(events)
        assert demand(source) == "accumulate"


def test_a_graph_with_a_reader_is_drained() -> None:
    """What is in it reaches the reader, and the loop ends."""
    source, middle = endless(), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    events = stream({"to": middle, "max_demand": 10})
    got = [next(events)]
    reader = threading.Thread(target=lambda: got.extend(events))
    reader.start()
    report = drain(*connected(middle), timeout=SECONDS)
    reader.join(SECONDS)
    assert set(report.ended.values()) == {"normal"}
    assert got == list(range(seen(source, "next")))


def test_its_consumer_may_be_paused() -> None:
    """The reader waits then; what comes waits in front of the consumer."""
    source = Silent.start()
    events, thread, got = waiting_reader(source)
    assert events.consumer is not None
    pause(events.consumer)
    inside(source, lambda stage: stage.emit([1, 2]))
    source.stop()
    until(lambda: events.consumer and statistics(events.consumer).waiting == 2)
    assert got == []
    resume(events.consumer)
    thread.join(SECONDS)
    assert got == [1, 2, "end"]
