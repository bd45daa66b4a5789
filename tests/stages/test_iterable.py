"""Producers over iterables."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.actors import Crash, Server
from slither_actors.errors import OptionError, StartError
from slither_actors.stages import PartitionFanOut, ask, cancel, demand, from_iterable, sync_subscribe
from tests.stages.probes import Middle, Silent, Sink, ended, inside, seen, settle


class Pulled:
    """An endless iterator that counts what was taken from it."""

    def __init__(self) -> None:
        self.count = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.count += 1
        return self.count


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 1000, 1001])
def test_every_element_is_delivered_in_order_and_then_it_ends(count: int) -> None:
    """Also an empty one."""
    source, sink = from_iterable(range(count)), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    assert ended(sink) == ended(source) == "normal"
    assert seen(sink, "events") == list(range(count))


def test_it_is_read_exactly_as_far_as_it_is_asked() -> None:
    """Not one element more, and none before the first demand."""
    pulled = Pulled()
    source, sink = from_iterable(pulled), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    settle(source)
    assert pulled.count == 0
    for count in (1, 5, 14):
        ask(subscription, count)
        settle(source)
    assert pulled.count == 20
    assert [len(batch) for batch in seen(sink, "batches")] == [1, 5, 14]


def test_through_a_chain_it_is_read_as_far_as_the_demands_on_the_way_go() -> None:
    """A reader that stops stops the input."""
    pulled = Pulled()
    source, middle, sink = from_iterable(pulled), Middle.start(), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=10)
    ask(subscription, 1)
    settle(source, middle, sink)
    assert 10 <= pulled.count <= 20


def test_a_generator_is_closed_when_its_producer_ends_early() -> None:
    """Its `finally` runs in the producer, whatever the reason of the end."""
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    source, sink = from_iterable(numbers()), Sink.start(mode="manual")
    ask(sync_subscribe(sink, to=source), 3)
    settle(source)
    source.stop("shutdown")
    assert closed == [True]


def test_a_generator_that_is_read_to_its_end_is_closed_by_that() -> None:
    """Closing it again does nothing."""
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(5)
        finally:
            closed.append(True)

    source, sink = from_iterable(numbers()), Sink.start()
    sync_subscribe(sink, to=source)
    ended(source)
    assert closed == [True]


def test_a_file_is_not_closed(tmp_path: Path) -> None:
    """Who opened it closes it; it may be standard input."""
    path = tmp_path / "lines"
    path.write_text("a\nb\n")
    with path.open() as lines:
        source, sink = from_iterable(lines), Sink.start()
        sync_subscribe(sink, to=source)
        ended(source)
        assert not lines.closed
    assert seen(sink, "events") == ["a\n", "b\n"]


def test_what_was_read_before_the_iterable_raised_is_delivered() -> None:
    """Then everybody ends with the exception as the reason."""

    def broken() -> Iterator[int]:
        yield from range(7)
        raise ValueError("line 8")

    source, sink = from_iterable(broken()), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    reason = ended(sink)
    assert isinstance(reason, Crash)
    assert str(reason) == "ValueError: line 8"
    assert seen(sink, "events") == list(range(7))


def test_two_consumers_read_one_iterable() -> None:
    """Each element goes to one of them."""
    source, sinks = from_iterable(range(500)), [Sink.start(), Sink.start()]
    for sink in sinks:
        sync_subscribe(sink, to=source, max_demand=7)
    for sink in sinks:
        ended(sink)
    assert sorted(seen(sinks[0], "events") + seen(sinks[1], "events")) == list(range(500))


def test_it_takes_a_dispatcher_and_ends_when_the_last_partition_has_its_events() -> None:
    """The elements queued for a slow partition are not lost by the end of the iterable."""
    source = from_iterable(range(100), dispatcher=functools.partial(PartitionFanOut, 4))
    sinks = [Sink.start() for _ in range(4)]
    for number, sink in enumerate(sinks):
        sync_subscribe(sink, to=source, partition=number, max_demand=1 + 30 * number)
    for number, sink in enumerate(sinks):
        assert ended(sink) == "normal"
        assert seen(sink, "events") == list(range(number, 100, 4))


def test_with_on_cancel_stop_it_ends_with_its_last_consumer() -> None:
    """Nobody else would end it."""
    source = from_iterable(itertools.count(), on_cancel="stop")
    first, second = Sink.start(mode="manual"), Sink.start(mode="manual")
    subscription = sync_subscribe(first, to=source, cancel="temporary")
    sync_subscribe(second, to=source)
    cancel(subscription)
    settle(source)
    assert source.is_alive()
    second.stop()
    assert ended(source) == "normal"


def test_with_on_cancel_stop_a_refused_consumer_is_no_last_one() -> None:
    """It never was one."""
    source = from_iterable([1], on_cancel="stop", dispatcher=functools.partial(PartitionFanOut, 2))
    sink = Sink.start()
    sync_subscribe(sink, to=source)
    assert ended(sink)[0] == "bad_options"
    settle(source)
    assert source.is_alive()


def test_it_may_have_a_name() -> None:
    """By which it is subscribed to."""
    from_iterable("abc", name="letters")
    sink = Sink.start()
    sync_subscribe(sink, to="letters")
    ended(sink)
    assert seen(sink, "events") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "cause"), [({"iterable": 5}, TypeError), ({"iterable": [], "on_cancel": "go"}, OptionError)]
)
def test_a_wrong_argument_fails_the_start(arguments: dict[str, Any], cause: type[Exception]) -> None:
    """At once, and not at the first demand."""
    with pytest.raises(StartError) as caught:
        from_iterable(**arguments)
    assert isinstance(caught.value.__cause__, cause)


@pytest.mark.parametrize(("good", "wanted"), [(0, 10), (7, 10), (25, 10)])
def test_what_the_iterable_raised_says_at_which_element(good: int, wanted: int) -> None:
    """In a note, so that the exception stays what it is. The first element is 0."""

    def broken() -> Iterator[int]:
        yield from range(good)
        raise ValueError("no more")

    source, sink = from_iterable(broken()), Sink.start()
    sync_subscribe(sink, to=source, max_demand=wanted)
    reason = ended(source)
    assert str(reason) == "ValueError: no more"
    assert f"its iterable raised this for element {good} (from 0)" in reason.traceback_text
    assert seen(sink, "events") == list(range(good))


def test_an_empty_iterable_ends_at_the_first_demand() -> None:
    """And not at the start, when nobody is there yet."""
    source, sink = from_iterable([]), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    settle(source, sink)
    assert source.is_alive()
    ask(subscription, 1)
    assert ended(source) == "normal"


def test_it_ends_behind_what_is_in_its_buffer() -> None:
    """Elements that were read for a consumer that has left."""
    source, first, second = from_iterable(range(10)), Sink.start(mode="manual"), Sink.start(mode="manual")
    subscription = sync_subscribe(first, to=source, cancel="temporary")
    settle(first, source)
    inside(source, lambda stage: stage.emit(["before"]))
    ask(subscription, 10)
    settle(first, source)
    assert seen(first, "events") == ["before", *range(9)]
    assert source.is_alive()
    subscription = sync_subscribe(second, to=source)
    ask(subscription, 3)
    assert ended(source) == "normal"
    assert seen(second, "events") == [9]


def test_with_demand_accumulating_nothing_is_read() -> None:
    """Until demand is forwarded."""
    pulled = Pulled()
    source, sink = from_iterable(pulled, demand="accumulate"), Sink.start(mode="manual")
    ask(sync_subscribe(sink, to=source), 3)
    settle(sink, source)
    assert pulled.count == 0
    demand(source, "forward")
    settle(source, sink)
    assert seen(sink, "events") == [1, 2, 3]


@pytest.mark.parametrize(("link", "outcome"), [(True, "ends"), (False, "lives")])
def test_it_is_linked_to_the_actor_that_starts_it(link: bool, outcome: str) -> None:
    """As in GenStage, unless told otherwise; a plain thread has no links."""

    class Owner(Server):
        def handle_call(self, request: Any, sender: Any) -> Any:
            return from_iterable(request, link=link)

    owner = Owner.start()
    source = owner.call(itertools.count())
    owner.stop("shutdown")
    if outcome == "ends":
        assert ended(source) == "shutdown"
    else:
        settle(source)
        assert source.is_alive()


def test_link_is_a_bool() -> None:
    """Not the actor to link to."""
    with pytest.raises(OptionError, match="link"):
        from_iterable([], link=Silent.start())  # type: ignore[arg-type]
