"""What the methods of tables may be given, and errors that say which table was given something else."""

from __future__ import annotations

from typing import Any

from slither_actors.config import Rule, integer, shown
from slither_actors.store._rows import is_hashable

__all__ = ["INCLUSIVE", "LIMIT", "PREFIX", "WRONG", "name_error", "name_error_of_update"]

WRONG = (TypeError, ValueError)
"""What Python raises for keys without a hash, keys that do not compare, and the like."""

LIMIT = integer(0, none=True)

PREFIX = Rule("allowed are text, bytes and tuples", lambda value: isinstance(value, (str, bytes, tuple)))

INCLUSIVE = Rule(
    "allowed are two bools, for the lower end and the upper",
    lambda value: (
        isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, bool) for end in value)
    ),
)


def name_error(error: Exception, where: str) -> None:
    """Raise it again with ``Store.table.operation``; return where it is of a class of somebody's own."""
    if type(error) in WRONG:
        raise type(error)(f"{where}: {error}") from error


def name_error_of_update(error: Exception, where: str, key: Any, function: Any) -> None:
    """As `name_error` for what the caller gave; what the function raises is left alone."""
    if not is_hashable(key):
        raise TypeError(f"{where}: {error}") from error
    if not callable(function):
        raise TypeError(f"{where}: {shown(function)} is no function of a value") from error
