"""The admission window."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import Ordering, Window


def test_a_stalled_first_batch_stops_admission() -> None:
    """Held results count against the limit, so memory stays bounded."""
    window: Window[str] = Window(2)
    first, second = window.start(), window.start()
    assert window.finish(second, "b") == []
    assert not window.has_room
    assert window.finish(first, "a") == [(first, "a"), (second, "b")]
    assert window.room == 2


def test_a_full_window_says_its_limit() -> None:
    """Starting without room is a mistake of the caller's."""
    window: Window[str] = Window(1)
    window.start()
    with pytest.raises(RuntimeError, match="1 batches in flight"):
        window.start()


def test_as_completed_releases_at_once() -> None:
    """Nothing waits for its turn."""
    window: Window[str] = Window(2, Ordering.AS_COMPLETED)
    window.start()
    assert window.finish(window.start(), "b") == [(1, "b")]


def test_a_window_is_empty_when_everything_is_released() -> None:
    """A held batch keeps the window from being empty: its run is not over."""
    window: Window[str] = Window(2)
    first, second = window.start(), window.start()
    window.finish(second, "b")
    assert not window.is_empty
    window.finish(first, "a")
    assert window.is_empty


class WindowMachine(RuleBasedStateMachine):
    """Any order of starts and finishes."""

    @initialize(limit=st.integers(1, 5), ordering=st.sampled_from(Ordering))
    def make(self, limit: int, ordering: Ordering) -> None:
        self.window: Window[int] = Window(limit, ordering)
        self.live: list[int] = []
        self.finished: set[int] = set()
        self.released: list[int] = []

    @precondition(lambda self: self.window.has_room)
    @rule()
    def start(self) -> None:
        self.live.append(self.window.start())

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(self.live))
        self.live.remove(ref)
        self.finished.add(ref)
        for released, result in self.window.finish(ref, -ref):
            assert result == -released
            self.released.append(released)

    @invariant()
    def the_limit_holds(self) -> None:
        numbers = self.window.statistics()
        assert numbers.running == len(self.live)
        assert numbers.running + numbers.held <= numbers.peak <= numbers.max_in_flight
        assert self.window.room == numbers.max_in_flight - numbers.running - numbers.held
        assert self.window.has_room == (self.window.room > 0)

    @invariant()
    def each_batch_is_released_once_and_in_order(self) -> None:
        assert len(set(self.released)) == len(self.released)
        if self.window.ordering is Ordering.PRESERVE:
            assert self.released == list(range(len(self.released)))
            gap = min(self.live, default=None)
            assert len(self.released) == (len(self.finished) if gap is None else gap)
        else:
            assert set(self.released) == self.finished


TestWindowMachine = WindowMachine.TestCase
