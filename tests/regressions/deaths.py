"""Functions that workers run: ways to die."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

__all__ = ["die", "die_or_note"]


def die(batch: list[str]) -> list[str]:
    """Die as a payload says."""
    for way in batch:
        if way.startswith("fine"):
            continue
        print(f"last words before {way}", file=sys.stderr, flush=True)
        if way.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[way])
            time.sleep(600)
        os._exit(0 if way == "exit 0" else 42)
    return batch


def die_or_note(batch: list[tuple[str, int, bool]]) -> list[int]:
    """Append the number to the file, then die if told to."""
    for path, number, deadly in batch:
        with Path(path).open("a") as file:
            file.write(f"{number}\n")
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)
    return [number for _, number, _ in batch]
