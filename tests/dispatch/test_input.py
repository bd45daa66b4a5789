"""The input: slow, endless, failing, closed when it is not read to its end."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import InlineExecutor, WeightedBatch
from slither_actors.errors import DispatchError, OptionError
from tests.dispatch.manual import SECONDS, Manual, actors_of_runs, in_thread, payloads, wait

pytestmark = pytest.mark.usefixtures("application")

inline = InlineExecutor(lambda batch: batch)
weighted = WeightedBatch(max_weight=1, weight=lambda item: 1)


class Fed:
    """An input that the test feeds. None ends it."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        try:
            while (value := self.queue.get(timeout=SECONDS)) is not None:
                yield value
        finally:
            self.closed.set()


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"strategy": weighted}], ids=["fixed", "weighted"])
def test_a_result_does_not_wait_for_input_that_may_never_come(options: Any) -> None:
    """One item in, one result out, although many more were asked for."""
    fed = Fed()
    with dispatch.stream(fed, executor=inline, max_in_flight=50, **options) as stream:
        for value in range(1, 6):
            fed.queue.put(value)
            assert next(stream).payload == value
        fed.queue.put(None)
        assert list(stream) == []


def test_an_input_that_stalls_gives_out_what_it_has() -> None:
    """Many items at once and then nothing: all of them come out, none waits for a later one."""
    fed = Fed()
    with dispatch.stream(fed, executor=inline, batch_size=1, max_in_flight=64) as stream:
        for _ in range(3):
            for value in range(1, 200):
                fed.queue.put(value)
            assert payloads(itertools.islice(stream, 199)) == list(range(1, 200))
        fed.queue.put(None)


@pytest.mark.parametrize("kind", [list, tuple, deque, iter, lambda r: (n for n in r), dict.fromkeys, set])
def test_any_iterable_is_an_input(kind: Any) -> None:
    """Containers and iterators alike."""
    data = kind(range(100))
    assert payloads(dispatch.run(data, executor=inline, batch_size=7)) == list(range(100))


@pytest.mark.parametrize("items", [5, None, "text", b"bytes"])
def test_what_is_no_iterable_of_payloads_is_told_at_the_call(items: Any) -> None:
    """A text is one too, but hardly of payloads."""
    for function in (dispatch.run, dispatch.stream, dispatch.call_batch):
        with pytest.raises(OptionError, match="option 'items' is"):
            function(items, executor=inline)


def failing(count: int, error: BaseException) -> Iterator[int]:
    yield from range(count)
    raise error


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("on_error", ["halt", "skip"])
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_an_input_that_raises_ends_the_run_after_what_it_gave(
    error: BaseException, on_error: Any, ordering: Any
) -> None:
    """All items read before are processed, an unfinished batch included; the reason is the exception."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run(failing(10, error), executor=inline, batch_size=3, on_error=on_error, ordering=ordering)
    assert caught.value.reason is error
    assert caught.value.batch == "the input, after item 10"
    assert payloads(caught.value.partial_results) == list(range(10))


def test_a_stream_gives_all_items_before_it_raises() -> None:
    """And then it is at its end."""
    stream = dispatch.stream(failing(5, ValueError("no")), executor=inline, batch_size=2)
    assert payloads(itertools.islice(stream, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(DispatchError):
        next(stream)
    assert list(stream) == []


def test_an_iterable_whose_iterator_cannot_be_made_is_an_input_that_raises() -> None:
    """The reason is what was raised."""

    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise LookupError("no")

    with pytest.raises(DispatchError) as caught:
        dispatch.run(Broken(), executor=inline)
    assert isinstance(caught.value.reason, LookupError)


def test_a_container_that_is_changed_meanwhile_is_an_input_that_raises() -> None:
    """As in a loop over it."""
    data = dict.fromkeys(range(10))
    stream = dispatch.stream(data, executor=inline, batch_size=1, max_in_flight=1)
    assert next(stream).payload == 0
    data["new"] = None
    with pytest.raises(DispatchError, match="changed size") as caught:
        list(stream)
    assert isinstance(caught.value.reason, RuntimeError)


def test_a_generator_is_closed_with_the_run() -> None:
    """When `close` returns, its ``finally`` has run."""
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    stream = dispatch.stream(endless(), executor=inline)
    next(stream)
    assert not closed.is_set()
    stream.close()
    assert closed.is_set()


def test_a_halted_run_closes_its_generator() -> None:
    """It is not read any more."""
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    with pytest.raises(DispatchError):
        dispatch.run(endless(), executor=InlineExecutor(lambda batch: None))
    assert closed.is_set()


def test_a_file_is_left_open(tmp_path: Any) -> None:
    """It is its owner's to close."""
    path = tmp_path / "lines"
    path.write_text("a\nb\n" * 1000)
    with path.open() as lines:
        with dispatch.stream(lines, executor=inline, batch_size=2) as stream:
            assert next(stream).payload == "a\n"
        assert not lines.closed


def test_an_input_that_blocks_does_not_hold_up_the_end() -> None:
    """`close` returns soon; the input is closed when it comes back."""
    fed = Fed()
    stream = dispatch.stream(fed, executor=inline, batch_size=1)
    fed.queue.put(1)
    next(stream)
    with in_thread(stream.close) as closing:
        closing.result(SECONDS / 2)
    assert not fed.closed.is_set()
    fed.queue.put(2)
    wait(fed.closed)


def test_an_input_that_blocks_does_not_hold_up_a_halt() -> None:
    """The error comes although the next item does not."""
    fed = Fed()
    with in_thread(dispatch.run, fed, executor=(manual := Manual()), batch_size=1) as result:
        fed.queue.put(1)
        manual.next().fail(ValueError("no"))
        with pytest.raises(DispatchError):
            result.result(SECONDS / 2)
    fed.queue.put(None)
    wait(fed.closed)


def test_a_container_needs_no_actor_to_read_it() -> None:
    """It never blocks."""
    with dispatch.stream(list(range(10)), executor=inline, batch_size=1, max_in_flight=1) as stream:
        next(stream)
        assert not any(name.startswith("_Input") for name in actors_of_runs())


def test_nothing_is_read_before_the_first_result_is_asked_for() -> None:
    """A stream that is never read never starts, and leaves nothing."""
    counter = itertools.count()
    stream = dispatch.stream(counter, executor=inline)
    assert next(counter) == 0
    assert actors_of_runs() == []
    stream.close()
    assert list(stream) == []
    assert next(counter) == 1
