"""Worker processes: pools, and what a worker may ask while it runs a batch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.pool._calls import AnswerCalls, CallRequest
    from slither_actors.pool._job import Job
    from slither_actors.pool._options import PoolOptions
    from slither_actors.pool._pool import Pool
    from slither_actors.pool._pool_ref import STATISTICS, PoolRef
    from slither_actors.pool._segments import SegmentStatistics
    from slither_actors.pool._statistics import PoolStatistics, SlotStatistics
    from slither_actors.pool._target import Target, adapt
    from slither_actors.pool._worker import Worker, WorkerViews, current_worker, in_worker

__all__ = [
    "STATISTICS",
    "AnswerCalls",
    "CallRequest",
    "Job",
    "Pool",
    "PoolOptions",
    "PoolRef",
    "PoolStatistics",
    "SegmentStatistics",
    "SlotStatistics",
    "Target",
    "Worker",
    "WorkerViews",
    "adapt",
    "current_worker",
    "in_worker",
]

# Imported on first use: a worker process imports this package for `_worker`, and would pay
# for the actors and the driver's side at each start.
_HOMES = {
    "STATISTICS": "_pool_ref",
    "AnswerCalls": "_calls",
    "CallRequest": "_calls",
    "Job": "_job",
    "Pool": "_pool",
    "PoolOptions": "_options",
    "PoolRef": "_pool_ref",
    "PoolStatistics": "_statistics",
    "SegmentStatistics": "_segments",
    "SlotStatistics": "_statistics",
    "Target": "_target",
    "Worker": "_worker",
    "WorkerViews": "_worker",
    "adapt": "_target",
    "current_worker": "_worker",
    "in_worker": "_worker",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
