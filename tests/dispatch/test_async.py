"""Dispatch from coroutines, and with async inputs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import InlineExecutor
from slither_actors.errors import DispatchError, NotRunningError, OptionError
from tests.dispatch.manual import SECONDS, Endless, Manual, actors_of_runs, double, payloads, wait

pytestmark = pytest.mark.usefixtures("application")

inline = InlineExecutor(lambda batch: batch)


class Source:
    """An async input without an end, that counts, and notes where and how it is read."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.count = 0
        self.closed = threading.Event()
        self.threads: set[int] = set()
        self.gate = gate

    async def items(self) -> AsyncIterator[int]:
        try:
            while True:
                self.count += 1
                self.threads.add(threading.get_ident())
                yield self.count
                await asyncio.sleep(0)
                if self.gate is not None:
                    await self.gate.wait()
        finally:
            await asyncio.sleep(0)
            self.closed.set()


async def numbers(count: int) -> AsyncIterator[int]:
    for value in range(count):
        yield value


async def first_of(stream: Any, count: int) -> list[Any]:
    found: list[Any] = []
    async for item in stream:
        found.append(item.payload)
        if len(found) == count:
            break
    return found


def bounded(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, SECONDS))


@pytest.mark.parametrize(
    "items", [list(range(100)), (n for n in range(100)), None], ids=["list", "iter", "async"]
)
def test_arun_returns_what_run_does(items: Any) -> None:
    """From any kind of input."""
    found = bounded(dispatch.arun(numbers(100) if items is None else items, executor=inline, batch_size=7))
    assert payloads(found) == list(range(100))
    assert actors_of_runs() == []


def test_a_sync_run_reads_an_async_input() -> None:
    """In the loop of the stages."""
    assert payloads(dispatch.run(numbers(50), executor=inline, batch_size=7)) == list(range(50))
    source = Source()
    with dispatch.stream(source.items(), executor=inline, batch_size=2, max_in_flight=2) as stream:
        assert payloads(itertools.islice(stream, 20)) == list(range(1, 21))
        assert stream.statistics()["dispatch"].emitted >= 20
    wait(source.closed)
    assert actors_of_runs() == []


def test_a_sync_run_in_the_loop_that_reads_its_input_is_refused() -> None:
    """It would wait for ever."""

    async def main() -> None:
        for name in ("run", "stream"):
            with pytest.raises(
                OptionError, match=f"would block the event loop .* allowed is dispatch.a{name}"
            ):
                getattr(dispatch, name)(numbers(3), executor=inline)

    bounded(main())


def test_one_batch_is_of_an_iterable() -> None:
    """It is there as a whole."""
    with pytest.raises(OptionError, match="option 'items' is"):
        dispatch.call_batch(numbers(3), executor=inline)  # type: ignore[arg-type]


def test_an_async_input_is_read_in_the_loop_of_the_caller_and_no_further_than_the_window() -> None:
    """As any input."""

    async def main() -> None:
        source = Source()
        options: Any = {"executor": inline, "batch_size": 3, "max_in_flight": 4}
        async with dispatch.astream(source.items(), **options) as stream:
            for consumed in range(1, 200):
                assert (await anext(stream)).payload == consumed
                assert source.count <= consumed + 3 * 3 * 4
        assert source.closed.is_set()
        assert source.threads == {threading.get_ident()}

    bounded(main())
    assert actors_of_runs() == []


def test_the_input_is_not_read_before_a_result_is_asked_for() -> None:
    """Nor does anything start. A stream that was never read is closed in no time."""

    async def main() -> None:
        source = Source()
        stream = dispatch.astream(source.items(), executor=inline)
        await asyncio.sleep(0)
        assert source.count == 0
        with pytest.raises(NotRunningError):
            await stream.statistics()
        await stream.aclose()
        assert [item async for item in stream] == []
        assert source.count == 0

    bounded(main())
    assert actors_of_runs() == []


def test_the_loop_stays_free_while_a_run_works() -> None:
    """Batches that take their time, and an input that blocks its thread, hold up no other task."""

    async def main() -> None:
        gate = threading.Event()

        def slow() -> Any:
            wait(gate)
            yield 1

        run = asyncio.create_task(dispatch.arun(slow(), executor=inline))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not run.done()
        gate.set()
        assert payloads(await run) == [1]

    bounded(main())


def test_a_cancelled_run_ends_with_its_task() -> None:
    """Its input is closed, and its batches are taken back."""
    manual = Manual()
    source = Endless()

    async def main() -> None:
        run = asyncio.create_task(
            dispatch.arun(source.items(), executor=manual, batch_size=1, max_in_flight=2)
        )
        await asyncio.to_thread(manual.take, 2)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert manual.cancelled.qsize() == 2

    bounded(main())
    wait(source.closed)
    assert actors_of_runs() == []


def test_a_run_that_is_cancelled_while_it_starts_leaves_nothing() -> None:
    """However far it had come."""
    source = Endless()

    async def main(turns: int) -> None:
        run = asyncio.create_task(dispatch.arun(source.items(), executor=inline))
        for _ in range(turns):
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    for turns in range(1, 5):
        bounded(main(turns))


def test_leaving_the_block_ends_the_run() -> None:
    """By an exception of the body as well."""
    source = Endless()

    async def main() -> None:
        async with dispatch.astream(source.items(), executor=inline) as stream:
            async for item in stream:
                raise LookupError(item)

    with pytest.raises(LookupError):
        bounded(main())
    wait(source.closed)
    assert actors_of_runs() == []


def test_a_dropped_stream_ends_its_run() -> None:
    """Also when nobody awaits anything any more."""
    source = Endless()

    async def main() -> None:
        stream = dispatch.astream(source.items(), executor=inline)
        assert await first_of(stream, 5) == [1, 2, 3, 4, 5]
        del stream
        gc.collect()
        await asyncio.to_thread(wait, source.closed)

    bounded(main())


