"""A hook that is killed as often as a file says, as by somebody else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

__all__ = ["FILE", "die_while_told"]

FILE = "SLITHER_TEST_KILLS"
"""The environment's name of the file: it has how many workers are to be killed as they start."""


def die_while_told() -> None:
    """Run by each worker as it starts; one worker at a time."""
    file = Path(os.environ[FILE])
    left = int(file.read_text())
    if left:
        file.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
