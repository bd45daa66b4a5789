"""`arun_pipe` and `astream_pipe`: a pipe run from a coroutine."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from slither_actors import (
    InlineExecutor,
    Pipe,
    PipeError,
    arun_pipe,
    astream_pipe,
    router,
    run_pipe,
    stage,
    workers,
)
from slither_actors.errors import OptionError, OutputFullError


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


class Halves(Pipe):
    split = router(odd=lambda item: item.payload % 2)
    double = workers(InlineExecutor(lambda batch: [2 * each for each in batch]), batch_size=5)


class Failing(Pipe):
    work = stage(lambda item: 10 // (5 - item.payload))


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def test_a_run_is_awaited_and_returns_the_outputs() -> None:
    """As run_pipe returns them, with the statistics."""
    out = run(arun_pipe(Halves, range(10)))
    assert {name: payloads(items) for name, items in out.items()} == {
        "odd": [1, 3, 5, 7, 9],
        "default": [0, 4, 8, 12, 16],
    }
    assert out.statistics["source"].items == 10


def test_an_async_iterable_is_read_in_the_loop_of_the_caller() -> None:
    """Its code runs in the thread of the loop."""
    threads = set()

    async def source() -> AsyncIterator[int]:
        for number in range(100):
            threads.add(threading.get_ident())
            yield number

    async def main() -> Any:
        return threading.get_ident(), await arun_pipe(Halves, source())

    thread, out = run(main())
    assert threads == {thread}
    assert len(out["default"]) == 50


def test_items_of_an_async_input_are_bound_for_no_output_yet() -> None:
    """What left another pipe by an output of that one is an input like any other."""

    async def main() -> Any:
        async def again() -> AsyncIterator[Any]:
            async with astream_pipe(Halves, numbers(4)) as stream:
                async for item in stream:
                    yield item

        return await arun_pipe(Failing, again())

    out = run(main())
    assert sorted(payloads(out["default"])) == [2, 2, 5, 10]


def test_the_loop_is_free_while_a_pipe_runs() -> None:
    """Another task of the loop lets the stage go on."""
    gate = threading.Event()

    def wait(item: Any) -> Any:
        return gate.wait(10)

    class P(Pipe):
        work = stage(wait)

    async def main() -> Any:
        asyncio.get_running_loop().call_later(0.02, gate.set)
        return await arun_pipe(P, [1])

    assert payloads(run(main())["default"]) == [True]


def test_a_stream_is_lazy_and_ends_with_its_block() -> None:
    """An endless async input is read as far as there is room, and closed."""
    closed = []
    read = []

    async def source() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                read.append(number)
                yield number
        finally:
            closed.append(True)

    async def main() -> Any:
        found = []
        async with astream_pipe(Halves, source()) as stream:
            async for item in stream:
                found.append(item)
                if len(found) == 10:
                    break
        return found

    assert len(run(main())) == 10
    assert len(read) < 6000
    assert closed == [True]


def test_a_halted_run_raises_with_what_came_out() -> None:
    """In arun_pipe all of it is in the error."""
    with pytest.raises(PipeError, match="pipe Failing.work halted: ZeroDivisionError") as caught:
        run(arun_pipe(Failing, range(10)))
    assert payloads(caught.value.partial_results["default"]) == [2, 2, 3, 5, 10]


def test_a_halted_stream_raises_behind_the_last_item() -> None:
    """And says which stage."""
    found: list[Any] = []

    async def main() -> None:
        async for item in astream_pipe(Failing, numbers(10)):
            found.append(item)

    with pytest.raises(PipeError, match=r"Failing\.work"):
        run(main())
    assert payloads(found) == [2, 2, 3, 5, 10]


def test_cancelling_the_task_ends_the_run() -> None:
    """The stages are gone when the task is."""
    ended = threading.Event()

    class Slow(Pipe):
        work = stage(lambda item: item.payload)

    def source() -> Any:
        try:
            yield from itertools.count()
        finally:
            ended.set()

    async def main() -> None:
        task = asyncio.create_task(arun_pipe(Slow, source()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert ended.wait(5)


def test_run_pipe_reads_an_async_iterable_where_no_loop_runs() -> None:
    """In a loop of the stages."""
    assert len(run_pipe(Halves, numbers(10))["odd"]) == 5


def test_run_pipe_in_a_loop_refuses_what_that_loop_would_have_to_read() -> None:
    """It would wait for ever."""

    async def main() -> None:
        with pytest.raises(OptionError, match="allowed are arun_pipe and astream_pipe"):
            run_pipe(Halves, numbers(1))

    run(main())


# -- each output by itself -----------------------------------------------------------


def test_each_output_of_an_async_stream_is_read_by_itself() -> None:
    """By tasks of one loop, which make room for each other."""

    async def all_of(items: Any) -> Any:
        return [item.payload async for item in items]

    async def main() -> Any:
        async with astream_pipe(Halves, range(400)) as stream:
            outputs = stream.outputs(buffer_size=2, wait=10)
            found = await asyncio.gather(*map(all_of, outputs.values()))
            return dict(zip(outputs, found, strict=True))

    assert run(main()) == {"odd": list(range(1, 400, 2)), "default": list(range(0, 800, 4))}


async def take(items: Any, found: list[Any]) -> None:
    async for item in items:
        found.append(item.payload)


def test_a_full_output_of_an_async_stream_is_an_error() -> None:
    """Until it is discarded; nothing of the others is lost."""
    found: list[Any] = []

    async def main() -> None:
        async with astream_pipe(Halves, range(400)) as stream:
            outputs = stream.outputs(buffer_size=2)
            with pytest.raises(OutputFullError, match="output 'default' of pipe Halves") as info:
                await take(outputs["odd"], found)
            stream.discard(info.value.output)
            await take(outputs["odd"], found)

    run(main())
    assert found == list(range(1, 400, 2))


def test_an_async_stream_is_not_read_beside_its_outputs() -> None:
    """The items would be missing there."""

    async def main() -> None:
        async with astream_pipe(Halves, range(4)) as stream:
            stream.outputs()
            with pytest.raises(RuntimeError, match=r"read stream\.output"):
                await anext(stream)

    run(main())


def test_a_halted_async_run_is_told_to_each_reader() -> None:
    """Behind its items."""
    found: list[Any] = []

    async def main() -> None:
        async with astream_pipe(Failing, range(10)) as stream:
            with pytest.raises(PipeError):
                await take(stream.output("default"), found)

    run(main())
    assert found == [2, 2, 3, 5, 10]
