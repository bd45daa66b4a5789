"""Workers that somebody kills as they start: the batches that wait are not given up for it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from slither_actors.errors import WorkerStartError
from tests.pool import killed_starts, work
from tests.pool.asking import asking


@pytest.fixture
def kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is written how many are to be killed. For `spawn`: a fork server has an older environment."""
    file = tmp_path / "kills"
    file.write_text("0")
    monkeypatch.setenv(killed_starts.FILE, str(file))
    return file


@pytest.mark.parametrize("kill_count", [1, 7, pytest.param(15, marks=pytest.mark.soak)])
def test_a_batch_waits_until_the_killing_is_over(kills: Path, kill_count: int) -> None:
    """More kills in a row than failed starts are allowed, and the batch runs after them."""
    with asking(init=killed_starts.die_while_told, start_method="spawn", max_failed_starts=3) as asker:
        [slot] = asker.statistics().slots
        kills.write_text(str(kill_count))
        os.kill(slot.pid, signal.SIGKILL)
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().restarts == kill_count + 1
        assert asker.statistics().crashes == 0


@pytest.mark.stress
def test_one_that_never_ends_is_an_error(kills: Path) -> None:
    """A kernel without memory kills each of them: nobody is to wait for ever."""
    with asking(init=killed_starts.die_while_told, start_method="spawn", max_failed_starts=1) as asker:
        [slot] = asker.statistics().slots
        kills.write_text("100000")
        os.kill(slot.pid, signal.SIGKILL)
        with pytest.raises(WorkerStartError, match="SIGKILL"):
            asker.run(work.increment, [1])
        assert asker.statistics().restarts >= 7
