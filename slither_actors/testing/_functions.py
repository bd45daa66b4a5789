"""What the executors under test run. At the top of a module, so that they may be pickled."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["ERRORS", "RESULTS", "double", "odd_results", "raises"]

ERRORS: Final[dict[str, type[BaseException]]] = {
    "ValueError": ValueError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
}
"""What `raises` can raise, by name."""

RESULTS: Final[dict[str, Any]] = {
    "short": [],
    "long": [1, 2, 3],
    "none": None,
    "text": "ab",
    "mapping": {1: 2},
}
"""What `odd_results` can return, by name."""


def double(payloads: list[int]) -> list[int]:
    """Return twice each number."""
    return [2 * value for value in payloads]


def odd_results(payloads: list[str]) -> Any:
    """Return what the first payload says, mostly no list of as many results."""
    return RESULTS.get(payloads[0], payloads)


def raises(payloads: list[str]) -> list[str]:
    """Raise what the first payload names, if it names an exception."""
    error = ERRORS.get(payloads[0])
    if error is not None:
        raise error("as told")
    return payloads
