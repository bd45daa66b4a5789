"""Where the time of a run went, as told by its workers."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import InlineExecutor, Insights
from slither_actors.errors import NotRunningError, OptionError
from tests.dispatch.manual import payloads
from tests.pool import work

inline = InlineExecutor(lambda batch: batch)


class Found(list[Insights]):
    __call__ = list.append


@pytest.mark.usefixtures("workers")
def test_workers_say_how_long_they_worked() -> None:
    """And what took longest. The rest of a batch's time is its transfer."""
    found = Found()
    naps = [0.0] * 6 + [0.15] + [0.0] * 5
    done = dispatch.run(naps, executor=work.sleep, batch_size=1, insights=found)
    [seen] = found
    assert sum(worker.batches for worker in seen.workers) == len(naps)
    assert sum(worker.items for worker in seen.workers) == len(naps)
    assert {worker.pid for worker in seen.workers} == {item.payload for item in done}
    assert {worker.slot for worker in seen.workers} <= {0, 1}
    assert seen.working >= 0.15
    assert seen.transfer < seen.working
    assert all(worker.start > 0 for worker in seen.workers)
    slowest = seen.slowest[0]
    assert (slowest.ref, slowest.size, slowest.attempt) == (6, 1, 1)
    assert 0.15 <= slowest.working <= slowest.seconds <= seen.seconds
    assert "slow: batch 6 of 1 items" in str(seen)


@pytest.mark.usefixtures("workers")
def test_the_work_of_a_generator_and_of_a_failure_counts() -> None:
    """Whatever the function returns or raises."""
    found = Found()
    dispatch.run(range(4), executor=work.generate, batch_size=2, insights=found)
    assert found[0].workers[0].working > 0
    dispatch.run(["plain"], executor=work.raise_named, on_error="skip", insights=found)
    assert sum(worker.batches for worker in found[1].workers) == 1


@pytest.mark.usefixtures("workers")
def test_who_does_not_ask_is_not_measured() -> None:
    """The same function with and without, one after the other."""
    from slither_actors.dispatch import FunctionExecutor

    executor = FunctionExecutor(work.increment)
    found = Found()
    for insights in (found, None, found):
        options: dict[str, Any] = {"insights": insights} if insights is not None else {}
        assert payloads(dispatch.run(range(20), executor=executor, batch_size=5, **options)) == list(
            range(1, 21)
        )
    assert [sum(worker.items for worker in seen.workers) for seen in found] == [20, 20]


@pytest.mark.usefixtures("workers")
def test_a_stream_is_asked_at_any_time() -> None:
    """Before it has begun there is nothing to tell; after its end it is the last word."""
    with dispatch.stream(range(100), executor=work.increment, batch_size=5, insights=True) as stream:
        with pytest.raises(NotRunningError):
            stream.insights()
        next(stream)
        assert stream.insights().workers
        list(stream)
    last = stream.insights()
    assert sum(worker.items for worker in last.workers) == 100
    assert stream.insights() == last


@pytest.mark.usefixtures("workers")
def test_an_async_stream_is_asked_likewise() -> None:
    """Without blocking its loop."""

    async def main() -> Insights:
        async with dispatch.astream(range(20), executor=work.increment, insights=True) as stream:
            assert len([item async for item in stream]) == 20
        return await stream.insights()

    assert sum(worker.items for worker in asyncio.run(main()).workers) == 20


@pytest.mark.usefixtures("workers")
def test_batches_in_this_process_count_as_its_work() -> None:
    """For executors that do not measure."""
    found = Found()
    dispatch.run(range(10), executor=inline, batch_size=5, insights=found)
    [worker] = found[0].workers
    assert (worker.pid, worker.slot, worker.batches) == (os.getpid(), -1, 2)


@pytest.mark.usefixtures("workers")
def test_a_stream_without_the_option_says_so() -> None:
    """Nobody has measured anything."""
    with (
        dispatch.stream([1], executor=inline) as stream,
        pytest.raises(OptionError, match="option 'insights' is off"),
    ):
        stream.insights()


@pytest.mark.usefixtures("workers")
def test_a_function_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log."""

    def failing(insights: Insights) -> None:
        raise LookupError("no")

    assert payloads(dispatch.run([1], executor=inline, insights=failing)) == [1]
    assert "the function for the insights of a run failed" in caplog.text
