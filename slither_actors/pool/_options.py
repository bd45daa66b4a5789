"""The options of a pool."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.config import one_of, positive_int, positive_seconds
from slither_actors.pool._adapter import adapter_target
from slither_actors.pool._process import START_METHODS, default_start_method
from slither_actors.pool._target import Target

__all__ = ["PoolOptions"]


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _hook(value: Target | str | Callable[..., Any] | None) -> Target | None:
    return None if value is None else Target.of(value)


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

    adapter: Target | None = attrs.field(default=None, converter=adapter_target)
    """A class of commands for `CommandExecutor`, or ``"module:Class"``, made once in each worker, after
    `init`. Its constructor may take the worker; its ``close`` or ``exit`` is called at the worker's end."""

    start_timeout: float = attrs.field(default=60.0, validator=positive_seconds)
    """How long a worker may take to be ready, and to import a batch's function."""

    stop_timeout: float = attrs.field(default=2.0, validator=positive_seconds)
    """How long idle workers may take to end when the pool stops; then they are killed."""

    max_failed_starts: int = attrs.field(default=5, validator=positive_int)
    """Workers in a row that end before they are of use, after which waiting batches fail."""
