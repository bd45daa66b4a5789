"""The manual's table of faults names tests that are there, and one at least for each fault."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py(?:::\w+)?)`", PAGE)))
ROW = re.compile(r"^\| (X\d\d) \| [^|]+ \| `[\w/]+\.py", re.MULTILINE)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    """Whoever renames one finds it in the manual."""
    path, _, function = name.partition("::")
    defined = {node.name for node in ast.parse((TESTS / path).read_text()).body if hasattr(node, "name")}
    assert function in defined or not function


def test_every_fault_has_a_test() -> None:
    """Once each, in order."""
    numbers = [*range(1, 31), *range(43, 46)]
    assert ROW.findall(PAGE) == [f"X{number:02}" for number in numbers]
