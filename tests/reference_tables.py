"""The pages for those who know another library: tables of its names and ours, which tests read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import attrs

__all__ = ["assert_is_there", "names_in", "rows_of"]


def rows_of(page: str, header: str) -> list[list[str]]:
    """The cells of each row of the tables of a page whose header has a column of that name."""
    found: list[list[str]] = []
    inside = False
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if header in cells:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
    return found


def names_in(rows: Sequence[Sequence[str]]) -> list[str]:
    """What the second cells of the rows have in backquotes: our names."""
    return sorted({name for row in rows for name in re.findall(r"`([^`]+)`", row[1])})


def assert_is_there(package: ModuleType, name: str) -> None:
    """It is a public name of the package, or a documented member of one."""
    head, _, member = name.partition(".")
    assert head in package.__all__
    value = getattr(package, head)
    if member:
        assert hasattr(value, member) or member in _fields(value)
        if inspect.isfunction(getattr(value, member, None)):
            assert inspect.getdoc(getattr(value, member))


def _fields(kind: Any) -> set[str]:
    """What instances have besides what the class has."""
    fields = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set()
    for each in kind.__mro__:
        fields |= {*vars(each).get("__annotations__", ()), *getattr(each, "__slots__", ())}
    return fields
