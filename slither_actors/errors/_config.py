"""Options."""

from __future__ import annotations

from slither_actors.errors._base import SlitherError

__all__ = [
    "OptionError",
]


class OptionError(SlitherError, ValueError):
    """An option is unknown or has a value that is not allowed.

    Raised once, where the option was given; inside, options are trusted.
    """

    def __init__(self, option: str, problem: str, *, where: str = "") -> None:
        self.option = option
        self.problem = problem
        """What is wrong with it, and what is allowed: the end of the sentence."""
        self.where = where
        """Whose option it is."""
        place = f"{where}: " if where else ""
        super().__init__(f"{place}option {option!r} {problem}")
