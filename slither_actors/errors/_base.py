"""Base of all."""

from __future__ import annotations

from typing import Final

__all__ = [
    "SlitherError",
]


_PUBLIC: Final = __name__.rpartition(".")[0]


class SlitherError(Exception):
    """Base of every exception that the library raises."""

    __module__ = _PUBLIC

    def __init_subclass__(cls) -> None:
        # Tracebacks, pickles and the names in a `Retry` have what users import.
        if cls.__module__.startswith(f"{_PUBLIC}."):
            cls.__module__ = _PUBLIC
        super().__init_subclass__()
