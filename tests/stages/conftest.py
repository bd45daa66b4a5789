"""What the tests of the stages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slither_actors.actors import Server
from slither_actors.actors._cell import live_cells
from tests.actors.conftest import program

__all__ = ["program"]


@pytest.fixture(autouse=True)
def _a_dead_stage_keeps_what_it_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests look at stages after their end, of which a ref keeps nothing otherwise."""
    monkeypatch.setattr(Server, "_remains", lambda stage: stage)


@pytest.fixture(autouse=True)
def _no_stage_outlives_its_test() -> Iterator[None]:
    """End what the test has started: a stage left alive would work on beside the next tests."""
    before = {cell.id for cell in live_cells()}
    yield
    for cell in live_cells():
        if cell.id not in before:
            cell.kill()
