"""What the workers of every library run."""

from __future__ import annotations


def increment_all(batch: list[int]) -> list[int]:
    """A batch at a time."""
    return [value + 1 for value in batch]


def increment(value: int) -> int:
    """One at a time, for libraries that make the chunks themselves."""
    return value + 1
