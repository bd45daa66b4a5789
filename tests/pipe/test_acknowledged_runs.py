"""Sources that want acknowledgements, and rate limits, in each way to run a pipe."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import (
    Pipe,
    PipeError,
    arun_pipe,
    astream_pipe,
    router,
    run_pipe,
    stage,
    stream_pipe,
)
from slither_actors.errors import OutputFullError, PipeCancelledError, PipeTimeoutError
from slither_actors.pipe import Ack, PipeStream, RateLimit, RunHandle
from tests.pipe.ack_sources import ListSource


class Halves(Pipe):
    split = router(odd=lambda item: item.payload % 2 == 1)


class Same(Pipe):
    same = stage(lambda item: item.payload)


def interrupted(source: ListSource) -> set[int]:
    """Places of what was not finished, after checking that the rest was done, and each told once."""
    failed = {place for place, error in source.errors.items() if error is not None}
    assert failed == {ack.token for ack in source.acks if ack.interrupted}
    return failed


def test_an_item_of_an_output_is_done_with_when_its_reader_asks_for_the_next() -> None:
    """Not when it is put into the buffer of its output, and not when another output is read."""
    source = ListSource(range(6))
    with stream_pipe(Halves, source) as stream:
        odd, default = stream.output("odd"), stream.output("default")
        assert [next(odd).payload, next(default).payload] == [1, 0]
        assert next(odd).payload == 3
        assert source.wait_for(1) == [Ack(1)]
        time.sleep(0.05)
        assert source.acks == [Ack(1)]
    assert interrupted(source) == {0, 2, 3, 4, 5}
    assert source.closed == 1


def test_outputs_that_are_read_to_their_ends_are_all_done() -> None:
    """By their last reader, before it hears of the end, though the run ended long before."""
    source = ListSource(range(300))
    stream = stream_pipe(Halves, source)
    outputs = stream.outputs()
    assert len(list(outputs["odd"])) == 150
    assert source.closed == 0
    assert len(list(outputs["default"])) == 150
    assert interrupted(source) == set()
    assert source.closed == 1


def test_outputs_that_are_read_in_threads_are_all_done() -> None:
    """Two for each output: each thread is at an item of its own."""
    source = ListSource(range(3000))
    with stream_pipe(Halves, source) as stream, ThreadPoolExecutor(4) as threads:
        outputs = stream.outputs(wait=30)
        found = threads.map(lambda name: sum(1 for _ in outputs[name]), ["odd", "default"] * 2)
        assert sum(found) == 3000
        assert source.closed == 1
    assert interrupted(source) == set()


def test_what_a_thread_was_at_when_it_ended_is_not_done() -> None:
    """Another one that reads on has not done it."""
    source = ListSource(range(1, 7, 2))
    with stream_pipe(Halves, source) as stream:
        odd = stream.output("odd")
        thread = threading.Thread(target=next, args=(odd,))
        thread.start()
        thread.join()
        assert [item.payload for item in odd] == [3, 5]
    assert interrupted(source) == {0}


def test_what_is_discarded_is_done() -> None:
    """What waits in the buffer, and what comes."""
    source = ListSource(range(1, 20, 2))
    stream = stream_pipe(Halves, source)
    outputs = stream.outputs(buffer_size=4)
    with pytest.raises(OutputFullError):
        next(outputs["default"])
    stream.discard("odd")
    assert list(outputs["default"]) == []
    assert interrupted(source) == set()
    assert source.closed == 1


def test_outputs_of_a_stream_that_was_begun_as_a_whole() -> None:
    """What was read last is done with when something of an output is asked for."""
    source = ListSource(range(4))
    stream = stream_pipe(Halves, source)
    first, second = next(stream).payload, next(stream).payload
    outputs = stream.outputs()
    assert source.wait_for(1) == [Ack(first)]
    rest = [item.payload for name in outputs for item in outputs[name]]
    assert sorted([first, second, *rest]) == [0, 1, 2, 3]
    assert interrupted(source) == set()


def test_outputs_of_a_stream_that_is_dropped_come_back() -> None:
    """What waited in the buffers among them."""
    source = ListSource(range(50))
    stream = stream_pipe(Halves, source)
    next(stream.output("odd"))
    del stream
    gc.collect()
    source.wait_until_closed()
    assert interrupted(source) == set(range(source.read))


def test_outputs_of_a_run_that_halted_are_done_as_far_as_they_are_read() -> None:
    """What halted it failed."""

    class P(Pipe):
        split = router(odd=lambda item: item.payload % 2 == 1)

        @stage
        def invert(item: Any) -> Any:  # noqa: N805
            return 1 / item.payload

    source = ListSource([1, 2, 0])
    stream = stream_pipe(P, source)
    outputs = stream.outputs()
    for name in outputs:
        with pytest.raises(PipeError):
            list(outputs[name])
    failed = {ack.token for ack in source.acks if ack.error is not None and not ack.interrupted}
    assert failed == {2}
    assert source.errors[0] is None


@pytest.mark.parametrize("way", ["timeout", "handle"])
def test_a_run_that_is_ended_from_outside_gives_back_what_is_left(way: str) -> None:
    """Whatever has come out is done."""
    source, handle = ListSource(itertools.count()), RunHandle()
    options = {"timeout": 0.1} if way == "timeout" else {"handle": handle}
    timer = threading.Timer(0.1, handle.cancel)
    timer.start()
    with pytest.raises(PipeTimeoutError if way == "timeout" else PipeCancelledError) as info:
        run_pipe(Same, source, **options)
    source.wait_until_closed()
    out = {item.payload for item in info.value.partial_results["default"]}
    assert {place for place, error in source.errors.items() if error is None} == out
    timer.join()


@pytest.mark.parametrize("kind", ["iterable", "async iterable"])
def test_a_rate_limit_holds_in_an_event_loop(kind: str) -> None:
    """For both kinds of input; the loop is free meanwhile."""
    turns = 0

    async def numbers() -> AsyncIterator[int]:
        for number in range(25):
            yield number

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    async def run() -> int:
        task = asyncio.create_task(count_turns())
        out = await arun_pipe(
            Same, numbers() if kind == "async iterable" else range(25), rate_limit=RateLimit(10, 0.1)
        )
        task.cancel()
        return len(out["default"])

    began = time.monotonic()
    assert asyncio.run(run()) == 25
    assert time.monotonic() - began >= 0.2
    assert turns > 3


def test_a_stream_that_is_left_does_not_wait_for_its_rate() -> None:
    """The async input that waits for its turn is closed."""
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            closed.append(True)

    async def run() -> None:
        async with astream_pipe(Same, numbers(), rate_limit=RateLimit(1, 60)) as stream:
            assert (await anext(stream)).payload == 0

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 10
    assert closed == [True]


def test_a_stream_of_a_plain_input_has_none_of_this() -> None:
    """It pays nothing for it."""
    stream = stream_pipe(Same, [1, 2])
    assert isinstance(stream, PipeStream)
    assert [item.payload for item in stream] == [1, 2]
    assert stream._acks_end is None
