"""The producer: the stage that makes events when it is asked for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

from slither_actors.actors import Ref
from slither_actors.config import one_of
from slither_actors.errors import OptionError
from slither_actors.stages._emitter import SEQUENCES, as_events
from slither_actors.stages._job import Job
from slither_actors.stages._kinds import Kind, Made
from slither_actors.stages._lazy import Lazy, LazyEmitter
from slither_actors.stages._subscription import Subscription
from slither_actors.stages._unfinished import OpenDemand

__all__ = ["MODE", "Mode", "Producer"]

Mode = Literal["forward", "accumulate"]

MODE = one_of("forward", "accumulate")


class _Ask:
    """An ask in the log."""

    __slots__ = ("count", "subscription")

    def __init__(self, subscription: Subscription, count: int) -> None:
        self.subscription = subscription
        self.count = count


class _LoggedInfo:
    """Marks an info in the log."""

    __slots__ = ("info",)

    def __init__(self, info: Any) -> None:
        self.info = info


class Producer(LazyEmitter):
    """A stage with consumers only. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_demand`; `init` sets up the state. Other callbacks of
    `Server` may emit with `emit`.
    """

    demand: Mode = "forward"
    """What is done with demand at first: ``"forward"`` calls `handle_demand`.

    With ``"accumulate"`` nothing is sent: demand, and events that are emitted, are kept in one log, which
    has no limit, until `stages.demand` says ``"forward"``. Then each has its effect, in the order in which
    they came. So a producer can wait until all its consumers are there. Set on the class or in `init`.
    """

    _log: deque[Any] | None = None
    """What came while demand accumulates: asks, demand that no ask is for, events and infos."""

    _logged = 0
    """Events in the log."""

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

    def _open(self) -> None:
        super()._open()
        mode = MODE.check("demand", self.demand, type(self).__name__)
        if mode == "accumulate":
            self._set_mode(mode)

    # -- the log ---------------------------------------------------------------------

    @property
    def _mode(self) -> Mode:
        return "forward" if self._log is None else "accumulate"

    def _set_mode(self, mode: Mode) -> None:
        if mode == self._mode:
            return
        if mode == "accumulate":
            self._log = deque()
            # On the object, so that a producer that forwards looks for nothing.
            self._asked = self._log_ask  # type: ignore[method-assign]
            self._dispatch = self._log_events  # type: ignore[method-assign]
            self._route_demand()
            return
        log, self._log, self._logged = self._log, None, 0
        del self._asked, self._dispatch
        self._route_demand()
        for entry in log or ():
            if self._cell.ending is not None:
                return
            self._replay(entry)

    def _replay(self, entry: Any) -> None:
        if type(entry) is _Ask:
            # Of a consumer that has left: it is told what it knows, and ignores it.
            self._asked(entry.subscription, entry.count)
        elif type(entry) is int:
            if not self._finishing:
                self._demanded(entry)
        elif type(entry) is _LoggedInfo:
            self._queue_info(entry.info)
        else:
            self._dispatch(entry)

    def _route_demand(self) -> None:
        super()._route_demand()
        if self._log is not None:
            self._demanded = self._log_demand  # type: ignore[method-assign]
        elif self._draining:
            self._demanded = self._remember_demand  # type: ignore[method-assign]

    def _log_ask(self, subscription: Subscription, count: int) -> None:
        # The fan-out hears of it in its turn: else it would send what is in the log on demand that
        # the producer is told of later, and events of the buffer would be overtaken.
        if subscription not in self._consumers:
            self._refuse(subscription, "unknown_subscription")
        elif self._log is not None:
            self._log.append(_Ask(subscription, count))

    def _log_demand(self, demand: int) -> None:
        """Demand that a consumer has given up, say."""
        if self._log is not None:
            self._log.append(demand)

    def _log_events(self, events: Sequence[Any]) -> None:
        if self._log is not None:
            self._log.append(events)
            self._logged += len(events)

    def _queue_info(self, info: Any) -> None:
        # Also the end, which would lose the events.
        if self._logged and self._log is not None:
            self._log.append(_LoggedInfo(info))
        else:
            super()._queue_info(info)

    def _count_unmet(self) -> int:
        return (
            super()._count_unmet()
            + self._fresh_demand
            + sum(entry.count for entry in self._log or () if type(entry) is _Ask)
            + sum(entry for entry in self._log or () if type(entry) is int)
        )

    def _count_logged(self) -> int:
        return self._logged

    # -- control ---------------------------------------------------------------------

    def _end_pause(self) -> None:
        super()._end_pause()
        self._go_on()
        self._lane_moved()

    def _begin_drain(self, together: frozenset[Ref]) -> None:
        super()._begin_drain(together)
        if not self._draining:
            return
        self._route_demand()
        self._complete_if_idle()
        self._set_mode("forward")

    def _complete_if_idle(self) -> None:
        """End, unless coroutines are at work that will emit something: then when they have ended."""
        # One that streams may never end.
        lane = None if self._handler_kind is Kind.STREAM else self._lane
        if all(each is None or each.is_idle for each in (lane, self._message_lane)):
            self.complete()

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
        if self._draining:
            self._complete_if_idle()
            return
        if lane is None or not self._fresh_demand or not lane.has_room or self._is_over():
            return
        if self._on_hold:
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
        made = as_events(job.result, self, "handle_demand")
        if made:
            self._dispatch(made)
        self._call_over(job)
