"""A gate at which batches wait, and which says how many have come. A folder, since they may be anywhere."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

__all__ = ["Gate", "wait_at_gate"]


class Gate:
    """Where batches wait, in whichever process they are. Opened when its ``with`` block is left."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slither-gate-"))

    def payloads(self, count: int) -> list[tuple[str, int]]:
        """For `wait_at_gate`, numbered from 0."""
        return [(str(self.folder), number) for number in range(count)]

    def began(self) -> set[int]:
        """The numbers of those that have come."""
        return {int(path.stem) for path in self.folder.glob("*.began")}

    def open(self) -> None:
        """Let all of them go on, also those that come later."""
        (self.folder / "open").touch()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)


def wait_at_gate(payloads: list[tuple[str, int]]) -> list[int]:
    """Say that the batch has begun, then wait until its gate is open."""
    for folder, number in payloads:
        place = Path(folder)
        with contextlib.suppress(FileNotFoundError):
            (place / f"{number}.began").touch()
        deadline = time.monotonic() + 120
        while place.exists() and not (place / "open").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
    return [number for _, number in payloads]
