"""The books of a run: what was sent, what the workers counted, what came out, what was lost.

They are kept in different places on purpose. Documents sent are counted at the
input, documents counted by the processes that analysed them, documents
delivered at the outputs, lost ones by the batches that failed. The proof is
that the four agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors.examples.text_analysis._analysis import Analysis, BatchTally
from slither_actors.examples.text_analysis._corpus import Corpus
from slither_actors.item import Item

__all__ = ["Ledger", "LostBatch", "TextReport", "WorkerBook"]

_SHOWN = 5


@attrs.define
class WorkerBook:
    """What came from one worker process."""

    batches: int = 0
    documents: int = 0
    """Added up here, batch by batch."""

    counted: int = 0
    """The highest number that the process itself has reported."""

    terms: int = 0
    """Terms in the process's own index when it reported that."""

    index: Counter[str] = attrs.field(factory=Counter)
    """Its index, put together here from what each batch added."""


@attrs.frozen(kw_only=True)
class LostBatch:
    """A batch that failed."""

    ref: int
    documents: int
    reason: str
    """In a sentence; for a worker's death with its pid and what killed it."""


@attrs.define
class Ledger:
    """Adds up one run. Not thread-safe, but for `lose`, which the run's own actor calls."""

    outputs: dict[str, int]
    """Documents by output."""

    workers: dict[int, WorkerBook] = attrs.field(factory=dict, init=False)
    """Pid to what came from that worker process."""

    lost: list[LostBatch] = attrs.field(factory=list, init=False)
    postings: int = attrs.field(default=0, init=False)
    """Terms of each delivered document, added up."""

    def deliver(self, item: Item) -> None:
        """Enter a document that has come out."""
        analysis: Analysis = item.payload
        self.outputs[item.route] += 1
        self.postings += analysis.terms
        if analysis.tally is not None:
            self._merge(analysis.tally)

    def _merge(self, tally: BatchTally) -> None:
        book = self.workers.setdefault(tally.pid, WorkerBook())
        book.batches += 1
        book.documents += tally.documents
        book.index.update(tally.index)
        if tally.counted > book.counted:
            book.counted, book.terms = tally.counted, tally.terms

    def lose(self, metadata: Mapping[str, Any]) -> None:
        """Enter a batch that failed, from the metadata of ``slither.dispatch.batch.exception``."""
        reason = str(metadata["reason"]).partition("\n")[0]
        self.lost.append(
            LostBatch(ref=metadata["batch_ref"], documents=metadata["batch_size"], reason=reason)
        )

    def close(self, corpus: Corpus, *, skipped: int, seconds: float) -> TextReport:
        """Return the report.

        Args:
            corpus: where the documents came from.
            skipped: documents that the first stage dropped.
            seconds: how long the run took.
        """
        return TextReport(ledger=self, corpus=corpus, skipped=skipped, seconds=seconds)


@attrs.frozen(kw_only=True)
class TextReport:
    """What a run has found, and whether its books agree."""

    ledger: Ledger
    corpus: Corpus
    skipped: int
    """Documents without words."""

    seconds: float

    @property
    def delivered(self) -> int:
        """Documents that came out."""
        return sum(self.ledger.outputs.values())

    @property
    def counted(self) -> int:
        """Documents that the worker processes counted, merged."""
        return sum(book.documents for book in self.ledger.workers.values())

    @property
    def lost(self) -> int:
        """Documents of batches that failed."""
        return sum(batch.documents for batch in self.ledger.lost)

    def proof(self) -> list[tuple[str, bool]]:
        """Return what has to be so, each sentence with whether it is."""
        sent, workers = self.corpus.sent, self.ledger.workers
        merged = self._merged_index()
        own = all(
            book.documents == book.counted and len(book.index) == book.terms for book in workers.values()
        )
        return [
            (
                f"{sent:,} documents sent = {self.counted:,} counted by workers"
                f" + {self.skipped:,} without words + {self.lost:,} lost",
                sent == self.counted + self.skipped + self.lost,
            ),
            (
                f"{self.delivered:,} documents came out = {self.counted:,} counted by workers",
                self.delivered == self.counted,
            ),
            ("each worker's own count and index = the sum of its batches", own),
            (
                f"{merged.total():,} entries in the merged index = {self.ledger.postings:,} in the documents",
                merged.total() == self.ledger.postings,
            ),
        ]

    @property
    def holds(self) -> bool:
        """Whether all of the proof is so."""
        return all(holds for _, holds in self.proof())

    def _merged_index(self) -> Counter[str]:
        merged: Counter[str] = Counter()
        for book in self.ledger.workers.values():
            merged.update(book.index)
        return merged

    def __str__(self) -> str:
        return "\n".join(
            [*self._input(), "", *self._outputs(), "", *self._workers(), *self._lost(), "", *self._proof()]
        )

    def _input(self) -> list[str]:
        corpus = self.corpus
        lines = [f"text_analysis: {corpus.description}"]
        if corpus.files or corpus.passed_over:
            lines.append(f"{corpus.files:,} files read, {len(corpus.passed_over):,} passed over")
            lines += [f"  {text}" for text in corpus.passed_over[:_SHOWN]]
        return lines

    def _outputs(self) -> list[str]:
        rate = self.delivered / self.seconds if self.seconds else 0.0
        lines = [f"{'output':<24}{'documents':>12}"]
        lines += [f"{name:<24}{count:>12,}" for name, count in self.ledger.outputs.items()]
        lines.append(
            f"{'in all':<24}{self.delivered:>12,}   in {self.seconds:.2f} s: {rate:,.0f} documents/s"
        )
        return lines

    def _workers(self) -> list[str]:
        merged = self._merged_index()
        lines = [f"{'worker process':<24}{'documents':>12}{'batches':>12}{'terms':>12}"]
        lines += [
            f"{pid:<24}{book.counted:>12,}{book.batches:>12,}{book.terms:>12,}"
            for pid, book in self.ledger.workers.items()
        ]
        batches = sum(book.batches for book in self.ledger.workers.values())
        lines.append(f"{'merged':<24}{self.counted:>12,}{batches:>12,}{len(merged):>12,}")
        common = ", ".join(f"{term} {count:,}" for term, count in merged.most_common(6))
        lines.append(f"most common: {common}")
        return lines

    def _lost(self) -> list[str]:
        if not self.ledger.lost:
            return []
        lines = ["", f"lost: {len(self.ledger.lost):,} batches with {self.lost:,} documents"]
        lines += [
            f"  batch {batch.ref} ({batch.documents} documents): {batch.reason}" for batch in self.ledger.lost
        ]
        return lines

    def _proof(self) -> list[str]:
        lines = [f"  {'yes' if holds else 'NO '}  {sentence}" for sentence, holds in self.proof()]
        return ["proof", *lines, "the books agree" if self.holds else "THE BOOKS DO NOT AGREE"]
