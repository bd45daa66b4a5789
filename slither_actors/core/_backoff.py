"""Whether and when a failed batch is tried again.

Chance is an input: the caller draws the random number.
"""

from __future__ import annotations

from slither_actors.errors import RemoteError
from slither_actors.policy import Retry

__all__ = ["may_retry", "retry_delay"]

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


def may_retry(retry: Retry, attempt: int, error: BaseException) -> bool:
    """Whether another attempt follows the failed attempt number `attempt` (from 1).

    An exception from a worker counts as what it was there: by its class where
    the original came along, else by its name, which cannot know a subclass.
    """
    if attempt >= retry.max_attempts:
        return False
    if isinstance(error, retry.retry_on):
        return True
    if not isinstance(error, RemoteError):
        return False
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in retry.retry_on}
    return isinstance(error.__cause__, retry.retry_on) or error.type_name in names
