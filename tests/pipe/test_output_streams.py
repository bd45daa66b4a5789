"""`PipeStream.outputs`: each output of a stream read by itself, in bounded memory, never a silent wait."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import Many, Pipe, PipeError, router, stage, stream_pipe
from slither_actors.errors import NotRunningError, OptionError, OutputFullError
from slither_actors.pipe import PipeStream


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


class Thirds(Pipe):
    split = router(one=lambda item: item.payload % 3 == 1, two=lambda item: item.payload % 3 == 2)


def test_each_output_is_read_by_itself_in_its_order() -> None:
    """Whichever is read first: what comes for the others waits."""
    with stream_pipe(Thirds, range(300)) as stream:
        outputs = stream.outputs()
        assert list(outputs) == ["one", "two", "default"]
        assert payloads(outputs["two"]) == list(range(2, 300, 3))
        assert payloads(outputs["one"]) == list(range(1, 300, 3))
        assert payloads(stream.output("default")) == list(range(0, 300, 3))


def test_taking_turns_reads_an_endless_input() -> None:
    """In one thread: what comes in lots is sorted out by the buffers."""
    with stream_pipe(Thirds, itertools.count()) as stream:
        outputs = stream.outputs()
        for number in range(0, 30_000, 3):
            got = [next(outputs[name]).payload for name in ("default", "one", "two")]
            assert got == [number, number + 1, number + 2]


def test_a_full_buffer_of_another_output_is_an_error_that_says_what_to_do() -> None:
    """Not a wait for ever, and not a buffer that grows."""
    with stream_pipe(Thirds, range(1, 300, 3)) as stream:
        outputs = stream.outputs(buffer_size=20)
        with pytest.raises(
            OutputFullError, match=r"output 'one' of pipe Thirds is full: 20 .*discard\('one'\)"
        ) as info:
            next(outputs["two"])
        assert (info.value.output, info.value.wanted, info.value.size) == ("one", "two", 20)
        assert len(outputs["one"]) == 20


def test_nothing_is_lost_by_the_error() -> None:
    """Once the full output is read, reading goes on with the item that had no room."""
    with stream_pipe(Thirds, [*range(1, 100, 3), 2]) as stream:
        outputs = stream.outputs(buffer_size=5)
        found = []
        while True:
            try:
                last = next(outputs["two"])
                break
            except OutputFullError as error:
                found.append(next(outputs[error.output]).payload)
        assert last.payload == 2
        assert [*found, *payloads(outputs["one"])] == list(range(1, 100, 3))


def test_a_discarded_output_fills_no_buffer() -> None:
    """Neither with what waits for it nor with what comes."""
    with stream_pipe(Thirds, range(3000)) as stream:
        outputs = stream.outputs(buffer_size=500)
        with pytest.raises(OutputFullError):
            list(outputs["two"])
        stream.discard("one", "default")
        assert payloads(outputs["two"])[-1] == 2999
        with pytest.raises(RuntimeError, match="'one' is discarded"):
            next(outputs["one"])


def test_a_thread_per_output_waits_for_room() -> None:
    """With small buffers and wait=, each gets all of its own."""
    with stream_pipe(Thirds, range(9000)) as stream, ThreadPoolExecutor(3) as threads:
        outputs = stream.outputs(buffer_size=3, wait=10)
        found = dict(zip(outputs, threads.map(list, outputs.values(), timeout=30), strict=True))
    assert {name: payloads(items) for name, items in found.items()} == {
        "one": list(range(1, 9000, 3)),
        "two": list(range(2, 9000, 3)),
        "default": list(range(0, 9000, 3)),
    }


def test_a_thread_that_reads_no_more_is_told_of_after_the_wait() -> None:
    """The other one does not wait for ever."""
    with stream_pipe(Thirds, itertools.count()) as stream:
        outputs = stream.outputs(buffer_size=3, wait=0.05)
        with pytest.raises(OutputFullError, match=r"nobody took one for 0\.05 s"):
            list(outputs["two"])


def test_a_halted_run_is_told_to_each_reader_behind_its_items() -> None:
    """Once."""

    class P(Pipe):
        split = router(odd=lambda item: item.payload % 2)
        work = stage(lambda item: 8 // (4 - item.payload))

    with stream_pipe(P, range(10)) as stream:
        found: dict[str, list[Any]] = {}
        for name, items in stream.outputs().items():
            found[name] = []
            with pytest.raises(PipeError, match=r"pipe P\.work halted"):
                found[name].extend(items)
            assert list(items) == []
    assert payloads(found["default"]) == [2, 4]


def test_what_was_read_of_the_stream_itself_is_not_given_again() -> None:
    """And what had come with it is."""
    with stream_pipe(Thirds, range(9)) as stream:
        first = next(stream)
        rest = {name: payloads(items) for name, items in stream.outputs().items()}
        rest[first.route].insert(0, first.payload)
    assert sorted(itertools.chain(*rest.values())) == list(range(9))


def test_the_stream_itself_is_not_read_beside_its_outputs() -> None:
    """The items would be missing there."""
    with stream_pipe(Thirds, range(9)) as stream:
        stream.outputs()
        with pytest.raises(RuntimeError, match=r"read stream\.output"):
            next(stream)


def test_closing_the_stream_ends_the_readers_that_wait() -> None:
    """From another thread."""
    gate = threading.Event()

    def numbers() -> Any:
        yield 1
        gate.wait(10)

    with stream_pipe(Thirds, numbers()) as stream, ThreadPoolExecutor(2) as threads:
        outputs = stream.outputs()
        assert next(outputs["one"]).payload == 1
        waiting = [threads.submit(list, outputs[name]) for name in ("one", "two")]
        stream.close()
        gate.set()
        assert [each.result(10) for each in waiting] == [[], []]


def test_a_slow_reader_of_one_output_bounds_what_is_made() -> None:
    """What is made of an endless input is what the buffers hold, and what is on its way."""
    made = []

    def many(item: Any) -> Any:
        made.append(item.payload)
        return Many(range(100))

    class P(Pipe):
        work = stage(many)
        split = router(even=lambda item: item.payload % 2 == 0)

    with stream_pipe(P, itertools.count()) as stream:
        assert len(list(itertools.islice(stream.output("even"), 500))) == 500
        assert len(made) * 100 <= 1000 + 10_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda stream: stream.output("on"),
            "option 'output' is 'on'; outputs of Thirds are 'one', 'two', .*'one'",
        ),
        (lambda stream: stream.output(5), "option 'output' is 5"),
        (lambda stream: stream.discard("x"), "option 'output' is 'x'"),
        (lambda stream: stream.outputs(buffer_size=0), "stream.outputs: option 'buffer_size' is 0"),
        (lambda stream: stream.outputs(wait=-1), "stream.outputs: option 'wait' is -1"),
        (
            lambda stream: (stream.outputs(), stream.outputs(wait=1)),
            "'wait' is given when outputs are being read",
        ),
    ],
)
def test_a_wrong_name_or_option_is_an_error(call: Any, message: str) -> None:
    """Which says what is allowed."""
    with stream_pipe(Thirds, []) as stream, pytest.raises(OptionError, match=message):
        call(stream)


@pytest.mark.parametrize("who", ["input", "stage"])
def test_a_run_does_not_read_its_own_outputs(who: str) -> None:
    """That would wait for itself: an error says so."""
    streams: list[PipeStream] = []

    class P(Pipe):
        outputs = ("other",)
        work = stage(lambda item: next(streams[0].output("other")) if who == "stage" else item.payload)

    def numbers() -> Any:
        yield 1
        if who == "input":
            yield next(streams[0].output("other"))

    streams.append(stream_pipe(P, numbers()))
    with streams[0], pytest.raises(PipeError, match="reads the stream of its own run"):
        list(streams[0].output("default"))


def test_a_thread_that_is_interrupted_while_it_reads_for_all_ends_the_others_with_an_error() -> None:
    """Its interrupt has ended the run: what they have is not all there was."""
    with stream_pipe(Thirds, range(30)) as stream:
        outputs = stream.outputs()

        def interrupted() -> Any:
            raise KeyboardInterrupt

        assert stream._outputs is not None
        stream._outputs._read = interrupted
        with pytest.raises(KeyboardInterrupt):
            next(outputs["one"])
        with pytest.raises(
            NotRunningError, match="was interrupted by KeyboardInterrupt, which ended the run"
        ):
            list(outputs["two"])
