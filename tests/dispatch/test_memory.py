"""An endless input and a slow reader take constant memory."""

from __future__ import annotations

import gc
import itertools
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, dispatch
from slither_actors.dispatch import InlineExecutor, KeyPartition
from tests.dispatch import work
from tests.dispatch.manual import Endless

PAGE = resource.getpagesize()
MEGABYTE = 1 << 20

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def endless() -> Iterator[bytes]:
    """Payloads of 10 kB, each another object."""
    for number in itertools.count():
        yield number.to_bytes(8, sys.byteorder) * 1250


def growth(stream: Any, count: int) -> int:
    """By how much memory has grown while `count` more items were read, after as many to warm up."""
    for _ in itertools.islice(stream, count):
        pass
    before = resident()
    for _ in itertools.islice(stream, count):
        pass
    return resident() - before


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 10},
        {"batch_size": 10, "ordering": "as_completed"},
        {"strategy": KeyPartition(key=lambda item: item.payload[0], batch_size=50, max_pending=100)},
    ],
    ids=["preserve", "as completed", "key partition"],
)
def test_an_endless_stream_takes_constant_memory(options: Any) -> None:
    """2,000 items of 10 kB were 20 MB if they were kept."""
    executor = InlineExecutor(lambda batch: [bytes(bytearray(payload)) for payload in batch])
    with dispatch.stream(endless(), executor=executor, max_in_flight=4, **options) as stream:
        assert growth(stream, 2000) < 4 * MEGABYTE


def test_an_endless_stream_over_workers_takes_constant_memory() -> None:
    """Nothing stays in the pool, on the way to it or on the way back."""
    with (
        Application(pools={"default": 2}),
        dispatch.stream(endless(), executor=work.echo, batch_size=10, max_in_flight=4) as stream,
    ):
        assert growth(stream, 2000) < 4 * MEGABYTE


@pytest.mark.usefixtures("application")
def test_a_reader_that_stops_stops_the_input() -> None:
    """What is read beyond the consumed items are the window, and twice as many results."""
    source = Endless()
    executor = InlineExecutor(lambda batch: batch)
    with dispatch.stream(source.items(), executor=executor, batch_size=10, max_in_flight=4) as stream:
        next(stream)
        for _ in range(20):
            stream.statistics()  # goes through the mailboxes of the run
        assert source.count <= 3 * 40
