"""The datasets: the numeric columns of CSV files, or Slither's made-up ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from slither_actors.errors import InputError
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._csv_files import CsvFile, csv_files, number
from slither_actors.examples.batch_stats._describe import Dataset

__all__ = ["datasets"]

_SEED: Final = 42
_SIZES: Final = (("small", 800, 5, 10), ("medium", 800, 50, 100), ("large", 350, 200, 500))
_POISON: Final = (("None", 20), ("NaN", 20), ("empty", 10))


def datasets(options: ExampleOptions) -> tuple[str, list[Dataset]]:
    """Return what the datasets are, for people, and the datasets.

    Raises:
        InputError: a file is missing, not readable or has no numbers; scikit-learn is not installed.
    """
    if options.synthetic:
        found = _made_up()
        description = "made-up datasets"
    else:
        files = csv_files("batch_stats", options.paths)
        found = [dataset for file in files for dataset in _columns(file)]
        description = "numeric columns of " + ", ".join(file.name for file in files)
        if not found:
            raise InputError(", ".join(str(file.path) for file in files), "has no column of numbers")
    found = found[: options.limit]
    return f"{len(found):,} {description}", found


def _columns(file: CsvFile) -> list[Dataset]:
    """Return the columns of which most cells are numbers. One with other cells as well is poison."""
    columns: list[list[float | str]] = [[] for _ in file.columns]
    for _, cells in file:
        for column, cell in zip(columns, cells, strict=False):
            value = number(cell)
            column.append(cell if value is None else value)
    return [
        Dataset(name=f"{file.name}: {name}", group=file.name, values=values)
        for name, values in zip(file.columns, columns, strict=True)
        if 2 * sum(isinstance(value, float) for value in values) > len(values)
    ]


def _made_up() -> list[Dataset]:
    """2,000 datasets, 50 of them poison, in an order of chance; the same on every machine."""
    chance = random.Random(_SEED)
    found = []
    for group, count, fewest, most in _SIZES:
        for each in range(count):
            values = [chance.gauss(100, 15) for _ in range(chance.randint(fewest, most))]
            found.append(Dataset(name=f"{group} {each}", group=group, values=values))
    for kind, count in _POISON:
        for each in range(count):
            found.append(Dataset(name=f"poison {kind} {each}", group="poison", values=_poison(kind, chance)))
    chance.shuffle(found)
    return found


def _poison(kind: str, chance: random.Random) -> Sequence[float | str | None]:
    if kind == "empty":
        return []
    values: list[float | str | None] = [chance.gauss(100, 15) for _ in range(10)]
    values[chance.randrange(10)] = None if kind == "None" else kind
    return values
