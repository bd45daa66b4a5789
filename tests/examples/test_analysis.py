"""What the workers of the text example compute."""

from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.context import Context
from slither_actors.examples.text_analysis import _analysis
from slither_actors.examples.text_analysis._analysis import BatchTally, analyze, sentiment


class Views:
    def stopwords_among(self, words: list[str]) -> list[str]:
        return [word for word in words if word in ("the", "is")]


@pytest.fixture(autouse=True)
def a_fresh_process() -> Iterator[None]:
    """The counters are the process's, and this process is the test's."""
    yield
    _analysis._mine = _analysis._Mine("")


def context(session: str) -> Context:
    return Context(session_id=session, views=Views())


def batch(*texts: str) -> list[dict[str, Any]]:
    return [{"source": "here", "text": text} for text in texts]


def tally(session: str, *texts: str) -> BatchTally:
    found = analyze(batch(*texts), context(session))[0].tally
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "tone"),
    [
        ("this works well", 1.0),
        ("it fails with an error", -1.0),
        ("it never fails", 1.0),
        ("it does not work", -1.0),
        ("it isn't very good", -1.0),
        ("good and bad", 0.0),
        ("good good bad", 1 / 3),
        ("a list of numbers", 0.0),
        ("", 0.0),
    ],
)
def test_the_tone_of_a_text(text: str, tone: float) -> None:
    """Praise minus complaint over both; a negation turns what follows within two words."""
    assert sentiment(text.split()) == pytest.approx(tone)


def test_stopwords_are_words_but_no_terms() -> None:
    """One result per document, in their order."""
    first, second = analyze(batch("The cat is the cat", "A dog"), context("s"))
    assert (first.words, first.terms) == (5, 1)
    assert (second.words, second.terms) == (2, 2)


def test_a_batch_says_what_it_added() -> None:
    """The first result carries it: the documents and terms of the batch, and the process's own totals."""
    assert tally("s", "one two", "two three").index == {"one": 1, "two": 2, "three": 1}
    second = tally("s", "three four")
    assert (second.documents, second.counted, second.terms) == (1, 3, 4)
    assert second.index == {"three": 1, "four": 1}


def test_a_worker_counts_each_run_from_zero() -> None:
    """A process that outlives a run must not mix the next one in."""
    tally("one run", "a b c")
    assert tally("another", "a").counted == 1
