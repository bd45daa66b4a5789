"""The consumer's demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import SubscriptionDemand, check_demand
from slither_actors.errors import OptionError


def sizes(chunks: list[tuple[Sequence[Any], int]]) -> list[tuple[int, int]]:
    return [(len(chunk), ask) for chunk, ask in chunks]


def test_the_defaults_are_a_thousand_and_half_of_it() -> None:
    """As in GenStage; half is rounded down."""
    assert check_demand() == (1000, 500)
    assert check_demand(7) == (7, 3)
    assert check_demand(1) == (1, 0)


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True])
def test_a_wrong_max_demand_is_refused(value: object) -> None:
    """Infinity is no demand either."""
    with pytest.raises(OptionError, match="at least 1") as caught:
        check_demand(value)
    assert caught.value.option == "max_demand"


@pytest.mark.parametrize("value", [-1, 10, 11, 0.5, False])
def test_a_wrong_min_demand_is_refused(value: object) -> None:
    """It has to be below max_demand, or nothing would ever be asked for."""
    with pytest.raises(OptionError, match=r"Sink: option 'min_demand' .* from 0 to max_demand - 1 = 9"):
        check_demand(10, value, where="Sink")


def test_what_arrives_in_small_lists_is_not_cut() -> None:
    """Max 1000, min 750, lists of 100: three whole lists, then an ask for the 300."""
    demand = SubscriptionDemand(1000, 750)
    asks = [demand.split(range(100)) for _ in range(6)]
    assert [sizes(chunks) for chunks in asks] == [[(100, 0)], [(100, 0)], [(100, 300)]] * 2


def test_a_large_list_is_cut_and_asked_for_piece_by_piece() -> None:
    """An ask between the chunks lets the producer work meanwhile."""
    demand = SubscriptionDemand(1000, 500)
    assert sizes(demand.split(range(1000))) == [(500, 500), (500, 500)]


def test_a_producer_that_gives_less_is_not_asked_again() -> None:
    """The rest stays asked for."""
    demand = SubscriptionDemand(10, 0)
    assert sizes(demand.split(range(5))) == [(5, 0)]
    assert demand.outstanding == 5
    assert sizes(demand.split(range(5))) == [(5, 10)]


def test_excess_is_delivered_and_reported_and_not_asked_for() -> None:
    """Max 10, min 5: of 14 events four were not asked for."""
    demand = SubscriptionDemand(10, 5)
    assert sizes(demand.split(range(14))) == [(5, 5), (5, 5), (4, 0)]
    assert demand.excess == 4
    assert demand.outstanding == 10


def test_the_excess_is_that_of_the_last_list() -> None:
    """A caller may look at it after each list."""
    demand = SubscriptionDemand(2, 0)
    demand.split([1, 2, 3])
    assert demand.excess == 1
    demand.split([1])
    assert demand.excess == 0


def test_an_empty_list_is_no_chunk() -> None:
    """No callback, no ask, no excess."""
    demand = SubscriptionDemand(2, 1)
    demand.split([1, 2, 3])
    assert demand.split([]) == []
    assert demand.excess == 0


def test_a_list_of_one_chunk_is_not_copied() -> None:
    """The usual case costs no copy; a range stays a range."""
    events = [1, 2, 3]
    assert SubscriptionDemand(10, 5).split(events)[0][0] is events
    assert SubscriptionDemand(4, 2).split(range(4)) == [(range(2), 2), (range(2, 4), 2)]


@given(st.integers(1, 40), st.data())
def test_split_is_the_algorithm_of_gen_stage(max_demand: int, data: st.DataObject) -> None:
    """Compared with the loop of its description, list by list."""
    min_demand = data.draw(st.integers(0, max_demand - 1))
    demand = SubscriptionDemand(max_demand, min_demand)
    outstanding = max_demand
    for size in data.draw(st.lists(st.integers(0, 60), max_size=20)):
        due, expected, excess = outstanding, [], 0
        for start in range(0, size, max_demand - min_demand):
            chunk = list(range(size))[start : start + max_demand - min_demand]
            counted = len(chunk)
            if counted > due:
                excess += counted - due
                counted = due
            due -= counted
            outstanding -= counted
            ask = 0
            if outstanding <= min_demand:
                ask, outstanding = max_demand - outstanding, max_demand
            expected.append((chunk, ask))
        assert [(list(chunk), ask) for chunk, ask in demand.split(range(size))] == expected
        assert (demand.outstanding, demand.excess) == (outstanding, excess)


class DemandMachine(RuleBasedStateMachine):
    """A producer that sends what it was asked for, in any pieces, and asks that arrive late."""

    @initialize(max_demand=st.integers(1, 20), data=st.data())
    def subscribe(self, max_demand: int, data: st.DataObject) -> None:
        self.demand = SubscriptionDemand(max_demand, data.draw(st.integers(0, max_demand - 1)))
        self.owed = self.demand.max_demand
        self.underway: list[int] = []
        self.sent = 0
        self.taken: list[int] = []

    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(0, self.owed))
        events = list(range(self.sent, self.sent + size))
        self.sent += size
        self.owed -= size
        for chunk, ask in self.demand.split(events):
            assert len(chunk) <= self.demand.chunk_size
            self.taken += chunk
            if ask:
                self.underway.append(ask)

    @rule()
    def hear(self) -> None:
        if self.underway:
            self.owed += self.underway.pop(0)

    @invariant()
    def never_more_than_max_demand_is_outstanding(self) -> None:
        assert self.demand.outstanding == self.owed + sum(self.underway)
        assert self.demand.min_demand < self.demand.outstanding <= self.demand.max_demand

    @invariant()
    def every_event_is_taken_once_and_in_order(self) -> None:
        assert self.taken == list(range(self.sent))
        assert self.demand.excess == 0


TestDemandMachine = DemandMachine.TestCase
