"""The README's quick start runs as printed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import slither_actors

README = Path(__file__).parents[1] / "README.md"


def files_of_the_quick_start() -> dict[str, str]:
    """The Python blocks of the section, by the file name that stands before each."""
    section = README.read_text().partition("\n## Quick start\n")[2].partition("\n## ")[0]
    blocks = re.finditer(r"`(\w+\.py)`:\n\n```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return {block.group(1): block.group(2) for block in blocks}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if not README.exists():
        pytest.skip("the README is not part of what is tested here")
    for name, text in files_of_the_quick_start().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, script: str) -> str:
    """Run a script and return what it prints; it must succeed and say nothing on standard error."""
    command = [sys.executable, "-W", "error", "-X", "faulthandler", script]
    # Wherever the package was imported from: a wheel or the checkout.
    env = {**os.environ, "PYTHONPATH": str(Path(slither_actors.__file__).parents[1])}
    done = subprocess.run(
        command, check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=40
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_section_has_its_three_files() -> None:
    """So that the tests below run what a reader sees."""
    assert list(files_of_the_quick_start()) == ["my_model.py", "score.py", "stages.py"]


def test_the_pipe_prints_the_accepted_payloads(folder: Path) -> None:
    """Through a store, a function stage, two worker processes and a router."""
    assert ast.literal_eval(run(folder, "score.py")) == [
        {"text": "first", "score": 1.0},
        {"text": "second", "score": 1.2},
        {"text": "third", "score": 1.0},
    ]


def test_the_stages_count_and_the_dispatch_adds_up(folder: Path) -> None:
    """The counter goes on until the program ends; all its numbers come in their order."""
    output = run(folder, "stages.py")
    assert "999000" in output
    # A whole list at a time: the end of the program may cut the last one off, and a line of the main
    # thread may stand behind another one.
    lists = re.findall(r"\[[\d, ]*\]", output)
    counted = [number for each in lists for number in json.loads(each)]
    assert counted
    assert counted == list(range(100, 100 + len(counted)))


def test_the_command_line_runs_the_same_pipe(folder: Path) -> None:
    """As printed, on a file of lines."""
    printed = re.search(r"^    slither-actors (run .*)$", README.read_text(), re.MULTILINE)
    assert printed is not None
    (folder / "lines.txt").write_text("first\nsecond\n")
    env = {**os.environ, "PYTHONPATH": str(Path(slither_actors.__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-P", "-m", "slither_actors", *printed.group(1).split()],
        check=True,
        cwd=folder,
        env=env,
        capture_output=True,
        timeout=40,
    )
    lines = (folder / "results" / "accept.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["first", "second"]
