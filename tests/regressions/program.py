"""A whole program with a watchdog: for defects that are programs which do not end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs

import slither_actors

__all__ = ["Ended", "run_program"]

_WATCHDOG = 25.0
"""Seconds. A program that is still there shows its stacks and is killed."""


@attrs.frozen
class Ended:
    """A program that has ended by itself."""

    status: int
    out: str
    err: str
    seconds: float


def run_program(path: Path, text: str, *arguments: str) -> Ended:
    """Write a program to a file and run it; fail with its stacks if it does not end."""
    path.write_text(f"import faulthandler\nfaulthandler.dump_traceback_later({_WATCHDOG - 3})\n{text}")
    package = str(Path(slither_actors.__file__).parent.parent)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(path), *arguments],
        env={**os.environ, "PYTHONPATH": package},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=_WATCHDOG)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=5)
        raise AssertionError(f"it did not end within {_WATCHDOG:g} s:\n{out}\n{err}") from None
    return Ended(process.returncode, out, err, time.monotonic() - began)
