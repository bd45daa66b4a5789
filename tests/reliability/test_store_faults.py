"""X43 to X45: a store whose writer crashes, names of holders that were given up, memory of what failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reliability import seeded

Run = Callable[..., Any]


@pytest.fixture
def perform(perform_of: Callable[[str], Run]) -> Run:
    """Run a function of `store_faults`."""
    return perform_of("store_faults")


@pytest.mark.parametrize("kind", ["memory", "merge", "file"])
def test_readers_see_the_old_tables_or_the_new_ones(perform: Run, kind: str) -> None:
    """X43: whatever the writer dies of, in a transaction or a reload; a failing load keeps the old."""
    perform("writers_crash", kind, 50, seeded().randrange(2**32))


@pytest.mark.soak
@pytest.mark.timeout(700)
@pytest.mark.parametrize("kind", ["memory", "merge", "file"])
def test_readers_see_the_old_tables_or_the_new_ones_for_long(perform: Run, kind: str) -> None:
    """X43: the same a few thousand times."""
    perform("writers_crash", kind, 1500, seeded().randrange(2**32), timeout=600)


@pytest.mark.parametrize("rounds", [25, pytest.param(200, marks=pytest.mark.soak)])
def test_the_name_of_a_holder_that_was_given_up_is_free_at_the_down(perform: Run, rounds: int) -> None:
    """X44: as after a kill -9: its handler never returns."""
    perform("abandoned_holders", rounds, timeout=50)


def test_writes_that_fail_keep_no_memory(perform: Run) -> None:
    """X45: with a hundred megabytes in their frames, ten times."""
    perform("crashes_keep_no_memory")
