"""Sources that deliver again, read by runs in an event loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import Pipe, PipeError, Skip, arun_pipe, astream_pipe, router, stage
from slither_actors.errors import OutputFullError
from slither_actors.pipe import Ack, Delivery
from tests.pipe.ack_sources import ListSource, MemoryQueue
from tests.pipe.test_acknowledged_runs import Halves, Same, interrupted


class Inverse(Pipe):
    """Halts at zero."""

    @stage
    def divide(item: Any) -> Any:  # noqa: N805
        return 1 / item.payload


async def until(true: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


class Slow(ListSource):
    """Blocks when it delivers, is told, or is closed, until the loop has turned meanwhile."""

    def __init__(self, payloads: Any) -> None:
        super().__init__(payloads)
        self.turned = threading.Condition()
        self.turns = 0
        self.was_blocked = False

    async def turn(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            with self.turned:
                self.turns += 1
                self.turned.notify_all()

    def _block(self) -> None:
        with self.turned:
            until = self.turns + 3
            self.was_blocked |= not self.turned.wait_for(lambda: self.turns >= until, timeout=4)

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        for delivery in super().deliveries(stopping):
            self._block()
            yield delivery

    def acknowledge(self, acks: Any) -> None:
        self._block()
        super().acknowledge(acks)

    def close(self) -> None:
        self._block()
        super().close()


def test_a_run_that_is_awaited_acknowledges_all_before_it_returns() -> None:
    """With the failure of what failed."""

    class P(Pipe):
        @stage(on_error="skip")
        def divide(item: Any) -> Any:  # noqa: N805
            return 1 / item.payload if item.payload != 7 else Skip()

    source = ListSource(range(20))
    out = asyncio.run(arun_pipe(P, source))
    assert len(out["default"]) == 18
    assert {place for place, error in source.errors.items() if error} == {0}
    assert source.closed == 1


@pytest.mark.parametrize("way", ["arun", "astream", "outputs", "left"])
def test_the_loop_is_free_whatever_blocks_in_the_source(way: str) -> None:
    """Its reading, its acknowledgements, and its end, which all are waited for."""
    source = Slow(range(3))

    async def main() -> None:
        turning = asyncio.create_task(source.turn())
        if way == "arun":
            await arun_pipe(Same, source)
        else:
            async with astream_pipe(Same, source) as stream:
                items = stream.output("default") if way == "outputs" else stream
                async for _ in items:
                    if way == "left":
                        break
        assert source.closed == 1
        turning.cancel()

    asyncio.run(main())
    assert not source.was_blocked
    assert (source.errors[0] is None) is (way != "left")


def test_an_item_is_done_when_the_reader_asks_for_the_next_one() -> None:
    """The one at which it leaves is not."""
    source = ListSource(range(10))

    async def main() -> None:
        async with astream_pipe(Same, source) as stream:
            assert [(await anext(stream)).payload for _ in range(3)] == [0, 1, 2]
            await until(lambda: len(source.acks) == 2)
            await asyncio.sleep(0.05)
            assert source.acks == [Ack(0), Ack(1)]

    asyncio.run(main())
    assert interrupted(source) == set(range(2, 10))


def test_a_stream_that_is_read_to_its_end_is_all_done() -> None:
    """Also without a block around it; the end waits for the last acknowledgement."""
    source = ListSource(range(2500))

    async def main() -> int:
        count = 0
        async for _ in astream_pipe(Same, source):
            count += 1
        assert source.closed == 1
        return count

    assert asyncio.run(main()) == 2500
    assert interrupted(source) == set()


def test_a_task_that_is_cancelled_gives_the_rest_back() -> None:
    """What the reader was at, too."""
    source = ListSource(itertools.count())

    async def read(began: asyncio.Event) -> None:
        async with astream_pipe(Same, source) as stream:
            async for item in stream:
                if item.payload == 5:
                    began.set()
                    await asyncio.sleep(60)

    async def main() -> None:
        began = asyncio.Event()
        task = asyncio.create_task(read(began))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed == 1

    asyncio.run(main())
    assert {place for place, error in source.errors.items() if error is None} == set(range(5))


def test_a_run_whose_task_is_cancelled_gives_back_what_has_not_come_out() -> None:
    """The queue delivers it to the next run."""
    may_go = threading.Event()
    seen: list[int] = []

    class P(Pipe):
        @stage
        def wait(item: Any) -> Any:  # noqa: N805
            seen.append(item.payload)
            if item.payload == 3 and not may_go.is_set():
                may_go.wait(0.3)
            return item.payload

    queue = MemoryQueue(range(2000))

    async def main() -> None:
        task = asyncio.create_task(arun_pipe(P, queue))
        await until(lambda: 3 in seen)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert queue.out == {}
    assert len(queue.waiting) + len(queue.done) == 2000
    assert len(queue.waiting) > 0
    may_go.set()
    queue.ends = True
    asyncio.run(arun_pipe(P, queue))
    assert queue.done == dict.fromkeys(range(2000), 1)
    assert not queue.broken


def test_a_read_that_is_given_up_may_be_tried_again() -> None:
    """It ends nothing, and the item that came before it is done."""
    queue = MemoryQueue([1])

    async def main() -> None:
        async with astream_pipe(Same, queue) as stream:
            assert (await anext(stream)).payload == 1
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            await until(lambda: queue.done == {0: 1})
            queue.put([2])
            assert (await asyncio.wait_for(anext(stream), 10)).payload == 2

    asyncio.run(main())
    assert queue.given_back == [1]


def test_a_stream_that_is_dropped_gives_the_rest_back() -> None:
    """Without a block, when nobody has it any more."""
    source = ListSource(range(10))

    async def main() -> None:
        stream = astream_pipe(Same, source)
        assert (await anext(stream)).payload == 0
        assert (await anext(stream)).payload == 1
        del stream
        gc.collect()
        await asyncio.to_thread(source.wait_until_closed)

    asyncio.run(main())
    assert interrupted(source) == set(range(1, 10))


def test_a_halted_run_raises_and_gives_the_rest_back() -> None:
    """The element at fault has failed."""
    source = ListSource([1, 2, 0, 4])

    async def main() -> None:
        with pytest.raises(PipeError):
            async for _ in astream_pipe(Inverse, source):
                pass

    asyncio.run(main())
    assert {ack.token for ack in source.acks if ack.error is not None and not ack.interrupted} == {2}
    assert source.errors[0] is None


# -- outputs ---------------------------------------------------------------------------


def test_an_item_of_an_output_is_done_when_its_task_asks_for_the_next() -> None:
    """Not when it is put into a buffer, and not when another output is read."""
    source = ListSource(range(8))
    done: set[int] = set()

    async def main() -> None:
        async with astream_pipe(Halves, source) as stream:
            first = await anext(stream)
            odd, default = stream.output("odd"), stream.output("default")
            second, _, _ = await anext(odd), await anext(default), await anext(odd)
            await until(lambda: len(source.acks) == 2)
            await asyncio.sleep(0.05)
            assert [ack.token for ack in source.acks] == [first.payload, second.payload]
            done.update(ack.token for ack in source.acks)

    asyncio.run(main())
    assert interrupted(source) == set(range(8)) - done
    assert source.closed == 1


@pytest.mark.parametrize("bounded", [False, True])
def test_outputs_that_tasks_read_to_their_ends_are_all_done(bounded: bool) -> None:
    """Also where each read is a task of its own, to bound its time."""
    source = ListSource(range(500))

    async def read(output: Any) -> int:
        count = 0
        while True:
            try:
                await (asyncio.wait_for(anext(output), 10) if bounded else anext(output))
            except StopAsyncIteration:
                return count
            count += 1

    async def main() -> None:
        async with astream_pipe(Halves, source) as stream:
            outputs = stream.outputs(wait=10)
            assert await asyncio.gather(*map(read, outputs.values())) == [250, 250]
            await until(lambda: source.closed)

    asyncio.run(main())
    assert interrupted(source) == set()


def test_what_a_task_was_at_when_it_ended_is_not_done() -> None:
    """Whoever reads on."""
    source = ListSource(range(10))

    async def main() -> None:
        async with astream_pipe(Halves, source) as stream:
            odd = stream.output("odd")

            async def fail() -> None:
                async for _ in odd:
                    raise LookupError

            with pytest.raises(LookupError):
                await asyncio.create_task(fail())
            stream.discard("default")
            assert [item.payload async for item in odd] == [3, 5, 7, 9]

    asyncio.run(main())
    assert interrupted(source) == {1}


def test_what_is_discarded_is_done() -> None:
    """What waits for room, too."""
    source = ListSource(range(100))

    async def main() -> None:
        async with astream_pipe(Halves, source) as stream:
            outputs = stream.outputs(buffer_size=5)
            found: list[Any] = []

            async def read() -> None:
                async for item in outputs["odd"]:
                    found.append(item)

            with pytest.raises(OutputFullError):
                await read()
            stream.discard("default")
            await read()
            assert len(found) == 50

    asyncio.run(main())
    assert interrupted(source) == set()


def test_a_pipe_with_routes_is_collected() -> None:
    """By whatever output."""

    class P(Pipe):
        split = router(low=lambda item: item.payload < 3)

    source = ListSource(range(6))
    out = asyncio.run(arun_pipe(P, source))
    assert [len(items) for items in out.values()] == [3, 3]
    assert interrupted(source) == set()
