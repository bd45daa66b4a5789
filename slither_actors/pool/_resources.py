"""What a pool holds of the operating system, apart from the pool, so that its end frees it in any case."""

from __future__ import annotations

import logging

from slither_actors.pool._guard import guard
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._segments import Segments

__all__ = ["Resources"]

logger = logging.getLogger("slither_actors.pool")


class Resources:
    """The worker processes and the shared memory of one pool, and its hold of the guard."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.processes: set[WorkerProcess] = set()
        guard.hold()

    def close(self) -> None:
        """Kill every worker and free every descriptor. Called once, from any thread."""
        processes, self.processes = self.processes, set()
        for process in processes:
            process.kill()
        for process in processes:
            if not process.close():
                logger.error("worker %d was killed and does not end", process.pid)
        self.segments.close()
        guard.drop()
