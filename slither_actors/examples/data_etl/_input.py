"""The rows: those of CSV files, or Slither's made-up ones, in three phases."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from slither_actors.errors import InputError
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._csv_files import CsvFile, csv_files
from slither_actors.examples.data_etl._schema import Row, Rule, Schema, problems, schema_of

__all__ = ["Source", "source_of"]

_PHASE: Final = 5000
_SEED: Final = 42
_REGIONS: Final = ("north", "east", "south", "west")


@attrs.frozen(kw_only=True)
class Source:
    """Where rows come from, and what is known of them beforehand."""

    description: str
    schemas: tuple[Schema, Schema]
    """Version 1 and version 2."""

    per_phase: int
    """Rows of each of the three phases."""

    _read: Callable[[int], Iterable[tuple[str, dict[str, str]]]]
    """The rows of a phase: file, and column to text."""

    promised: tuple[tuple[str, int, int], ...] = ()
    """Files that say how many rows they have: name, what they say, rows read."""

    known_invalid: tuple[int, int] | None = None
    """Invalid rows of the first two phases, where they were made on purpose."""

    def rows(self, phase: int) -> Iterator[Row]:
        """Yield the rows of phase 0, 1 or 2."""
        first = phase * self.per_phase
        read = itertools.islice(self._read(phase), self.per_phase)
        for number, (source, cells) in enumerate(read, first):
            yield Row(source=source, number=number, cells=cells)

    def invalid(self, phase: int) -> int:
        """Return how many rows of phase 0 or 1 are invalid under its schema: known, or counted here."""
        if self.known_invalid is not None:
            return self.known_invalid[phase]
        return sum(bool(problems(row, self.schemas[phase])) for row in self.rows(phase))


def source_of(options: ExampleOptions) -> Source:
    """Return the rows that the command line asks for.

    Raises:
        InputError: a file is missing, not readable or has no rows; scikit-learn is not installed.
    """
    if options.synthetic:
        return _made_up(_PHASE if options.limit is None else max(20, options.limit // 3))
    files = csv_files("data_etl", options.paths)
    counts = [sum(1 for _ in file) for file in files]
    rows = sum(counts)
    if not rows:
        raise InputError(", ".join(str(file.path) for file in files), "has no rows")
    return Source(
        description=f"{rows:,} rows of " + ", ".join(file.name for file in files),
        schemas=(schema_of(files, 1), schema_of(files, 2)),
        per_phase=rows if options.limit is None else min(rows, options.limit),
        read=lambda _: _rows_of(files),
        promised=tuple(
            (file.name, file.promised, count)
            for file, count in zip(files, counts, strict=True)
            if file.promised is not None
        ),
    )


def _rows_of(files: Iterable[CsvFile]) -> Iterator[tuple[str, dict[str, str]]]:
    for file in files:
        for _, cells in file:
            yield file.name, dict(zip(file.columns, cells, strict=False))


# -- made up -------------------------------------------------------------------------


def _made_up(per_phase: int) -> Source:
    """Orders of which a tenth has no amount, and from the second phase on another tenth no region."""
    tenth = per_phase // 10

    def rule(version: int, **options: bool) -> Rule:
        return Rule(version=version, **options)

    schemas = tuple(
        {
            ("orders", "id"): rule(version, is_number=True),
            ("orders", "amount"): rule(version, is_number=True),
            ("orders", "region"): rule(version, required=version == 2),
        }
        for version in (1, 2)
    )
    return Source(
        description=f"{3 * per_phase:,} made-up rows",
        schemas=(schemas[0], schemas[1]),
        per_phase=per_phase,
        read=lambda phase: _orders(per_phase, phase, tenth),
        known_invalid=(tenth, 2 * tenth),
    )


def _orders(count: int, phase: int, tenth: int) -> Iterator[tuple[str, dict[str, str]]]:
    chance = random.Random(_SEED + phase)
    spoiled = chance.sample(range(count), 2 * tenth)
    no_amount = frozenset(spoiled[:tenth])
    no_region = frozenset(spoiled[tenth:] if phase else ())
    for number in range(count):
        amount = "n/a" if number in no_amount else f" {chance.uniform(1, 500):.2f}"
        region = "" if number in no_region else chance.choice(_REGIONS)
        yield "orders", {"id": str(number), "amount": amount, "region": region}
