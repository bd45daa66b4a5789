"""`stream_pipe`: lazy from the reader back to the input, and tidy however it is left."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    InlineExecutor,
    Many,
    Pipe,
    PipeError,
    RouteTo,
    Stage,
    Store,
    router,
    run_pipe,
    stage,
    stream_pipe,
    view,
    workers,
)
from slither_actors.bridge import SESSIONS
from slither_actors.dispatch._stream import stages_of
from slither_actors.errors import NotRunningError, OptionError


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


def same(item: Any) -> Any:
    return item.payload


class Same(Pipe):
    first = stage(same)
    second = workers(InlineExecutor(list), batch_size=10)
    third = stage(same)


class Counted:
    """An input that counts what is read of it and knows when it was closed."""

    def __init__(self, numbers: Any) -> None:
        self.read = 0
        self.closed = threading.Event()
        self._numbers = numbers

    def __iter__(self) -> Iterator[Any]:
        try:
            for number in self._numbers:
                self.read += 1
                yield number
        finally:
            self.closed.set()


# -- demand ---------------------------------------------------------------------


def test_an_endless_input_is_read_only_as_far_as_there_is_room() -> None:
    """The reader's demand reaches back to the input, through every kind of stage."""
    numbers = Counted(itertools.count())
    with stream_pipe(Same, numbers) as stream:
        assert payloads(itertools.islice(stream, 25)) == list(range(25))
    # At most 1000 items are on their way between two stages, and to the reader.
    assert 25 <= numbers.read <= 5000


def test_nothing_is_read_before_the_first_item_is_asked_for() -> None:
    """A stream that nobody reads costs nothing."""
    numbers = Counted(itertools.count())
    stream = stream_pipe(Same, numbers)
    assert numbers.read == 0
    stream.close()
    assert numbers.read == 0
    assert list(stream) == []


def test_the_order_of_the_input_is_kept() -> None:
    """Through function stages and worker stages."""
    with stream_pipe(Same, range(20_000)) as stream:
        assert payloads(stream) == list(range(20_000))


def test_what_an_early_reader_does_not_take_is_bounded_for_routed_items_too() -> None:
    """Two stages that route, a slow reader, an endless input: no more is read than is on its way."""

    class P(Pipe):
        outputs = ("a", "b")
        first = stage(lambda item: RouteTo("a", item.payload) if item.payload % 3 == 0 else item.payload)
        second = router(b=lambda item: item.payload % 3 == 1)
        third = stage(same)

    numbers = Counted(itertools.count())
    with stream_pipe(P, numbers) as stream:
        taken = list(itertools.islice(stream, 10_000))
    by_route = {name: [i.payload for i in taken if i.route == name] for name in ("a", "b", "default")}
    assert by_route["a"] == list(range(0, 3 * len(by_route["a"]), 3))
    assert by_route["b"] == list(range(1, 3 * len(by_route["b"]), 3))
    assert by_route["default"] == list(range(2, 3 * len(by_route["default"]), 3))
    assert numbers.read <= 10_000 + 8000


def test_all_items_routed_by_the_first_stage_stay_bounded() -> None:
    """The stages behind it want items all the time and get none."""

    class P(Pipe):
        first = router(a=lambda item: True)
        second = stage(same)

    numbers = Counted(itertools.count())
    with stream_pipe(P, numbers) as stream:
        assert payloads(itertools.islice(stream, 50)) == list(range(50))
        assert numbers.read <= 4000
        assert payloads(itertools.islice(stream, 20_000)) == list(range(50, 20_050))
        assert numbers.read <= 24_050


def test_one_item_that_becomes_many_is_bounded_by_the_reader() -> None:
    """What one item was turned into waits; no further one is turned into more."""
    handled = []

    def explode(item: Any) -> Any:
        handled.append(item.payload)
        return Many(range(10_000))

    class P(Pipe):
        work = stage(explode)
        after = stage(same)

    with stream_pipe(P, itertools.count()) as stream:
        assert len(list(itertools.islice(stream, 10))) == 10
        assert len(handled) <= 3
        assert len(list(itertools.islice(stream, 50_000))) == 50_000
        assert len(handled) <= 8


