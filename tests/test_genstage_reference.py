"""The page for those who know GenStage names nothing that is not there, and leaves nothing out."""

from __future__ import annotations

import re

import attrs
import pytest

from slither_actors import stages
from slither_actors.stages import SubscriptionOptions
from tests.reference_tables import assert_is_there, names_in, rows_of
from tests.test_docs import DOCS

PAGE = (DOCS / "stages-genstage.md").read_text()
ROWS = rows_of(PAGE, "GenStage")
HERE = names_in(ROWS)
DECISIONS = rows_of(PAGE, "In gen_stage")


@pytest.mark.parametrize("name", HERE)
def test_each_name_is_there(name: str) -> None:
    """It is a public name of the stages, or a documented member of one."""
    assert_is_there(stages, name)


def test_the_tables_have_been_read() -> None:
    """Each row has its cells, and there are many."""
    assert len(ROWS) > 70
    assert all(len(row) == 3 for row in ROWS)
    assert len(DECISIONS) > 10
    assert all(len(row) == 2 and row[1].startswith(("as the code", "mended")) for row in DECISIONS)


def test_every_option_of_a_subscription_is_named() -> None:
    """What is added to them is added to the page."""
    options = {f"SubscriptionOptions.{field.name}" for field in attrs.fields(SubscriptionOptions)}
    assert options <= set(HERE)


@pytest.mark.parametrize("name", stages.__all__)
def test_each_public_name_is_in_the_manual(name: str) -> None:
    """On a page of the stages, most with an example."""
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in DOCS.glob("stages*.md"))
