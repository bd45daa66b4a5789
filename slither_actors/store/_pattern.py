"""Patterns for `Table.match`: plain values with holes in them.

=====================  =========================================================
pattern                matches
=====================  =========================================================
``ANY``                everything
``Prefix("user:")``    text, bytes or a tuple that begins so
a tuple or a list      one of the same type and length, place by place
a dict                 a mapping that has these keys, value by value, and may have more
any other value        what equals it
=====================  =========================================================

Patterns nest, and cross to the driver by pickle. ETS: ``ets:match_object/2``,
with ``'_'`` for `ANY`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from slither_actors.config import shown
from slither_actors.errors import OptionError

__all__ = ["ANY", "Prefix", "is_constant", "leading", "matcher"]


class _Any:
    """The type of `ANY`; the same object after a pickle round trip."""

    def __repr__(self) -> str:
        return "ANY"

    def __reduce__(self) -> str:
        return "ANY"


ANY: Any = _Any()
"""In a pattern: whatever is there."""


def _a_beginning(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, (str, bytes, tuple)):
        raise OptionError(field.name, f"is {shown(value)}; allowed are text, bytes and tuples")


@attrs.frozen
class Prefix:
    """In a pattern: text, bytes or a tuple that begins with `start`; it holds no patterns itself."""

    start: str | bytes | tuple[Any, ...] = attrs.field(validator=_a_beginning)

    def matches(self, value: object) -> bool:
        """Whether `value` is of the type of `start` and begins with it."""
        return isinstance(value, type(self.start)) and value[: len(self.start)] == self.start


Matcher = Callable[[Any], bool]


def matcher(pattern: Any) -> Matcher | None:
    """A function that says whether a value matches; None where all do."""
    if pattern is ANY:
        return None
    if isinstance(pattern, Prefix):
        return pattern.matches
    if isinstance(pattern, (tuple, list)) and not is_constant(pattern):
        return _places(type(pattern), [matcher(part) for part in pattern])
    if isinstance(pattern, Mapping):
        return _entries([(key, matcher(part)) for key, part in pattern.items()])
    return lambda value: bool(value is pattern or value == pattern)


def is_constant(pattern: Any) -> bool:
    """Whether only what equals `pattern` matches it."""
    if isinstance(pattern, (tuple, list)):
        return all(map(is_constant, pattern))
    return pattern is not ANY and not isinstance(pattern, (Prefix, Mapping))


def leading(pattern: Any) -> Prefix | None:
    """What every key begins with that matches; None where that is not known."""
    if isinstance(pattern, Prefix):
        return pattern
    if not isinstance(pattern, tuple):
        return None
    fixed = 0
    while fixed < len(pattern) and is_constant(pattern[fixed]):
        fixed += 1
    return Prefix(pattern[:fixed]) if fixed else None


def _places(kind: type, parts: list[Matcher | None]) -> Matcher:
    tests = [(place, part) for place, part in enumerate(parts) if part is not None]

    def matches(value: Any) -> bool:
        return (
            isinstance(value, kind)
            and len(value) == len(parts)  # type: ignore[arg-type]
            and all(part(value[place]) for place, part in tests)  # type: ignore[index]
        )

    return matches


def _entries(parts: list[tuple[Any, Matcher | None]]) -> Matcher:
    def matches(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            key in value and (part is None or part(value[key])) for key, part in parts
        )

    return matches
