"""What an error quotes: texts of the user's objects, and of other errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "class_name",
    "encodable",
    "excerpt",
    "safe_text",
]


def safe_text(value: object, convert: Callable[[object], str] = str) -> str:
    """``str(value)``, or a note about its failure: a user's ``__str__`` may raise anything."""
    try:
        return convert(value)
    except BaseException as error:  # noqa: BLE001 - see above
        return f"<{class_name(value)}, whose text raised {class_name(error)}>"


def encodable(text: str) -> str:
    """Return a text that UTF-8 can encode: half a pair of surrogates, of a file name say, is written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def class_name(value: object) -> str:
    """Return the name of a value's class, whatever its metaclass makes of it."""
    name: str = _NAME.__get__(type(value))
    return name


_NAME: Any = type.__dict__["__name__"]

_LONGEST = 2000
"""Characters of another error's text in an error's own: it may quote one, too, and so on."""


def excerpt(text: str) -> str:
    """Return a text, or the beginning and the end of a long one: there is the first cause."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"
