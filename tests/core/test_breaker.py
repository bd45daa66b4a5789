"""A circuit opens after failures in a row, and closes after probes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slither_actors.core import Breaker, BreakerState
from slither_actors.errors import OptionError
from slither_actors.policy import CircuitBreaker


def opened(**options: Any) -> Breaker:
    """A circuit that opened at second 0."""
    breaker = Breaker(CircuitBreaker(failures=1, **options))
    assert breaker.failed(0.0, "crash")
    return breaker


def test_failures_in_a_row_open_it() -> None:
    """Only the last one does; a batch that ends otherwise starts the count anew."""
    breaker = Breaker(CircuitBreaker(failures=3))
    assert [breaker.failed(t, "no") for t in (1.0, 2.0)] == [False, False]
    breaker.succeeded()
    assert breaker.is_calm
    assert [breaker.failed(t, "no") for t in (3.0, 4.0, 5.0)] == [False, False, True]
    assert breaker.state is BreakerState.OPEN
    assert (breaker.opened_at, breaker.last_error, breaker.opened) == (5.0, "no", 1)


def test_failures_that_are_long_past_do_not_count() -> None:
    """The window slides."""
    breaker = Breaker(CircuitBreaker(failures=2, window=10.0))
    assert not breaker.failed(0.0, "no")
    assert not breaker.failed(10.5, "no")
    assert breaker.failed(20.0, "no")


def test_an_open_circuit_lets_nothing_pass_until_its_time_is_over() -> None:
    """Then as many as there are probes."""
    breaker = opened(open_for=5.0, probes=2)
    assert not breaker.allows(4.9)
    assert breaker.next_trial(4.0) == 1.0
    assert [breaker.allows(5.0) for _ in range(3)] == [True, True, False]
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.refused == 2


def test_all_probes_have_to_end_well() -> None:
    """The last of them closes it."""
    breaker = opened(open_for=5.0, probes=2)
    assert breaker.allows(5.0)
    assert breaker.allows(5.0)
    assert not breaker.succeeded()
    assert breaker.succeeded()
    assert breaker.is_calm


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    """It has been open since the first time."""
    breaker = opened(open_for=5.0)
    assert breaker.allows(6.0)
    assert breaker.failed(7.0, "again")
    assert not breaker.allows(11.9)
    assert breaker.allows(12.0)
    assert (breaker.opened_at, breaker.opened, breaker.last_error) == (0.0, 1, "again")


def test_a_probe_without_an_answer_is_replaced() -> None:
    """Its run may have been closed: a circuit is not half open for ever."""
    breaker = opened(open_for=5.0)
    assert breaker.allows(5.0)
    assert not breaker.allows(9.9)
    assert breaker.allows(10.0)


def test_answers_of_batches_from_before_do_not_count_while_it_is_open() -> None:
    """Neither way."""
    breaker = opened(open_for=5.0)
    assert not breaker.failed(4.0, "late")
    assert not breaker.succeeded()
    assert breaker.state is BreakerState.OPEN
    assert breaker.next_trial(4.0) == 1.0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("failures", 0),
        ("failures", True),
        ("window", 0),
        ("open_for", -1),
        ("open_for", "soon"),
        ("probes", 0),
        ("on", ()),
        ("on", 3),
        ("on", (ValueError, int)),
    ],
)
def test_a_wrong_option_is_named(option: str, value: Any) -> None:
    """With what is allowed."""
    with pytest.raises(OptionError, match=f"option '{option}' is .*allowed") as caught:
        CircuitBreaker(**{option: value})
    assert caught.value.option == option


class BreakerMachine(RuleBasedStateMachine):
    """Batches that pass, fail and end well, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.options = CircuitBreaker(failures=3, window=20.0, open_for=5.0, probes=2)
        self.breaker = Breaker(self.options)
        self.now = 0.0
        self.running = 0
        self.passed_since_opened: list[float] = []
        self.in_a_row: list[float] = []
        self.opened_at = -1.0

    @rule(seconds=st.integers(0, 8))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        state = self.breaker.state
        if self.breaker.allows(self.now):
            self.running += 1
            if state is not BreakerState.CLOSED:
                self.passed_since_opened.append(self.now)
        else:
            assert state is not BreakerState.CLOSED

    @precondition(lambda self: self.running)
    @rule()
    def succeed(self) -> None:
        state, self.running = self.breaker.state, self.running - 1
        closed = self.breaker.succeeded()
        assert not closed or state is BreakerState.HALF_OPEN
        self.in_a_row = []
        if closed:
            assert self.passed_since_opened, "an answer from before may count, but not alone"
            self.passed_since_opened = []

    @precondition(lambda self: self.running)
    @rule()
    def fail(self) -> None:
        state, self.running = self.breaker.state, self.running - 1
        tripped = self.breaker.failed(self.now, "no")
        if state is BreakerState.CLOSED:
            self.in_a_row.append(self.now)
            counted = [at for at in self.in_a_row if at >= self.now - self.options.window]
            assert tripped == (len(counted) >= self.options.failures)
        else:
            assert tripped == (state is BreakerState.HALF_OPEN)
        if tripped:
            self.opened_at, self.in_a_row, self.passed_since_opened = self.now, [], []

    @invariant()
    def nothing_passes_before_its_time(self) -> None:
        assert all(at >= self.opened_at + self.options.open_for for at in self.passed_since_opened)

    @invariant()
    def no_more_than_the_probes_pass_in_one_period(self) -> None:
        for at in self.passed_since_opened:
            near = [t for t in self.passed_since_opened if at <= t < at + self.options.open_for]
            assert len(near) <= 2 * self.options.probes - 1

    @invariant()
    def it_can_always_recover(self) -> None:
        assert self.breaker.next_trial(self.now) <= self.options.open_for


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(deadline=None)
