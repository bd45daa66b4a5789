"""A run that is closed early and kills what runs: the fixtures would miss the workers."""

from __future__ import annotations

from pathlib import Path

from slither_actors import Application, dispatch
from tests.dispatch.manual import SECONDS
from tests.dispatch.test_on_close import alive, gated
from tests.pool import work


def test_workers_are_killed(tmp_path: Path) -> None:
    """When `close` returns they are gone; the pool has others."""
    with Application(pools={"default": 2}):
        stream, reader, pids = gated(tmp_path, "kill")
        stream.close()
        assert not any(map(alive, pids))
        reader.join(SECONDS)
        found = dispatch.run([0] * 8, executor=work.pids, batch_size=1)
        assert not {item.payload for item in found} & set(pids)
