"""A stream: lazy to its input, and gone however it is left."""

from __future__ import annotations

import _thread
import gc
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.actors import whereis
from slither_actors.dispatch import Batch, Executor, InlineExecutor, ThreadExecutor, WeightedBatch
from slither_actors.errors import DispatchError, NotRunningError
from tests.dispatch.manual import SECONDS, Endless, Manual, actors_of_runs, double, in_thread, payloads, wait

pytestmark = pytest.mark.usefixtures("application")

inline = InlineExecutor(lambda batch: batch)


def test_results_come_before_the_input_has_ended() -> None:
    """That is the point of a stream."""
    with dispatch.stream(Endless().items(), executor=inline, batch_size=3) as stream:
        assert payloads(itertools.islice(stream, 100)) == list(range(1, 101))


@pytest.mark.parametrize("batch_size", [1, 10])
def test_a_slow_reader_slows_the_input(batch_size: int) -> None:
    """What is read is bounded by what was consumed, the window, and twice as much on its way."""
    source = Endless()
    with dispatch.stream(source.items(), executor=inline, batch_size=batch_size, max_in_flight=4) as stream:
        for consumed in range(1, 500):
            next(stream)
            assert source.count <= consumed + 3 * batch_size * 4


def test_an_inline_run_that_is_closed_ends_after_the_batch_that_runs() -> None:
    """Although there was room for more, and the input had them."""
    begun: list[int] = []
    first, closed = threading.Event(), threading.Event()

    def halt(batch: list[int]) -> list[int]:
        begun.extend(batch)
        first.set()
        assert closed.wait(SECONDS)
        return batch

    stream = dispatch.stream(range(8), executor=InlineExecutor(halt), batch_size=1, max_in_flight=8)
    with in_thread(list, stream) as reader:
        wait(first)
        stream._plan.link.close()  # as `close` says first; from then on nobody wants anything
        closed.set()
        stream.close()
        assert reader.result(SECONDS) == []
    assert begun == [0]


