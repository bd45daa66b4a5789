"""The options of a pool."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.config import integer, one_of, positive_int, positive_seconds
from slither_actors.core import Affinity
from slither_actors.pool._process import START_METHODS, default_start_method
from slither_actors.pool._target import Target

__all__ = ["PoolOptions"]


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _hook(value: Target | str | Callable[..., Any] | None) -> Target | None:
    return None if value is None else Target.of(value)


def affinity_word(value: Any) -> Any:
    """Take an `Affinity` for its word."""
    return value.value if isinstance(value, Affinity) else value


@attrs.frozen(kw_only=True)
class PoolOptions:
    """What a pool may be told. Times are seconds."""

    workers: int = attrs.field(factory=_usable_cpus, validator=positive_int)
    """Worker processes; by default one per processor that this process may use."""

    start_method: str = attrs.field(factory=default_start_method, validator=one_of(*START_METHODS))
    """``"forkserver"`` (where there is one) or ``"spawn"``."""

    init: Target | None = attrs.field(default=None, converter=_hook)
    """A callable or ``"module:function"`` that runs once in each worker before its first batch.
    It may take the worker (`current_worker`) as its argument. If it raises, the worker does not start."""

    affinity: str = attrs.field(
        default="hint", converter=affinity_word, validator=one_of(*(mode.value for mode in Affinity))
    )
    """How strictly the batches of a session belong to one worker, where a run does not say: ``"hint"``,
    ``"strict_queue"`` or ``"strict_fail_fast"``."""

    start_timeout: float = attrs.field(default=60.0, validator=positive_seconds)
    """How long a worker may take to be ready, and to import a batch's function."""

    stop_timeout: float = attrs.field(default=2.0, validator=positive_seconds)
    """How long idle workers may take to end when the pool stops; then they are killed."""

    segment_threshold: int | None = attrs.field(default=2**16, validator=integer(1, none=True))
    """From how many bytes of buffers (or of pickle) in one batch on they go through shared memory
    instead of the socket. None: never."""

    max_segment_bytes: int = attrs.field(default=2**29, validator=integer(0))
    """The most shared memory that the pool has; what it has no room for goes through the socket."""

    max_failed_starts: int = attrs.field(default=5, validator=positive_int)
    """Workers in a row that end before they are of use, after which waiting batches fail."""
