"""A run that is closed early: what becomes of the batches that run."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import queue
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import AsyncExecutor, Batch, InlineExecutor
from slither_actors.errors import OptionError
from tests.dispatch.manual import SECONDS, Manual, actors_of_runs, in_thread
from tests.pool import work

inline = InlineExecutor(lambda batch: batch)


class TakesBack(Manual):
    """Says which batches it has begun: the first."""

    def cancel(self, batch: Batch) -> bool:  # type: ignore[override]
        super().cancel(batch)
        return batch.ref > 0


def begin(manual: Manual, **options: Any) -> Any:
    """A stream with four batches of which none is answered, and the batches."""
    stream = dispatch.stream(itertools.count(), executor=manual, batch_size=1, max_in_flight=4, **options)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    return stream, reader, manual.take(4)


@pytest.mark.usefixtures("application")
def test_waiting_ends_when_what_runs_is_done() -> None:
    """What nobody has begun is not waited for."""
    stream, reader, batches = begin(manual := TakesBack(), on_close="wait")
    with in_thread(stream.close) as closing:
        assert {manual.cancelled.get(timeout=SECONDS).ref for _ in range(4)} == {0, 1, 2, 3}
        assert not closing.done()
        batches[0].succeed([1])
        closing.result(SECONDS)
    reader.join(SECONDS)
    assert actors_of_runs() == []


@pytest.mark.usefixtures("application")
def test_what_cannot_be_taken_back_is_waited_for_with_all_the_others() -> None:
    """An executor that does not say which batches it had begun may have begun all of them."""
    stream, reader, batches = begin(manual := Manual(), on_close="wait")
    with in_thread(stream.close) as closing:
        for _ in batches:
            manual.cancelled.get(timeout=SECONDS)
            assert not closing.done()
        for batch in batches:
            assert not closing.done()
            batch.fail(ValueError("whatever"))
        closing.result(SECONDS)
    reader.join(SECONDS)


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("on_close", ["wait", "kill"])
def test_the_wait_has_an_end(on_close: str, caplog: pytest.LogCaptureFixture) -> None:
    """And says so."""
    stream, reader, _ = begin(Manual(), on_close=on_close, close_timeout=0.05)
    stream.close()
    reader.join(SECONDS)
    assert actors_of_runs() == []
    assert "some batches still run after 0.05 s: they are abandoned" in caplog.text


@pytest.mark.usefixtures("application")
def test_nobody_is_waited_for_by_default() -> None:
    """A batch may take long, and its results are not wanted."""
    stream, reader, _ = begin(Manual())
    stream.close()
    reader.join(SECONDS)
    assert actors_of_runs() == []


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("on_close", ["wait", "kill", "abandon"])
def test_a_run_with_nothing_at_work_ends_at_once(on_close: str) -> None:
    """Whatever it was told; also one that has ended, or has not begun."""
    began = time.monotonic()
    stream = dispatch.stream(itertools.count(), executor=inline, on_close=on_close, close_timeout=SECONDS)
    with stream:
        next(stream)
    dispatch.stream([1], executor=inline, on_close=on_close).close()
    with dispatch.stream([1], executor=inline, on_close=on_close) as whole:
        assert len(list(whole)) == 1
    assert time.monotonic() - began < SECONDS


@pytest.mark.usefixtures("application")
def test_a_dropped_stream_waits_in_the_background() -> None:
    """Its input is read no more; it ends when its batches do."""
    manual = Manual()
    stream = dispatch.stream(
        itertools.count(), executor=manual, batch_size=1, max_in_flight=2, on_close="wait", close_timeout=3600
    )
    with in_thread(next, stream) as first:
        one, two = manual.take(2)
        one.succeed([1])
        first.result(SECONDS)
    three = manual.next()
    del stream, first
    gc.collect()
    assert {manual.cancelled.get(timeout=SECONDS).ref for _ in range(2)} == {1, 2}
    assert "RunSupervisor" in " ".join(actors_of_runs())
    two.succeed([2])
    three.succeed([3])
    deadline = time.monotonic() + SECONDS
    while actors_of_runs() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert actors_of_runs() == []


def until_both_run(tmp_path: Path) -> list[int]:
    """Wait until two workers wait for the gate; return their processes."""
    deadline = time.monotonic() + SECONDS
    while len(found := list(tmp_path.glob("gate.*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    return sorted(int(path.suffix[1:]) for path in found)


def gated(tmp_path: Path, on_close: str) -> Any:
    gates = itertools.repeat(str(tmp_path / "gate"))
    stream = dispatch.stream(
        gates, executor=work.wait_for_file, batch_size=1, max_in_flight=6, on_close=on_close
    )
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    return stream, reader, until_both_run(tmp_path)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Gate:
    """A coroutine function whose first batches pass; the next waits until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.cancelled: queue.SimpleQueue[int] = queue.SimpleQueue()

    async def pass_on(self, batch: list[int]) -> list[int]:
        self.begun.put(batch[0])
        try:
            while batch[0] and not self.open.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.put(batch[0])
            raise
        return batch


@pytest.mark.usefixtures("application")
def test_an_async_executor_waits_for_what_has_begun_only() -> None:
    """A batch that waits for its place in the loop is taken back, and never begins."""
    gate = Gate()
    executor = AsyncExecutor(gate.pass_on, concurrency=1)
    stream = dispatch.stream(range(100), executor=executor, batch_size=1, max_in_flight=5, on_close="wait")
    next(stream)
    assert [gate.begun.get(timeout=SECONDS) for _ in range(2)] == [0, 1]
    with in_thread(stream.close) as closing:
        deadline = time.monotonic() + SECONDS
        while executor.statistics().queued and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not closing.done()
        gate.open.set()
        closing.result(SECONDS)
    assert gate.begun.empty()
    assert gate.cancelled.empty()


@pytest.mark.usefixtures("application")
def test_an_async_batch_that_lasts_too_long_is_cancelled() -> None:
    """Also if another run keeps the executor's loop alive."""
    gate = Gate()
    executor = AsyncExecutor(gate.pass_on)
    with dispatch.stream([0, 0], executor=executor, batch_size=1, max_in_flight=1) as other:
        next(other)
        options: dict[str, Any] = {"on_close": "wait", "close_timeout": 0.1}
        stream = dispatch.stream([0, 1, 2], executor=executor, batch_size=1, max_in_flight=3, **options)
        next(stream)
        while gate.begun.get(timeout=SECONDS) != 2:
            continue
        stream.close()
        assert {gate.cancelled.get(timeout=SECONDS) for _ in range(2)} == {1, 2}


@pytest.mark.usefixtures("workers")
def test_workers_are_waited_for(tmp_path: Path) -> None:
    """They live on; what was queued or in their pipes is never begun."""
    stream, reader, pids = gated(tmp_path, "wait")
    with in_thread(stream.close) as closing:
        time.sleep(0.05)
        assert not closing.done()
        (tmp_path / "gate").touch()
        closing.result(SECONDS)
    reader.join(SECONDS)
    assert all(map(alive, pids))
    assert {item.payload for item in dispatch.run([0] * 8, executor=work.pids, batch_size=1)} <= set(pids)


@pytest.mark.parametrize(
    ("option", "value"), [("on_close", "leave"), ("close_timeout", -1), ("close_timeout", None)]
)
def test_a_wrong_option_is_refused(option: str, value: Any) -> None:
    """At the call."""
    with pytest.raises(OptionError, match=f"option '{option}' is .*; allowed"):
        dispatch.stream([1], executor=inline, **{option: value})
