"""Where the time of a batch went, as the driver knows it. Apart from `_stopwatch`, which workers import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.core import BatchTiming
from slither_actors.pool._stopwatch import measured

if TYPE_CHECKING:
    from slither_actors.pool._lane import Lane

__all__ = ["timing"]


def timing(lane: Lane, ref: int, now: float) -> BatchTiming:
    """What is known of a batch that has just ended in its lane."""
    board = None if lane.process is None else lane.process.board
    working = 0.0 if board is None else measured(board, ref)
    ready = lane.ready_at or now
    return BatchTiming(lane.pid, lane.slot.number, lane.begun_at, now, working, ready, ready - lane.opened_at)
