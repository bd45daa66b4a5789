"""The input is read as there is room for it: CPython #74028.

There, `Executor.map` and `Pool.imap` read the whole input at once: an endless
one never returns, a large one is in memory before the first result is read.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, Pipe, dispatch, stream_pipe, workers
from tests.dispatch import work
from tests.dispatch.manual import SECONDS, Endless
from tests.regressions.program import run_program

BATCH, WINDOW = 5, 3
ROOM = 4 * BATCH * WINDOW
"""Items on their way: those that run or are held, those that become batches next, those to be read."""

PIPE_DEMAND = 1000
"""What a stage of a pipe asks the one before it for, whatever its batches are."""


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[None]:
    with Application(pools={"default": 2}):
        yield


class Chain(Pipe):
    first = workers(work.increment, batch_size=BATCH, max_in_flight=WINDOW)


def by_dispatch(items: Iterator[int]) -> Any:
    return dispatch.stream(items, executor=work.increment, batch_size=BATCH, max_in_flight=WINDOW)


def unordered(items: Iterator[int]) -> Any:
    return dispatch.stream(
        items, executor=work.increment, batch_size=BATCH, max_in_flight=WINDOW, ordering="as_completed"
    )


def by_pipe(items: Iterator[int]) -> Any:
    return stream_pipe(Chain, items)


@pytest.mark.parametrize(
    ("start", "room"), [(by_dispatch, ROOM), (unordered, ROOM), (by_pipe, ROOM + PIPE_DEMAND)]
)
def test_an_endless_input_is_never_far_ahead(start: Any, room: int) -> None:
    """Neither while results are read nor while nobody reads."""
    source = Endless()
    with start(source.items()) as stream:
        for number in range(1, 300):
            next(stream)
            assert source.count <= number + room + BATCH
            if number in (50, 150):  # give it time to run ahead
                threading.Event().wait(0.1)
                assert source.count <= number + room + BATCH


@pytest.mark.parametrize("start", [by_dispatch, by_pipe])
def test_nothing_is_read_before_the_first_result_is_asked_for(start: Any) -> None:
    """Making the stream returns at once, also over an input that does not."""
    source = Endless()
    stream = start(source.items())
    assert source.count == 0
    del stream


@pytest.mark.parametrize("start", [by_dispatch, by_pipe])
def test_results_do_not_wait_for_the_rest_of_the_input(start: Any) -> None:
    """An input that depends on results that were read, as a crawler's."""
    fed: list[int] = []
    over: list[bool] = []
    more = threading.Condition()

    def items() -> Iterator[int]:
        yield from range(BATCH)
        for number in itertools.count(BATCH):
            with more:
                assert more.wait_for(lambda n=number: over or len(fed) > n - BATCH, SECONDS)
            if over:
                return
            yield number

    with start(items()) as stream:
        for _ in range(100):
            item = next(stream)
            with more:
                fed.append(item.payload)
                more.notify_all()
        with more:
            over.append(True)
            more.notify_all()


MEMORY = """
import resource
from slither_actors import Application, dispatch

def size(batch):
    return [len(value) for value in batch]

if __name__ == "__main__":
    with Application(pools={"default": 2}):
        items = (bytes(1_000_000) for _ in range(1000))
        total = 0
        with dispatch.stream(items, executor=size, batch_size=2, max_in_flight=4) as stream:
            first = next(stream)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            total = first.payload + sum(item.payload for item in stream)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(total, (after - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kibibytes on Linux only")
def test_a_large_input_is_never_in_memory(tmp_path: Path) -> None:
    """A gigabyte goes through; the driver grows by some windows of it."""
    ended = run_program(tmp_path / "program.py", MEMORY)
    assert ended.status == 0, ended.err
    total, growth = map(int, ended.out.split())
    assert total == 1_000_000_000
    assert growth < 150_000_000
