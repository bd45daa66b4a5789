"""The handle of a pool: what a program may ask it for."""

from __future__ import annotations

from typing import Final

from slither_actors.actors import Ref
from slither_actors.config import positive_int
from slither_actors.errors import ActorExitError, PoolStoppedError
from slither_actors.pool._statistics import PoolStatistics

__all__ = ["STATISTICS", "PoolRef"]

STATISTICS: Final = "statistics"
"""The request of a `PoolStatistics`: ``pool_ref.call(STATISTICS)``."""


class PoolRef(Ref):
    """The reference to a `Pool`, as ``application.pool("default")`` returns it. From any thread."""

    def resize(self, workers: int, timeout: float | None = 5.0) -> None:
        """Have the pool be as large as `workers`, which may be fewer or more than now.

        It returns when that is decided. Workers that are added start while the
        others work. Of those that are let go, idle ones end first; a busy one
        ends its batch, and one that waited behind it goes to another. As many
        as the pool had before run at most, however often it is resized. A pool
        that its supervisor restarts has the size of its options again.

        Args:
            workers: how many worker processes.
            timeout: seconds to wait for the pool's word; None is no limit.

        Raises:
            OptionError: `workers` is no integer of at least 1.
            PoolStoppedError: the pool stops or has ended.
            CallTimeoutError: the pool did not answer in time.
        """
        positive_int.check("workers", workers, self)
        try:
            self.call(("resize", workers), timeout)
        except ActorExitError as error:
            raise PoolStoppedError(str(self)) from error

    def pool_statistics(self, timeout: float | None = 5.0) -> PoolStatistics:
        """Return what the pool holds and has done.

        Raises:
            ActorExitError: the pool has ended.
            CallTimeoutError: the pool did not answer in time.
        """
        found: PoolStatistics = self.call(STATISTICS, timeout)
        return found
