"""What keeps workers from starting, explained."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slither_actors.pool._obstacles import explain_start

PROGRAM = """
import os, sys, tempfile
from slither_actors import Application
if __name__ == "__main__":
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    os.rmdir(gone)
    with Application(pools={"default": {"workers": 1, "start_method": sys.argv[1]}}):
        pass
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_working_folder_that_was_removed_is_named(method: str, tmp_path: Path) -> None:
    """Python says no more than that there is no such file or directory."""
    (tmp_path / "program.py").write_text(PROGRAM)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    finished = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), method],
        check=False, capture_output=True, text=True, timeout=50, env=env,
    )  # fmt: skip
    assert (
        "the working folder of this program has been removed: os.chdir to one that there is"
        in finished.stderr
    )


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "raise it (ulimit -n), or have fewer workers"),
        (BlockingIOError(errno.EAGAIN, "unavailable"), "have fewer workers"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/nowhere/pymp-12345"), "set TMPDIR to one"),
    ],
)
def test_what_the_system_refuses_comes_with_advice(error: OSError, advice: str) -> None:
    """What it said, and what to try."""
    text = explain_start(error)
    assert str(error) in text
    assert advice in text


def test_another_error_is_said_as_it_is() -> None:
    """No advice that may be wrong."""
    assert explain_start(ValueError("odd")) == "ValueError: odd"
    assert explain_start(FileNotFoundError(2, "No such file", "/bin/x")).endswith("'/bin/x'")
