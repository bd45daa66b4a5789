"""What a failure does: skip, halt, retry, route.

A policy is a value; whoever owns the failing unit (a batch in a dispatch run,
an item in a function stage) performs it. `Retry` ends in its `then` policy
when its attempts are used up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.errors import OptionError
from slither_actors.item import Item

__all__ = ["Halt", "Policy", "Retry", "Route", "Skipping", "policy"]


@attrs.frozen
class Halt:
    """Stop the run and raise, with what had been completed. Written ``"halt"``."""


@attrs.frozen
class Skipping:
    """Drop what failed and go on; counted and told to telemetry. Written ``"skip"``."""


@attrs.frozen
class Route:
    """Hand each failed item to ``fn(item, reason)``; the item that it returns goes on.

    A returned item with a changed route leaves by that output at once.
    """

    fn: Callable[[Item, BaseException], Item]


def _then(value: object) -> Policy:
    return policy(value, where="Retry.then")


@attrs.frozen(kw_only=True)
class Retry:
    """Run the same batch again, at most `max_attempts` times in all.

    The n-th wait is ``backoff * 2**(n-1)`` seconds, at most `max_backoff`, each
    drawn from ``[1 - jitter, 1 + jitter]`` times itself.
    """

    max_attempts: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    """Attempts in all, the first included."""

    backoff: float = attrs.field(default=0.1, converter=float, validator=attrs.validators.ge(0))
    """Seconds before the second attempt."""

    max_backoff: float = attrs.field(default=30.0, converter=float, validator=attrs.validators.ge(0))
    """Upper bound of one wait in seconds."""

    jitter: float = attrs.field(
        default=0.1,
        converter=float,
        validator=attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(1)),
    )
    """Share of a wait that is random, 0 to 1."""

    retry_on: tuple[type[BaseException], ...] = (Exception,)
    """Errors worth another attempt. A remote error counts as its original class too."""

    then: Any = attrs.field(default="halt", converter=_then)
    """The policy when the attempts are used up."""


Policy = Halt | Skipping | Route | Retry

_WORDS: dict[str, Policy] = {"halt": Halt(), "skip": Skipping()}


def policy(value: object, *, where: str = "", option: str = "on_error") -> Policy:
    """Turn what a user wrote into a policy, or raise `OptionError`."""
    if isinstance(value, (Halt, Skipping, Route, Retry)):
        return value
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    raise OptionError(
        option, f"is {value!r}; allowed are 'skip', 'halt', Retry(...) and Route(fn)", where=where
    )
