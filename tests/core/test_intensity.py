"""The restart limit."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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


class IntensityMachine(RuleBasedStateMachine):
    """Restarts at any times, against OTP's list of all of them.

    Source: add_restart in https://github.com/erlang/otp/blob/master/lib/stdlib/src/supervisor.erl
    """

    @initialize(limit=st.integers(0, 4), period=st.integers(1, 6), origin=st.floats(-10, 1e9))
    def make(self, limit: int, period: int, origin: float) -> None:
        self.intensity = RestartIntensity(limit, period)
        self.now = origin
        self.restarts: list[float] = []

    @rule(seconds=st.floats(0, 8) | st.integers(0, 7))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_restart(self) -> None:
        self.restarts.append(self.now)
        assert self.intensity.record(self.now) == (self.within() <= self.intensity.max_restarts)
        assert self.intensity.count == min(self.within(), self.intensity.max_restarts + 1)

    def within(self) -> int:
        second = math.floor(self.now)
        return sum(second - math.floor(at) <= self.intensity.max_seconds for at in self.restarts)

    @invariant()
    def nothing_is_kept_that_does_not_count(self) -> None:
        assert len(self.intensity._restarts) <= self.intensity.max_restarts + 1


TestIntensityMachine = IntensityMachine.TestCase
