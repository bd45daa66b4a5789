"""Sequences that are no lists, and stay what they are on the way through a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Self, TypeVar

__all__ = ["Joinable", "join"]

T = TypeVar("T")


class Joinable(Sequence[T]):
    """A sequence of which slices, and several of which in a row, are of the same kind."""

    __slots__ = ()

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return all of the parts, one after the other. There is at least one."""
        raise NotImplementedError


def join(parts: Sequence[Sequence[T]]) -> Sequence[T]:
    """Return at least one part as one sequence: of their kind, if all are of one that is `Joinable`."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Joinable) and set(map(type, parts)) == {type(first)}:
        return first.joined(parts)  # type: ignore[arg-type]
    return list(chain.from_iterable(parts))
