"""The demand of a consumer that starts a child for each event and asks when children have finished.

At first it asks for `max_demand` events. An event that came is active until its
child has finished for good. What has finished is asked for again, all of it,
once it is at least `min_demand`: the minimum is the number of finished children
before the next ask, and not, as GenStage's documentation has it, of running
ones. So each of the `max_demand` places is at any time asked for, active or
finished, and there are never more than `max_demand` children.
"""

from __future__ import annotations

import attrs

from slither_actors.core._demand import check_demand

__all__ = ["ChildDemand", "ChildDemandStatistics"]


@attrs.frozen(kw_only=True)
class ChildDemandStatistics:
    """Where the places of a `ChildDemand` are. Returned by `ChildDemand.statistics`."""

    max_demand: int
    """The number of places."""

    outstanding: int
    """Events asked for that have not come yet."""

    active: int
    """Events whose child has not finished, those in excess included."""

    finished: int
    """Events whose child has finished and in whose place none was asked for yet."""

    excess: int
    """Active events that nobody had asked for."""


class ChildDemand:
    """What a supervisor of children has asked of one producer.

    Not thread-safe: the supervisor is the only caller.
    """

    __slots__ = ("_active", "_excess", "_finished", "_outstanding", "max_demand", "min_demand")

    def __init__(self, max_demand: int | None = None, min_demand: int | None = None) -> None:
        """Check the two as `check_demand` does; `max_demand` is to be asked for at once."""
        self.max_demand, self.min_demand = check_demand(max_demand, min_demand)
        self._outstanding = self.max_demand
        self._active = 0
        self._finished = 0
        self._excess = 0

    def came(self, count: int) -> int:
        """Count events that came; return how many of them nobody had asked for.

        Those get a child like the others, but none is asked for in their place.
        """
        excess = max(0, count - self._outstanding)
        self._outstanding -= count - excess
        self._active += count
        self._excess += excess
        return excess

    def finish(self, count: int = 1) -> int:
        """Count children that have finished for good; return how many events to ask for now.

        Raises:
            RuntimeError: so many are not active.
        """
        if count > self._active:
            msg = f"{count} children finished of {self._active} active ones"
            raise RuntimeError(msg)
        self._active -= count
        # There are too many, so the first to finish make no room.
        surplus = min(count, self._excess)
        self._excess -= surplus
        self._finished += count - surplus
        if self._finished < self.min_demand:
            return 0
        ask, self._finished = self._finished, 0
        self._outstanding += ask
        return ask

    def statistics(self) -> ChildDemandStatistics:
        """Return a snapshot."""
        return ChildDemandStatistics(
            max_demand=self.max_demand,
            outstanding=self._outstanding,
            active=self._active,
            finished=self._finished,
            excess=self._excess,
        )
