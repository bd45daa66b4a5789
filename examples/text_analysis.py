"""The text pipe of ``slither-actors example text_analysis``, small enough to read: run it, or change it.

Documents go through three stages. `prepare` and `classify` run in the driver, `analyze` in worker
processes, fifty documents at a time. A worker asks the driver's store for the stopwords through a view.

    python examples/text_analysis.py
"""

import os
from collections import Counter

from slither_actors import Application, Pipe, Skip, Store, Table, router, run_pipe, stage, view, workers

GOOD = {"good", "great", "fast", "simple", "works", "thanks"}
BAD = {"bad", "slow", "broken", "fails", "error", "sadly"}

DOCUMENTS = [
    "The new release is fast and the API is simple. Great work, thanks!",
    "It fails with an error on every start, and the old one was slow too.",
    "The function returns the number of rows.",
    "!!!",
] * 100


class StopwordStore(Store):
    """Words that say nothing about a text: one writer in the driver, readers everywhere."""

    words = Table()

    def load(self, tables):
        tables.words.insert(
            (word, True) for word in ("the", "a", "an", "and", "is", "it", "of", "on", "with")
        )

    @view  # callable from a worker, while a pipe runs that names the store
    def stopwords_among(self, words):
        return [word for word in words if self.words.get(word)]


def analyze(texts, ctx):
    """Runs in a worker: takes the payloads of a batch, returns as many results."""
    tokenised = [text.lower().replace("!", " ").replace(".", " ").replace(",", " ").split() for text in texts]
    stopwords = set(ctx.views.stopwords_among(sorted({word for words in tokenised for word in words})))
    results = []
    for words in tokenised:
        good, bad = sum(word in GOOD for word in words), sum(word in BAD for word in words)
        results.append(
            {
                "terms": sorted({word for word in words if word not in stopwords}),
                "sentiment": (good - bad) / max(1, good + bad),
                "worker": os.getpid(),
            }
        )
    return results


class TextPipe(Pipe):
    """Documents in, by tone out."""

    stores = [StopwordStore]

    @stage
    def prepare(item):
        text = " ".join(item.payload.split())
        return text if any(map(str.isalpha, text)) else Skip("no words")

    # A worker that dies costs its batch: those fifty are skipped, the rest goes on.
    analyze = workers(analyze, batch_size=50, max_in_flight=4, on_error="skip")

    classify = router(
        positive=lambda item: item.payload["sentiment"] > 0.15,
        negative=lambda item: item.payload["sentiment"] < -0.15,
    )


if __name__ == "__main__":  # workers import this file again
    print(TextPipe.definition)
    with Application(stores=[StopwordStore], pools={"default": 2}):
        outputs = run_pipe(TextPipe, DOCUMENTS)
    print()
    for name, items in outputs.items():
        terms = Counter(term for item in items for term in item.payload["terms"])
        print(f"{name:<10}{len(items):>6}  {', '.join(term for term, _ in terms.most_common(4))}")
    print("skipped   ", outputs.statistics["prepare"].skipped, "without words", sep=" ")
