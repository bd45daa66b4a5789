"""Handlers that are generators: pulled as far as there is demand, and no further."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Crash
from slither_actors.stages import Consumer, Producer, ProducerConsumer, Subscription, ask, sync_subscribe
from tests.stages.probes import SECONDS, Middle, Noting, Silent, Sink, Source, ended, inside, seen, settle


class Counting(Noting, Producer):
    """Yields without end, or up to `limit`; notes how far it was pulled."""

    handle_cancel = Noting.handle_cancel

    def init(self, limit: int | None = None, **options: Any) -> None:
        self.limit = limit
        self.pulled = 0
        self.demands: list[int] = []
        self.closed = threading.Event()
        self.note(options)

    def handle_demand(self, demand: int) -> Iterator[int]:
        self.demands.append(demand)
        try:
            for n in itertools.count() if self.limit is None else range(self.limit):
                self.pulled += 1
                yield n
        finally:
            self.closed.set()


class Copying(Middle):
    """Yields every event `copies` times."""

    copies = 3

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Iterator[Any]:
        self.batches.append(list(events))
        for event in events:
            yield from itertools.repeat(event, self.copies)


def test_a_generator_is_pulled_as_far_as_there_is_demand() -> None:
    """Not one event further, and it goes on there at the next demand."""
    source, sink = Counting.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    settle(source, sink)
    assert (seen(source, "pulled"), inside(sink, lambda s: s.events)) == (3, [0, 1, 2])
    ask(subscription, 2)
    settle(source, sink)
    assert (seen(source, "pulled"), inside(sink, lambda s: s.events)) == (5, [0, 1, 2, 3, 4])
    assert seen(source, "demands") == [3]


def test_demand_that_a_generator_does_not_meet_goes_to_the_next_call() -> None:
    """What came while it was at it; the call's own demand is its debt, as with a list that is too short."""
    source, sink = Counting.start(limit=4), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    settle(source, sink)
    ask(subscription, 5)
    settle(source, sink)
    assert seen(source, "demands") == [3, 4]
    assert inside(sink, lambda s: s.events) == [0, 1, 2, 3, 0, 1, 2, 3]
    ask(subscription, 7)
    settle(source, sink)
    assert seen(source, "demands")[2:] == [7]


def test_a_generator_that_ends_too_early_owes_the_rest() -> None:
    """It is not called again before somebody asks again."""
    source, sink = Counting.start(limit=4), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 10)
    settle(source, sink)
    assert seen(source, "demands") == [10]
    assert inside(sink, lambda s: s.events) == [0, 1, 2, 3]


def test_the_rest_of_a_generator_comes_before_anything_else() -> None:
    """A producer-consumer takes no further chunk while one is not pulled to its end, and does not ask."""
    source, middle, sink = Source.start(100), Copying.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=2)
    for count in (1, 1, 1, 1):
        ask(subscription, count)
        settle(source, middle, sink)
    assert inside(sink, lambda s: s.events) == [0, 0, 0, 1]
    assert seen(middle, "batches") == [[0], [1]]
    # The ask for the third event went out when the first generator was at its end.
    assert seen(source, "demands") == [2, 1]


def test_the_rest_of_a_list_waits_for_the_generator_of_its_first_chunk() -> None:
    """In order, chunk by chunk."""
    source, middle, sink = Silent.start(), Copying.start(), Sink.start(expected=3000, max_demand=7)
    sync_subscribe(sink, to=middle, max_demand=7)
    sync_subscribe(middle, to=source, max_demand=1000, min_demand=990)
    got = seen(sink, "got")
    inside(source, lambda s: s.emit(range(1000)))
    assert got.wait(SECONDS)
    assert inside(sink, lambda s: s.events) == [n for n in range(1000) for _ in range(3)]
    assert seen(middle, "batches") == [list(range(n, n + 10)) for n in range(0, 1000, 10)]


