"""Coroutines on a loop of their own: bounded, cancelled, cleaned up."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.context import Context
from slither_actors.dispatch import AsyncExecutor
from slither_actors.errors import BatchTimeoutError, DispatchError, OptionError, ResultError
from tests.dispatch.manual import SECONDS, in_thread, payloads
from tests.dispatch.test_thread_executor import crew_threads, until

pytestmark = pytest.mark.usefixtures("application")


async def double(batch: list[int]) -> list[int]:
    await asyncio.sleep(0)
    return [2 * value for value in batch]


async def double_one(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


async def generator(batch: list[int]) -> AsyncIterator[int]:
    yield batch[0]


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Takes no note."""


def test_an_exception_that_takes_no_note_is_a_failure_all_the_same() -> None:
    """Its item is not taken to have the result None."""

    async def fail(value: int) -> int:
        if value == 2:
            raise FrozenError
        return value

    found = dispatch.run(range(3), executor=AsyncExecutor(fail, per="item"), on_error="skip")
    assert [type(item.meta["error"]) for item in found] == [FrozenError] * 3


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda batch: batch, r"is the plain function .*; allowed is a coroutine function \(async def\)"),
        ("module:function", r"is 'module:function'; allowed is a coroutine function"),
        (generator, "is the async generator function generator"),
        (functools.partial(double, [1]), r"allowed are \(payloads\) and \(payloads, ctx\)"),
    ],
)
def test_what_is_no_coroutine_function_is_refused(function: Any, problem: str) -> None:
    """When the executor is made."""
    with pytest.raises(OptionError, match=problem) as caught:
        AsyncExecutor(function)
    assert (caught.value.option, caught.value.where) == ("function", "AsyncExecutor")


@pytest.mark.parametrize(
    ("option", "value"), [("concurrency", 0), ("concurrency", None), ("per", "row"), ("per", 1)]
)
def test_a_wrong_option_is_refused(option: str, value: Any) -> None:
    """With what is allowed."""
    with pytest.raises(OptionError, match=rf"AsyncExecutor.*'{option}' is .*; allowed (is|are) "):
        AsyncExecutor(double, **{option: value})


@pytest.mark.parametrize(("function", "per"), [(double, "batch"), (double_one, "item")])
def test_results_come_per_batch_or_per_item(function: Any, per: str) -> None:
    """In order."""
    found = dispatch.run(range(200), executor=AsyncExecutor(function, per=per), batch_size=7)
    assert payloads(found) == [2 * n for n in range(200)]


@pytest.mark.parametrize(("per", "size", "concurrency"), [("batch", 1, 3), ("item", 10, 3), ("item", 2, 5)])
def test_no_more_run_at_one_time_than_told(per: str, size: int, concurrency: int) -> None:
    """In all batches together; and as many do."""
    now = most = 0

    async def function(value: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1
        return value

    executor = AsyncExecutor(function, per=per, concurrency=concurrency)
    found = dispatch.run(range(60), executor=executor, batch_size=size, max_in_flight=8)
    assert payloads(found) == list(range(60))
    assert most == concurrency


@pytest.mark.parametrize("per", ["batch", "item"])
def test_a_function_may_ask_for_the_context(per: str) -> None:
    """By a second parameter, or by its name."""

    async def second(value: Any, context: Context) -> Any:
        return [context.session_id] if per == "batch" else context.session_id

    async def named(value: Any, *, ctx: Context) -> Any:
        return await second(value, ctx)

    for function in (second, named):
        executor = AsyncExecutor(function, per=per)
        found = dispatch.run([1], executor=executor, context=Context(session_id="mine"))
        assert payloads(found) == ["mine"]


class Odd(BaseException):
    pass


@pytest.mark.parametrize("per", ["batch", "item"])
@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, Odd])
def test_what_a_coroutine_raises_is_its_batch_s(per: str, kind: type[BaseException]) -> None:
    """Whatever it is, a `CancelledError` of its own too; the loop and the other batches go on."""

    async def function(value: Any) -> Any:
        await asyncio.sleep(0)
        if value in (3, [3]):
            raise kind("no")
        return value

    executor = AsyncExecutor(function, per=per)
    found = dispatch.run(range(8), executor=executor, batch_size=1, on_error="skip")
    assert payloads(found) == list(range(8))
    assert [type(item.meta.get("error")) for item in found if item.meta] == [kind]
    assert bool(getattr(found[3].meta["error"], "__notes__", ())) is (per == "item")


def test_one_item_s_failure_cancels_the_others_of_its_batch() -> None:
    """They see a `CancelledError`; items of other batches do not."""
    cancelled: list[int] = []
    waiting: list[int] = []

    async def function(value: int) -> int:
        if value == 1:
            while len(waiting) < 3:
                await asyncio.sleep(0)
            raise ValueError(value)
        if value < 4:
            try:
                waiting.append(value)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(value)
                raise
        while len(cancelled) < 3:  # else the end of the run might be what cancels them
            await asyncio.sleep(0)
        return value

    executor = AsyncExecutor(function, per="item")
    found = dispatch.run(range(8), executor=executor, batch_size=4, on_error="skip")
    assert [bool(item.meta) for item in found] == [True] * 4 + [False] * 4
    assert sorted(cancelled) == [0, 2, 3]


def test_results_are_checked() -> None:
    """Per batch: one for each payload."""

    async def function(batch: list[int]) -> Any:
        return None

    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=AsyncExecutor(function))
    assert isinstance(caught.value.reason, ResultError)


