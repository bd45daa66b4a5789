"""The run: the same datasets in four kinds of batches, and the books that have to agree."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from slither_actors import dispatch, telemetry
from slither_actors.application import Application
from slither_actors.context import Context
from slither_actors.dispatch import FixedBatch, KeyPartition, WeightedBatch
from slither_actors.errors import RemoteError
from slither_actors.examples._catalogue import Advance, ExampleOptions
from slither_actors.examples._proof import Claim, Findings
from slither_actors.examples._welford import Welford
from slither_actors.examples.batch_stats._describe import BatchTally, Dataset
from slither_actors.examples.batch_stats._input import datasets
from slither_actors.item import Item

__all__ = ["Book", "run"]

_DESCRIBE: Final = "slither_actors.examples.batch_stats._describe:describe"

KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "fixed": {"strategy": FixedBatch(batch_size=10)},
    # A batch has at most 500 values; a dataset that has more goes alone.
    "weighted": {"strategy": WeightedBatch(max_weight=500, weight=lambda item: len(item.payload.values))},
    # Each group on its own: where poison is a group, it costs nothing but itself.
    "by group": {"strategy": KeyPartition(key=lambda item: item.payload.group, batch_size=50)},
    "streaming": {"strategy": FixedBatch(batch_size=10), "ordering": "as_completed"},
}
"""Kind of batches to the options of its dispatch run."""


@attrs.define
class Book:
    """What came of the datasets in one kind of batches."""

    described: list[int] = attrs.field(factory=list)
    """Indexes of the datasets that have a summary."""

    skipped: list[int] = attrs.field(factory=list)
    tallies: dict[int, list[BatchTally]] = attrs.field(factory=dict)
    """Pid to what its batches brought."""

    failed: list[tuple[str, int]] = attrs.field(factory=list)
    """What `describe` said of each batch that it failed, and the batch's size, as the telemetry tells it."""

    lost: list[int] = attrs.field(factory=list)
    """Sizes of the batches that were lost otherwise: somebody killed a worker."""

    seconds: float = 0.0

    def fail(self, metadata: Mapping[str, Any]) -> None:
        """Enter a batch that failed, from the metadata of ``slither.dispatch.batch.exception``."""
        reason, size = metadata["reason"], metadata["batch_size"]
        if isinstance(reason, RemoteError):
            self.failed.append((reason.message, size))
        else:
            self.lost.append(size)

    def enter(self, item: Item, index: int) -> None:
        """Enter a dataset that came back."""
        if item.meta.get("skipped"):
            self.skipped.append(index)
            return
        self.described.append(index)
        tally = item.payload.tally
        if tally is not None:
            self.tallies.setdefault(tally.worker, []).append(tally)

    def merged(self) -> Welford:
        """Return the aggregate of all workers."""
        total = Welford()
        for worker in sorted(self.tallies):
            for tally in self.tallies[worker]:
                total.merge(tally.added)
        return total


def run(options: ExampleOptions, advance: Advance) -> Findings:
    """Describe the datasets in each kind of batches.

    Raises:
        InputError: the input is missing, or scikit-learn is.
    """
    description, found = datasets(options)
    with Application(pools={"default": options.pool()}):
        books = {kind: _dispatch(found, how, advance) for kind, how in KINDS.items()}
    claims = [claim for kind, book in books.items() for claim in _claims(kind, book, found)]
    return Findings(lines=_lines(description, found, books), claims=claims)


def _dispatch(found: Sequence[Dataset], how: Mapping[str, Any], advance: Advance) -> Book:
    book = Book()
    listening = telemetry.attach(
        telemetry.DISPATCH_BATCH_EXCEPTION,
        lambda event, sender, measurements, metadata: book.fail(metadata),
    )
    began = time.monotonic()
    # The context's session tells a worker that this is another run, whose aggregate begins at zero.
    items = [Item(index, dataset) for index, dataset in enumerate(found)]
    options = {"executor": _DESCRIBE, "on_error": "skip", "context": Context(), **how}
    with listening, dispatch.stream(items, **options) as results:
        for item in results:
            book.enter(item, item.id)
            advance()
    book.seconds = time.monotonic() - began
    return book


def _claims(kind: str, book: Book, found: Sequence[Dataset]) -> list[Claim]:
    described, skipped = len(book.described), len(book.skipped)
    outcomes = sorted(book.described + book.skipped)
    poison = {index for index, dataset in enumerate(found) if dataset.is_poison()}
    names = tuple(f"{found[index].name} " for index in poison)
    direct, merged = _directly(found, book), book.merged()
    own = all(
        sum(tally.added.count for tally in tallies) == max(tally.counted for tally in tallies)
        for tallies in book.tallies.values()
    )
    return [
        Claim(
            f"{kind}: {len(found):,} datasets = {described:,} described + {skipped:,} skipped, each once",
            outcomes == list(range(len(found))),
        ),
        Claim(
            f"{kind}: all {len(poison)} poison ones are skipped,"
            f" by {len(book.failed)} batches that failed for one",
            poison.issubset(book.skipped)
            and sum(size for _, size in book.failed) + sum(book.lost) == skipped
            and all(said.startswith(names) for said, _ in book.failed),
        ),
        Claim(
            f"{kind}: the workers' aggregates merged = {direct.count:,} values,"
            f" mean {direct.mean:.6g}, deviation {direct.deviation:.6g}",
            merged.is_close(direct) and own,
        ),
    ]


def _directly(found: Sequence[Dataset], book: Book) -> Welford:
    """Return what the described datasets add up to: no Welford, exact sums, in this process."""
    values = [float(value) for index in book.described for value in found[index].values]
    mean = math.fsum(values) / max(1, len(values))
    return Welford(len(values), mean, math.fsum((value - mean) ** 2 for value in values))


def _lines(description: str, found: Sequence[Dataset], books: Mapping[str, Book]) -> list[str]:
    values = sum(len(dataset.values) for dataset in found)
    lines = [
        f"batch_stats: {description}, {values:,} values",
        "",
        f"{'batches':<12}{'described':>12}{'skipped':>10}{'succeeded':>12}{'failed':>8}{'lost':>6}{'seconds':>10}",
    ]
    for kind, book in books.items():
        batches = sum(map(len, book.tallies.values()))
        lines.append(
            f"{kind:<12}{len(book.described):>12,}{len(book.skipped):>10,}{batches:>12,}"
            f"{len(book.failed):>8,}{len(book.lost):>6,}{book.seconds:>10.2f}"
        )
    lines += ["", f"{'worker process':<24}" + "".join(f"{kind:>12}" for kind in books) + "   values"]
    for pid in sorted({pid for book in books.values() for pid in book.tallies}):
        counts = (sum(tally.added.count for tally in book.tallies.get(pid, ())) for book in books.values())
        lines.append(f"{pid:<24}" + "".join(f"{count:>12,}" for count in counts))
    return lines
