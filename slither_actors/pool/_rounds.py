"""Rounds: a look at each worker now and then, as what it was like is not to be seen when it is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.core._slot import SlotState
from slither_actors.pool._vitals import SAMPLE_SECONDS

if TYPE_CHECKING:
    from slither_actors.pool._pool import Pool

__all__ = ["Rounds"]


class Rounds:
    """The rounds of one pool, while there is work, and one after it: a pool that is idle costs nothing."""

    __slots__ = ("_pool", "go_on")

    def __init__(self, pool: Pool) -> None:
        self.go_on = False
        """Whether another one will come by itself."""
        self._pool = pool

    def begin(self) -> None:
        """There is work."""
        self.go_on = True
        self._look()

    def again(self) -> None:
        """It is time for the next one."""
        self.go_on = self._is_work
        self._look()

    def _look(self) -> None:
        for lane in self._pool.staff.lanes:
            if lane.process is not None:
                lane.process.vitals.sample()
        if self.go_on:
            self._pool.run_after(SAMPLE_SECONDS, _again)

    @property
    def _is_work(self) -> bool:
        """Whether a batch runs or waits, or a worker starts."""
        starting = (SlotState.STARTING, SlotState.WAITING)
        return self._pool.placement.queued > 0 or any(
            lane.slot.outstanding or lane.slot.state in starting for lane in self._pool.staff.lanes
        )


def _again(pool: Pool, _: None) -> None:
    pool.rounds.again()
