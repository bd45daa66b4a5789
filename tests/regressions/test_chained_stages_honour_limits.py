"""Chained stages keep their limits and hand results on while they run: pypeln #111.

There, a stage that reads another one drains it first: the limits of the stages
behind hold for nothing, and memory grows with the input.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slither_actors import Application, dispatch
from slither_actors.dispatch import InlineExecutor
from tests.dispatch import work
from tests.dispatch.manual import Endless


@pytest.fixture(autouse=True)
def application() -> Iterator[None]:
    with Application(pools={"default": 2}):
        yield


def test_chained_runs_over_an_endless_input_honour_their_limits() -> None:
    """What is read is what the stages hold: three windows and their way out, not the input."""
    source = Endless()
    window = 4 * 2
    first = dispatch.stream(source.items(), executor=work.increment, batch_size=4, max_in_flight=2)
    second = dispatch.stream(first, executor=work.increment, batch_size=4, max_in_flight=2)
    third = dispatch.stream(second, executor=InlineExecutor(work.increment), batch_size=4, max_in_flight=2)
    with third:
        for number in range(1, 200):
            assert next(third).payload == number + 3
            assert source.count <= number + 3 * 3 * window
        for stream in (first, second, third):
            assert stream.statistics()["dispatch"].window.peak <= 2


def test_a_slow_last_stage_slows_the_first_one() -> None:
    """The first stage is never further ahead than the windows between them allow."""
    begun: list[int] = []

    def note(batch: list[int]) -> list[int]:
        begun.extend(batch)
        return batch

    first = dispatch.stream(range(1000), executor=InlineExecutor(note), batch_size=1, max_in_flight=1)
    with dispatch.stream(first, executor=work.increment, batch_size=1, max_in_flight=1) as second:
        for number in range(100):
            assert next(second).payload == number + 1
            assert len(begun) <= number + 8
