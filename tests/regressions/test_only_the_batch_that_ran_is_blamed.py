"""A worker's death is blamed on the batch that it ran, not on those that waited: distributed #5234.

There, every task that was assigned to a worker is suspected when it dies, those
too that had not begun; after some deaths tasks fail with `KilledWorker` that
have killed nobody.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slither_actors import Application, Retry, dispatch
from slither_actors.errors import WorkerCrashError
from slither_actors.pool import STATISTICS
from tests.regressions import deaths

DEADLY = (4, 5, 6, 20, 21, 37)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_that_waited_behind_a_killer_are_not_suspected(tmp_path: Path, workers: int) -> None:
    """Six batches kill all their workers; no other fails, none runs twice, none has an attempt less."""
    notes = tmp_path / "notes"
    notes.touch()
    work = [(str(notes), number, number in DEADLY) for number in range(50)]
    with Application(pools={"default": workers}) as application:
        found = dispatch.run(
            work, executor=deaths.die_or_note, batch_size=1, max_in_flight=16, on_error="skip"
        )
        assert application.pool().call(STATISTICS).crashes == len(DEADLY)
    assert [at for at, item in enumerate(found) if item.meta.get("skipped")] == list(DEADLY)
    for at in DEADLY:
        error = found[at].meta["error"]
        assert isinstance(error, WorkerCrashError)
        assert (error.batch, error.attempt) == (f"batch {at} of dispatch", 1)
    assert sorted(map(int, notes.read_text().split())) == list(range(50))


def test_retries_are_counted_for_the_batch_alone(tmp_path: Path) -> None:
    """One that kills is tried as often as its policy says, and its neighbours once."""
    notes = tmp_path / "notes"
    notes.touch()
    work = [(str(notes), number, False) for number in range(20)]
    marks = [(str(tmp_path / f"mark {number}"), number) for number in range(20)]
    with Application(pools={"default": 1}):
        found = dispatch.run(
            [(mark, number, note) for (mark, number), note in zip(marks, work, strict=True)],
            executor=die_first_time,
            batch_size=1,
            max_in_flight=8,
            on_error=Retry(max_attempts=2, backoff=0),
        )
    assert [item.payload for item in found] == list(range(20))
    ran = sorted(map(int, notes.read_text().split()))
    assert ran == sorted([*range(20), 3, 4, 11])


def die_first_time(batch: list[tuple[str, int, tuple[str, int, bool]]]) -> list[int]:
    results = []
    for mark, number, (path, _, _) in batch:
        first = not Path(mark).exists()
        Path(mark).touch()
        results += deaths.die_or_note([(path, number, first and number in (3, 4, 11))])
    return results
