"""Fixtures of the runtime's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pykka
import pytest

from slither_actors.actors import _runtime
from slither_actors.actors._cell import live_cells
from slither_actors.actors._scheduler import Scheduler
from tests.actors.probes import LONG


@pytest.fixture(autouse=True)
def no_actors_left() -> Iterator[None]:
    """End the actors that a test leaves alive, so that the next one begins alone."""
    yield
    cells = live_cells()
    for cell in reversed(cells):
        cell.kill()
    for cell in cells:
        assert cell.join(LONG), f"{cell.describe()} does not end"
    assert not live_cells()
    assert not pykka.ActorRegistry.get_all()


def _private(monkeypatch: pytest.MonkeyPatch, scheduler: Scheduler) -> Iterator[Scheduler]:
    monkeypatch.setattr(_runtime, "scheduler", scheduler)
    yield scheduler
    for cell in live_cells():
        cell.kill()
        assert cell.join(LONG)
    assert scheduler.close(LONG)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """A scheduler of the test's own, for its statistics; it runs the actors that the test starts."""
    yield from _private(monkeypatch, Scheduler(name="scheduler-of-test"))


@pytest.fixture
def small_scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """As `scheduler`, with two threads at the most."""
    yield from _private(monkeypatch, Scheduler(name="scheduler-of-test", thread_limit=2))


@pytest.fixture
def wide_scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """As `scheduler`, with four threads that run actors at one time, as on a free-threaded build."""
    yield from _private(monkeypatch, Scheduler(name="scheduler-of-test", target=4))
