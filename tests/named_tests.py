"""The manual names tests; here is whether they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

__all__ = ["TEST_NAME", "is_there", "named_in"]

TESTS = Path(__file__).parent

TEST_NAME = re.compile(r"`([\w/]+\.py(?:::\w+)?)`")
"""A file below ``tests``, or a test in one."""


def named_in(page: str) -> list[str]:
    """Each once."""
    return sorted(set(TEST_NAME.findall(page)))


def is_there(name: str) -> bool:
    """Whether the file is, and defines the test if one is named."""
    path, _, function = name.partition("::")
    if not (TESTS / path).is_file():
        return False
    defined = {node.name for node in ast.parse((TESTS / path).read_text()).body if hasattr(node, "name")}
    return function in defined or not function
