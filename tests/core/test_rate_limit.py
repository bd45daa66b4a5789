"""How many items may come in, in how much time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import Pace, RateLimit


def test_as_many_as_allowed_may_come_at_once() -> None:
    """Then the next waits until the first of them is out of the window."""
    pace = Pace(RateLimit(2, 10))
    pace.took(0)
    assert pace.delay(1) == 0
    pace.took(1)
    assert pace.delay(4) == 6
    assert pace.delay(10) == 0
    pace.took(10)
    assert pace.delay(10) == 1


@given(st.integers(1, 5), st.integers(1, 10), st.lists(st.integers(0, 7), max_size=50))
def test_no_window_has_more_than_allowed(count: int, period: int, gaps: Any) -> None:
    """Whenever the items want to come."""
    pace = Pace(RateLimit(count, period))
    now = 0.0
    times: list[float] = []
    for gap in gaps:
        now += gap
        now += pace.delay(now)
        assert pace.delay(now) == 0
        pace.took(now)
        times.append(now)
    assert all(later - first >= period for first, later in zip(times, times[count:], strict=False))
