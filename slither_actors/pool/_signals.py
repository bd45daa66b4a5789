"""What a pool tells of its workers, to whoever listens."""

from __future__ import annotations

import time

from slither_actors import telemetry
from slither_actors.actors import Ref
from slither_actors.pool._burial import Burial
from slither_actors.pool._lane import Lane

__all__ = ["tell_exit", "tell_recycle", "tell_start"]


def tell_start(pool: Ref, lane: Lane) -> None:
    """A worker is ready; the duration is that of its start."""
    if telemetry.POOL_WORKER_START.receivers and lane.process is not None:
        telemetry.emit(
            telemetry.POOL_WORKER_START,
            pool,
            measurements={"duration": time.monotonic() - lane.process.started_at},
            metadata={"pool": lane.pool, "slot": lane.slot.number, "pid": lane.pid},
        )


def tell_recycle(pool: Ref, lane: Lane, reason: str) -> None:
    """A worker is to be replaced; the duration is that of its life so far."""
    if telemetry.POOL_WORKER_RECYCLE.receivers and lane.process is not None:
        telemetry.emit(
            telemetry.POOL_WORKER_RECYCLE,
            pool,
            measurements={"duration": time.monotonic() - lane.process.started_at},
            metadata={
                "pool": lane.pool,
                "slot": lane.slot.number,
                "pid": lane.pid,
                "reason": reason,
            },
        )


def tell_exit(pool: Ref, lane: Lane, end: Burial) -> None:
    """A worker has ended; the duration is that of its life."""
    if telemetry.POOL_WORKER_EXIT.receivers:
        telemetry.emit(
            telemetry.POOL_WORKER_EXIT,
            pool,
            measurements={"duration": end.age},
            metadata={
                "pool": lane.pool,
                "slot": lane.slot.number,
                "pid": end.pid,
                "exitcode": end.exitcode,
                "cause": end.cause,
                "postmortem": end.postmortem,
            },
        )
