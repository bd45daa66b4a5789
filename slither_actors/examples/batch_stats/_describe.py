"""What runs in the worker processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import attrs

from slither_actors.context import Context
from slither_actors.examples._welford import Welford

__all__ = ["BatchTally", "Dataset", "Summary", "describe"]


@attrs.frozen(kw_only=True)
class Dataset:
    """Some values under a name."""

    name: str
    group: str
    """What it is one of: its file, or its size."""

    values: Sequence[Any]
    """Numbers. In poison one of them is none, or there are no values."""

    def is_poison(self) -> bool:
        """Whether it cannot be described."""
        return not self.values or not all(isinstance(value, (int, float)) for value in self.values)


@attrs.frozen(kw_only=True)
class BatchTally:
    """What a worker says about a batch. Travels with the batch's first result."""

    worker: int
    """Its pid."""

    added: Welford
    """What the batch added to the process's own aggregate."""

    counted: int
    """Values in that aggregate after the batch."""


@attrs.frozen(kw_only=True)
class Summary:
    """A dataset, described."""

    name: str
    count: int
    mean: float
    deviation: float
    smallest: float
    largest: float
    tally: BatchTally | None = None


class _Mine:
    """What this process has seen in the run that it works for. Nobody else is in the process: no lock."""

    session_id = ""
    all_values = Welford()


def describe(datasets: Sequence[Dataset], ctx: Context) -> list[Summary]:
    """Describe a batch. One poison dataset fails it as a whole, and then nothing of it is counted."""
    found = []
    added = Welford()
    for dataset in datasets:
        numbers = _numbers(dataset)
        seen = Welford().add(numbers)
        added.merge(seen)
        found.append(
            Summary(
                name=dataset.name,
                count=seen.count,
                mean=seen.mean,
                deviation=seen.deviation,
                smallest=min(numbers),
                largest=max(numbers),
            )  # fmt: skip
        )
    if _Mine.session_id != ctx.session_id:
        _Mine.session_id, _Mine.all_values = ctx.session_id, Welford()
    _Mine.all_values.merge(added)
    tally = BatchTally(worker=os.getpid(), added=added, counted=_Mine.all_values.count)
    return [attrs.evolve(found[0], tally=tally), *found[1:]]


def _numbers(dataset: Dataset) -> Sequence[float]:
    if not dataset.values:
        raise ValueError(f"{dataset.name} is empty")
    for position, value in enumerate(dataset.values):
        if not isinstance(value, (int, float)):
            raise TypeError(f"{dataset.name} has {value!r} at {position}")
    return dataset.values
