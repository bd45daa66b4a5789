"""Where the time of a run went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import BatchTiming, InsightTally


def test_the_time_of_a_worker_is_waiting_transfer_and_working() -> None:
    """From its readiness or the start of the run, whichever was later."""
    tally = InsightTally(100.0)
    tally.add(0, 5, 1, BatchTiming(7, 0, 101.0, 103.0, 1.5, 90.0, 0.25))
    tally.add(1, 4, 1, BatchTiming(7, 0, 104.0, 105.0, 1.0, 90.0, 0.25))
    tally.add(2, 3, 2, BatchTiming(8, 1, 109.0, 110.0, 0.5, 106.0, 2.0))
    found = tally.insights(110.0)
    one, two = found.workers
    assert (one.pid, one.batches, one.items, one.start) == (7, 2, 9, 0.25)
    assert (one.waiting, one.transfer, one.working) == (7.0, 0.5, 2.5)
    assert (two.waiting, two.transfer, two.working) == (3.0, 0.5, 0.5)
    assert (found.seconds, found.start) == (10.0, 2.25)
    assert found.working_ratio == pytest.approx(3 / 14)
    assert found.waiting_ratio + found.transfer_ratio + found.working_ratio == pytest.approx(1)
    assert [slow.ref for slow in found.slowest] == [0, 1, 2]
    assert "worker 0 (pid 7): 2 batches, 9 items" in str(found)


def test_a_worker_that_was_replaced_waits_no_longer() -> None:
    """Its time ends with its last batch."""
    tally = InsightTally(0.0)
    tally.add(0, 1, 1, BatchTiming(7, 0, 0.0, 1.0, 1.0, 0.0, 0.0))
    tally.add(1, 1, 1, BatchTiming(9, 0, 50.0, 60.0, 10.0, 50.0, 0.0))
    old, new = tally.insights(100.0).workers
    assert (old.waiting, new.waiting) == (0.0, 40.0)


def test_the_slowest_are_kept() -> None:
    """Ten of them, the slowest first, of equal ones the first."""
    tally = InsightTally(0.0)
    for ref in range(100):
        seconds = float(ref * 37 % 101 // 2)
        tally.add(ref, 1, 1, BatchTiming(1, 0, 0.0, seconds, 0.0, 0.0, 0.0))
    expected = sorted(range(100), key=lambda ref: (-(ref * 37 % 101 // 2), ref))[:10]
    assert [slow.ref for slow in tally.insights(1.0).slowest] == expected


def test_a_run_without_batches_has_nothing_to_tell() -> None:
    """Its ratios are 0."""
    found = InsightTally(1.0).insights(1.0)
    assert (found.workers, found.slowest, found.working_ratio) == ((), (), 0.0)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.floats(0, 9), st.floats(0, 9), st.floats(0, 9), st.floats(-9, 9))
    ),
    st.floats(0, 20),
)
def test_no_part_is_negative(batches: list[tuple[int, float, float, float, float]], now: float) -> None:
    """Whatever was measured."""
    tally = InsightTally(0.0)
    for ref, (pid, began, seconds, working, ready) in enumerate(batches):
        tally.add(ref, 1, 1, BatchTiming(pid, pid % 2, began, began + seconds, working, ready, 0.0))
    found = tally.insights(now)
    assert sum(worker.batches for worker in found.workers) == len(batches)
    for worker in found.workers:
        assert min(worker.waiting, worker.transfer, worker.working) >= 0
