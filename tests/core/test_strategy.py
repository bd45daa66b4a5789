"""Restart strategies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import RestartPlan, RestartStrategy, restart_plan

CHILDREN = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("strategy", "terminate", "restart"),
    [("one_for_one", "", "b"), ("one_for_all", "dca", "abcd"), ("rest_for_one", "dc", "bcd")],
)
def test_who_goes_along(strategy: str, terminate: str, restart: str) -> None:
    """Stopping goes backwards, starting forwards, and the failed child is down already."""
    plan = restart_plan(RestartStrategy(strategy), CHILDREN, "b")
    assert plan == RestartPlan(tuple(terminate), tuple(restart))


def test_a_temporary_child_goes_down_with_its_group_and_stays_down() -> None:
    """Temporary means never restarted, for whatever reason it ended."""
    plan = restart_plan(RestartStrategy.ONE_FOR_ALL, CHILDREN, "b", temporary={"c"})
    assert plan == RestartPlan(("d", "c", "a"), ("a", "b", "d"))


def test_an_unknown_child_is_a_mistake() -> None:
    """The caller has mixed up its children."""
    with pytest.raises(ValueError, match="not in list"):
        restart_plan(RestartStrategy.ONE_FOR_ONE, CHILDREN, "z")


@given(st.data(), st.sampled_from(RestartStrategy), st.sets(st.integers(0, 20), min_size=1))
def test_every_plan_is_consistent(data: st.DataObject, strategy: RestartStrategy, ids: set[int]) -> None:
    """What is stopped and is not temporary is started again, and nothing else but the failed child."""
    children = data.draw(st.permutations(sorted(ids)))
    failed = data.draw(st.sampled_from(children))
    temporary = data.draw(st.sets(st.sampled_from(children)))
    plan = restart_plan(strategy, children, failed, temporary=temporary)
    assert set(plan.restart) == ({*plan.terminate, failed} - temporary)
    assert list(plan.restart) == sorted(plan.restart, key=children.index)
    assert list(plan.terminate) == sorted(plan.terminate, key=children.index, reverse=True)
    assert failed not in plan.terminate
