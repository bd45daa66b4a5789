"""What a worker is told before anything else."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["WorkerSettings"]


class WorkerSettings(NamedTuple):
    """The body of the first frame. Plain values: it is unpickled before the worker can say what is wrong."""

    pool: str
    slot: int
    init: bytes | None = None
    """The hook, as `Target.dumps`."""

    exit: bytes | None = None
    adapter: bytes | None = None
    preload: tuple[str, ...] = ()
    max_rss: int = 0
    """Resident bytes above which the worker is to be replaced; 0 is no limit."""

    nice: int = 0
    cpus: frozenset[int] = frozenset()
    """Processors to bind to; empty for any."""

    def of_slot(self, slot: int, pins: tuple[frozenset[int], ...]) -> WorkerSettings:
        """Return those of one slot's worker."""
        cpus = pins[slot % len(pins)] if pins else frozenset()
        return self._replace(slot=slot, cpus=cpus)
