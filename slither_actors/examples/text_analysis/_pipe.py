"""The pipe and its store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.examples.text_analysis._corpus import Document
from slither_actors.examples.text_analysis._lexicon import STOPWORDS
from slither_actors.item import Item
from slither_actors.outcome import Skip
from slither_actors.pipe import Pipe, router, stage, workers
from slither_actors.store import Store, Table, view

__all__ = ["StopwordStore", "TextPipe"]

_THRESHOLD = 0.15


class StopwordStore(Store):
    """Words that say nothing about a text."""

    words = Table()

    def load(self, tables: Any) -> None:
        """Fill the table."""
        tables.words.insert((word, True) for word in STOPWORDS)

    @view
    def stopwords_among(self, words: Sequence[str]) -> list[str]:
        """Return those of `words` that are stopwords."""
        return [word for word in words if self.words.get(word)]


class TextPipe(Pipe):
    """Documents in, by tone out."""

    stores = (StopwordStore,)

    @stage
    def prepare(item: Item) -> Any:  # noqa: N805 - a stage is a function of an item
        """Join the lines of a document; drop one without a letter."""
        document: Document = item.payload
        text = " ".join(document.text.split())
        if not any(character.isalpha() for character in text):
            return Skip("no words")
        return {"source": document.source, "text": text}

    analyze = workers(
        "slither_actors.examples.text_analysis._analysis:analyze",
        batch_size=50,
        max_in_flight=8,
        on_error="skip",
    )

    classify = router(
        positive=lambda item: item.payload.sentiment > _THRESHOLD,
        negative=lambda item: item.payload.sentiment < -_THRESHOLD,
    )
