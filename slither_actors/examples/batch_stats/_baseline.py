"""The datasets in plain Python: one aggregate for all threads, or one each and a merge."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from slither_actors.examples._baseline import Baseline, in_threads, parts_of, threads_for, timed
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._proof import Claim
from slither_actors.examples._welford import Welford
from slither_actors.examples.batch_stats._describe import Dataset
from slither_actors.examples.batch_stats._input import datasets

__all__ = ["baseline", "safe_python", "unsafe_threaded"]


@attrs.define
class Totals:
    """What was added up."""

    described: int = 0
    skipped: int = 0
    values: Welford = attrs.field(factory=Welford)


def unsafe_threaded(parts: Sequence[Sequence[Dataset]]) -> Totals:
    """All threads add to the same aggregate, each in the middle of the others' steps."""
    shared = Totals()

    def work(found: Sequence[Dataset]) -> None:
        for dataset in found:
            if dataset.is_poison():
                shared.skipped += 1
            else:
                shared.values.add(dataset.values)
                shared.described += 1

    in_threads(work, parts)
    return shared


def safe_python(parts: Sequence[Sequence[Dataset]]) -> Totals:
    """Each thread has an aggregate of its own; they are merged in the order of the parts."""

    def work(found: Sequence[Dataset]) -> Totals:
        own = Totals()
        for dataset in found:
            if dataset.is_poison():
                own.skipped += 1
            else:
                own.values.add(dataset.values)
                own.described += 1
        return own

    merged = Totals()
    for own in in_threads(work, parts):
        merged.values.merge(own.values)
        merged.described += own.described
        merged.skipped += own.skipped
    return merged


def baseline(options: ExampleOptions) -> Baseline:
    """Run both and compare them with one thread's sums."""
    _, found = datasets(options)
    healthy = [dataset for dataset in found if not dataset.is_poison()]
    expected = Welford().add(value for dataset in healthy for value in dataset.values)
    threads = threads_for(options)
    parts = parts_of(found, threads)

    def check(totals: Totals) -> list[Claim]:
        values = totals.values
        return [
            Claim(
                f"{totals.described:,} of {len(healthy):,} datasets described, {totals.skipped:,} skipped",
                totals.described == len(healthy) and totals.described + totals.skipped == len(found),
            ),
            Claim(
                f"{values.count:,} of {expected.count:,} values, mean {values.mean:.6g} for"
                f" {expected.mean:.6g}, deviation {values.deviation:.6g} for {expected.deviation:.6g}",
                values.is_close(expected),
            ),
        ]

    return Baseline(
        name="batch_stats",
        threads=threads,
        compared=f"{len(found):,} datasets into a running mean: a shared one, or one per thread and a merge.",
        unsafe=timed(unsafe_threaded, parts, check=check),
        safe=timed(safe_python, parts, check=check),
    )
