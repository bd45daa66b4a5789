"""What the driver's `logging` wants to hear, as a worker needs to know it.

A worker makes only the records that the driver would make: it takes over the
levels that the driver's loggers have when the worker is started, and
``logging.disable``. Importing the program's main module may have configured
logging in the worker as well, by the same lines; handlers that the driver has
too are taken off there, or each record would be shown twice.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

__all__ = ["LogLevels"]

_ROOT: Final = ""


class LogLevels(NamedTuple):
    """The loggers of a process as far as they were configured. Pickles, always."""

    levels: dict[str, int]
    """By logger; the root logger's name is empty."""

    handlers: dict[str, frozenset[str]]
    """By logger: which handlers it has, as far as they can be told apart by a text."""

    disabled: int
    """As given to `logging.disable`."""

    @classmethod
    def read(cls) -> LogLevels:
        """Look at this process. From any thread."""
        levels: dict[str, int] = {}
        handlers: dict[str, frozenset[str]] = {}
        for name, one in _loggers().items():
            if one.level or name == _ROOT:
                levels[name] = one.level
            twins = frozenset(filter(None, map(_identity, list(one.handlers))))
            if twins:
                handlers[name] = twins
        return cls(levels, handlers, logging.root.manager.disable)

    def apply(self) -> None:
        """Have the loggers of this process make what those of the other want."""
        for name, level in self.levels.items():
            (logging.getLogger(name) if name else logging.root).setLevel(level)
        for name, one in _loggers().items():
            theirs = self.handlers.get(name, frozenset())
            for handler in list(one.handlers):
                if _identity(handler) in theirs:
                    one.removeHandler(handler)
        logging.disable(self.disabled)


def _loggers() -> dict[str, logging.Logger]:
    found = dict(logging.root.manager.loggerDict)
    return {
        _ROOT: logging.root,
        **{name: one for name, one in found.items() if isinstance(one, logging.Logger)},
    }


def _identity(handler: logging.Handler) -> str:
    """Tell a handler of the driver from others: its class, and the file or stream that it writes to."""
    place = getattr(handler, "baseFilename", None) or getattr(getattr(handler, "stream", None), "name", None)
    return (
        f"{type(handler).__module__}.{type(handler).__qualname__} {place}" if isinstance(place, str) else ""
    )
