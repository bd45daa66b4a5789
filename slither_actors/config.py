"""Options: one schema each, checked once, at the edge.

A schema is a frozen attrs class; `build` turns keywords into one and every
mistake into an `OptionError` that names the option and what it allows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs

from slither_actors.errors import OptionError

__all__ = [
    "build",
    "non_negative",
    "one_of",
    "positive_int",
    "positive_seconds",
    "seconds_or_none",
]

T = TypeVar("T")


def build(schema: type[T], given: Mapping[str, Any], *, where: str = "") -> T:
    """Make a `schema` from keywords.

    Raises:
        OptionError: an unknown option (with the nearest known one), a missing
            one, or a value that is not allowed.
    """
    fields = {a.alias: a for a in attrs.fields(schema) if a.init}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise OptionError(name, _unknown(name, fields), where=where)
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in given:
            raise OptionError(name, "is required", where=where)
    try:
        return schema(**given)
    except OptionError as error:
        if error.where or not where:
            raise
        problem = str(error).removeprefix(f"option {error.option!r} ")
        raise OptionError(error.option, problem, where=where) from None


def _unknown(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"is unknown{hint} Known: {', '.join(known)}"


def positive_int(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Validator: an integer of at least 1 (a bool is not one)."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(field.alias or field.name, f"is {value!r}; allowed is an integer of at least 1")


def non_negative(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Validator: a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise OptionError(field.alias or field.name, f"is {value!r}; allowed is a number of at least 0")


def positive_seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Validator: a number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise OptionError(field.alias or field.name, f"is {value!r}; allowed is a number of seconds above 0")


def seconds_or_none(instance: object, field: attrs.Attribute[Any], value: object) -> None:
    """Validator: a number of seconds above 0, or None for no limit."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise OptionError(
            field.alias or field.name, f"is {value!r}; allowed is a number of seconds above 0, or None"
        )


class one_of:  # noqa: N801 - reads as a validator where it is used
    """Validator: one of the given strings."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def __call__(self, _: object, field: attrs.Attribute[Any], value: object) -> None:
        """Raise `OptionError` unless `value` is one of the strings."""
        if value not in self.allowed:
            names = ", ".join(repr(word) for word in self.allowed)
            raise OptionError(field.alias or field.name, f"is {value!r}; allowed are {names}")
