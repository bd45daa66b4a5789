"""The segments of a pool: which one a batch gets, and when it is used again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.pool._memory import FREE, KEPT
from slither_actors.pool._segments import AVAILABLE, Segment, Segments

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="no memory without a name here")

MB = 2**20


class Line:
    """As much of one as segments need."""

    def __init__(self) -> None:
        self.shares = True
        self.reachable = True
        self.introduced: list[int] = []
        self.forgotten: list[int] = []

    def introduce(self, segment: Segment) -> bool:
        if self.reachable:
            self.introduced.append(segment.id)
        return self.reachable

    def forget(self, segment: Segment) -> None:
        self.forgotten.append(segment.id)


@pytest.fixture
def segments() -> Iterator[Segments]:
    made = Segments(1000, 8 * MB)
    yield made
    made.close()


@pytest.fixture
def line() -> Any:
    return Line()


def test_a_segment_is_used_again_when_the_worker_says_so(segments: Segments, line: Any) -> None:
    """Not when its batch has ended: somebody may still hold an array."""
    first = segments.take(MB, 1, line)
    assert first is not None
    segments.release(first)
    second = segments.take(MB, 2, line)
    assert second is not None
    assert second is not first
    first.word = FREE
    assert segments.take(MB, 3, line) is first
    assert line.introduced == [first.id, second.id], "each is sent once"


def test_a_segment_that_the_worker_keeps_is_given_up(segments: Segments, line: Any) -> None:
    """The driver forgets it, and the worker is told to."""
    segment = segments.take(MB, 1, line)
    assert segment is not None
    segment.word = KEPT
    segments.release(segment)
    assert segments.statistics().segments == 0
    assert line.forgotten == [segment.id]


def test_the_limit_holds(segments: Segments, line: Any) -> None:
    """What does not fit is refused; what is free makes way for what is larger."""
    assert segments.take(9 * MB, 1, line) is None
    taken = [segments.take(2 * MB - 100_000, ref, line) for ref in range(2, 6)]
    assert None not in taken
    assert segments.take(2 * MB, 6, line) is None
    for segment in taken:
        assert segment is not None
        segments.give_back(segment)
    assert segments.take(7 * MB, 7, line) is not None
    assert segments.statistics().bytes <= 8 * MB
    assert segments.statistics().refused == 2


def test_the_smallest_that_is_large_enough_is_taken(segments: Segments, line: Any) -> None:
    """So that a larger one is there for a larger batch."""
    small, large = segments.take(100_000, 1, line), segments.take(MB, 2, line)
    assert small is not None
    assert large is not None
    for segment in (large, small):
        segments.give_back(segment)
    assert segments.take(50_000, 3, line) is small
    assert segments.take(50_000, 4, line) is large


def test_a_dead_workers_segments_are_not_used_again(segments: Segments, line: Any) -> None:
    """What it had lent, and what it had not given back yet."""
    other: Any = Line()
    lent, returning, others = (
        segments.take(MB, ref, each) for ref, each in ((1, line), (2, line), (3, other))
    )
    assert lent is not None
    assert returning is not None
    assert others is not None
    segments.release(returning)
    segments.line_gone(line)
    assert segments.statistics().segments == 1
    segments.give_back(lent)
    segments.release(returning)
    assert segments.take(MB, 4, other) not in (lent, returning)


def test_a_worker_that_cannot_be_sent_a_segment_gets_none(segments: Segments, line: Any) -> None:
    """It stays free for another."""
    line.reachable = False
    assert segments.take(MB, 1, line) is None
    assert segments.statistics().in_use == 0
    assert segments.take(MB, 2, Line()) is not None  # type: ignore[arg-type]


def test_nothing_is_lent_without_a_threshold(line: Any) -> None:
    """No batch is that large."""
    assert Segments(None, 8 * MB).threshold > 2**62


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("trgkfd"), st.integers(1, 3 * MB), st.integers(0, 1)), max_size=40))
def test_no_segment_has_two_batches(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is taken, given back, kept and lost: never two at one time, and never above the limit."""
    segments = Segments(1000, 8 * MB)
    lines: list[Any] = [Line(), Line()]
    lent: list[Segment] = []
    returning: list[Segment] = []
    try:
        for ref, (step, size, number) in enumerate(steps, 1):
            if step == "t":
                taken = segments.take(size, ref, lines[number])
                if taken is not None:
                    assert taken not in lent
                    assert taken not in returning
                    assert len(taken.map) >= size
                    lent.append(taken)
            elif step == "d":
                segments.line_gone(lines[number])
                lent = [each for each in lent if each.line is not lines[number]]
                returning = [each for each in returning if each.line is not lines[number]]
            elif step in "rg" and lent:
                segment = lent.pop(size % len(lent))
                if step == "r":
                    segments.release(segment)
                    returning.append(segment)
                else:
                    segments.give_back(segment)
            elif step in "kf" and returning:
                returning.pop(size % len(returning)).word = KEPT if step == "k" else FREE
            found = segments.statistics()
            assert found.bytes <= found.limit
            assert found.in_use >= sum(len(each.map) for each in lent + returning)
    finally:
        segments.close()
    assert segments.statistics().bytes == 0
