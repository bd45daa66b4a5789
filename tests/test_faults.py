"""The manual's table of faults names tests that are there, and one at least for each fault."""

from __future__ import annotations

import re

import pytest

from tests.named_tests import is_there, named_in
from tests.test_docs import DOCS

PAGE = (DOCS / "faults.md").read_text()
ROW = re.compile(r"^\| (X\d\d) \| [^|]+ \| `[\w/]+\.py", re.MULTILINE)


@pytest.mark.parametrize("name", named_in(PAGE))
def test_a_named_test_exists(name: str) -> None:
    """Whoever renames one finds it in the manual."""
    assert is_there(name)


def test_every_fault_has_a_test() -> None:
    """Once each, in order."""
    assert ROW.findall(PAGE) == [f"X{number:02}" for number in range(1, 49)]
