"""The ends of streams: of their producers, of readers that leave, and of those that wait."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors.actors import Crash
from slither_actors.errors import StreamError
from slither_actors.stages import (
    BroadcastFanOut,
    cancel,
    from_iterable,
    stream,
)
from tests.stages.probes import SECONDS, Silent, inside, seen, until
from tests.stages.streams import endless, nothing_is_left, waiting_reader

# -- its ends --------------------------------------------------------------------------------


def test_it_ends_when_the_last_of_its_producers_has_ended_in_order() -> None:
    """The others go on."""
    short, long = from_iterable(range(3)), from_iterable(range(5000))
    assert len(list(stream(short, long))) == 5003


def test_a_crash_of_a_producer_is_raised_behind_its_events() -> None:
    """It names the producer, the reason and the exception."""

    def broken() -> Iterator[int]:
        yield from range(7)
        raise ValueError("line 8")

    source, got = from_iterable(broken()), deque[int]()
    with pytest.raises(StreamError, match="line 8") as caught:
        got.extend(stream(source))
    assert list(got) == list(range(7))
    assert caught.value.producer == str(source)
    assert isinstance(caught.value.reason, Crash)
    assert isinstance(caught.value.__cause__, ValueError)
    nothing_is_left(source)


@pytest.mark.parametrize(
    ("mode", "reason", "raises"),
    [
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("transient", "broken", True),
        ("permanent", "normal", True),
        ("temporary", "broken", False),
    ],
)
def test_the_cancel_mode_says_which_end_is_an_error(mode: str, reason: str, raises: bool) -> None:
    """By default the abnormal ones, so that a finite producer simply ends the loop."""
    source = Silent.start()
    events = stream({"to": source, "cancel": mode})
    threading.Thread(target=lambda: (until(lambda: seen(source, "demands")), source.stop(reason))).start()
    if raises:
        with pytest.raises(StreamError) as caught:
            next(events)
        assert (caught.value.producer, caught.value.reason) == (str(source), reason)
    else:
        assert list(events) == []


def test_the_failure_of_one_producer_cancels_the_others() -> None:
    """With the reason "normal"."""
    good, bad = Silent.start(), Silent.start()
    threading.Thread(target=lambda: (until(lambda: seen(bad, "demands")), bad.stop("broken"))).start()
    with pytest.raises(StreamError):
        list(stream(good, bad))
    until(lambda: seen(good, "left"))
    assert seen(good, "left") == [("cancel", "normal")]


@pytest.mark.parametrize(("mode", "raises"), [("transient", True), ("permanent", True), ("temporary", False)])
@pytest.mark.parametrize("known_by", ["ref", "name"])
def test_a_producer_that_is_not_there(mode: str, raises: bool, known_by: str) -> None:
    """Is one that has ended with "noproc"."""
    gone = Silent.start()
    gone.stop()
    events = stream({"to": gone if known_by == "ref" else "nobody", "cancel": mode})
    if raises:
        with pytest.raises(StreamError) as caught:
            list(events)
        assert caught.value.reason == "noproc"
    assert list(events) == []


def test_a_refusal_by_the_producer_is_raised() -> None:
    """Its reason says why."""
    source = from_iterable([1], dispatcher=BroadcastFanOut)
    with pytest.raises(StreamError):
        list(stream({"to": source, "selector": 5}))


# -- readers that leave ------------------------------------------------------------------------


def test_a_break_cancels_with_normal_and_the_producer_lives() -> None:
    """Nothing else has to be done."""
    source = endless()
    for event in stream(source):
        if event == 3:
            break
    nothing_is_left(source)
    assert seen(source, "left") == [("cancel", "normal")]
    assert source.is_alive()


def test_an_exception_in_the_loop_body_cancels() -> None:
    """It is the body's own that is raised."""
    source = endless()

    def read() -> None:
        for event in stream(source):
            assert event < 3

    with pytest.raises(AssertionError):
        read()
    nothing_is_left(source)


def test_a_with_block_closes_at_its_end() -> None:
    """Also where a variable keeps the stream."""
    source = endless()
    with stream(source) as events:
        assert next(events) == 0
    assert events.statistics().closed
    nothing_is_left(source)
    assert list(events) == []


def test_close_in_the_loop_ends_the_loop() -> None:
    """At once, not at the end of the chunk."""
    source, got = endless(), []
    events = stream(source)
    for event in events:
        got.append(event)
        events.close()
    assert got == [0]
    nothing_is_left(source)


def test_close_before_the_beginning_starts_nothing() -> None:
    """It is empty then."""
    source = endless()
    events = stream(source)
    events.close()
    events.close()
    assert list(events) == []
    assert seen(source, "joined") == []


