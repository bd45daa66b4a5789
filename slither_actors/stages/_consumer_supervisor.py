"""The supervisor that is a consumer: a supervised child for each event.

It asks by finished children: see `ChildDemand`. A child has finished when it is
gone for good, however that came, and also when it could not be started. One
that is started again is the same child, with the same event.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from slither_actors.actors import ChildCounts, ChildSpec, DynamicSupervisor, Ignore, Ref, is_abnormal
from slither_actors.actors import DynamicSupervisorRef as _DynamicSupervisorRef
from slither_actors.actors._child import Child
from slither_actors.actors._zombie import any_zombies, is_zombie
from slither_actors.config import placed, shown
from slither_actors.core import ChildDemand
from slither_actors.errors import AbandonedError, OptionError, safe_text
from slither_actors.stages import _protocol
from slither_actors.stages._functions import ask as by_hand
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["ConsumerSupervisor", "ConsumerSupervisorRef"]

logger = logging.getLogger("slither_actors.stages")

_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0
"""Seconds between two looks whether the handlers of abandoned children have returned."""

_ONE_CHILD = "allowed is one child spec, or a server class whose child_spec() is not permanent"


@attrs.define(eq=False)
class _EventChild(Child):
    """A child that was started for an event of a subscription."""

    source: Subscription = attrs.field(kw_only=True)


class ConsumerSupervisorRef(_DynamicSupervisorRef):
    """The reference to a `ConsumerSupervisor`. Source: Elixir's ConsumerSupervisor.

    Besides the methods of all supervisors of this kind; in `count_children`
    there is always one spec.
    """

    def start_child(self, *args: Any) -> Ref:
        """Start a child by hand, with `args` in the place of the event.

        It is supervised as the others are, and no part of the demand: neither does it take the place of an
        event, nor is anything asked for when it ends.

        Returns:
            The child's ref; None if its `init` raised `Ignore`.

        Raises:
            StartError: the child did not start.
        """
        ref: Ref = self.call(("start_by_hand", args), None)
        return ref


class ConsumerSupervisor(Receiver, DynamicSupervisor):
    """A consumer that starts a supervised child for each event, which gets it as its last argument.

    ``max_demand`` of a subscription is the most children that its events have
    at one time, and ``min_demand`` how many have to finish before as many
    events are asked for. Source: https://hexdocs.pm/gen_stage/ConsumerSupervisor.html

    The options are attributes, set on the class or in `init`.
    """

    ref_class: ClassVar[type[ConsumerSupervisorRef]] = ConsumerSupervisorRef

    child: Any = None
    """What to start for each event: one child spec with ``restart="temporary"`` or ``"transient"``."""

    strategy: str = "one_for_one"
    """How children hang together: they do not. Here for those who state it."""

    max_restarts: int = 3
    """Restarts of transient children allowed within `max_seconds`; one more ends the supervisor."""

    max_seconds: float = 5
    """The window of `max_restarts`."""

    max_zombies: int = 3
    """The most abandoned children whose handlers still run; one more ends the supervisor."""

    _emits = False

    _template: ChildSpec
    _demands: dict[Subscription, ChildDemand]

    _children_of_events: int
    """Children of events that run or are being restarted."""

    _abandoned: list[_EventChild]
    """Finished children whose handlers still run, and keep their places."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.handle_events is not ConsumerSupervisor.handle_events:
            msg = (
                f"{cls.__name__} has a handle_events, but its children handle the events; what is to be done "
                "before belongs in a ProducerConsumer in front of it"
            )
            raise TypeError(msg)
        if cls._has_coroutines:
            msg = f"{cls.__name__} is a supervisor: its callbacks may not be `async def`, its children's may"
            raise TypeError(msg)

    # -- starting ------------------------------------------------------------------

    def init(  # type: ignore[override]
        self,
        child: Any = None,
        *,
        strategy: str | None = None,
        max_restarts: int | None = None,
        max_seconds: float | None = None,
        max_zombies: int | None = None,
        subscribe_to: Sequence[Any] | None = None,
    ) -> None:
        """Take the options of the same names, for a supervisor without a class of its own.

        One that defines `init` sets the attributes there.
        """
        given = {
            "child": child,
            "strategy": strategy,
            "max_restarts": max_restarts,
            "max_seconds": max_seconds,
            "max_zombies": max_zombies,
            "subscribe_to": subscribe_to,
        }
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)

    def _open(self) -> None:
        self._demands = {}
        self._children_of_events = 0
        self._abandoned = []
        try:
            self._template = self._checked_child()
            self._check_strategy()
            DynamicSupervisor.init(
                self,
                max_restarts=self.max_restarts,
                max_seconds=self.max_seconds,
                max_zombies=self.max_zombies,
            )
        except OptionError as error:
            raise placed(error, self._cell.describe()) from None
        super()._open()

    def _checked_child(self) -> ChildSpec:
        given = self.child
        if given is None or isinstance(given, (list, tuple, dict)):
            raise OptionError("child", f"is {shown(given)}; {_ONE_CHILD}")
        try:
            spec = ChildSpec.of(given)
        except OptionError as error:
            if error.option != "children":
                raise
            raise OptionError("child", f"{error.problem}; {_ONE_CHILD}") from None
        if spec.restart == "permanent":
            problem = (
                f"is {shown(spec.id)} with restart='permanent', which would be started again with the same "
                "event after each end and never make room for the next one; allowed are 'temporary' (once) "
                "and 'transient' (again after an abnormal end), as in child_spec(restart='temporary')"
            )
            raise OptionError("child", problem)
        if spec.significant:
            raise OptionError("significant", f"is True for child {shown(spec.id)} of one event among many")
        return spec

    def _check_strategy(self) -> None:
        if self.strategy != "one_for_one":
            problem = f"is {shown(self.strategy)}; allowed is 'one_for_one': no child depends on another"
            raise OptionError("strategy", problem)

    @classmethod
    def _check_subscribing(cls, options: SubscriptionOptions, where: str) -> None:
        if options.delivery != "at_most_once":
            problem = (
                f"is {options.delivery!r}; a {cls.__name__} takes 'at_most_once': its part is done when "
                "a child has started. Have the child restarted (restart='transient')"
            )
            raise OptionError("delivery", problem, where=where)

    def _welcome(self, role: str, subscription: Subscription, *allowed: str) -> str | None:
        """Ask for all at once, and from then on by hand."""
        super()._welcome(role, subscription, "automatic")
        demand = ChildDemand(subscription.options.max_demand, subscription.options.min_demand)
        self._demands[subscription] = demand
        if self._cell.ending is None:
            by_hand(subscription, demand.max_demand)
        return "manual"

    # -- children --------------------------------------------------------------------

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        """Start a child for each event."""
        if self._is_over():
            return
        demand = self._demands.get(source)
        if demand is not None:
            excess = demand.came(len(events))
            if excess:
                logger.error("%s received %d events in excess", self._cell.describe(), excess)
        failed = 0
        for event in events:
            # A kill: of a supervisor nothing else ends a list of events.
            if self._is_over() or self._cell.doom is not None:
                return
            if not self._start_for(event, source):
                failed += 1
        if failed:
            self._finished(source, failed)

    def _start_for(self, event: Any, source: Subscription) -> bool:
        child = _EventChild(self._template, (event,), source=source)
        try:
            self._launch(child)
        except Ignore:
            return False
        except Exception as error:
            # The supervisor's own end is no failure of the child.
            if isinstance(error, AbandonedError) or self._cell.obeys(error):
                raise
            logger.error(
                "%s has no child for the event %s: %s", self._cell.describe(), shown(event), safe_text(error)
            )
            return False
        self._children_of_events += 1
        if child.spec.restart == "temporary":
            child.extra = ()  # it does not come back: the event is the child's alone
        return True

    def _gone(self, child: Child) -> None:
        super()._gone(child)
        if not isinstance(child, _EventChild):
            return
        self._children_of_events -= 1
        if any_zombies() and is_zombie(child.last):
            self._abandoned.append(child)
            if len(self._abandoned) == 1:
                self.run_after(_FIRST_LOOK, _look_for_returned, _FIRST_LOOK)
        else:
            self._finished(child.source, 1)
        self._lane_moved()

    def _lane_moved(self) -> None:
        super()._lane_moved()
        if self._leaving is not None:
            self._end_if_idle()

    def _finished(self, source: Subscription, count: int) -> None:
        """Ask for more, if it is time to."""
        demand = self._demands.get(source)
        ask = 0 if demand is None else demand.finish(count)
        if ask and not source.closed and not self._is_over():
            by_hand(source, ask)

    def _count_asked_of(self) -> dict[Subscription, int]:
        return {source: demand.statistics().outstanding for source, demand in tuple(self._demands.items())}

    def _count_in_children(self) -> int:
        return self._children_of_events

    def _do_start_by_hand(self, args: tuple[Any, ...]) -> Ref | None:
        return self._do_start_child(self._template, args)

    def _do_count_children(self) -> ChildCounts:
        return attrs.evolve(super()._do_count_children(), specs=1)

    # -- the end -------------------------------------------------------------------------

    _leaving: tuple[Any] | None = None
    """The reason to end with once the children of events have finished."""

    def _is_idle(self) -> bool:
        return self._children_of_events == 0

    def _may_leave(self) -> bool:
        return True  # the children may run for long, and other producers would wait behind them

    def _leave(self, subscription: Any, kind: str, reason: Any) -> None:
        self._demands.pop(subscription, None)
        super()._leave(subscription, kind, reason)

    def _end_with_source(self, reason: Any) -> None:
        # GenStage ends at once, and its children with it: of a finite input the last ones would never finish.
        if is_abnormal(reason):
            self.stop(reason)
        elif self._leaving is None:
            self._leaving = (reason,)
            self._finishing = True
            for other in tuple(self._producers):
                other.producer_put((_protocol.cancel, (other, reason)))
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._leaving is not None and self._is_idle():
            self.stop(self._leaving[0])


def _look_for_returned(supervisor: ConsumerSupervisor, waited: float) -> None:
    """Free the places of abandoned children whose handlers have returned."""
    abandoned, supervisor._abandoned = supervisor._abandoned, []
    for child in abandoned:
        if is_zombie(child.last):
            supervisor._abandoned.append(child)
        else:
            supervisor._finished(child.source, 1)
    if supervisor._abandoned:
        seconds = min(2 * waited, _LAST_LOOK)
        supervisor.run_after(seconds, _look_for_returned, seconds)
