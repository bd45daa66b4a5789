"""Each promise of the manual has tests beside it, and those are there."""

from __future__ import annotations

import pytest

from tests.named_tests import TEST_NAME, is_there, named_in
from tests.reference_tables import rows_of
from tests.test_docs import DOCS

PAGE = (DOCS / "guarantees.md").read_text()
PROMISES: dict[str, str] = dict(rows_of(PAGE, "promise"))

WORDS = (
    "in the order in which they were sent",
    "once or not at all",
    "the reply, the server's exit reason, or a timeout",
    "exactly one outcome",
    "fails the batch that it was running, and nothing else",
    "`poison_after`",
    "`drain_timeout`",
    "No process, thread or descriptor survives",
)
"""What the package stands for, in the page's own words."""


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_shown_by_a_test(promise: str) -> None:
    """One at least."""
    assert TEST_NAME.search(PROMISES[promise])


@pytest.mark.parametrize("name", named_in(PAGE))
def test_a_named_test_exists(name: str) -> None:
    """Whoever renames one finds it in the manual."""
    assert is_there(name)


@pytest.mark.parametrize("words", WORDS)
def test_what_matters_most_is_promised(words: str) -> None:
    """And not dropped in a rewrite."""
    assert any(words in promise for promise in PROMISES)
