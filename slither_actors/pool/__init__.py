"""Worker processes: pools, and what a worker may ask while it runs a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors._lazy_names import lazy_names

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
    from slither_actors.pool._worker import Worker, current_worker, in_worker
    from slither_actors.pool._worker_views import WorkerViews

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
if not TYPE_CHECKING:  # else a type checker would take any name to be there
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "_adapter": ("command", "command_target", "unknown_command"),
            "_calls": ("AnswerCalls", "CallRequest"),
            "_function": ("adapt", "context_style"),
            "_job": ("Job",),
            "_options": ("PoolOptions",),
            "_pool": ("COMMANDS", "Pool"),
            "_pool_ref": ("PoolRef", "STATISTICS"),
            "_segments": ("SegmentStatistics",),
            "_statistics": ("PoolStatistics", "SlotStatistics"),
            "_target": ("Target",),
            "_worker": ("Worker", "current_worker", "in_worker"),
            "_worker_views": ("WorkerViews",),
        },
    )
