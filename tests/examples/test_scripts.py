"""The scripts of the ``examples`` folder run as they are printed."""

import subprocess
import sys
from pathlib import Path

from tests.cli.command import Cli

SCRIPTS = Path(__file__).parents[2] / "examples"


def run(cli: Cli, name: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", name],
        cwd=SCRIPTS,
        env=cli.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def test_the_quick_start(cli: Cli) -> None:
    """It accepts what its model scores well."""
    assert run(cli, "quick_start.py") == (
        "[{'text': 'first', 'score': 0.8333333333333334}, {'text': 'second', 'score': 1.0},"
        " {'text': 'third', 'score': 0.8333333333333334}]\n"
    )


def test_the_text_pipe(cli: Cli) -> None:
    """It prints its definition, and every document is somewhere."""
    printed = run(cli, "text_analysis.py")
    assert "pipe TextPipe" in printed
    assert "positive     100  " in printed
    assert "negative     100  " in printed
    assert "default      100  " in printed
    assert "100 without words" in printed
