"""Worker processes: pools, and what a worker may ask while it runs a batch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.pool._adapter import command, command_target, unknown_command
    from slither_actors.pool._calls import AnswerCalls, CallRequest
    from slither_actors.pool._function import adapt, context_style
    from slither_actors.pool._job import Job
    from slither_actors.pool._options import PoolOptions
    from slither_actors.pool._pool import COMMANDS, Pool
    from slither_actors.pool._pool_ref import STATISTICS, PoolRef
    from slither_actors.pool._segments import SegmentStatistics
    from slither_actors.pool._statistics import PoolStatistics, SlotStatistics
    from slither_actors.pool._target import Target
    from slither_actors.pool._worker import Worker, WorkerViews, current_worker, in_worker

__all__ = [
    "COMMANDS",
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
    "command",
    "command_target",
    "context_style",
    "current_worker",
    "in_worker",
    "unknown_command",
]

# Imported on first use: a worker process imports this package for `_worker`, and would pay
# for the actors and the driver's side at each start.
_HOMES = {
    "COMMANDS": "_pool",
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
    "adapt": "_function",
    "command": "_adapter",
    "command_target": "_adapter",
    "context_style": "_function",
    "current_worker": "_worker",
    "in_worker": "_worker",
    "unknown_command": "_adapter",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
