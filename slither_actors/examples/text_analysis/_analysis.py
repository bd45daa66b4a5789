"""What runs in the worker processes.

The counters are plain globals of the process. There is no lock and no race:
a worker runs one batch at a time, and shares its memory with nobody.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import attrs

from slither_actors.context import Context
from slither_actors.examples.text_analysis._lexicon import NEGATIONS, NEGATIVE, POSITIVE

__all__ = ["Analysis", "BatchTally", "analyze", "sentiment", "tokens"]

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_REACH: Final = 2


@attrs.frozen(kw_only=True)
class BatchTally:
    """What a worker has to say about one batch. Travels with the first result of the batch."""

    pid: int
    documents: int
    """Documents of the batch."""

    counted: int
    """Documents that this process has counted so far, this batch included."""

    terms: int
    """Terms in the index of this process so far."""

    index: Mapping[str, int]
    """Term to documents of the batch that have it: what the batch added to the index."""


@attrs.frozen(kw_only=True)
class Analysis:
    """What a worker found in one document."""

    source: str
    words: int
    """Words, stopwords included."""

    terms: int
    """Different words that are no stopwords."""

    sentiment: float
    """-1 to 1."""

    tally: BatchTally | None = None
    """Set in the first result of a batch."""


class _Mine:
    """What this worker process has counted in the run that it works for."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.documents = 0
        self.index: Counter[str] = Counter()


_mine = _Mine("")


def analyze(documents: Sequence[Mapping[str, Any]], ctx: Context) -> list[Analysis]:
    """Analyse a batch: tokenise, leave out stopwords, judge the tone, and count into the index."""
    tokenised = [tokens(document["text"]) for document in documents]
    vocabulary = {word for words in tokenised for word in words}
    # One call a batch: the stopwords are in a store of the driver's.
    stopwords = frozenset(ctx.views.stopwords_among(sorted(vocabulary)))
    results = []
    delta: Counter[str] = Counter()
    for document, words in zip(documents, tokenised, strict=True):
        terms = {word for word in words if word not in stopwords}
        delta.update(terms)
        results.append(
            Analysis(
                source=document["source"], words=len(words), terms=len(terms), sentiment=sentiment(words)
            )
        )
    if results:
        results[0] = attrs.evolve(results[0], tally=_count(ctx.session_id, len(results), delta))
    return results


def _count(session_id: str, documents: int, delta: Counter[str]) -> BatchTally:
    """Count a batch that is done, at its end: one that fails half-way is not counted at all."""
    global _mine  # noqa: PLW0603 - that a worker may do this is what the example shows
    if _mine.session_id != session_id:
        _mine = _Mine(session_id)
    _mine.documents += documents
    _mine.index.update(delta)
    return BatchTally(
        pid=os.getpid(),
        documents=documents,
        counted=_mine.documents,
        terms=len(_mine.index),
        index=dict(delta),
    )


def tokens(text: str) -> list[str]:
    """Return the words of a text, in small letters."""
    return _WORD.findall(text.lower())


def sentiment(words: Sequence[str]) -> float:
    """Return praise minus complaint over their sum, -1 to 1; 0 for a text that has neither."""
    good = bad = 0
    for at, word in enumerate(words):
        if word in POSITIVE or word in NEGATIVE:
            positive = (word in POSITIVE) != _is_negated(words[max(0, at - _REACH) : at])
            good += positive
            bad += not positive
    return (good - bad) / (good + bad) if good + bad else 0.0


def _is_negated(before: Collection[str]) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in before)
