"""X01, X02, X03, X13, X14: workers that die in a run of dispatch, in every way, at every point, together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import seeded
from tests.reliability.faults import EXIT_STATUS

Run = Callable[..., Any]


@pytest.fixture
def perform(perform_of: Callable[[str], Run]) -> Run:
    """Run a function of `worker_deaths`."""
    return perform_of("worker_deaths")


BOTH = pytest.mark.parametrize(("workers", "method"), [(4, "forkserver"), (1, "spawn")])


@BOTH
def test_one_batch_of_a_hundred_kills_its_worker(
    perform: Run, workers: int, method: str, tmp_path: Path
) -> None:
    """X01, X02: 99 are correct and in order, or all with a retry; one worker is replaced; nothing is left."""
    perform("one_of_a_hundred", workers, method, str(tmp_path))


ALL = (*EXIT_STATUS, "sys.exit(3)")


@pytest.mark.parametrize("point", ["unpickling", "pickling", "freeing"])
@pytest.mark.parametrize(
    ("workers", "method", "deeds"),
    [
        (4, "forkserver", ALL),
        pytest.param(1, "spawn", ALL, marks=pytest.mark.soak),
        pytest.param(1, "forkserver", ALL, marks=pytest.mark.soak),
        pytest.param(4, "spawn", ALL, marks=pytest.mark.soak),
    ],
)
def test_a_fault_at_each_point_costs_its_batch(
    perform: Run, point: str, workers: int, method: str, deeds: tuple[str, ...]
) -> None:
    """X03: and one behind the answer costs nothing."""
    perform("faults_at", point, workers, method, deeds)


@pytest.mark.parametrize(
    ("ordering", "workers", "method"), [("preserve", 2, "forkserver"), ("as_completed", 1, "spawn")]
)
def test_each_failure_under_random_kills_is_of_one_kill(
    perform: Run, ordering: str, workers: int, method: str
) -> None:
    """X13: nothing is lost, nothing comes twice, and no batch goes to a worker that is dead."""
    perform(
        "random_kills", 60 if method == "forkserver" else 15, workers, method, ordering, seeded().random()
    )


@pytest.mark.soak
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
@pytest.mark.parametrize(("workers", "method"), [(1, "forkserver"), (4, "forkserver"), (2, "spawn")])
def test_a_thousand_kills(perform: Run, ordering: str, workers: int, method: str) -> None:
    """X13, in full."""
    perform("random_kills", 1000, workers, method, ordering, seeded().random(), timeout=1200)


@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_each_worker_kills_its_neighbour(perform: Run, count: int, tmp_path: Path) -> None:
    """X14: whoever is first; the pool has all its workers again, and works."""
    perform("neighbours", count, "forkserver", str(tmp_path), 1)


@pytest.mark.soak
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_each_worker_kills_its_neighbour_a_hundred_times(
    perform: Run, count: int, method: str, tmp_path: Path
) -> None:
    """X14, again and again."""
    perform("neighbours", count, method, str(tmp_path), 100, timeout=1200)


@pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.soak)])
def test_four_workers_killed_at_one_time(perform: Run, method: str, tmp_path: Path) -> None:
    """X14: four batches fail, forty do not, and four workers take their places."""
    place = tmp_path / "running"
    place.mkdir()
    perform("all_at_once", method, str(place))
