"""The output side of a stage: a fan-out, a buffer, and the consumers.

For one ask: the fan-out says how much demand is new, the buffer serves what it
can, and only the rest reaches the stage's own code. What is emitted beyond the
demand goes to the buffer.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from slither_actors.actors import Ref
from slither_actors.core import (
    Buffer,
    Deliveries,
    DemandFanOut,
    FanOut,
    Keep,
    SubscriptionRefusedError,
    checked_fan_out,
    missing_in_fan_out,
)
from slither_actors.errors import NotRunningError, OptionError
from slither_actors.stages import _protocol
from slither_actors.stages._decisions import perform, tell_discarded
from slither_actors.stages._events import SEQUENCES, as_events
from slither_actors.stages._give_back import acknowledged, end_if_acknowledged, give_back
from slither_actors.stages._intake import Intake
from slither_actors.stages._job import current_job
from slither_actors.stages._stage import BaseStage
from slither_actors.stages._subscription import Subscription

__all__ = ["SEQUENCES", "Emitter", "as_events"]

logger = logging.getLogger("slither_actors.stages")


class _Finish:
    """Marks the end behind the events: the stage stops when what is before it is gone."""

    __slots__ = ("reason",)

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class Emitter(BaseStage):
    """A stage that has consumers. Not for users: see `Producer` and `ProducerConsumer`.

    The three options are set on the class or in `init`.
    """

    buffer_size: int | None = 10_000
    """The most events kept without demand; None is no limit."""

    buffer_keep: Keep = "last"
    """What a full buffer keeps: the ``"first"`` events or the ``"last"``; ``"error"`` ends the stage.

    ``"block"`` keeps all, and the stage takes no calls, casts, infos, timers or tasks' results until there
    is room: for stages that events are pushed into. They wait, in their order, and count as the mailbox's;
    with ``mailbox_size`` and ``mailbox_overflow="block"`` those who send them wait as well.
    """

    dispatcher: Any = DemandFanOut
    """Makes the fan-out, which splits the events among the consumers. It is called without
    arguments, so one with options is ``functools.partial(PartitionFanOut, 4)``."""

    _fan_out: FanOut[Any]
    _buffer: Buffer
    _consumers: set[Subscription]

    _intake: Intake | None = None
    """Keeps messages while the buffer is full, if it is to block then."""

    _unmet = 0
    """Demand that came while the stage is paused."""

    _redelivered = 0
    """Events that consumers now gone had not acknowledged, and that were to be dispatched again."""

    _deliveries: Deliveries | None = None
    """Counts what has come back, once something has that may not come back any number of times."""

    _undeliverable = 0
    """Events dropped because they had come back too often."""

    _last: _Finish | None = None
    """The end, which waits until everything is acknowledged."""

    # -- callbacks -----------------------------------------------------------------

    def format_discarded(self, count: int) -> bool:
        """Called with the number of events dropped from a full buffer. False suppresses the warning."""
        return True

    # -- for the callbacks -----------------------------------------------------------

    def emit(self, events: Iterable[Any]) -> None:
        """Emit events outside of `handle_demand` and `handle_events`, ahead of any reply."""
        if "_fan_out" not in self.__dict__:
            msg = f"{type(self).__name__} cannot emit in init; use continue_with and handle_continue"
            raise NotRunningError(msg)
        ready = as_events(events, self, "emit")
        if not ready:
            return
        if self._coroutines is not None and current_job(self) is not None:
            self.ref.send(Emitter._dispatch_late, ready)  # this is the loop's thread
        else:
            self._dispatch(ready)

    def complete(self, reason: Any = "normal") -> None:
        """End once the consumers have taken what was emitted, by the callback that runs now as well.

        Neither demand nor events reach the stage any more.
        """
        if not self._finishing:
            self._finishing = True
            self._cell.put_control((_finish, reason))

    # -- the protocol ------------------------------------------------------------------

    def _open(self) -> None:
        self._buffer = Buffer(self.buffer_size, self.buffer_keep)
        self._intake = Intake() if self.buffer_keep == "block" else None
        self._fan_out = self._make_fan_out()
        self._consumers = set()
        super()._open()

    def _make_fan_out(self) -> FanOut[Any]:
        # Not `self.dispatcher`: a function set on the class, and from Python 3.14 on a partial, would
        # be bound and called with the stage.
        make = inspect.getattr_static(self, "dispatcher")
        if isinstance(make, staticmethod):
            make = make.__func__
        allowed = "allowed is a fan-out class, or a function without arguments that makes a fan-out"
        if not callable(make):
            raise OptionError("dispatcher", f"is {make!r:.200}; {allowed}")
        try:
            fan_out: FanOut[Any] = make()
        except TypeError as error:
            raise OptionError("dispatcher", f"cannot be called: {error}; {allowed}") from error
        missing = missing_in_fan_out(fan_out)
        if missing:
            problem = f"made {fan_out!r:.200}, which has no {missing} and is no fan-out; {allowed}"
            raise OptionError("dispatcher", problem)
        return checked_fan_out(fan_out)

    def _accept(self, subscription: Subscription) -> None:
        if subscription in self._consumers:
            self._refuse(subscription, "duplicated_subscription")
            return
        self._welcome("consumer", subscription, "automatic")
        options = subscription.fan_out_options()
        try:
            self._fan_out.subscribe(subscription, options, consumer=subscription.consumer)
        except SubscriptionRefusedError as error:
            logger.error("%s refused %r: %s", self._cell.describe(), subscription, error)
            reason: Any = error.reason
            if reason == "bad_options":
                # For the consumer, which may end with it.
                reason = (
                    reason,
                    f"{subscription.consumer} cannot subscribe to {subscription.producer}: {error}",
                )
            self.handle_cancel(("cancel", reason), subscription)
            self._refuse(subscription, reason)
            return
        self._consumers.add(subscription)
        subscription.producer_watch = self._watch_end(
            subscription, subscription.consumer, self._consumer_ended
        )
        self._perform()

    def _refuse(self, subscription: Subscription, reason: Any) -> None:
        subscription.consumer_put((_protocol.cancelled, (subscription, reason)))

    def _asked(self, subscription: Subscription, count: int) -> None:
        try:
            demand = self._fan_out.ask(subscription, count, self._buffer.length)
        except KeyError:
            self._refuse(subscription, "unknown_subscription")
            return
        if self._fan_out.outbox:
            self._perform()
        if demand:
            self._meet(demand)

    def _reasked(self, key: Subscription | None, count: int) -> None:
        """Ask again on behalf of a consumer, or of none in particular."""
        if key is None or key in self._consumers:
            demand = self._fan_out.ask(key, count, self._buffer.length)
            self._perform()
            self._meet(demand)

    def _cancel(self, subscription: Subscription, reason: Any) -> None:
        if subscription not in self._consumers:
            self._refuse(subscription, "unknown_subscription")
            return
        self._consumer_ended(subscription, "cancel", reason)
        subscription.consumer_put((_protocol.cancelled, (subscription, reason)))

    def _consumer_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        self._consumers.discard(subscription)
        self._unwatch_end(subscription.producer_watch)
        self.handle_cancel((kind, reason), subscription)
        demand = give_back(self, subscription, reason)
        self._perform()
        self._meet(demand)
        self._end_if_acknowledged()

    _acknowledged = acknowledged
    _end_if_acknowledged = end_if_acknowledged

    # -- events ---------------------------------------------------------------------------

    def _meet(self, demand: int) -> None:
        """Meet new demand: from the buffer, then from the stage's own code."""
        buffer = self._buffer
        while buffer.length and demand and self._cell.ending is None:
            events, infos = buffer.take(demand)
            demand -= len(events)
            # Not `self._dispatch`: for a producer-consumer, these were counted when they were made.
            Emitter._dispatch(self, events)
            for info in infos:
                self._pass_info(info)
            if self._intake is not None:
                self._intake.look(self)
        if demand and not self._finishing and self._cell.ending is None:
            self._demanded(demand)

    def _demanded(self, demand: int) -> None:
        """Demand that the buffer could not meet."""
        raise NotImplementedError

    def _dispatch(self, events: Sequence[Any]) -> None:
        """Send events on; what nobody asked for is buffered."""
        fan_out = self._fan_out
        deliveries, leftovers = fan_out.dispatch(events)
        for subscription, chunk in deliveries:
            subscription.consumer_put((_protocol.deliver, (subscription, chunk)))
        if fan_out.outbox:
            self._perform()
        if leftovers:
            self._store(leftovers)

    def _dispatch_late(self, events: Sequence[Any]) -> None:
        self._dispatch(events)

    def _store(self, events: Sequence[Any]) -> None:
        discarded = self._buffer.store(events)
        if discarded:
            self._tell_discarded(discarded)
            for info in self._buffer.released():
                self._pass_info(info)
        if self._intake is not None:
            self._intake.look(self)

    _tell_discarded = tell_discarded
    _perform = perform

    def _finish(self, reason: Any) -> None:
        """Runs right after the callback that called `complete`."""
        self._queue_info(_Finish(reason))

    # -- infos: messages that wait behind the events ---------------------------------------

    def _queue_info(self, info: Any) -> None:
        """Deliver an info after all that has been emitted."""
        if not self._buffer.store_info(info):
            self._pass_info(info)

    def _pass_info(self, info: Any) -> None:
        """The buffer has let an info go; the fan-out may have events in front of it."""
        if self._fan_out.info(info):
            self._deliver_info(info)

    def _deliver_info(self, info: Any) -> None:
        if type(info) is _Finish:
            self._last = info
            self._end_if_acknowledged()
        else:
            # As a message: what the handler emits must not overtake what is being sent now.
            self._cell.put((_protocol.ordered, info))

    def _take_info(self, info: Any) -> None:
        """Somebody outside wants an info delivered after all that is in the stage now."""
        self._queue_info(info)

    # -- control ------------------------------------------------------------------------------

    def _complete_from_outside(self, reason: Any) -> None:
        if self._intake is not None and self._intake.held and not self._intake.in_turn:
            self._intake.hold_more(_complete, reason)  # as in `_begin_drain`
        elif self._message_lane is not None and not self._message_lane.is_idle:
            # What its coroutines emit who were here first is to be taken as well.
            self._message_lane.put_behind(partial(self.complete, reason))
        else:
            self.complete(reason)

    def _begin_pause(self) -> None:
        super()._begin_pause()
        self._route_demand()

    def _route_demand(self) -> None:
        """Choose what becomes of new demand: on the object, so that nothing is looked for at each ask."""
        vars(self).pop("_demanded", None)
        if self._on_hold:
            self._demanded = self._remember_demand  # type: ignore[method-assign]

    def _remember_demand(self, demand: int) -> None:
        self._unmet += demand

    def _end_pause(self) -> None:
        super()._end_pause()
        self._route_demand()
        demand, self._unmet = self._unmet, 0
        if demand and not self._is_over():
            self._demanded(demand)

    def _begin_drain(self, together: frozenset[Ref]) -> None:
        if self._intake is not None and self._intake.held and not self._intake.in_turn:
            # What those emit who were here first is to be taken as well.
            self._intake.hold_more(_drain, together)
        else:
            super()._begin_drain(together)

    def _count_unmet(self) -> int:
        """Demand that the stage's own code has not been told of."""
        return self._unmet

    def _count_logged(self) -> int:
        """Events that neither a consumer nor the buffer has got."""
        return 0

    def _state(self) -> dict[str, Any]:
        state = super()._state()
        if self._intake is not None:
            for name in ("handle_call", "handle_cast"):  # while messages are kept
                state.pop(name, None)
        return state

    def _has_unfinished(self) -> bool:
        return self._intake is not None or super()._has_unfinished()

    def _end_unfinished(self, *, killed: bool) -> None:
        try:
            if killed and self._intake is not None:
                self._intake.end(self)
        finally:
            super()._end_unfinished(killed=killed)


def _finish(stage: Emitter, reason: Any) -> None:
    stage._finish(reason)


def _complete(stage: Emitter, reason: Any) -> None:
    stage._complete_from_outside(reason)


def _drain(stage: Emitter, together: frozenset[Ref]) -> None:
    stage._begin_drain(together)
