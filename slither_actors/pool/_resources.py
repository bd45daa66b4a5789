"""What a pool holds of the operating system, apart from the pool, so that its end frees it in any case."""

from __future__ import annotations

import logging

from slither_actors.pool._guard import guard
from slither_actors.pool._preloading import drop_server, hold_server
from slither_actors.pool._process import WorkerProcess
from slither_actors.pool._segments import Segments

__all__ = ["Resources"]

logger = logging.getLogger("slither_actors.pool")


class Resources:
    """The worker processes and shared memory of one pool, its hold of the guard and of its fork server."""

    def __init__(self, segments: Segments, preload: tuple[str, ...] = ()) -> None:
        self.segments = segments
        self.processes: set[WorkerProcess] = set()
        self._preload = preload
        if preload:
            hold_server(preload)
        self._guarded = False

    def watch_over(self) -> None:
        """Have the guard kill the workers if the driver dies. After their start, which goes on meanwhile."""
        self._guarded = True
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
        if self._preload:
            drop_server(self._preload)
        if self._guarded:
            guard.drop()
