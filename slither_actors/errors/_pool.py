"""Pools of workers; what concerns no single batch."""

from __future__ import annotations

from slither_actors.errors._base import SlitherError

__all__ = [
    "PoolError",
    "PoolStoppedError",
    "WorkerStartError",
]


class PoolError(SlitherError):
    """Base of pool errors that concern no single batch."""


class PoolStoppedError(PoolError):
    """A batch was given to a pool that stops or has stopped."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        super().__init__(f"pool {pool!r} is stopped and takes no batches")


class WorkerStartError(PoolError):
    """A worker process ended before it said that it was ready."""

    def __init__(self, pool: str, slot: int, explanation: str) -> None:
        self.pool = pool
        self.slot = slot
        self.explanation = explanation
        super().__init__(f"pool {pool!r}: worker of slot {slot} did not start: {explanation}")
