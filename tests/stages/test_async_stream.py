"""Streams: the events of producers in an event loop of the program's."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.errors import StreamError
from slither_actors.stages import from_async_iterable, from_iterable, stream
from tests.stages.probes import Silent, inside, seen, settle, until
from tests.stages.streams import endless, nothing_is_left


async def collect(events: Any) -> list[Any]:
    return [event async for event in events]


async def until_waiting(source: Any) -> None:
    """Let the loop run until the source was asked and the reader waits."""
    while not await asyncio.to_thread(seen, source, "demands"):
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", [0, 1, 500, 501, 2501])
def test_every_event_comes_in_order_and_then_it_ends(count: int) -> None:
    """And the next one after the end is no event either."""

    async def main() -> None:
        events = stream(from_iterable(range(count)))
        assert await collect(events) == list(range(count))
        assert await collect(events) == []
        assert await anext(events, "end") == "end"

    asyncio.run(main())


def test_chunks() -> None:
    """As in a plain loop."""

    async def main() -> None:
        got = await collect(stream({"to": from_iterable(range(25)), "max_demand": 10}, chunks=True))
        assert {len(chunk) for chunk in got} == {5}
        assert [event for chunk in got for event in chunk] == list(range(25))

    asyncio.run(main())


def test_no_producers_give_no_events() -> None:
    """It is empty, not an error."""
    assert asyncio.run(collect(stream())) == []


def test_the_ask_for_a_chunk_goes_out_when_the_chunk_after_it_is_wanted() -> None:
    """As in a plain loop."""
    source = endless()

    async def main() -> None:
        events = stream({"to": source, "max_demand": 10, "min_demand": 5})
        assert [await anext(events) for _ in range(5)] == [0, 1, 2, 3, 4]
        await asyncio.to_thread(settle, source)
        assert seen(source, "demands") == [10]
        await anext(events)
        await asyncio.to_thread(settle, source)
        assert seen(source, "demands") == [10, 5]

    asyncio.run(main())
    nothing_is_left(source)


def test_a_reader_that_waits_does_not_block_the_loop() -> None:
    """The event that it waits for is made by the same loop."""
    source = Silent.start()

    async def main() -> None:
        events = stream(source)
        reader = asyncio.create_task(collect(events))
        await until_waiting(source)
        for number in range(50):
            inside(source, lambda stage, number=number: stage.emit([number]))
            while events.statistics().taken <= number:
                await asyncio.sleep(0)
        source.stop(block=False)
        assert await reader == list(range(50))

    asyncio.run(main())


def test_a_reader_that_never_waits_lets_the_others_run() -> None:
    """The producers are in other threads and may be faster than it."""
    source = endless()

    async def main() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        events = stream({"to": source, "max_demand": 10_000, "min_demand": 9_900})
        await anext(events)  # and all of the demand with it, in chunks of a hundred
        task = asyncio.create_task(other())
        for _ in range(9_000):
            await anext(events)
        events.close()
        task.cancel()
        assert turns >= 80

    asyncio.run(main())
    nothing_is_left(source)


def test_readers_need_no_threads() -> None:
    """Two hundred wait at one time."""
    source = Silent.start()

    async def main() -> None:
        readers = [asyncio.create_task(collect(stream(source))) for _ in range(200)]
        while len(await asyncio.to_thread(seen, source, "joined")) < 200:
            await asyncio.sleep(0)
        assert sum(thread.name.startswith("asyncio") for thread in threading.enumerate()) <= 8
        source.stop(block=False)
        assert await asyncio.gather(*readers) == [[]] * 200

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before + 8


def test_a_crash_of_a_producer_is_raised_behind_its_events() -> None:
    """It names the producer and the exception."""

    def broken() -> Iterator[int]:
        yield from range(7)
        raise ValueError("line 8")

    async def main() -> None:
        source, got = from_iterable(broken()), []
        with pytest.raises(StreamError, match="line 8") as caught:  # noqa: PT012 - an async loop is no call
            async for event in stream(source):
                got.append(event)
        assert got == list(range(7))
        assert isinstance(caught.value.__cause__, ValueError)

    asyncio.run(main())


def test_a_producer_that_is_not_there_is_an_error_once() -> None:
    """Then it is at its end, and does not wait for anybody."""

    async def main() -> None:
        events = stream("nobody")
        with pytest.raises(StreamError, match="noproc"):
            await anext(events)
        assert await collect(events) == []

    asyncio.run(main())


@pytest.mark.parametrize("what", ["break", "exception", "with", "aclose", "close"])
def test_a_reader_that_leaves_leaves_nothing_behind(what: str) -> None:
    """Without the loop's help, which may end at once."""
    source = endless()

    async def main() -> None:
        if what == "break":
            async for _ in stream(source):
                break
        elif what == "exception":
            with pytest.raises(ZeroDivisionError):  # noqa: PT012 - as above
                async for event in stream(source):
                    1 // event
        elif what == "with":
            async with stream(source) as events:
                await anext(events)
        else:
            events = stream(source)
            await anext(events)
            if what == "aclose":
                await events.aclose()
            else:
                events.close()
            assert await collect(events) == []

    asyncio.run(main())
    nothing_is_left(source)
    assert seen(source, "left") == [("cancel", "normal")]


