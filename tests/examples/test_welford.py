"""Mean and variance in one pass."""

import math
import statistics

from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.examples._welford import Welford

VALUES = st.lists(st.floats(-1e6, 1e6))


@settings(max_examples=30)
@given(VALUES, VALUES)
def test_parts_put_together_are_the_whole(first: list[float], second: list[float]) -> None:
    """And what the standard library says of it."""
    whole = Welford().add(first + second)
    merged = Welford().add(first).merge(Welford().add(second))
    assert merged.is_close(whole)
    if whole.count:
        assert math.isclose(whole.mean, statistics.fmean(first + second), rel_tol=1e-6, abs_tol=1e-6)
        assert math.isclose(whole.deviation, statistics.pstdev(first + second), rel_tol=1e-4, abs_tol=1e-3)


def test_a_value_more_is_seen() -> None:
    """Of nothing there is no mean."""
    assert Welford().deviation == 0
    assert not Welford().add([1, 2]).is_close(Welford().add([1, 2, 2]))
    assert not Welford().add([1, 2]).is_close(Welford().add([1, 3]))
