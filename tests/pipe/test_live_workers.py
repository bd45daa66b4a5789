"""A pipe that runs on over a queue, whose worker processes die: each element is done all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, Pipe, start_pipe, workers
from slither_actors.contrib.sqlite import SqliteQueue
from tests.pipe import worker_code as code
from tests.pipe.test_live import until


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


@pytest.mark.parametrize("policy", ["skip", "halt"])
def test_elements_whose_worker_died_come_again(policy: str, tmp_path: Path) -> None:
    """Whether the death costs a batch or the whole run; the others of the run come again, too."""

    class Dying(Pipe):
        through = workers(code.die_now_and_then, batch_size=10, batch_timeout=0.02, on_error=policy)

    found: Counter[int] = Counter()
    queue = SqliteQueue(
        tmp_path / "q.db", poll_seconds=0.01, retry_seconds=0.01, ack_seconds=0.02, max_failures=1000
    )
    queue.put(range(300))

    def into(items: Any) -> None:
        found.update(item.payload for item in items)

    pipe = start_pipe(Dying, source=queue, into=into, max_restarts=1000, max_seconds=1.0)
    until(lambda: len(found) == 300)
    assert pipe.drain(10)
    left = queue.statistics()
    assert (left.waiting, left.delivered, left.dead) == (0, 0, 0)
    status = pipe.status()
    assert status.lost == 0
    assert (status.restarts > 0) is (policy == "halt")