def test_a_batch_past_its_timeout_is_cancelled_for_real() -> None:
    """Its ``finally`` blocks run."""
    cleaned = threading.Event()

    async def function(batch: list[int]) -> list[int]:
        if batch[0] == 0:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.set()
        return batch

    executor = AsyncExecutor(function, concurrency=1)
    found = dispatch.run(range(3), executor=executor, batch_size=1, timeout=0.1, on_error="skip")
    assert isinstance(found[0].meta["error"], BatchTimeoutError)
    assert [item.meta for item in found[1:]] == [{}, {}]
    assert cleaned.wait(SECONDS)


def test_the_timeout_counts_from_when_a_batch_began() -> None:
    """Not while it waits for its turn."""

    async def function(batch: list[int]) -> list[int]:
        await asyncio.sleep(0.05)
        return batch

    executor = AsyncExecutor(function, concurrency=1)
    found = dispatch.run(range(8), executor=executor, batch_size=1, max_in_flight=8, timeout=0.2)
    assert payloads(found) == list(range(8))


def test_a_coroutine_that_swallows_its_cancellation_is_reported_and_its_place_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With where it is; it counts as abandoned until it ends."""
    go = threading.Event()

    async def function(batch: list[int]) -> list[int]:
        while batch[0] == 0 and not go.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return batch

    executor = AsyncExecutor(function, concurrency=1)
    with (
        caplog.at_level(logging.INFO, "slither_actors.dispatch"),
        dispatch.stream(range(100), executor=executor, batch_size=1, timeout=0.1, on_error="skip") as stream,
    ):
        assert isinstance(next(stream).meta["error"], BatchTimeoutError)
        assert next(stream).payload == 1  # the place was given to it
        assert (executor.statistics().abandoned, executor.statistics().timeouts) == (1, 1)
        go.set()
        until(lambda: executor.statistics().abandoned == 0)
    assert "was cancelled and goes on all the same" in caplog.text
    assert "test_async_executor.py" in caplog.text
    until(lambda: not crew_threads())


def test_a_blocked_loop_fails_its_batches_and_hangs_no_run() -> None:
    """Those that could not begin, too; the error says where the loop is."""
    go = threading.Event()

    async def function(batch: list[int]) -> list[int]:
        go.wait(SECONDS)  # as if it were asynchronous
        return batch

    executor = AsyncExecutor(function, concurrency=1)
    found = dispatch.run(range(2), executor=executor, batch_size=1, timeout=0.1, on_error="skip")
    errors = [item.meta["error"] for item in found]
    assert [type(error) for error in errors] == [BatchTimeoutError] * 2
    assert "the event loop is blocked" in errors[1].__notes__[0]
    go.set()
    assert payloads(dispatch.run([7], executor=executor)) == [7]


def test_leaving_a_run_cancels_what_runs_of_it() -> None:
    """And starts nothing more."""
    began, cancelled = threading.Event(), threading.Event()

    async def function(batch: list[int]) -> list[int]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return batch

    stream = dispatch.stream(range(10), executor=AsyncExecutor(function), batch_size=1)
    with in_thread(next, stream) as first:
        assert began.wait(SECONDS)
        stream.close()
        with pytest.raises(StopIteration):
            first.result(SECONDS)
    assert cancelled.wait(SECONDS)
    until(lambda: not crew_threads())


def test_the_end_of_the_last_run_closes_the_loop_and_its_async_generators() -> None:
    """Tasks that the coroutines left behind are cancelled."""
    closed, cancelled, loops = threading.Event(), threading.Event(), set()
    kept: list[Any] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.set()

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def function(batch: list[int]) -> list[int]:
        loops.add(asyncio.get_running_loop())
        source = numbers()
        kept.extend([source, asyncio.get_running_loop().create_task(linger())])
        await anext(source)
        return batch

    executor = AsyncExecutor(function)
    dispatch.run([1, 2], executor=executor)
    assert closed.wait(SECONDS)
    assert cancelled.wait(SECONDS)
    until(lambda: all(loop.is_closed() for loop in loops))
    dispatch.run([1], executor=executor)
    assert len(loops) == 2


def test_it_works_while_the_caller_is_in_an_event_loop() -> None:
    """Its loop is another one."""

    async def main() -> list[Any]:
        return payloads(dispatch.run(range(5), executor=AsyncExecutor(double)))

    assert asyncio.run(main()) == [0, 2, 4, 6, 8]


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("per", ["batch", "item"])
def test_a_batch_sees_the_context_variables_of_whoever_made_the_run(per: str) -> None:
    """As a copy: what one sets is not the next one's."""

    async def function(value: Any) -> Any:
        seen = variable.get()
        variable.set("changed")
        return [seen] if per == "batch" else seen

    token = variable.set("mine")
    executor = AsyncExecutor(function, per=per, concurrency=1)
    assert payloads(dispatch.run([1, 2, 3], executor=executor, batch_size=1)) == ["mine"] * 3
    variable.reset(token)


def test_many_waits_take_as_long_as_one() -> None:
    """What it is for."""

    async def function(value: int) -> int:
        await asyncio.sleep(0.1)
        return value

    started = time.monotonic()
    executor = AsyncExecutor(function, per="item", concurrency=1000)
    assert len(dispatch.run(range(500), executor=executor, batch_size=100)) == 500
    assert time.monotonic() - started < 10  # one after the other: 50 s
