"""How far, how fast, how long still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import ProgressMeter


def test_a_steady_run_says_when_it_will_be_done() -> None:
    """From the first look on."""
    meter = ProgressMeter(100, 10.0)
    for second in range(1, 6):
        meter.add(10)
        report = meter.report(10.0 + second)
        assert (report.done, report.rate, report.fraction) == (10 * second, pytest.approx(10), second / 10)
        assert report.eta == pytest.approx((100 - 10 * second) / 10)
    assert not report.finished


def test_the_rate_follows_what_happens_of_late() -> None:
    """However often somebody looks; a stop lets it fade."""
    often, seldom = ProgressMeter(None, 0.0), ProgressMeter(None, 0.0)
    for meter in (often, seldom):
        meter.add(1000)
        meter.report(1.0)
    for tenth in range(1, 31):
        faded = often.report(1.0 + tenth / 10)
    assert faded.rate == pytest.approx(seldom.report(4.0).rate)
    assert 300 < faded.rate < 400


def test_without_a_total_there_is_no_end_in_sight() -> None:
    """The rate is known all the same."""
    meter = ProgressMeter(None, 0.0)
    meter.add(7)
    report = meter.report(2.0)
    assert (report.total, report.eta, report.fraction, report.rate) == (None, None, None, 3.5)


def test_before_anything_came_nothing_is_known() -> None:
    """Nor is there a division by it."""
    report = ProgressMeter(5, 0.0).report(0.0)
    assert (report.rate, report.eta, report.fraction) == (0.0, None, 0.0)
    assert ProgressMeter(0, 0.0).report(1.0).fraction == 1.0


def test_the_last_report_is_over_the_whole_run() -> None:
    """A burst at the end does not count for more."""
    meter = ProgressMeter(30, 0.0)
    meter.add(10)
    meter.report(9.0)
    meter.add(20)
    last = meter.report(10.0, finished=True)
    assert (last.rate, last.eta, last.finished, last.seconds) == (3.0, 0.0, True, 10.0)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5))), st.integers(0, 100))
def test_what_is_told_makes_sense(steps: list[tuple[int, float]], total: int) -> None:
    """Whatever happens: also more items than were announced, and a clock that stands still."""
    meter, now = ProgressMeter(total, 0.0), 0.0
    for count, seconds in steps:
        meter.add(count)
        now += seconds
        report = meter.report(now)
        assert report.rate >= 0
        assert report.eta is None or report.eta >= 0
        assert report.fraction is not None
        assert 0 <= report.fraction <= 1
