"""Whether and when a failed batch is tried again.

Chance is an input: the caller draws the random number.
"""

from __future__ import annotations

from slither_actors.errors import (
    OptionError,
    PayloadError,
    PoisonBatchError,
    RemoteError,
    SessionLostError,
    TargetError,
)
from slither_actors.policy import Retry

__all__ = ["is_one_of", "may_retry", "retry_delay"]

_HOPELESS = (OptionError, PayloadError, PoisonBatchError, SessionLostError, TargetError)
"""The next attempt would end as this one did."""

# 2.0 ** 1024 raises instead of being infinite.
_MAX_DOUBLINGS = 1023


def retry_delay(retry: Retry, attempt: int, uniform: float) -> float:
    """Return the seconds to wait after the failed attempt number `attempt` (from 1).

    `uniform` is a random number from 0 up to 1. The wait never exceeds
    `Retry.max_backoff`, the random part included.
    """
    doublings = min(attempt - 1, _MAX_DOUBLINGS)
    wait = min(retry.backoff * 2.0**doublings, retry.max_backoff)
    return min(wait * (1 - retry.jitter + 2 * retry.jitter * uniform), retry.max_backoff)


def may_retry(retry: Retry, attempt: int, error: BaseException, elapsed: float = 0.0) -> bool:
    """Whether another attempt follows the failed attempt number `attempt` (from 1).

    `elapsed` is the time in seconds since the first one began.
    """
    if attempt >= retry.max_attempts or (retry.max_time is not None and elapsed >= retry.max_time):
        return False
    if isinstance(error, _HOPELESS) and not any(
        isinstance(kind, type) and issubclass(kind, _HOPELESS) for kind in retry.retry_on
    ):
        return False
    return is_one_of(error, retry.retry_on)


def is_one_of(error: BaseException, kinds: tuple[type[BaseException] | str, ...]) -> bool:
    """Whether an error is of one of the kinds: classes, or the names of classes.

    An exception from a worker counts as what it was there: by its class where
    the original came along, else by its name, which cannot know a subclass.
    """
    classes = tuple(kind for kind in kinds if isinstance(kind, type))
    if isinstance(error, classes):
        return True
    names = {_name(kind) if isinstance(kind, type) else kind for kind in kinds}
    if not isinstance(error, RemoteError):
        return not names.isdisjoint(_names(error))
    known = {error.type_name, error.type_name.removeprefix("builtins.")}
    original = error.__cause__
    if original is not None:
        known |= _names(original)
    return isinstance(original, classes) or not names.isdisjoint(known)


def _names(error: BaseException) -> set[str]:
    found = {_name(cls) for cls in type(error).__mro__}
    return found | {name.removeprefix("builtins.") for name in found}


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
