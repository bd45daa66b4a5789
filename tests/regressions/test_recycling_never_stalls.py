"""CPython #115634: a ProcessPoolExecutor with max_tasks_per_child=2 hangs at the sixth task.

https://github.com/python/cpython/issues/115634
"""

from __future__ import annotations

import pytest

from slither_actors import Application, dispatch
from tests.pool import work


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", [1, 2])
def test_six_tasks_with_two_per_worker(workers: int) -> None:
    """Each worker is replaced after two batches, and every batch has its result."""
    pool = {"workers": workers, "max_batches_per_worker": 2, "start_method": "spawn"}
    with Application(pools={"default": pool}) as application:
        results = dispatch.run(range(6), executor=work.increment, batch_size=1)
        assert [item.payload for item in results] == [1, 2, 3, 4, 5, 6]
        assert application.pool().pool_statistics().recycled["max_batches_per_worker"] >= 2
