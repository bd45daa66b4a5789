"""The page for those who know GenStage names nothing that is not there, and leaves nothing out."""

from __future__ import annotations

import inspect
import re

import attrs
import pytest

from slither_actors import stages
from slither_actors.stages import SubscriptionOptions
from tests.test_docs import DOCS

PAGE = (DOCS / "stages-genstage.md").read_text()


def rows_of(header: str) -> list[list[str]]:
    """The cells of each row of the tables whose header has a column of that name."""
    found: list[list[str]] = []
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if header in cells:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
    return found


ROWS = rows_of("GenStage")
HERE = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[1])})
DECISIONS = rows_of("In gen_stage")


@pytest.mark.parametrize("name", HERE)
def test_each_name_is_there(name: str) -> None:
    """It is a public name of the stages, or a documented member of one."""
    head, _, member = name.partition(".")
    assert head in stages.__all__
    value = getattr(stages, head)
    if member:
        fields = [field.name for field in attrs.fields(value)] if attrs.has(value) else []
        annotations = {key for kind in value.__mro__ for key in vars(kind).get("__annotations__", ())}
        assert hasattr(value, member) or member in {*fields, *annotations}
        if inspect.isfunction(getattr(value, member, None)):
            assert inspect.getdoc(getattr(value, member))


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
