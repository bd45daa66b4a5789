"""A module that starts a pool when it is imported, and has the function that the pool's workers are to run.

As the program itself it would be told by `multiprocessing`. Imported by another module or the command line,
it would wait for the end of its own import, or have workers start workers without an end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.search_path import SEARCH_PATH

GUARD = "what starts a pool has to be under \"if __name__ == '__main__':\""

MODULE = """\
from slither_actors import Application, Pipe, run_pipe, workers

def work(payloads):
    return payloads

class P(Pipe):
    work = workers({function})

{run}
"""


def fails(folder: Path, *command: str) -> str:
    """Run a command that fails; return the last line that it says."""
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), SEARCH_PATH))},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode in (1, 2)
    return ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("function", ["work", "'starts:work'"])
@pytest.mark.parametrize(
    "run", ["run_pipe(P, [1])", "with Application(pools={'default': 1}):\n    run_pipe(P, [1])"]
)
def test_an_import_that_runs_a_pipe_is_told_at_once(tmp_path: Path, function: str, run: str) -> None:
    """Whether workers get the function or its name, and however the pool is started."""
    (tmp_path / "starts.py").write_text(MODULE.format(function=function, run=run))
    assert GUARD in fails(tmp_path, "-c", "import starts")


def test_the_command_line_tells_it_in_a_line(tmp_path: Path) -> None:
    """Where the newcomer's script is given to it that lacks the guard."""
    (tmp_path / "starts.py").write_text(MODULE.format(function="work", run="run_pipe(P, [1])"))
    (tmp_path / "lines.txt").write_text("one\n")
    said = fails(tmp_path, "-m", "slither_actors", "run", "starts:P", "--input", "lines.txt")
    assert said.startswith("slither-actors: pipe 'starts:P': importing starts failed: ")
    assert GUARD in said
