"""The proof of the text example: true of a good run, and false of every way of being wrong."""

from collections.abc import Callable

import pytest

from slither_actors.examples.text_analysis._analysis import Analysis, BatchTally
from slither_actors.examples.text_analysis._corpus import Corpus, Document
from slither_actors.examples.text_analysis._ledger import Ledger, TextReport
from slither_actors.item import Item


def document(**changes: object) -> Item:
    tally = BatchTally(pid=7, documents=2, counted=2, terms=2, index={"a": 2, "b": 1})
    analysis = Analysis(source="x", words=5, terms=2, sentiment=0.0, tally=tally)
    return Item(1, analysis, route="default")


def second() -> Item:
    return Item(2, Analysis(source="y", words=3, terms=1, sentiment=1.0), route="positive")


def report(ledger: Ledger, *, sent: int = 4, skipped: int = 1) -> TextReport:
    corpus = Corpus("a test", lambda _: iter([Document("x", "text")] * sent))
    assert len(list(corpus)) == sent
    return ledger.close(corpus, skipped=skipped, seconds=2.0)


def good() -> Ledger:
    """Of four documents two were counted, one had no words, one was lost."""
    ledger = Ledger({"positive": 0, "default": 0})
    ledger.deliver(document())
    ledger.deliver(second())
    ledger.lose({"reason": ValueError("killed\nwith a tail"), "batch_ref": 3, "batch_size": 1})
    return ledger


def test_the_books_of_a_good_run_agree() -> None:
    """Sent = counted + without words + lost, and all else."""
    found = report(good())
    assert found.holds
    assert (found.delivered, found.counted, found.lost) == (2, 2, 1)
    assert "the books agree" in str(found)
    assert "batch 3 (1 documents): killed" in str(found)


def _drop_a_document(ledger: Ledger) -> None:
    ledger.outputs["default"] -= 1


def _forget_a_loss(ledger: Ledger) -> None:
    ledger.lost.clear()


def _count_twice(ledger: Ledger) -> None:
    ledger.workers[7].documents += 1


def _lose_an_update(ledger: Ledger) -> None:
    ledger.workers[7].counted -= 1


def _lose_a_term(ledger: Ledger) -> None:
    del ledger.workers[7].index["b"]


def _miscount_a_term(ledger: Ledger) -> None:
    ledger.workers[7].index["a"] += 1


@pytest.mark.parametrize(
    "spoil",
    [_drop_a_document, _forget_a_loss, _count_twice, _lose_an_update, _lose_a_term, _miscount_a_term],
)
def test_the_books_of_a_bad_run_do_not(spoil: Callable[[Ledger], None]) -> None:
    """Each kind of mistake is seen on its own."""
    ledger = good()
    spoil(ledger)
    found = report(ledger)
    assert not found.holds
    assert "THE BOOKS DO NOT AGREE" in str(found)


def test_a_document_more_or_less_at_the_input_is_seen() -> None:
    """The number of documents sent is no sum of the others."""
    assert not report(good(), sent=5).holds
    assert not report(good(), skipped=0).holds
