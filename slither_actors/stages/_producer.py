"""The producer: the stage that makes events when it is asked for them."""

from __future__ import annotations

from typing import Any

from slither_actors.errors import OptionError
from slither_actors.stages._emitter import SEQUENCES, as_events
from slither_actors.stages._job import Job
from slither_actors.stages._kinds import Kind, Made
from slither_actors.stages._lazy import Lazy, LazyEmitter
from slither_actors.stages._unfinished import OpenDemand

__all__ = ["Producer"]


class Producer(LazyEmitter):
    """A stage with consumers only. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_demand`; `init` sets up the state. Other callbacks of
    `Server` may emit with `emit`.
    """

    def handle_demand(self, demand: int) -> Made:
        """Return or yield up to `demand` events. More of them are buffered, or left in the generator.

        An iterator is read as far as there is demand, and on at the next demand. May be ``async def``.

        Fewer are a debt: the consumers go on waiting for them, and the stage
        has to `emit` them when it has them. It is not asked for them again.
        """
        msg = f"{type(self).__name__} has no handle_demand"
        raise NotImplementedError(msg)

    _handlers = ("handle_demand",)

    _fresh_demand = 0
    """Demand for which no coroutine was started yet."""

    _demand_stream: Job | None = None
    """The async generator that runs now."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Once for each class: it runs for each ask.
        cls._demanded = Producer._demand_later if cls._awaits else Producer._demand_now

    def _demand_now(self, demand: int) -> None:
        lazy = self._lazy
        if lazy is not None:
            if lazy.demand is not None:
                lazy.demand.add(demand)
            self._go_on()
            return
        made = self.handle_demand(demand)
        if type(made) is not list and type(made) not in SEQUENCES:
            if made is not None:
                self._emit_made("handle_demand", made, OpenDemand(demand))
        elif made:
            self._dispatch(made)  # type: ignore[arg-type]

    _demanded = _demand_now

    def _room(self, lazy: Lazy) -> int:
        return 0 if lazy.demand is None else lazy.demand.left

    def _exhausted(self, lazy: Lazy) -> None:
        super()._exhausted(lazy)
        if lazy.demand is not None:
            demand = lazy.demand.for_the_next_call
            if demand and not self._is_over():
                self._demanded(demand)

    # -- coroutines --------------------------------------------------------------------

    def _demand_later(self, demand: int) -> None:
        job = self._demand_stream
        if job is not None and job.demand is not None and job.quota is not None:
            job.demand.add(demand)
            self._call_loop(job.quota.grant, demand)
        else:
            self._fresh_demand += demand
            self._lane_moved()

    def _shares_quota(self) -> bool:
        return False  # a generator gets the demand of its call, and what comes meanwhile

    def _check_options(self) -> None:
        super()._check_options()
        if self._handler_kind is Kind.STREAM and self.max_concurrency != 1:
            what = f"is {self.max_concurrency!r}; allowed is 1 for a handle_demand that is a generator"
            raise OptionError("max_concurrency", what, where=type(self).__name__)

    def _lane_moved(self) -> None:
        """Start a coroutine for the demand that there is, if one may start."""
        lane = self._lane
        if lane is None or not self._fresh_demand or not lane.has_room or self._is_over():
            return
        demand, self._fresh_demand = self._fresh_demand, 0
        job = Job(self, "handle_demand", (demand,), call=self.handle_demand, finish=self._finish_demand)
        if self._handler_kind is Kind.STREAM:
            job.demand = OpenDemand(demand)
            job.quota = lane.new_quota(demand)
            self._demand_stream = job
        lane.start(job)

    def _finish_demand(self, job: Job) -> None:
        if job.demand is not None:
            self._demand_stream = None
            self._fresh_demand += job.demand.for_the_next_call
        if self._is_over():
            return
        made = as_events(job.result)
        if made:
            self._dispatch(made)
        self._call_over(job)
