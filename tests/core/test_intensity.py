"""The restart limit."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import RestartIntensity


def test_as_many_restarts_as_allowed_and_not_one_more() -> None:
    """``>`` and not ``>=``: the fourth restart within the window is one too many."""
    intensity = RestartIntensity(3, 5)
    assert [intensity.record(10.0) for _ in range(4)] == [True, True, True, False]


def test_no_restart_allowed() -> None:
    """A limit of 0 gives up at the first failure."""
    assert not RestartIntensity(0, 5).record(0.0)


def test_the_edge_of_the_window_counts() -> None:
    """Whole seconds, inclusive: 10.0 and 15.9 are five seconds apart, 10.0 and 16.0 are six."""
    near, far = RestartIntensity(1, 5), RestartIntensity(1, 5)
    assert near.record(10.0)
    assert far.record(10.0)
    assert not near.record(15.9)
    assert far.record(16.0)


def test_the_default_is_three_in_five_seconds() -> None:
    """OTP in Elixir has these."""
    assert (RestartIntensity().max_restarts, RestartIntensity().max_seconds) == (3, 5)


@given(
    limit=st.integers(0, 4),
    period=st.integers(1, 6),
    steps=st.lists(st.floats(0, 4, allow_nan=False), max_size=40),
    origin=st.floats(-10, 1e6),
)
def test_it_counts_as_a_full_list_would(limit: int, period: int, steps: list[float], origin: float) -> None:
    """Whatever the times, the answer is that of OTP's list of all restarts."""
    intensity = RestartIntensity(limit, period)
    now, seconds = origin, []
    for step in steps:
        now += step
        seconds.append(math.floor(now))
        within = [second for second in seconds if second >= math.floor(now) - period]
        assert intensity.record(now) == (len(within) <= limit)
        assert intensity.count == min(len(within), limit + 1)
