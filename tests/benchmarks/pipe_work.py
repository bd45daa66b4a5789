"""The pipes that are measured, and what their stages run."""

from __future__ import annotations

from collections.abc import Sequence

from slither_actors import Item, Pipe, router, stage, workers
from tests.benchmarks.functions import increment_all

__all__ = ["Chain", "Each", "Idle", "doubled", "doubled_all"]


def doubled(item: Item) -> int:
    """What the function stage does, one at a time."""
    number: int = item.payload
    return number * 2


def doubled_all(items: Sequence[Item]) -> list[int]:
    """A batch at a time."""
    return [item.payload * 2 for item in items]


class Chain(Pipe):
    """Function stage with a batch handler, workers, router: the pipe of Slither's own figures."""

    double = stage(doubled_all, batch=True)
    increment = workers(increment_all, batch_size=64, max_in_flight=8)
    sort = router(low=lambda item: item.payload % 4 == 1, high=lambda item: item.payload % 4 == 3)


class Each(Pipe):
    """One function stage, an item at a time."""

    double = stage(doubled)


class Idle(Pipe):
    """All kinds of stages, to wait with."""

    double = stage(doubled)
    increment = workers(increment_all, batch_size=64, batch_timeout=0.01)
    sort = router(even=lambda item: item.payload % 2 == 0)