# -- promptness --------------------------------------------------------------------


def test_a_slow_input_yields_what_it_has_given() -> None:
    """Each item comes out before the next one is there, also behind a quick beginning."""
    gates = [threading.Event() for _ in range(3)]

    def numbers() -> Iterator[Any]:
        yield from range(100)
        for number, gate in enumerate(gates):
            gate.wait(10)
            yield 100 + number

    class P(Pipe):
        first = stage(same)
        second = stage(same)

    with stream_pipe(P, numbers()) as stream:
        assert payloads(itertools.islice(stream, 100)) == list(range(100))
        for number, gate in enumerate(gates):
            gate.set()
            assert next(stream).payload == 100 + number
        assert list(stream) == []


def test_a_slow_stage_does_not_hold_up_what_it_has_done() -> None:
    """The first result is there while the second item is still being handled."""
    gate = threading.Event()

    def work(item: Any) -> Any:
        if item.payload == 1:
            gate.wait(10)
        return item.payload

    class P(Pipe):
        work_on = workers(InlineExecutor(lambda found: found), batch_size=1)
        then = stage(work)

    def two() -> Iterator[Any]:
        yield 0
        yield 1

    with stream_pipe(P, two()) as stream:
        assert next(stream).payload == 0
        gate.set()
        assert next(stream).payload == 1


# -- ends -----------------------------------------------------------------------------


class Tables(Store):
    @view
    def length(self) -> Any:
        return 7


class Viewing(Pipe):
    stores = (Tables,)

    @staticmethod
    def _ask(item: Any, ctx: Any) -> Any:
        return ctx.views.length()

    work = stage(_ask)


def leave_with(stream: Any) -> None:
    with stream:
        next(stream)


def leave_close(stream: Any) -> None:
    next(stream)
    stream.close()
    stream.close()


def leave_drop(stream: Any) -> None:
    next(stream)
    del stream
    gc.collect()


def leave_raise(stream: Any) -> None:
    with pytest.raises(KeyError), stream:
        raise KeyError(next(stream))


@pytest.mark.parametrize("leave", [leave_with, leave_close, leave_drop, leave_raise])
def test_leaving_a_stream_ends_the_run_its_input_and_its_session(leave: Any) -> None:
    """However it is left."""
    numbers = Counted(itertools.count())
    reader = iter(numbers)
    streams = [stream_pipe(Viewing, reader, session_id="mine")]
    leave(streams.pop())
    assert numbers.closed.wait(5)
    deadline = time.monotonic() + 5
    while SESSIONS.all() and time.monotonic() < deadline:
        time.sleep(0.001)  # a dropped stream ends in its own time
    assert SESSIONS.all() == []


def test_a_closed_stream_gives_nothing_more() -> None:
    """And does not start again."""
    stream = stream_pipe(Same, range(10))
    next(stream)
    stream.close()
    assert list(stream) == []


