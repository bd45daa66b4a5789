"""Applications with and without workers; no test may leave an actor of a run behind."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from slither_actors import Application
from tests.dispatch.manual import actors_of_runs


@pytest.fixture
def application() -> Iterator[Application]:
    """Without worker processes: for executors of the test's own, and inline ones."""
    with Application(pools={}) as running:
        yield running
        # The end of another's actor is no event that one could wait for here.
        deadline = time.monotonic() + 2
        while (left := actors_of_runs()) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not left


@pytest.fixture(scope="module")
def workers() -> Iterator[Application]:
    """With two workers, which the tests of the module leave alive."""
    with Application(pools={"default": 2}) as running:
        yield running