def test_an_endless_generator_in_the_middle_keeps_the_stage_open() -> None:
    """It serves requests and cancels between two strokes, however much is wanted."""

    class Endless(Middle):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> Iterator[int]:
            return itertools.count()

    source, middle = Source.start(1), Endless.start()
    taken = threading.Event()

    class Counter(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            self.count += len(events)
            if self.count > 10_000:
                taken.set()

    sink = Counter.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    ask(subscription, 10**12)
    assert taken.wait(SECONDS)
    assert seen(middle, "joined") == ["consumer", "producer"]
    assert inside(middle, lambda s: s._buffer.length) == 0
    middle.stop("normal")
    assert ended(sink) == "normal"


def test_what_a_generator_yielded_before_it_raised_is_delivered() -> None:
    """The stage then crashes with the exception."""

    class Broken(Producer):
        def handle_demand(self, demand: int) -> Iterator[int]:
            yield 1
            yield 2
            raise LookupError("no third")

    source, sink = Broken.start(), Sink.start()
    sync_subscribe(sink, to=source, cancel="temporary")
    reason = ended(source)
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, LookupError)
    assert "yield 2" not in reason.traceback_text
    assert "no third" in reason.traceback_text
    settle(sink)
    assert inside(sink, lambda s: s.events) == [1, 2]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_generator_is_closed_when_its_stage_ends(end: str) -> None:
    """Before `terminate`, if that runs."""
    source, sink = Counting.start(), Sink.start(mode="manual")
    closed = seen(source, "closed")
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    ask(subscription, 3)
    settle(source, sink)
    assert not closed.is_set()
    getattr(source, end)()
    ended(source)
    # The end of a stage that was killed is seen at once, by whoever asks.
    assert closed.wait(SECONDS if end == "kill" else 0)


def test_complete_in_a_generator_ends_the_stage_behind_all_that_it_yields() -> None:
    """However often it has to wait for demand on its way there."""

    class Last(Producer):
        def handle_demand(self, demand: int) -> Iterator[int]:
            self.complete()
            yield from range(100)

    source, sink = Last.start(), Sink.start()
    sync_subscribe(sink, to=source, max_demand=7)
    assert ended(sink) == "normal"
    assert inside_of_the_dead(sink) == list(range(100))


def test_complete_elsewhere_does_not_wait_for_the_generator() -> None:
    """An endless one would never end; what it has yielded is delivered."""

    class Told(Counting):
        def handle_cast(self, message: Any) -> None:
            self.complete()

    source, sink = Told.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 5)
    settle(source, sink)
    source.cast("enough")
    assert ended(sink) == "normal"
    assert inside_of_the_dead(sink) == [0, 1, 2, 3, 4]
    assert seen(source, "closed").is_set()


def test_an_iterator_that_is_returned_is_pulled_like_a_generator() -> None:
    """A map, a generator expression."""

    class Squares(ProducerConsumer):
        def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
            return (event * event for event in events)

    class Halves(ProducerConsumer):
        def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
            return map((2).__rfloordiv__, events)

    source, squares, halves, sink = Source.start(500), Squares.start(), Halves.start(), Sink.start()
    sync_subscribe(sink, to=halves, max_demand=3)
    sync_subscribe(halves, to=squares, max_demand=50)
    sync_subscribe(squares, to=source, max_demand=20)
    assert ended(sink) == "normal"
    assert inside_of_the_dead(sink) == [n * n // 2 for n in range(500)]


def inside_of_the_dead(ref: Any) -> list[Any]:
    events: list[Any] = ref._cell.actor.events
    return events


def test_a_consumer_may_not_be_a_generator() -> None:
    """It has nobody to yield to, and its body would never run: an error at the definition."""
    with pytest.raises(TypeError, match=r"Lazy\.handle_events is a generator.* a consumer emits nothing"):

        class Lazy(Consumer):
            def handle_events(self, events: Sequence[int], source: Subscription) -> Iterator[int]:
                yield 1
