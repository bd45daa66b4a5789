"""The page for those who know OTP names nothing that is not there, and leaves nothing out."""

from __future__ import annotations

import inspect
import re

import attrs
import pytest

from slither_actors import actors
from tests.test_docs import DOCS

PAGE = (DOCS / "otp.md").read_text()


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


ROWS = [row for row in rows_of("Here") if len(row) == 3 and not row[0].isdigit()]
HERE = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[1])})


@pytest.mark.parametrize("name", HERE)
def test_each_name_is_there(name: str) -> None:
    """It is a public name of the actors, or a documented member of one."""
    head, _, member = name.partition(".")
    assert head in actors.__all__
    value = getattr(actors, head)
    if member:
        fields = [field.name for field in attrs.fields(value)] if attrs.has(value) else []
        annotations = {key for kind in value.__mro__ for key in vars(kind).get("__annotations__", ())}
        slots = {slot for kind in value.__mro__ for slot in getattr(kind, "__slots__", ())}
        assert hasattr(value, member) or member in {*fields, *annotations, *slots}
        if inspect.isfunction(getattr(value, member, None)):
            assert getattr(value, member).__doc__


def test_the_tables_have_been_read() -> None:
    """Each row has three cells, and there are many."""
    assert len(ROWS) > 100
    assert len(HERE) > 90


def test_all_thirteen_rules_are_there() -> None:
    """With what is done here."""
    rules = [row for row in rows_of("Rule") if row[0].isdigit()]
    assert [row[0] for row in rules] == [str(number) for number in range(1, 14)]
    assert all(len(row) == 3 and row[1] and row[2] for row in rules)


def test_every_method_of_a_supervisor_and_a_registry_is_named() -> None:
    """What is added to them is added to the page."""
    kinds = (
        "SupervisorRef",
        "DynamicSupervisorRef",
        "PartitionSupervisorRef",
        "TaskSupervisorRef",
        "RegistryRef",
    )
    missing = [
        f"{kind}.{name}"
        for kind in kinds
        for name, value in vars(getattr(actors, kind)).items()
        if inspect.isfunction(value) and not name.startswith("_") and f"{kind}.{name}" not in HERE
    ]
    assert missing == []


@pytest.mark.parametrize("name", actors.__all__)
def test_each_public_name_is_in_the_manual(name: str) -> None:
    """On a page of the actors, most with an example, or on the page for those who know OTP."""
    pages = [page.read_text() for page in (*DOCS.glob("actors*.md"), DOCS / "otp.md")]
    assert any(re.search(rf"\b{name}\b", page) for page in pages)
