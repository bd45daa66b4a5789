"""The manual's table of what Slither documents names tests that are there, and each of those that show it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.named_tests import TEST_NAME, is_there, named_in
from tests.reference_tables import rows_of
from tests.test_docs import DOCS

PAGE = (DOCS / "slither-behaviours.md").read_text()
ROWS = rows_of(PAGE, "test")
FOLDER = Path(__file__).parent / "slither"

SHORTFALLS = (
    "upstream enumeration only advances when a worker slot becomes available",
    "`stream/3` streams outputs lazily",
    "`{:retry, opts}`",
    "a stage may follow a router",
    "items are routed to a named output",
    "readers see either the old or the new table, never a half-loaded state",
    "the same, when `load/1` fails",
    "`:timeout` of a batch, in milliseconds",
    "`:halt` stops the run and returns partial results",
    "`:as_completed`",
    "an item at a time",
)
"""Where Slither 0.1.0 falls short of its own documents, which hold here."""


def behaviours_in(module: Path) -> dict[str, str]:
    """The tests of a module with their docstrings."""
    return {
        f"slither/{module.name}::{node.name}": ast.get_docstring(node) or ""
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


TESTS = {
    name: said for module in sorted(FOLDER.glob("test_*.py")) for name, said in behaviours_in(module).items()
}


def test_every_named_test_exists() -> None:
    """Whoever renames one finds it in the manual."""
    assert [name for name in named_in(PAGE) if not is_there(name)] == []


def test_every_test_is_named() -> None:
    """A behaviour that is tested is in the table."""
    assert len(TESTS) > 200
    assert sorted(set(TESTS) - set(named_in(PAGE))) == []


def test_every_test_says_what_it_shows() -> None:
    """In its docstring, and of which part of Slither."""
    assert [name for name, said in TESTS.items() if not said] == []


def test_every_row_is_whole() -> None:
    """What is documented, what is here, and a test at least."""
    assert len(ROWS) > 150
    assert [row for row in ROWS if len(row) != 3 or not row[1] or not TEST_NAME.search(row[2])] == []


@pytest.mark.parametrize("documented", SHORTFALLS)
def test_where_the_documents_win_is_said(documented: str) -> None:
    """Each such point has a row that says so."""
    (row,) = [row for row in ROWS if row[0] == documented]
    assert row[1].startswith("More than 0.1.0")
