"""What the workers of every library run."""

from __future__ import annotations

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
