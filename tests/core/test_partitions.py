"""Partitions and their keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import Partitions


def test_an_integer_chooses_its_partition() -> None:
    """Whoever wants a certain partition can name it."""
    partitions = Partitions(3)
    assert [partitions.of(key) for key in (0, 1, 2, 3, -4)] == [0, 1, 2, 0, 1]


def test_without_partitions_a_key_has_none() -> None:
    """All of them may be stopped."""
    partitions = Partitions(2)
    partitions.in_use = 0
    assert partitions.of("key") is None


@pytest.mark.parametrize("count", [-1, 3, True, 1.0, None])
def test_a_number_out_of_range_is_refused(count: int) -> None:
    """Only as many as were started with can be started again."""
    with pytest.raises(ValueError, match="allowed are 0 to 2"):
        Partitions(2).plan(count)


@given(st.one_of(st.integers(), st.text(), st.tuples(st.integers(), st.text())), st.integers(1, 9))
def test_equal_keys_have_one_partition(key: object, count: int) -> None:
    """And it exists."""
    partitions = Partitions(count)
    found = partitions.of(key)
    assert found in range(count)
    assert found == partitions.of(key)


class PartitionsMachine(RuleBasedStateMachine):
    """Any order of changes."""

    @initialize(maximum=st.integers(1, 6))
    def make(self, maximum: int) -> None:
        self.partitions = Partitions(maximum)
        self.running = set(range(maximum))

    @rule(data=st.data())
    def resize(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(0, self.partitions.maximum))
        plan = self.partitions.plan(count)
        assert plan.before == len(self.running)
        assert self.running.isdisjoint(plan.start)
        assert self.running.issuperset(plan.stop)
        self.running = (self.running | set(plan.start)) - set(plan.stop)
        assert self.running == set(range(count))
        self.partitions.in_use = count

    @invariant()
    def keys_go_to_partitions_that_run(self) -> None:
        for key in ("a", "b", 3, -7, ("x", 1)):
            found = self.partitions.of(key)
            assert found in self.running if self.running else found is None


TestPartitionsMachine = PartitionsMachine.TestCase