def test_the_cancellation_of_the_task_that_reads_ends_it() -> None:
    """While it waits."""
    source = Silent.start()

    async def read() -> None:
        async for _ in stream(source):
            pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await until_waiting(source)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main(), debug=True)
    nothing_is_left(source)


def test_a_wait_with_a_timeout_loses_no_event() -> None:
    """A cancelled `anext` has taken nothing."""
    source = Silent.start()

    async def main() -> None:
        events = stream(source)
        for _ in range(5):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(events), 0.001)
        inside(source, lambda stage: stage.emit([1, 2, 3]))
        assert [await asyncio.wait_for(anext(events), 20) for _ in range(3)] == [1, 2, 3]
        events.close()

    asyncio.run(main())


@pytest.mark.parametrize("what", ["close", "stop", "kill"])
def test_a_reader_that_waits_is_woken_from_another_thread(what: str) -> None:
    """By `close`, by the end of the producer, by its death."""
    source = Silent.start()

    async def main() -> None:
        events = stream(source)
        reader = asyncio.create_task(collect(events))
        await until_waiting(source)
        act = {"close": events.close, "stop": lambda: source.stop(block=False), "kill": source.kill}[what]
        await asyncio.to_thread(act)
        if what == "kill":
            with pytest.raises(StreamError, match="killed"):
                await reader
        else:
            assert await reader == []

    asyncio.run(main())
    nothing_is_left(source)


def test_a_second_task_that_reads_gets_an_error() -> None:
    """And the first one every event."""
    source = Silent.start()

    async def main() -> None:
        events = stream(source)
        first = asyncio.ensure_future(anext(events))
        await until_waiting(source)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(events)
        inside(source, lambda stage: stage.emit([1]))
        assert await first == 1
        events.close()

    asyncio.run(main())


def test_the_end_of_the_loop_ends_it() -> None:
    """`asyncio.run` cancels the task that reads."""
    source = Silent.start()

    async def read() -> None:
        async for _ in stream(source):
            pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await until_waiting(source)
        assert not task.done()

    asyncio.run(main())
    nothing_is_left(source)


@pytest.mark.parametrize("and_then", ["garbage", "an event"])
def test_a_loop_that_is_closed_under_the_reader_ends_it(
    and_then: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing holds the task then but the loop; or else the next event finds that there is no loop."""
    source = Silent.start()

    async def read() -> None:
        async for _ in stream(source):
            pass

    async def main() -> None:
        kept.append(asyncio.ensure_future(read()))
        await until_waiting(source)

    kept: list[Any] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    kept[0]._log_destroy_pending = False  # the program's own doing
    if and_then == "an event":
        inside(source, lambda stage: stage.emit([1]))
        nothing_is_left(source)
    kept.clear()
    gc.collect()
    nothing_is_left(source)
    assert caplog.records == []


def test_a_task_that_waits_is_not_garbage() -> None:
    """What it waits for holds it, as with a socket."""
    source, got = Silent.start(), threading.Event()

    async def read() -> None:
        async for _ in stream(source):
            got.set()
            return

    async def main() -> None:
        asyncio.ensure_future(read())  # noqa: RUF006 - that is the point
        await until_waiting(source)
        gc.collect()
        inside(source, lambda stage: stage.emit([1]))
        deadline = time.monotonic() + 20
        while not got.is_set() and time.monotonic() < deadline:
            await asyncio.sleep(0.001)

    asyncio.run(main())
    assert got.is_set()
    nothing_is_left(source)


def test_both_ends_in_one_loop() -> None:
    """An async generator, through stages, to an async loop: nothing waits for itself."""

    async def numbers() -> Any:
        for number in range(2000):
            await asyncio.sleep(0)
            yield number

    async def main() -> None:
        assert await collect(stream(from_async_iterable(numbers()))) == list(range(2000))

    asyncio.run(main())


def test_read_by_an_async_loop_and_by_a_plain_one_is_an_error() -> None:
    """Each would have what the other lacks."""

    async def main() -> None:
        events = stream(from_iterable([1]))
        await anext(events)
        with pytest.raises(RuntimeError, match="async for"):
            next(events)

    asyncio.run(main())


def test_one_that_was_never_begun_is_dropped_without_a_warning() -> None:
    """Nothing was started that would have to be awaited."""

    async def main() -> None:
        aiter(stream(from_iterable([1])))

    asyncio.run(main())
    gc.collect()


def test_the_end_while_a_reader_is_between_two_events() -> None:
    """`close` by another task counts for the rest of the chunk."""
    source = endless()

    async def main() -> None:
        events = stream(source)
        got = []
        async for event in events:
            got.append(event)
            events.close()
        assert got == [0]

    asyncio.run(main())
    nothing_is_left(source)
    until(lambda: not source._cell.monitors)
