"""The histogram of durations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import Histogram

durations = st.lists(st.floats(0, 1e5), min_size=1, max_size=100)


def histogram_of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def test_an_empty_histogram_is_all_zeros() -> None:
    """A dashboard shows it before the first batch."""
    numbers = Histogram().statistics()
    assert (numbers.count, numbers.total, numbers.minimum, numbers.maximum, numbers.mean) == (0, 0, 0, 0, 0)
    assert (numbers.p50, numbers.p90, numbers.p99) == (0, 0, 0)


def test_the_extremes_and_the_mean_are_exact() -> None:
    """Only percentiles are approximate."""
    numbers = histogram_of([0.25, 4.0, 1.0]).statistics()
    assert (numbers.count, numbers.minimum, numbers.maximum, numbers.mean) == (3, 0.25, 4.0, 1.75)


def test_one_slow_batch_of_a_hundred_is_the_maximum_and_no_percentile() -> None:
    """What a percentile is for."""
    numbers = histogram_of([0.01] * 99 + [5.0]).statistics()
    assert numbers.p99 == pytest.approx(0.01, rel=0.05)
    assert numbers.maximum == 5.0


@given(durations, st.floats(0, 100))
def test_a_percentile_is_within_a_few_percent(values: list[float], percent: float) -> None:
    """Compared with the nearest rank in the sorted list; below a microsecond it is a microsecond."""
    exact = sorted(values)[max(1, math.ceil(percent / 100 * len(values))) - 1]
    assert histogram_of(values).percentile(percent) == pytest.approx(exact, rel=0.045, abs=1e-6)


@given(durations, durations)
def test_merging_is_recording_everything(first: list[float], second: list[float]) -> None:
    """In any order."""
    merged, whole = histogram_of(first), histogram_of(first + second)
    merged.merge(histogram_of(second))
    assert merged._buckets == whole._buckets
    assert (merged.count, merged.minimum, merged.maximum) == (whole.count, whole.minimum, whole.maximum)
    assert merged.total == pytest.approx(whole.total)


def test_it_does_not_grow() -> None:
    """A hundred thousand different durations from a microsecond to a day take some 300 buckets."""
    histogram = Histogram()
    for step in range(100_000):
        histogram.record(1e-6 * 10 ** (step / 100_000 * 11))
    assert len(histogram._buckets) < 300
