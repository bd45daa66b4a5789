"""What the workers of every library run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def increment_all(batch: list[int]) -> list[int]:
    """A batch at a time."""
    return [value + 1 for value in batch]


def increment(value: int) -> int:
    """One at a time, for libraries that make the chunks themselves."""
    return value + 1


def double_all(batch: list[Any]) -> list[Any]:
    """A batch of arrays at a time."""
    return [array * 2.0 for array in batch]


def double(array: Any) -> Any:
    """One array at a time."""
    return array * 2.0


def meet(place: tuple[str, int, int]) -> int:
    """Return when as many tasks as are to meet in the folder are there."""
    folder, number, tasks = place
    Path(folder, str(number)).touch()
    while not all(Path(folder, str(other)).exists() for other in range(tasks)):
        time.sleep(0.001)
    return number


def meet_all(batch: list[tuple[str, int, int]]) -> list[int]:
    """A batch at a time."""
    return [meet(place) for place in batch]


def die(note: str) -> None:
    """Note the time in a file, and end the process."""
    Path(note).write_text(repr(time.monotonic()))
    os._exit(7)


def die_all(batch: list[str]) -> list[Any]:
    """A batch at a time; one is enough."""
    return [die(note) for note in batch]  # type: ignore[func-returns-value]
