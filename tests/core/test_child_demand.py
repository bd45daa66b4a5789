"""The demand of a supervisor with a child per event."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import ChildDemand, ChildDemandStatistics
from slither_actors.errors import OptionError


def test_the_defaults_are_those_of_all_subscriptions() -> None:
    """A thousand and half of it, and what is wrong there is wrong here."""
    demand = ChildDemand()
    assert (demand.max_demand, demand.min_demand) == (1000, 500)
    with pytest.raises(OptionError, match="max_demand - 1 = 9"):
        ChildDemand(10, 10)


def test_min_demand_is_how_many_have_finished_before_the_next_ask() -> None:
    """Max 10, min 9: nine of ten may be gone before nine are asked for."""
    demand = ChildDemand(10, 9)
    assert demand.came(10) == 0
    assert [demand.finish() for _ in range(9)] == [0] * 8 + [9]
    assert demand.statistics() == ChildDemandStatistics(
        max_demand=10, outstanding=9, active=1, finished=0, excess=0
    )


def test_all_that_has_finished_is_asked_for() -> None:
    """Also what is more than the minimum."""
    demand = ChildDemand(10, 5)
    demand.came(10)
    assert [demand.finish(4), demand.finish(3), demand.finish(3)] == [0, 7, 0]


@pytest.mark.parametrize("least", [0, 1])
def test_a_minimum_of_none_or_one_asks_for_each(least: int) -> None:
    """And nothing is asked for where nothing has finished."""
    demand = ChildDemand(2, least)
    demand.came(2)
    assert [demand.finish(0), demand.finish(), demand.finish()] == [0, 1, 1]


def test_what_nobody_had_asked_for_is_not_asked_for_again() -> None:
    """Or the bound would be exceeded for ever. GenStage does ask."""
    demand = ChildDemand(3, 0)
    assert [demand.came(2), demand.came(4)] == [0, 3]
    assert [demand.finish(2), demand.finish(2), demand.finish(2)] == [0, 1, 2]
    assert demand.statistics().outstanding == 3


def test_more_than_are_active_cannot_finish() -> None:
    """It would be a mistake in the count of the supervisor."""
    demand = ChildDemand(3)
    demand.came(1)
    with pytest.raises(RuntimeError, match="2 children finished of 1 active"):
        demand.finish(2)


class Places(RuleBasedStateMachine):
    """Each place is a token of its own, which wanders: asked, active, finished, and asked again."""

    @initialize(data=st.data(), most=st.integers(1, 12))
    def begin(self, data: st.DataObject, most: int) -> None:
        self.least = data.draw(st.integers(0, most - 1))
        self.demand = ChildDemand(most, self.least)
        self.place = ["asked"] * most
        self.uninvited = 0

    @rule(count=st.integers(1, 15))
    def events_come(self, count: int) -> None:
        taken = [at for at, state in enumerate(self.place) if state == "asked"][:count]
        for at in taken:
            self.place[at] = "active"
        self.uninvited += count - len(taken)
        assert self.demand.came(count) == count - len(taken)

    @rule(data=st.data())
    def children_finish(self, data: st.DataObject) -> None:
        active = [at for at, state in enumerate(self.place) if state == "active"]
        count = data.draw(st.integers(0, len(active) + self.uninvited))
        for _ in range(count):
            if self.uninvited:
                self.uninvited -= 1
            else:
                self.place[active.pop()] = "finished"
        asked = self.demand.finish(count)
        finished = [at for at, state in enumerate(self.place) if state == "finished"]
        if len(finished) >= self.least:
            assert asked == len(finished)
            for at in finished:
                self.place[at] = "asked"
        else:
            assert asked == 0

    @invariant()
    def each_place_is_where_the_model_has_it(self) -> None:
        if not hasattr(self, "demand"):
            return
        held, places = self.demand.statistics(), Counter(self.place)
        assert held.outstanding == places["asked"]
        assert held.active - held.excess == places["active"]
        assert held.excess == self.uninvited
        assert held.finished == places["finished"]
        assert held.outstanding + held.active + held.finished == held.max_demand + self.uninvited

    @invariant()
    def it_never_stalls(self) -> None:
        """If no child is active, something is asked for."""
        if hasattr(self, "demand") and not self.demand.statistics().active:
            assert self.demand.statistics().outstanding


TestPlaces = Places.TestCase