def test_a_halted_stream_raises_after_what_came_out() -> None:
    """And has told which stage did what."""

    class P(Pipe):
        work = stage(lambda item: 10 // (5 - item.payload))

    taken = []
    with stream_pipe(P, itertools.count()) as stream:
        with pytest.raises(PipeError, match="pipe P.work halted: ZeroDivisionError") as caught:
            taken.extend(stream)
        assert list(stream) == []
    assert payloads(taken) == [2, 2, 3, 5, 10]
    assert caught.value.partial_results == {"default": []}
    assert caught.value.__cause__ is caught.value.reason  # with the lines of the stage in its traceback
    assert stream.finished["work"].errors == {"ZeroDivisionError": 1}


def test_a_stage_that_cannot_be_set_up_fails_the_stream() -> None:
    """As it fails a run: when the stream is read."""

    class Broken(Stage):
        def init(self) -> None:
            raise OSError("no model")

        def handle_item(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        model = stage(Broken)

    with pytest.raises(PipeError, match="pipe P.model halted: OSError: no model"):
        next(stream_pipe(P, [1]))


def test_a_run_whose_supervisor_crashes_fails_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens to it, nobody waits for ever."""

    def crash(*_: Any) -> None:
        raise SystemExit(3)

    monkeypatch.setattr("slither_actors.pipe._session.RunSession.open", crash)
    with pytest.raises(PipeError, match="pipe Same halted"):
        next(stream_pipe(Same, [1]))


def test_a_slow_set_up_holds_up_no_other_run() -> None:
    """Each run starts its own stages."""
    gate, begun = threading.Event(), threading.Event()

    class Slow(Stage):
        def init(self) -> None:
            begun.set()
            gate.wait(10)

        def handle_item(self, item: Any, ctx: Any) -> Any:
            return item.payload

    class P(Pipe):
        model = stage(Slow)

    found = []
    thread = threading.Thread(target=lambda: found.extend(run_pipe(P, [1])["default"]))
    thread.start()
    assert begun.wait(5)
    assert payloads(run_pipe(Same, [1])["default"]) == [1]
    gate.set()
    thread.join()
    assert payloads(found) == [1]


def test_streams_side_by_side_do_not_disturb_each_other() -> None:
    """Each is a run of its own."""
    streams = [stream_pipe(Same, itertools.count(start)) for start in (0, 1000, 2000)]
    for number in range(100):
        assert [next(stream).payload for stream in streams] == [number, 1000 + number, 2000 + number]
    for stream in streams:
        stream.close()


# -- options ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run(Pipe, []), "option 'pipe' is .*Pipe.*; allowed is a subclass of Pipe"),
        (lambda run: run(Same(), []), "allowed is a subclass of Pipe"),
        (lambda run: run(Same, 5), "running Same: option 'items' is 5; allowed is an iterable"),
        (lambda run: run(Same, "text"), "running Same: option 'items' is 'text'"),
        (lambda run: run(Same, [], metadat={}), "'metadat' is unknown; did you mean 'metadata'"),
        (lambda run: run(Same, [], metadata=5), "'metadata' is 5; allowed is a mapping"),
        (lambda run: run(Same, [], session_id=5), "'session_id' is 5; allowed is a text"),
    ],
)
@pytest.mark.parametrize("run", [run_pipe, stream_pipe])
def test_a_wrong_option_is_an_error_at_once(call: Any, message: Any, run: Any) -> None:
    """Before anything starts, also for a stream."""
    with pytest.raises(OptionError, match=message):
        call(run)


def test_a_session_that_another_run_has_is_refused() -> None:
    """Its views would be taken from it; afterwards it is free again."""
    with stream_pipe(Viewing, itertools.count(), session_id="mine") as stream:
        next(stream)
        with pytest.raises(OptionError, match="'session_id' is 'mine', which another run has now"):
            run_pipe(Viewing, [1], session_id="mine")
        with pytest.raises(OptionError, match="'session_id' is 'mine'"):
            next(stream_pipe(Viewing, [1], session_id="mine"))
        assert payloads(run_pipe(Same, [1], session_id="mine")["default"]) == [1]
        assert next(stream).payload == 7
    assert payloads(run_pipe(Viewing, [1], session_id="mine")["default"]) == [7]


# -- statistics -----------------------------------------------------------------------------


def test_a_stream_tells_what_its_stages_do() -> None:
    """While it runs, and when it has ended."""
    stream = stream_pipe(Same, range(100))
    with pytest.raises(NotRunningError):
        stream.statistics()
    next(stream)
    assert stream.statistics()["first"].items_in >= 1
    assert len(list(stream)) == 99
    assert {
        name: getattr(each, "emitted", each) for name, each in stream.finished.items() if name != "source"
    } == {
        "first": 100,
        "second": 100,
        "third": 100,
    }
    assert stream.finished["source"].items == 100


@pytest.mark.parametrize("place", [0, 1, -1], ids=["source", "stage", "reader"])
def test_a_run_of_which_a_part_is_killed_has_halted(place: int) -> None:
    """And was not closed by whoever read it, whichever part it was."""

    class P(Pipe):
        same = stage(lambda item: item.payload)

    with stream_pipe(P, itertools.count()) as stream:
        next(stream)
        run = stream._plan.link.run
        assert run is not None
        _, ref = run.run(stages_of)[place]
        ref.kill()
        with pytest.raises(PipeError, match="ended from outside"):
            for _ in stream:
                pass
    assert stream.record().ended == "halted"
