"""An input is read as far as the window has room for it, and not one item further."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import FixedBatch, KeyPartition, WeightedBatch
from tests.dispatch.manual import SECONDS, Manual, in_thread, statistics

pytestmark = pytest.mark.usefixtures("application")

LIMIT, SIZE = 3, 4


class Counted:
    """Counts what is taken of it."""

    def __init__(self) -> None:
        self.count = 0

    def numbers(self) -> Iterator[int]:
        for value in itertools.count():
            self.count += 1
            yield value

    async def async_numbers(self) -> AsyncIterator[int]:
        for value in self.numbers():
            yield value
            await asyncio.sleep(0)


class Lines:
    """A file that counts its lines."""

    def __init__(self, path: Path, counted: Counted) -> None:
        path.write_text("line\n" * 1000)
        self._file = path.open()
        self._counted = counted

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self._counted.count += 1
            yield line

    def close(self) -> None:
        self._file.close()


def inputs(kind: str, counted: Counted, path: Path) -> Any:
    if kind == "generator":
        return counted.numbers()
    if kind == "async generator":
        return counted.async_numbers()
    if kind == "iterable":
        return map(int, counted.numbers())
    return Lines(path / "lines", counted)


KINDS = ["generator", "async generator", "iterable", "file"]
STRATEGIES: list[tuple[Any, int]] = [
    (FixedBatch(SIZE), LIMIT * SIZE),
    (FixedBatch(SIZE, batch_timeout=3600), LIMIT * SIZE),
    # One item a batch before a weight is known, then as many as are expected to fit.
    (WeightedBatch(max_weight=SIZE, weight=lambda item: 1), LIMIT * SIZE),
    (KeyPartition(key=lambda item: 0, batch_size=SIZE, max_pending=SIZE, serial=False), LIMIT * SIZE),
    (KeyPartition(key=lambda item: 0, batch_size=SIZE, max_pending=SIZE), LIMIT * SIZE),
]


@pytest.mark.parametrize(("strategy", "most"), STRATEGIES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_the_window_holds(kind: str, strategy: Any, most: int, tmp_path: Path) -> None:
    """With every batch at work, and one more batch for each that is done and taken."""
    counted = Counted()
    items = inputs(kind, counted, tmp_path)
    serial = getattr(strategy, "serial", False)
    stream = dispatch.stream(items, executor=(manual := Manual()), strategy=strategy, max_in_flight=LIMIT)
    with in_thread(lambda: list(itertools.islice(stream, SIZE))) as first, manual:
        batches = manual.take(1 if serial else LIMIT)
        settled(batches[0], counted, most)
        batches[0].succeed(batches[0].payloads)
        following = manual.next()
        settled(following, counted, most + SIZE)
        assert len(first.result(SECONDS)) == SIZE
        stream.close()
    if isinstance(items, Lines):
        items.close()


def settled(batch: Any, counted: Counted, most: int) -> None:
    """Wait until all has come that was asked for, and see that no more was read."""
    asked: Callable[[Any, None], int] = lambda runner, _: runner._asked_for  # noqa: E731
    while batch.runner.run(asked) > 0:
        pass
    assert statistics(batch).items_in == counted.count <= most


def test_a_list_is_taken_no_further_either() -> None:
    """It costs nothing to read on, but what is taken is held."""
    with (
        Manual() as manual,
        in_thread(
            dispatch.run, list(range(100)), executor=manual, batch_size=SIZE, max_in_flight=LIMIT
        ) as run,
    ):
        batches = manual.take(LIMIT)
        assert statistics(batches[0]).items_in == LIMIT * SIZE
        batches[0].succeed(batches[0].payloads)
        assert statistics(manual.next()).items_in == (LIMIT + 1) * SIZE
        manual.close()
        with pytest.raises(Exception, match="the test is over"):
            run.result(SECONDS)
