"""The page for those who know OTP names nothing that is not there, and leaves nothing out."""

from __future__ import annotations

import inspect
import re

import pytest

from slither_actors import actors
from tests.reference_tables import assert_is_there, names_in, rows_of
from tests.test_docs import DOCS

PAGE = (DOCS / "otp.md").read_text()
ROWS = [row for row in rows_of(PAGE, "Here") if len(row) == 3 and not row[0].isdigit()]
HERE = names_in(ROWS)


@pytest.mark.parametrize("name", HERE)
def test_each_name_is_there(name: str) -> None:
    """It is a public name of the actors, or a documented member of one."""
    assert_is_there(actors, name)


def test_the_tables_have_been_read() -> None:
    """Each row has three cells, and there are many."""
    assert len(ROWS) > 100
    assert len(HERE) > 90


def test_all_thirteen_rules_are_there() -> None:
    """With what is done here."""
    rules = [row for row in rows_of(PAGE, "Rule") if row[0].isdigit()]
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
