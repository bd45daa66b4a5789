"""The rows in plain Python: a schema that is swapped in two steps, or as one value under a lock."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import attrs

from slither_actors.examples._baseline import Baseline, in_threads, parts_of, threads_for, timed
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._proof import Claim
from slither_actors.examples.data_etl._input import source_of
from slither_actors.examples.data_etl._schema import Row, Schema, problems

__all__ = ["baseline", "safe_python", "unsafe_threaded"]

_TOGGLES = 40


@attrs.define
class Audit:
    """What was validated: the row, the version that it was judged under, and whether it was found valid."""

    validated: int = 0
    verdicts: list[tuple[Row, int, bool]] = attrs.field(factory=list)


def unsafe_threaded(parts: Sequence[Sequence[Row]], schemas: Sequence[Schema], step: int) -> Audit:
    """Whoever comes to a multiple of `step` swaps the schema, and then says which version it is."""
    shared = Audit()
    current = {"schema": schemas[0], "version": 0}

    def work(rows: Sequence[Row]) -> None:
        for row in rows:
            if row.number % step == 0:
                other = 1 - int(current["version"])  # type: ignore[call-overload]
                current["schema"] = schemas[other]
                current["version"] = other
            valid = not problems(row, current["schema"])  # type: ignore[arg-type]
            shared.verdicts.append((row, int(current["version"]), valid))  # type: ignore[call-overload]
            shared.validated += 1

    in_threads(work, parts)
    return shared


def safe_python(parts: Sequence[Sequence[Row]], schemas: Sequence[Schema], step: int) -> Audit:
    """The version is the schema: one value, read once per row and swapped under a lock."""
    lock = threading.Lock()
    version = 0

    def work(rows: Sequence[Row]) -> Audit:
        nonlocal version
        own = Audit()
        for row in rows:
            with lock:
                if row.number % step == 0:
                    version = 1 - version
                mine = version
            valid = not problems(row, schemas[mine])
            own.verdicts.append((row, mine, valid))
            own.validated += 1
        return own

    merged = Audit()
    for own in in_threads(work, parts):
        merged.verdicts += own.verdicts
        merged.validated += own.validated
    return merged


def baseline(options: ExampleOptions) -> Baseline:
    """Run both over the rows of the third phase, in which the schema is swapped."""
    source = source_of(options)
    rows = [attrs.evolve(row, number=at) for at, row in enumerate(source.rows(2))]
    threads = threads_for(options)
    parts = parts_of(rows, threads)
    step = max(1, len(rows) // _TOGGLES)
    swaps = -(-len(rows) // step)

    def check(found: Audit) -> list[Claim]:
        wrong = sum(
            valid is bool(problems(row, source.schemas[version])) for row, version, valid in found.verdicts
        )
        return [
            Claim(
                f"{found.validated:,} of {len(rows):,} rows in the audit log",
                found.validated == len(found.verdicts) == len(rows),
            ),
            Claim(f"{wrong:,} rows were judged by another schema than the log says", wrong == 0),
        ]

    return Baseline(
        name="data_etl",
        threads=threads,
        compared=f"{len(rows):,} rows, {swaps} swaps of the schema: in two steps, or as one under a lock.",
        unsafe=timed(unsafe_threaded, parts, source.schemas, step, check=check),
        safe=timed(safe_python, parts, source.schemas, step, check=check),
    )
