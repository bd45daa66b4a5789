"""Options: one schema each, checked once, at the edge.

A schema is a frozen attrs class; `build` turns keywords into one and every
mistake into an `OptionError` that names the option and what it allows.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs

from slither_actors.errors import OptionError, safe_text

__all__ = [
    "Rule",
    "a_function",
    "any_seconds_or_none",
    "build",
    "delay_seconds",
    "did_you_mean",
    "finite_seconds",
    "flag",
    "has_hash",
    "integer",
    "non_negative",
    "number",
    "one_of",
    "period_seconds",
    "placed",
    "positive_int",
    "positive_seconds",
    "seconds_or_none",
    "share",
    "shown",
    "wait_seconds",
    "wait_seconds_or_none",
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
        raise placed(error, where) from None


def placed(error: OptionError, where: str) -> OptionError:
    """Return the error with the owner of the option, unless it names one already."""
    return error if error.where else OptionError(error.option, error.problem, where=where)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'near'?"``, or a full stop if no known name is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def shown(value: object) -> str:
    """Return the start of a value's `repr`, which may be long, or raise, as what it is."""
    return f"{safe_text(value, repr):.200}"


def has_hash(value: object) -> bool:
    """Whether the value can be an id or a name, which are looked up by their hash."""
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - the user's __hash__ may raise anything
        return False
    return True


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"is unknown{did_you_mean(name, known)} Known: {', '.join(sorted(known))}"


class Rule:
    """What an option may be: a validator for a schema, and `check` for a value that is in none."""

    def __init__(self, allowed: str, allows: Callable[[Any], bool]) -> None:
        self.allowed = allowed
        """The end of the sentence: "allowed is …"."""
        self.allows = allows
        """Whether the option may have a value. Never raises."""

    def check(self, option: str, value: Any, where: object = "") -> Any:
        """Return the value, or raise `OptionError`. `where` is the owner, turned into text only then."""
        if self.allows(value):
            return value
        raise OptionError(option, f"is {shown(value)}; {self.allowed}", where=safe_text(where))

    def __call__(self, _: object, field: attrs.Attribute[Any], value: object) -> None:
        """Check the field of a schema."""
        self.check(field.alias or field.name, value)


def one_of(*words: str) -> Rule:
    """Rule: one of the given strings. Others are not compared: their ``==`` may raise, or be no bool."""
    allowed = f"allowed are {', '.join(map(repr, words))}"
    return Rule(allowed, lambda value: isinstance(value, str) and value in words)


def integer(least: int, *, most: float = math.inf, none: bool = False) -> Rule:
    """Rule: an integer from `least` to `most`, and None if it may be; a bool is none."""

    def allows(value: Any) -> bool:
        if isinstance(value, int):
            return not isinstance(value, bool) and least <= value <= most
        return none and value is None

    limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
    return Rule(f"allowed is an integer {limits}{', or None' if none else ''}", allows)


def number(allowed: str, *, least: float = 0.0, most: float = math.inf, none: bool = False) -> Rule:
    """Rule: a number that a float can hold, from `least` to `most`, and None if it may be; no bool or nan."""

    def allows(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return none and value is None
        try:
            return least <= float(value) <= most
        except OverflowError:
            return False

    return Rule(f"allowed is {allowed}", allows)


_ABOVE_0 = math.ulp(0.0)
_FINITE = sys.float_info.max

flag = Rule("allowed are True, False", lambda value: isinstance(value, bool))
"""Rule: True or False, and nothing that counts as one of them."""

a_function = Rule("allowed is a function", callable)
"""Rule: something that can be called."""

positive_int = integer(1)
"""Rule: an integer of at least 1 (a bool is not one)."""

non_negative = number("a number of at least 0")
"""Rule: a number of at least 0."""

share = number("a number from 0 to 1", most=1.0)
"""Rule: a part of a whole."""

positive_seconds = number("a number of seconds above 0", least=_ABOVE_0)
"""Rule: a number of seconds above 0."""

seconds_or_none = number("a number of seconds above 0, or None", least=_ABOVE_0, none=True)
"""Rule: a number of seconds above 0, or None for no limit."""

finite_seconds = number("a finite number of seconds of at least 0", most=_FINITE)
"""Rule: how long something waits that is to go on some day."""

delay_seconds = number("a finite number of seconds", least=-_FINITE, most=_FINITE)
"""Rule: when something is to happen; what is in the past happens at once."""

period_seconds = number(
    "a finite number of seconds above 0, or None", least=_ABOVE_0, most=_FINITE, none=True
)
"""Rule: the time between two of a series, or None for no series."""

wait_seconds = number("a number of seconds of at least 0")
"""Rule: how long to wait for something."""

wait_seconds_or_none = number("a number of seconds of at least 0, or None (no limit)", none=True)
"""Rule: how long to wait for something, if not without limit."""

any_seconds_or_none = number("a number of seconds, or None (no limit)", least=-math.inf, none=True)
"""Rule: how long to wait where Pykka's contract holds: one below 0 is no time at all."""
