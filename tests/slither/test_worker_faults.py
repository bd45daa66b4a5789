"""Workers that hang and die: what it costs a run. Snakepit's part in Slither's documents."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from slither_actors import Application, DispatchError, dispatch
from slither_actors.errors import BatchTimeoutError, WorkerCrashError
from tests.slither import work


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    """For each test its own: they end workers."""
    with Application(pools={"default": 1}) as running:
        yield running


def test_a_batch_that_takes_too_long_fails() -> None:
    """``:timeout``: it fails by its policy, the others do not. In Slither the caller of the run exits."""
    began = time.monotonic()
    results = dispatch.run(
        [1, 7, 2], executor=work.sleep_on_seven, batch_size=1, timeout=0.3, on_error="skip"
    )
    assert [type(item.meta.get("error")) for item in results] == [type(None), BatchTimeoutError, type(None)]
    with pytest.raises(DispatchError) as caught:
        dispatch.run([7], executor=work.sleep_on_seven, timeout=0.3)
    assert isinstance(caught.value.reason, BatchTimeoutError)
    assert time.monotonic() - began < 20


def test_a_worker_that_dies_costs_its_batch() -> None:
    """Snakepit, "crash barriers": the batch fails by its policy, the pool goes on."""
    results = dispatch.run(
        [1, 7, 2], executor=work.die_on_seven, batch_size=1, max_in_flight=1, on_error="skip"
    )
    assert [type(item.meta.get("error")) for item in results] == [type(None), WorkerCrashError, type(None)]
