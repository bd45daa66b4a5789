"""Where the programs that tests start find their modules, and how short ones are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import slither_actors

__all__ = ["SEARCH_PATH", "run_program"]

SEARCH_PATH = os.pathsep.join(
    # The package that the tests import comes first: it may be the installed wheel and not the checkout.
    (str(Path(slither_actors.__file__).parent.parent), str(Path(__file__).parent.parent))
)
"""A value for ``PYTHONPATH``: `slither_actors` as the tests have it, and the tests."""


def run_program(program: str, *, timeout: float = 30, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a text as a program to its end; with `check` it is to succeed."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=check,
    )
