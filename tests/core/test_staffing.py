"""Sizes of pools: whoever works goes last, and numbers stay low."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core._slot import SlotState as S
from slither_actors.core._staffing import Change, change_of_size, may_start

slots = st.dictionaries(st.integers(0, 20), st.sampled_from(list(S)), max_size=12)


def test_the_idle_go_before_the_busy() -> None:
    """And those without a worker before them; of equals the highest number goes."""
    held = {0: S.BUSY, 1: S.IDLE, 2: S.BUSY, 3: S.IDLE, 4: S.STARTING}
    assert change_of_size(held, 4) == Change(drop=(4,))
    assert change_of_size(held, 1) == Change(drop=(4, 3, 1, 2))


def test_new_slots_fill_the_gaps() -> None:
    """The lowest free numbers are used."""
    assert change_of_size({1: S.BUSY, 3: S.IDLE}, 5) == Change(add=(0, 2, 4))


def test_no_change() -> None:
    """A pool that has the size is left alone."""
    assert change_of_size({0: S.IDLE}, 1) == Change()


@given(slots, st.integers(1, 30))
def test_the_size_is_as_wanted(held: dict[int, S], workers: int) -> None:
    """Whatever there was; and nobody busy goes while an idle one stays."""
    change = change_of_size(held, workers)
    left = {number: state for number, state in held.items() if number not in change.drop}
    assert len(left) + len(change.add) == workers
    assert not (change.add and change.drop)
    assert not set(change.add) & set(held)
    if any(held[number] is S.BUSY for number in change.drop):
        assert S.IDLE not in left.values()


@given(st.lists(st.sampled_from(list(S))), st.integers(1, 5))
def test_no_more_start_than_may(states: list[S], start_batch: int) -> None:
    """Those that start already count."""
    room = may_start(states, start_batch)
    assert room >= 0
    assert room + states.count(S.STARTING) <= max(start_batch, states.count(S.STARTING))
