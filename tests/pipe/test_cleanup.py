"""Each stage of a run is shut down once, and the run's session and input are closed, however the run ends."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from slither_actors import (
    Application,
    Pipe,
    PipeError,
    Stage,
    Store,
    Table,
    arun_pipe,
    astream_pipe,
    run_pipe,
    stage,
    start_pipe,
    stream_pipe,
    view,
)
from slither_actors.bridge import SESSIONS
from slither_actors.errors import PipeCancelledError, PipeTimeoutError
from slither_actors.pipe import RunHandle
from tests.pipe.test_live import restarted, until

MADE: Counter[str] = Counter()
SHUT: Counter[str] = Counter()
CLOSED = threading.Event()


class Counted(Stage):
    """Notes its set-up and its end."""

    def init(self, name: str) -> None:
        self.name = name
        MADE[name] += 1

    def handle_item(self, item: Any, ctx: Any) -> Any:
        if item.payload == "fail":
            raise ValueError(item.payload)
        return item.payload

    def shutdown(self) -> None:
        SHUT[self.name] += 1


class Refusing(Stage):
    def init(self) -> None:
        msg = "no model"
        raise OSError(msg)

    def handle_item(self, item: Any, ctx: Any) -> Any:
        return item.payload


class Rows(Store):
    rows = Table()

    @view
    def row(self, key: Any) -> Any:
        return self.rows.get(key)


class Work(Pipe):
    stores = (Rows,)
    first = stage(Counted, name="first")
    second = stage(Counted, name="second")


class Broken(Work):
    third = stage(Refusing)


def numbers(under_way: Callable[[], None] | None = None) -> Iterator[int]:
    """Without an end, and its end is seen; `under_way` is called when the run is."""
    try:
        for number in itertools.count():
            if number == 100 and under_way is not None:
                under_way()
            yield number
    finally:
        CLOSED.set()


def finished() -> None:
    run_pipe(Work, range(10))
    CLOSED.set()


def halted() -> None:
    with pytest.raises(PipeError):
        run_pipe(Work, itertools.chain(range(3), ["fail"], numbers()))
    CLOSED.set()  # it is the chain that is closed


def set_up_fails() -> None:
    with pytest.raises(PipeError, match="no model"):
        run_pipe(Broken, range(3))
    CLOSED.set()


def deadline() -> None:
    with pytest.raises(PipeTimeoutError):
        run_pipe(Work, numbers(), timeout=0.5)


def cancelled() -> None:
    handle = RunHandle()
    with pytest.raises(PipeCancelledError):
        run_pipe(Work, numbers(handle.cancel), handle=handle)


def closed() -> None:
    with stream_pipe(Work, numbers()) as stream:
        next(stream)


def dropped() -> None:
    next(stream_pipe(Work, numbers()))
    gc.collect()


def left_by_an_error() -> None:
    with pytest.raises(ZeroDivisionError), stream_pipe(Work, numbers()) as stream:
        print(sum(1 // (5 - item.payload) for item in stream))


def an_output_is_left() -> None:
    with stream_pipe(Work, numbers()) as stream:
        next(stream.output("default"))


def task_cancelled() -> None:
    async def main() -> None:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()
        under_way = partial(loop.call_soon_threadsafe, begun.set)
        task = asyncio.create_task(arun_pipe(Work, numbers(under_way)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def async_left() -> None:
    async def main() -> None:
        async with astream_pipe(Work, numbers()) as stream:
            async for _ in stream:
                break

    asyncio.run(main())


def drained() -> None:
    pipe = start_pipe(Work)
    pipe.push(range(10))
    assert pipe.drain(10)
    CLOSED.set()


def stopped() -> None:
    pipe = start_pipe(Work)
    pipe.push(range(10))
    assert pipe.stop(10)
    CLOSED.set()


def restarted_and_stopped() -> None:
    pipe = start_pipe(Work)
    pipe.push([1, "fail"])
    until(lambda: restarted(pipe))
    assert pipe.stop(10)
    CLOSED.set()


ENDS = [
    finished, halted, set_up_fails, deadline, cancelled, closed, dropped, left_by_an_error, an_output_is_left,
    task_cancelled, async_left, drained, stopped, restarted_and_stopped,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _afresh() -> None:
    MADE.clear()
    SHUT.clear()
    CLOSED.clear()


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_what_a_run_has_opened_is_closed(end: Callable[[], None]) -> None:
    """What was made is shut down as often; the session's views are gone; the input is closed."""
    end()
    until(lambda: SHUT == MADE and not SESSIONS.all())
    assert set(MADE) == {"first", "second"}
    assert CLOSED.wait(10)


def test_the_end_of_the_application_is_that_of_its_runs(application: Application) -> None:
    """In order: the stages are shut down before it has ended."""
    stream = stream_pipe(Work, numbers())
    next(stream)
    pipe = start_pipe(Work)
    pipe.push(range(10))
    application.stop()
    assert MADE == SHUT == {"first": 2, "second": 2}
    assert CLOSED.wait(10)
    stream.close()


def test_the_stages_beside_one_that_is_killed_are_shut_down() -> None:
    """The killed one cannot be."""
    with stream_pipe(Work, numbers()) as stream:
        next(stream)
        run: Any = stream._plan.link.run  # type: ignore[attr-defined]
        next(info.ref for info in run.which_children() if info.id == "second").kill()
        with pytest.raises(PipeError):
            list(stream)
    until(lambda: not SESSIONS.all())
    assert CLOSED.wait(10)
    assert SHUT == {"first": 1}
