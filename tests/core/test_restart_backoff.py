"""The waits between the restarts of a child."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import Backoff, RestartBackoff
from slither_actors.errors import OptionError


def test_waits_double_up_to_the_limit() -> None:
    """Without chance: 1, 2, 4, and then never more than 5."""
    row = RestartBackoff(Backoff(min=1, max=5, jitter=0))
    assert [row.delay(0.0, 0.9) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_a_child_that_ran_long_enough_begins_again() -> None:
    """One that ended just before that goes on with its row."""
    row = RestartBackoff(Backoff(min=1, max=100, jitter=0, reset_after=60))
    assert [row.delay(0.0, 0), row.delay(0.0, 0)] == [1, 2]
    row.started(10.0)
    assert row.delay(69.9, 0) == 4
    row.started(100.0)
    assert row.delay(160.0, 0) == 1
    assert row.delay(1000.0, 0) == 2, "it did not run in between"


def test_a_very_long_row_is_no_overflow() -> None:
    """The wait stays at the limit for ever."""
    row = RestartBackoff(Backoff(min=1, max=8, jitter=0))
    assert {row.delay(0.0, 0) for _ in range(2000)} == {1, 2, 4, 8}


@given(
    low=st.floats(0, 10),
    above=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    uniforms=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30),
)
def test_waits_stay_within_their_limits(
    low: float, above: float, jitter: float, uniforms: list[float]
) -> None:
    """Never below min nor above max, and without chance never shorter than the wait before."""
    backoff = Backoff(min=low, max=low + above, jitter=jitter)
    row, steady = RestartBackoff(backoff), RestartBackoff(backoff)
    before = 0.0
    for uniform in uniforms:
        assert backoff.min <= row.delay(0.0, uniform) <= backoff.max
        wait = steady.delay(0.0, 0.0)
        assert before <= wait
        before = wait


@pytest.mark.parametrize(
    "options",
    [
        {"min": -1},
        {"min": "1"},
        {"max": float("inf")},
        {"min": 2, "max": 1},
        {"jitter": 1.1},
        {"jitter": True},
        {"reset_after": None},
    ],
)
def test_the_options_are_checked(options: dict[str, Any]) -> None:
    """Once, where they are given."""
    with pytest.raises(OptionError, match="backoff: option"):
        Backoff(**options)
