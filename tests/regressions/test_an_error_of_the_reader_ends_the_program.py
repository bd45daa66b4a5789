"""A program whose own loop over the results raises ends, whatever its workers do: pypeln #113.

There, a function that catches its errors returns None, the main process raises
because of it, and the program is stuck more often than not: workers and feeding
threads are waited for that wait for the main process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.regressions.program import run_program

PROGRAM = """
import itertools, logging, sys, time
from slither_actors import Application, dispatch

def caught(function):
    def wrapper(batch):
        try:
            return function(batch)
        except Exception as error:
            logging.exception(error)
            return [None] * len(batch)
    return wrapper

@caught
def load(batch):
    if 5 in batch:
        raise ValueError("no such image")
    if min(batch) > 5:
        {rest}
    return batch

# A function under a decorator is not what its name stands for elsewhere: give the name.
def stage(batch):
    return load(batch)

if __name__ == "__main__":
    with Application(pools={{"default": 3}}):
        for item in dispatch.stream(itertools.count(), executor=stage, batch_size=1, max_in_flight=6):
            if item.payload is None:
                raise RuntimeError("an image is missing")
    print("not reached")
"""


@pytest.mark.parametrize(
    "rest",
    ["pass", "time.sleep(600)", "sum(itertools.count())", "print('x' * 10_000_000, file=sys.stderr)"],
    ids=["quick", "asleep", "busy", "talking"],
)
def test_the_program_ends_with_the_readers_exception(tmp_path: Path, rest: str) -> None:
    """Workers that sleep, compute or write meanwhile are no reason to wait."""
    ended = run_program(tmp_path / "program.py", PROGRAM.format(rest=rest))
    assert ended.status == 1
    assert "RuntimeError: an image is missing" in ended.err
    assert "ValueError: no such image" in ended.err
    assert "not reached" not in ended.out
    assert ended.seconds < 15
