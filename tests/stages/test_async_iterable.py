"""Producers over async iterables."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from slither_actors.actors import Crash, zombies
from slither_actors.errors import NotRunningError, OptionError, StartError
from slither_actors.stages import ask, from_async_iterable, stream, sync_subscribe
from slither_actors.stages._loop import shared
from tests.stages.gates import Gate
from tests.stages.probes import SECONDS, Sink, ended, seen, settle, until


class Pulled:
    """An endless async iterator that counts what was taken from it, and is no generator."""

    def __init__(self) -> None:
        self.count = 0
        self.closed = 0

    def __aiter__(self) -> Pulled:
        return self

    async def __anext__(self) -> int:
        self.count += 1
        return self.count

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


async def counting(limit: int = 10**9, closed: list[Any] | None = None) -> AsyncIterator[int]:
    try:
        for number in range(limit):
            if number % 7 == 0:
                await asyncio.sleep(0)
            yield number
    finally:
        await asyncio.sleep(0)
        if closed is not None:
            closed.append(threading.current_thread().name)


@pytest.mark.parametrize("buffer_size", [0, 1, 100, 20_000])
@pytest.mark.parametrize("count", [0, 1, 10, 1000, 1001])
def test_every_element_is_delivered_in_order_and_then_it_ends(count: int, buffer_size: int) -> None:
    """However much is read ahead."""
    source, sink = from_async_iterable(counting(count), buffer_size=buffer_size), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    assert ended(sink) == ended(source) == "normal"
    assert seen(sink, "events") == list(range(count))


@pytest.mark.parametrize("buffer_size", [0, 1, 30])
def test_it_is_read_no_further_than_it_is_asked_and_the_buffer_has_room(buffer_size: int) -> None:
    """And as far as that."""
    pulled = Pulled()
    source, sink = from_async_iterable(pulled, buffer_size=buffer_size), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    settle(source)
    assert pulled.count == 0
    asked = 0
    for count in (1, 5, 14, 200):
        ask(subscription, count)
        asked += count
        until(lambda: pulled.count == asked + buffer_size)  # noqa: B023 - called at once
        until(lambda: len(seen(sink, "events")) == asked)  # noqa: B023
    settle(source)
    assert pulled.count == asked + buffer_size
    assert seen(sink, "events") == list(range(1, asked + 1))
    source.stop()
    assert pulled.closed == 1


def test_an_iterator_that_never_waits_lets_the_others_of_the_loop_run() -> None:
    """It is read in strokes."""
    pulled = Pulled()

    async def main() -> None:
        source = from_async_iterable(pulled, buffer_size=20_000)
        sync_subscribe(Sink.start(), to=source, max_demand=1)
        turns = 0
        while pulled.count < 20_000:
            turns += pulled.count > 0
            await asyncio.sleep(0)
        assert turns >= 100
        source.stop()

    asyncio.run(main())


@pytest.mark.parametrize("count", [0, 3])
def test_a_generator_is_closed_when_its_producer_is_stopped(count: int) -> None:
    """In its loop, before `stop` returns; one that has not begun has nothing to close."""
    closed: list[Any] = []
    source, sink = from_async_iterable(counting(closed=closed)), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    if count:
        ask(subscription, count)
        until(lambda: len(seen(sink, "events")) == count)
    source.stop("shutdown")
    assert closed == (["slither-stages-loop"] if count else [])


def test_a_generator_that_waits_is_closed_when_its_producer_is_killed() -> None:
    """It is cancelled where it waits, and may tidy up."""
    gate = Gate()

    async def waiting() -> AsyncIterator[int]:
        await gate.wait("here")
        yield 1

    source, sink = from_async_iterable(waiting()), Sink.start()
    sync_subscribe(sink, to=source)
    gate.await_waiting("here")
    source.kill()
    assert ended(source) == "killed"
    until(lambda: gate.cancelled == ["here"])
    assert zombies() == []


def test_a_generator_is_closed_when_the_reader_leaves_if_it_is_told_so() -> None:
    """With ``on_cancel="stop"`` the last consumer takes the producer along."""
    closed: list[Any] = []
    source = from_async_iterable(counting(closed=closed), on_cancel="stop")
    for event in stream(source):
        if event == 3:
            break
    assert ended(source) == "normal"
    until(lambda: len(closed) == 1)


def test_a_generator_that_is_read_to_its_end_is_closed_once() -> None:
    """By that."""
    closed: list[Any] = []
    assert list(stream(from_async_iterable(counting(5, closed)))) == [0, 1, 2, 3, 4]
    assert len(closed) == 1


@pytest.mark.parametrize("buffer_size", [0, 100])
def test_what_was_read_before_the_iterable_raised_is_delivered(buffer_size: int) -> None:
    """Then everybody ends with the exception as the reason."""

    async def broken() -> AsyncIterator[int]:
        for number in range(17):
            yield number
        raise ValueError("line 18")

    source, sink = from_async_iterable(broken(), buffer_size=buffer_size), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 5)
    until(lambda: len(seen(sink, "events")) == 5)
    settle(source)
    assert source.is_alive()
    ask(subscription, 100)
    reason = ended(sink)
    assert isinstance(reason, Crash)
    assert str(reason) == "ValueError: line 18"
    assert seen(sink, "events") == list(range(17))


def test_an_error_of_its_end_is_a_crash() -> None:
    """Of a generator whose `finally` raises when it has been read, say."""

    async def broken() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("disk")

    source, sink = from_async_iterable(broken()), Sink.start()
    sync_subscribe(sink, to=source)
    assert str(ended(source)) == "OSError: disk"
    assert seen(sink, "events") == [1]


def test_called_in_a_coroutine_it_is_read_in_the_loop_of_that() -> None:
    """To which its session belongs, for example."""

    async def here() -> AsyncIterator[Any]:
        yield asyncio.get_running_loop()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert [each async for each in stream(from_async_iterable(here()))] == [loop]

    asyncio.run(main())
    assert list(stream(from_async_iterable(here()))) == [shared.loop]


def test_a_loop_may_be_given() -> None:
    """It runs in whatever thread it does."""

    async def here() -> AsyncIterator[str]:
        yield threading.current_thread().name

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the loop's")
    thread.start()
    assert list(stream(from_async_iterable(here(), loop=loop))) == ["the loop's"]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SECONDS)
    loop.close()


def test_a_stop_in_the_loop_that_reads_does_not_wait_for_itself() -> None:
    """The generator is closed when the loop gets to it."""
    closed: list[Any] = []

    async def main() -> None:
        source = from_async_iterable(counting(closed=closed))
        async for event in stream({"to": source, "cancel": "temporary"}):
            if event == 3:
                source.stop()
                assert not source.is_alive()
                assert zombies() == []
                break
        while not closed:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert closed == ["MainThread"]


def test_the_end_of_the_loop_that_reads_ends_the_producer(caplog: pytest.LogCaptureFixture) -> None:
    """`asyncio.run` cancels and awaits the task that reads."""
    closed: list[Any] = []
    sink = Sink.start()

    async def main() -> Any:
        gate = asyncio.get_running_loop().create_future()

        async def waiting() -> AsyncIterator[int]:
            try:
                yield 1
                await gate
            finally:
                closed.append(True)

        source = from_async_iterable(waiting())
        sync_subscribe(sink, to=source)
        while not await asyncio.to_thread(seen, sink, "events"):
            await asyncio.sleep(0)
        return source

    source = asyncio.run(main())
    reason = ended(source)
    assert closed == [True]
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, NotRunningError)
    ended(sink)
    assert "Task was destroyed" not in caplog.text


def test_a_loop_that_is_closed_is_found_at_the_next_demand(caplog: pytest.LogCaptureFixture) -> None:
    """One whose tasks nobody has cancelled; the generator cannot be closed any more."""
    loop = asyncio.new_event_loop()
    source, sink = from_async_iterable(counting(), loop=loop), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    settle(source)
    while len(seen(sink, "events")) < 3:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    ask(subscription, 3)
    reason = ended(source)
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, NotRunningError)
    del source, sink, subscription
    gc.collect()
    assert "Task was destroyed" not in caplog.text


def test_it_may_have_a_name() -> None:
    """By which it is subscribed to."""
    from_async_iterable(counting(3), name="numbers")
    assert list(stream("numbers")) == [0, 1, 2]


def test_it_sees_the_context_of_whoever_made_it() -> None:
    """A copy."""
    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def who() -> AsyncIterator[str]:
        yield user.get()

    token = user.set("ann")
    source = from_async_iterable(who())
    user.reset(token)
    assert list(stream(source)) == ["ann"]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"iterable": [1]}, TypeError),
        ({"iterable": counting(0), "on_cancel": "go"}, OptionError),
        ({"iterable": counting(0), "buffer_size": -1}, OptionError),
        ({"iterable": counting(0), "loop": "mine"}, OptionError),
    ],
)
def test_a_wrong_argument_fails_the_start(arguments: dict[str, Any], cause: type[Exception]) -> None:
    """At once, and not at the first demand."""
    with pytest.raises(StartError) as caught:
        from_async_iterable(**arguments)
    assert isinstance(caught.value.__cause__, cause)


def test_two_consumers_read_one_iterable() -> None:
    """Each element goes to one of them."""
    source, sinks = from_async_iterable(counting(500), buffer_size=20), [Sink.start(), Sink.start()]
    for sink in sinks:
        sync_subscribe(sink, to=source, max_demand=7)
    for sink in sinks:
        ended(sink)
    got = list(itertools.chain.from_iterable(seen(sink, "events") for sink in sinks))
    assert sorted(got) == list(range(500))


def test_a_program_that_closes_its_loop_with_all_of_it_open_ends_without_a_word(
    program: Callable[..., Any],
) -> None:
    """Neither asyncio nor Python complains of the readers and generators that are left."""
    run = program(
        """
        import asyncio
        from slither_actors.stages import from_async_iterable, stream

        async def numbers():
            while True:
                yield 1
                await asyncio.sleep(0.001)

        async def silent():
            await asyncio.get_running_loop().create_future()
            yield 1

        async def read(source):
            async for event in stream(source):
                pass

        async def main():
            kept = stream(from_async_iterable(numbers()))
            tasks = [asyncio.create_task(read(from_async_iterable(each()))) for each in (numbers, silent)]
            for task in tasks:
                task._log_destroy_pending = False            # these are the program's
            await anext(kept)
            await asyncio.sleep(0.05)
            return kept

        loop = asyncio.new_event_loop()
        kept = loop.run_until_complete(main())
        loop.close()
        print("done")
        """
    )
    assert run.out == ["done"]
    assert run.err == ""