def test_a_stream_that_is_left_with_its_loop_ends_its_run() -> None:
    """The loop is closed with the reader in it."""
    source = Endless()
    manual = Manual()

    async def main() -> None:
        stream = dispatch.astream(source.items(), executor=manual, batch_size=1)
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(manual.next)
        assert not reading.done()

    asyncio.run(main())
    gc.collect()
    wait(source.closed)


def test_closing_ends_the_wait_of_another_task() -> None:
    """As at the end of the run."""
    manual = Manual()

    async def main() -> None:
        stream = dispatch.astream(itertools.count(), executor=manual)
        reading = asyncio.create_task(first_of(stream, 1))
        await asyncio.to_thread(manual.next)
        await stream.aclose()
        assert await reading == []
        await stream.aclose()

    bounded(main())


def test_two_tasks_cannot_read_at_one_time() -> None:
    """The second one is told."""
    manual = Manual()

    async def main() -> None:
        async with dispatch.astream(range(4), executor=manual, batch_size=2) as stream:
            reading = asyncio.create_task(first_of(stream, 2))
            batch = await asyncio.to_thread(manual.next)
            with pytest.raises(RuntimeError, match="being read by another task"):
                await anext(stream)
            double(batch)
            assert await reading == [0, 2]
            double(await asyncio.to_thread(manual.next))
            assert await first_of(stream, 2) == [4, 6]

    bounded(main())


def test_nor_can_a_second_one_read_while_the_run_starts() -> None:
    """The first one will."""

    async def main() -> None:
        async with dispatch.astream(range(4), executor=inline) as stream:
            reading = asyncio.create_task(first_of(stream, 4))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="being read by another task"):
                await anext(stream)
            assert await reading == [0, 1, 2, 3]

    bounded(main())


def test_one_loop_after_the_other_may_read() -> None:
    """The run belongs to none."""
    stream = dispatch.astream(range(100), executor=inline, batch_size=5)
    assert bounded(first_of(stream, 30)) == list(range(30))
    assert bounded(first_of(stream, 70)) == list(range(30, 100))
    bounded(stream.aclose())


def test_a_halt_is_raised_behind_the_results() -> None:
    """With what was complete, where the results are collected."""

    def function(batch: list[int]) -> list[int]:
        if 6 in batch:
            raise ValueError(batch)
        return batch

    async def main() -> None:
        executor = InlineExecutor(function)
        stream = dispatch.astream(range(10), executor=executor, batch_size=2)
        assert await first_of(stream, 6) == list(range(6))
        with pytest.raises(DispatchError) as caught:
            await anext(stream)
        assert isinstance(caught.value.reason, ValueError)
        assert [item async for item in stream] == []
        with pytest.raises(DispatchError) as caught:
            await dispatch.arun(range(10), executor=executor, batch_size=2)
        assert payloads(caught.value.partial_results) == list(range(6))

    bounded(main())


@pytest.mark.parametrize("on_error", ["halt", "skip"])
def test_an_async_input_that_raises_ends_the_run_after_what_it_gave(on_error: str) -> None:
    """All that was read is processed."""

    async def failing() -> AsyncIterator[int]:
        for value in range(10):
            yield value
        raise ValueError("no")

    with pytest.raises(DispatchError) as caught:
        bounded(dispatch.arun(failing(), executor=inline, batch_size=3, on_error=on_error))
    assert str(caught.value.reason) == "no"
    assert caught.value.batch == "the input, after item 10"
    assert payloads(caught.value.partial_results) == list(range(10))


def test_a_slow_async_input_does_not_wait_for_a_full_batch() -> None:
    """With a timeout, as any input."""

    async def main() -> None:
        gate = asyncio.Event()
        source = Source(gate)
        async with dispatch.astream(
            source.items(), executor=inline, batch_size=100, batch_timeout=0.01
        ) as stream:
            assert (await anext(stream)).payload == 1
            gate.set()
            assert (await anext(stream)).payload == 2

    bounded(main())


def test_a_slow_task_slows_the_input() -> None:
    """What is read is bounded by what was consumed."""
    source = Endless()

    async def main() -> None:
        async with dispatch.astream(source.items(), executor=inline, batch_size=2, max_in_flight=3) as stream:
            consumed = 0
            async for _ in stream:
                consumed += 1
                assert source.count <= consumed + 3 * 2 * 3
                if consumed == 300:
                    return

    bounded(main())


@pytest.mark.parametrize("on_close", ["wait", "kill"])
def test_aclose_waits_for_what_runs_as_told(on_close: str) -> None:
    """And leaves the loop free for that time."""
    manual = Manual()

    async def main() -> None:
        stream = dispatch.astream(
            itertools.count(), executor=manual, batch_size=1, max_in_flight=1, on_close=on_close
        )
        reading = asyncio.create_task(first_of(stream, 1))
        batch = await asyncio.to_thread(manual.next)
        closing = asyncio.create_task(stream.aclose())
        await asyncio.to_thread(manual.cancelled.get)
        assert not closing.done()
        double(batch)
        await closing
        assert await reading == []

    bounded(main())
    assert actors_of_runs() == []


def test_a_wrong_option_is_refused_at_the_call() -> None:
    """By the name of the function that was called; `arun` when it is awaited."""
    with pytest.raises(OptionError, match="dispatch.astream: option 'batchsize' is unknown; did you mean"):
        dispatch.astream([1], executor=inline, batchsize=2)
    with pytest.raises(OptionError, match="dispatch.arun: option 'items' is 5"):
        bounded(dispatch.arun(5, executor=inline))  # type: ignore[arg-type]
