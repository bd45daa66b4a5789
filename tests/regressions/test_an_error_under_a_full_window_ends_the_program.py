"""A failure while the input waits for room ends the run and the program: pypeln #110.

There, a stage with a `maxsize` whose function raises hangs the program: the
thread that feeds the input waits for ever for room in a queue that nobody
empties any more.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slither_actors import Application, dispatch
from slither_actors.errors import DispatchError
from tests.dispatch import work
from tests.dispatch.manual import Endless, actors_of_runs, wait
from tests.regressions.program import run_program

PROGRAM = """
from slither_actors import Application, dispatch

def process(batch):
    if 10 in batch:
        assert False, "ten"
    return batch

if __name__ == "__main__":
    with Application(pools={"default": 4}):
        dispatch.run(range(100), executor=process, batch_size=1, max_in_flight=4)
"""


def test_the_program_of_the_report_ends_with_its_exception(tmp_path: Path) -> None:
    """With the error of the function, and at once."""
    ended = run_program(tmp_path / "program.py", PROGRAM)
    assert ended.status == 1
    assert "AssertionError: ten" in ended.err
    assert "DispatchError" in ended.err


@pytest.mark.parametrize("max_in_flight", [1, 2, 8])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_an_input_that_waits_for_room_is_told_to_stop(max_in_flight: int, batch_size: int) -> None:
    """It is endless, so it waits for room whenever the failure comes; it is closed."""
    source = Endless()
    with Application(pools={"default": 2}):
        with pytest.raises(DispatchError) as caught:
            dispatch.run(
                source.items(),
                executor=work.fail_on_seven,
                batch_size=batch_size,
                max_in_flight=max_in_flight,
            )
        assert "seven" in str(caught.value)
        wait(source.closed)
        assert source.count <= 7 + 4 * max_in_flight * batch_size
        assert len(dispatch.run(range(5), executor=work.increment)) == 5
    assert actors_of_runs() == []
