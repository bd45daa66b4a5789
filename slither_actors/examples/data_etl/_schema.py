"""What a row has to be like: a rule per column, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs

from slither_actors.examples._csv_files import CsvFile, number
from slither_actors.examples._welford import Welford

__all__ = ["Row", "Rule", "Schema", "problems", "schema_of"]


@attrs.frozen(kw_only=True)
class Row:
    """A row of a file."""

    source: str
    """Name of the file."""

    number: int
    """Counts the rows of a whole run, from zero."""

    cells: Mapping[str, str]
    """Column to text."""


@attrs.frozen(kw_only=True)
class Rule:
    """What a cell has to be."""

    version: int
    """Of the schema that the rule is part of."""

    is_number: bool = False
    low: float = float("-inf")
    high: float = float("inf")
    required: bool = False


Schema: TypeAlias = Mapping[tuple[str, str], Rule]
"""File and column to rule."""


def problems(row: Row, schema: Schema) -> list[str]:
    """Return what is wrong with a row: nothing for a valid one."""
    found = []
    for (source, column), rule in schema.items():
        if source != row.source:
            continue
        cell = row.cells.get(column, "")
        if not cell:
            if rule.required or rule.is_number:
                found.append(f"{column} is missing")
        elif rule.is_number:
            value = number(cell)
            if value is None:
                found.append(f"{column} is {cell!r:.40}, no number")
            elif not rule.low <= value <= rule.high:
                found.append(f"{column} is {cell}, not within {rule.low:g} and {rule.high:g}")
    return found


def schema_of(files: Iterable[CsvFile], version: int) -> dict[tuple[str, str], Rule]:
    """Read files and say what their rows look like.

    Version 1 wants numbers where most cells of a column are numbers; version 2
    wants them within three standard deviations of the column's mean.
    """
    schema = {}
    for file in files:
        numbers = {column: Welford() for column in file.columns}
        rows = 0
        for _, cells in file:
            rows += 1
            for column, cell in zip(file.columns, cells, strict=False):
                if (value := number(cell)) is not None:
                    numbers[column].add([value])
        for column, seen in numbers.items():
            reach = 3 * seen.deviation
            schema[file.name, column] = Rule(
                version=version,
                is_number=2 * seen.count > rows,
                low=seen.mean - reach if version == 2 else float("-inf"),
                high=seen.mean + reach if version == 2 else float("inf"),
            )
    return schema