@pytest.mark.parametrize("how", ["for", "async for"])
def test_close_in_the_middle_of_the_beginning_leaves_nothing_behind(how: str) -> None:
    """Another thread may be that fast."""
    source = endless()
    events = stream(source)
    find = events._reading._finder

    class ClosedMeanwhile:
        begin = find.begin

        def __call__(self) -> Any:
            events.close()
            return find()

    async def read() -> list[Any]:
        return [event async for event in events]

    events._reading._finder = ClosedMeanwhile()
    assert (list(events) if how == "for" else asyncio.run(read())) == []
    nothing_is_left(source)


def test_garbage_cancels() -> None:
    """One whose iterator nobody has any more, in a reference cycle even."""
    source = endless()
    events = stream(source)
    assert next(events) == 0
    knot: list[Any] = [events]
    knot.append(knot)
    watch = weakref.ref(events)
    del events, knot
    gc.collect()
    assert watch() is None
    nothing_is_left(source)


def test_a_loop_that_goes_on_goes_on_where_it_was() -> None:
    """The stream is one iterator."""
    events = stream(from_iterable(range(10)))
    assert list(itertools.islice(events, 3)) == [0, 1, 2]
    assert list(events) == list(range(3, 10))


@pytest.mark.parametrize("chunks", [False, True])
def test_ctrl_c_ends_a_wait(chunks: bool) -> None:
    """And the subscription with it."""
    source = Silent.start()

    events = stream(source, chunks=chunks)
    left = threading.Event()

    def interrupt() -> None:
        until(lambda: events._reading.arrivals.wake is not None)
        # Again, if need be: Python looks at signals before it waits for a lock, and one that comes
        # after that and before the wait is seen at the end of the wait, or with the next signal.
        while not left.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            left.wait(1.0)

    def read() -> None:
        try:
            list(events)
        finally:
            left.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        read()
    thread.join()
    nothing_is_left(source)


# -- a reader that waits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (lambda source, _: source.stop(), ["end"]),
        (lambda source, _: source.kill(), ["killed"]),
        (lambda _, events: events.close(), ["end"]),
        (lambda _, events: events.consumer.kill(), ["killed"]),
        (lambda _, events: events.consumer.stop(), ["end"]),
    ],
    ids=["end", "death", "close", "death of its consumer", "stop of its consumer"],
)
def test_a_reader_that_waits_is_woken(what: Callable[[Any, Any], Any], expected: list[Any]) -> None:
    """By the end of the producer, its death, and by another thread that closes the stream."""
    source = Silent.start()
    events, thread, got = waiting_reader(source)
    what(source, events)
    thread.join(SECONDS)
    assert got == expected
    nothing_is_left(source)


def test_a_reader_that_waits_is_woken_by_an_event() -> None:
    """Each time."""
    source = Silent.start()
    events, thread, got = waiting_reader(source)
    for number in range(100):
        inside(source, lambda stage, number=number: stage.emit([number]))
        until(lambda number=number: got[-1:] == [number])
    events.close()
    thread.join(SECONDS)
    assert got == [*range(100), "end"]


def test_a_cancel_by_the_producer_ends_it() -> None:
    """As an end of the producer does."""
    source = Silent.start()
    _, thread, got = waiting_reader(source)
    inside(source, lambda stage: cancel(stage.sources[0]))
    thread.join(SECONDS)
    assert got == ["end"]
    assert source.is_alive()


def test_a_second_thread_that_reads_gets_an_error() -> None:
    """And the first one every event."""
    source = Silent.start()
    events, thread, got = waiting_reader(source)
    for read in (next, list, next):
        with pytest.raises(RuntimeError, match="read by another thread.*one reader: give each thread"):
            read(events)
    inside(source, lambda stage: stage.emit([1, 2]))
    source.stop()
    thread.join(SECONDS)
    assert got == [1, 2, "end"]


@pytest.mark.parametrize("chunks", [False, True])
def test_threads_may_take_turns(chunks: bool) -> None:
    """Each goes on where the other one left, also in the middle of a chunk; the end is the end for all."""
    got: list[Any] = []

    def take(count: int) -> None:
        got.extend(itertools.islice(events, count))

    events = stream({"to": from_iterable(range(40)), "max_demand": 4, "min_demand": 2}, chunks=chunks)
    for _ in range(30):
        for each in (threading.Thread(target=take, args=(1,)), threading.Thread(target=take, args=(2,))):
            each.start()
            each.join(SECONDS)
        take(1)
    assert (list(itertools.chain(*got)) if chunks else got) == [*range(40)]
    assert list(events) == []


def test_threads_that_read_at_one_time_lose_no_event() -> None:
    """Each event reaches one of them, or they get the error."""
    got: list[Any] = []

    def take() -> None:
        while not events.statistics().closed:
            with contextlib.suppress(RuntimeError):
                for event in events:
                    got.append(event)

    events = stream({"to": from_iterable(range(3000)), "max_demand": 20})
    threads = [threading.Thread(target=take) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS)
    assert sorted(got) == [*range(3000)]
