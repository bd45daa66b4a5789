"""The text example in plain Python: one index and one counter for all threads, or one each and a merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from slither_actors.examples._baseline import Baseline, in_threads, parts_of, threads_for, timed
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._proof import Claim
from slither_actors.examples.text_analysis._analysis import sentiment, tokens
from slither_actors.examples.text_analysis._corpus import documents
from slither_actors.examples.text_analysis._lexicon import STOPWORDS

__all__ = ["baseline", "safe_python", "unsafe_threaded"]


@attrs.define
class Counts:
    """What was counted."""

    documents: int = 0
    positive: int = 0
    index: dict[str, int] = attrs.field(factory=dict)


def unsafe_threaded(parts: Sequence[Sequence[str]]) -> Counts:
    """All threads count into the same object, and read what another may change before they write."""
    shared = Counts()

    def work(texts: Sequence[str]) -> None:
        for text in texts:
            words = tokens(text)
            for term in {word for word in words if word not in STOPWORDS}:
                shared.index[term] = shared.index.get(term, 0) + 1
            shared.positive += sentiment(words) > 0
            shared.documents += 1

    in_threads(work, parts)
    return shared


def safe_python(parts: Sequence[Sequence[str]]) -> Counts:
    """Each thread counts into an object of its own; they are merged in the order of the parts."""

    def work(texts: Sequence[str]) -> Counts:
        own = Counts()
        for text in texts:
            words = tokens(text)
            for term in {word for word in words if word not in STOPWORDS}:
                own.index[term] = own.index.get(term, 0) + 1
            own.positive += sentiment(words) > 0
            own.documents += 1
        return own

    merged = Counts()
    for own in in_threads(work, parts):
        for term, count in own.index.items():
            merged.index[term] = merged.index.get(term, 0) + count
        merged.positive += own.positive
        merged.documents += own.documents
    return merged


def baseline(options: ExampleOptions) -> Baseline:
    """Run both and compare them with one thread's count."""
    corpus = documents(options.paths, synthetic=options.synthetic)
    corpus.limit = options.limit
    texts = [document.text for document in corpus]
    terms: Counter[str] = Counter()
    for text in texts:
        terms.update({word for word in tokens(text) if word not in STOPWORDS})
    threads = threads_for(options)
    parts = parts_of(texts, threads)

    def check(found: Counts) -> list[Claim]:
        entries = sum(found.index.values())
        return [
            Claim(f"{found.documents:,} of {len(texts):,} documents counted", found.documents == len(texts)),
            Claim(f"{entries:,} of {terms.total():,} entries in the index", found.index == terms),
        ]

    return Baseline(
        name="text_analysis",
        threads=threads,
        compared=f"{len(texts):,} documents counted into an index: a shared one, or one per thread"
        " and a merge.",
        unsafe=timed(unsafe_threaded, parts, check=check),
        safe=timed(safe_python, parts, check=check),
    )
