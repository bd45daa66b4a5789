"""Workers that are replaced after some batches never stall the queue: CPython #115634.

There, `ProcessPoolExecutor(1, max_tasks_per_child=2)` does two of ten tasks and
hangs: it takes a worker that has ended for an idle one, and starts no other.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from slither_actors import Application, dispatch
from tests.dispatch import work
from tests.regressions.marks import needs_option
from tests.regressions.program import run_program

pytestmark = needs_option("max_batches_per_worker")

PROGRAM = """
import os
from slither_actors import Application, dispatch

def pid(batch):
    return [os.getpid()] * len(batch)

if __name__ == "__main__":
    with Application(pools={"default": {"workers": 1, "max_batches_per_worker": 2}}):
        for item in dispatch.run(range(10), executor=pid, batch_size=1):
            print(item.payload)
"""


def test_the_program_of_the_report_ends(tmp_path: Path) -> None:
    """Ten batches through one worker that is replaced after two: five processes, two batches each."""
    ended = run_program(tmp_path / "program.py", PROGRAM)
    assert ended.status == 0, ended.err
    assert sorted(Counter(ended.out.split()).values()) == [2] * 5


NUMBERS = [(workers, batches) for workers in (1, 2, 3) for batches in (1, 2, 3)]
SPAWNED = [(1, 2), (3, 1)]
"""Enough, as how a worker is started is nothing to the queue; all of them take seconds."""


@pytest.mark.parametrize(
    ("workers", "batches", "method"),
    [
        *((*each, "forkserver") for each in NUMBERS),
        *((*each, "spawn") for each in SPAWNED),
        *(pytest.param(*each, "spawn", marks=pytest.mark.soak) for each in NUMBERS if each not in SPAWNED),
    ],
)
def test_every_batch_comes_back_in_order(workers: int, batches: int, method: str) -> None:
    """However the numbers of workers, of batches and of batches per worker go together."""
    pool = {"workers": workers, "max_batches_per_worker": batches, "start_method": method}
    with Application(pools={"default": pool}):
        for count in (1, batches * workers, 13):
            found = dispatch.run(range(count), executor=work.increment, batch_size=1)
            assert [item.payload for item in found] == [number + 1 for number in range(count)]


def test_a_crash_among_the_replacements_costs_its_batch() -> None:
    """A worker that dies in the batch before its last is replaced as any other."""
    with Application(pools={"default": {"workers": 2, "max_batches_per_worker": 2}}):
        found = dispatch.run(range(20), executor=work.die_on_seven, batch_size=1, on_error="skip")
        assert [item.payload for item in found] == list(range(20))
        assert [item.payload for item in found if item.meta.get("skipped")] == [7]