def test_results_of_an_inline_run_come_batch_by_batch() -> None:
    """A reader has those of the first batch before the second one has ended."""
    seen = threading.Event()

    def follow(batch: list[int]) -> list[int]:
        assert batch == [0] or seen.wait(SECONDS)
        return batch

    stream = dispatch.stream(range(4), executor=InlineExecutor(follow), batch_size=1, max_in_flight=4)
    with stream:
        assert next(stream).payload == 0
        seen.set()
        assert payloads(stream) == [1, 2, 3]


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_an_item_in_no_batch_does_not_hold_an_inline_run_up(ordering: str) -> None:
    """It fails in its place, without an answer of the executor's that would start the next batch."""
    strategy = WeightedBatch(max_weight=2, weight=lambda item: 1 // (item.payload % 2))
    stream = dispatch.stream(
        range(8), executor=inline, strategy=strategy, ordering=ordering, on_error="skip", max_in_flight=8
    )
    with stream:
        assert sorted(payloads(stream)) == list(range(8))


def nothing_is_left(source: Endless) -> None:
    wait(source.closed)
    assert actors_of_runs() == []
    pipes: Any = whereis("slither.pipes")
    assert pipes.count_children().active == 0


@pytest.mark.parametrize("first", [["odd"], ["odd", 1], [1, "odd"]], ids=str)
def test_an_item_in_no_batch_comes_out_at_once(first: list[Any]) -> None:
    """Not with what the input gives next: whoever feeds the run may wait for it."""
    came = threading.Semaphore(0)
    early = []

    def items() -> Iterator[Any]:
        for item in first:
            yield item
            early.append(came.acquire(timeout=2.0))

    strategy = WeightedBatch(max_weight=1, weight=lambda item: item.payload)
    with dispatch.stream(items(), executor=inline, strategy=strategy, on_error="skip") as stream:
        for _ in stream:
            came.release()
    assert early == [True] * len(first)


def test_close_leaves_nothing() -> None:
    """No actor; the input closed; what was sent is taken back. Closing again does nothing."""
    source = Endless()
    stream = dispatch.stream(source.items(), executor=(manual := Manual()), batch_size=1, max_in_flight=3)
    with in_thread(next, stream) as first:
        batches = manual.take(3)
        double(batches[0])
        assert first.result().payload == 2
    stream.close()
    nothing_is_left(source)
    running = {manual.cancelled.get(timeout=SECONDS).ref for _ in range(3)}
    assert running == {1, 2, 3}
    stream.close()
    assert list(stream) == []
    double(batches[1])  # nobody minds


def test_leaving_the_with_block_leaves_nothing() -> None:
    """Also by an exception."""
    source = Endless()

    def block() -> None:
        with dispatch.stream(source.items(), executor=inline) as stream:
            raise ValueError(next(stream))

    with pytest.raises(ValueError, match="Item"):
        block()
    nothing_is_left(source)


def test_dropping_the_last_reference_leaves_nothing() -> None:
    """As ``break`` does in a loop over a stream that nobody else holds."""
    source = Endless()
    for item in dispatch.stream(source.items(), executor=inline):
        if item.payload == 5:
            break
    gc.collect()
    wait(source.closed)


def test_an_exception_in_the_loop_leaves_nothing() -> None:
    """Once the exception has been dealt with."""
    source = Endless()

    def loop() -> None:
        for item in dispatch.stream(source.items(), executor=inline):
            raise ValueError(item)

    with pytest.raises(ValueError, match="Item"):
        loop()
    gc.collect()
    wait(source.closed)


def first_of(items: Any, **options: Any) -> Any:
    return next(dispatch.stream(items, **options))


WAYS = {"stream": first_of, "run": dispatch.run}


class Interrupting(Executor):
    """Interrupts the main thread instead of answering."""

    def submit(self, batch: Batch) -> None:
        _thread.interrupt_main()


@pytest.mark.parametrize("way", ["stream", "run"])
def test_an_interrupt_while_waiting_leaves_nothing(way: str) -> None:
    """Ctrl-C reaches the caller at once, and the run is gone."""
    source = Endless()
    with pytest.raises(KeyboardInterrupt):
        WAYS[way](source.items(), executor=Interrupting())
    nothing_is_left(source)


@pytest.mark.parametrize("way", ["stream", "run"])
@pytest.mark.parametrize("started", [False, True])
def test_an_interrupt_during_the_start_leaves_nothing(
    way: str, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the run had come up by then."""
    from slither_actors.actors import DynamicSupervisorRef

    start_child = DynamicSupervisorRef.start_child
    source = Endless()
    late: list[Any] = []

    def interrupted(self: Any, child: Any, *args: Any) -> Any:
        if started:
            start_child(self, child, *args)
        else:
            late.append((self, child, args))
        raise KeyboardInterrupt

    monkeypatch.setattr(DynamicSupervisorRef, "start_child", interrupted)
    with pytest.raises(KeyboardInterrupt):
        WAYS[way](source.items(), executor=inline)
    for supervisor, child, args in late:  # the request was on its way
        start_child(supervisor, child, *args).join(SECONDS)
    assert source.count == 0 or source.closed.wait(SECONDS)


def test_close_from_another_thread_ends_the_loop() -> None:
    """As if the run had ended."""
    stream = dispatch.stream(range(10), executor=(manual := Manual()), batch_size=1)
    with in_thread(lambda: [*stream]) as result, manual:
        manual.next()
        stream.close()
        assert result.result(SECONDS) == []


def test_statistics_while_it_runs_and_after() -> None:
    """Before the first item is asked for there are none."""
    stream = dispatch.stream(range(100), executor=inline, batch_size=10)
    with pytest.raises(NotRunningError):
        stream.statistics()
    next(stream)
    assert stream.statistics()["dispatch"].batches >= 1
    list(stream)
    last = stream.statistics()
    assert (last["dispatch"].batches, last["dispatch"].emitted, last["source"].items) == (10, 100, 100)


def test_a_halt_reaches_the_reader_after_the_results() -> None:
    """What precedes the failure comes out first; the error has no partial results, they are out."""

    def function(batch: list[int]) -> list[int]:
        if 6 in batch:
            raise ValueError(batch)
        return batch

    stream = dispatch.stream(range(10), executor=InlineExecutor(function), batch_size=2)
    assert payloads(itertools.islice(stream, 6)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(DispatchError) as caught:
        next(stream)
    assert isinstance(caught.value.reason, ValueError)
    assert caught.value.partial_results == []
    assert list(stream) == []
    assert actors_of_runs() == []


def test_a_second_thread_is_told_that_one_reads() -> None:
    """And the first one goes on; one after the other may read."""
    with (
        dispatch.stream(range(4), executor=(manual := Manual()), batch_size=2) as stream,
        in_thread(lambda: payloads(itertools.islice(stream, 2))) as first,
        manual,
    ):
        batches = manual.take(2)
        for read in (next, list):
            with pytest.raises(RuntimeError, match="the stream is being read by another thread"):
                read(stream)
        double(batches[0])
        assert first.result(SECONDS) == [0, 2]
        double(batches[1])
        assert payloads(stream) == [4, 6]


def test_items_are_not_kept_back_behind_a_slow_one() -> None:
    """Quick ones are handed over in groups, but none waits for its group to be full."""
    seen = threading.Event()

    def wait_for_the_reader(batch: list[int]) -> list[int]:
        if batch[0] == 3:
            assert seen.wait(5.0)
        return batch

    got = []
    options = {"batch_size": 1, "max_in_flight": 8, "timeout": None}
    for item in dispatch.stream(range(8), executor=ThreadExecutor(wait_for_the_reader, threads=2), **options):
        got.append(item.payload)
        if len(got) == 3:
            seen.set()
    assert got == list(range(8))


@pytest.mark.usefixtures("application")
def test_a_stream_that_is_closed_while_it_is_started_ends() -> None:
    """A thread that was just about to start it does not wait for ever."""
    with Manual() as manual:
        stream = dispatch.stream(itertools.count(), executor=manual)
        stream.close()
        stream._closed = False  # the other thread had looked before
        with in_thread(list, stream) as reading, pytest.raises(DispatchError):
            reading.result(SECONDS)
