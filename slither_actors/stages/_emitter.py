"""The output side of a stage: a fan-out, a buffer, and the consumers.

For one ask: the fan-out says how much demand is new, the buffer serves what it
can, and only the rest reaches the stage's own code. What is emitted beyond the
demand goes to the buffer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slither_actors import telemetry
from slither_actors.actors import Down, Server
from slither_actors.core import (
    Buffer,
    Deliver,
    DeliverInfo,
    DemandFanOut,
    DemandMismatch,
    Discarded,
    FanOut,
    Keep,
    Reask,
    SubscriptionRefusedError,
)
from slither_actors.errors import OptionError
from slither_actors.stages import _protocol
from slither_actors.stages._subscription import Subscription

__all__ = ["Emitter", "as_events"]

logger = logging.getLogger("slither_actors.stages")


def as_events(returned: Iterable[Any] | None) -> Sequence[Any]:
    """Take what a callback returned as a sequence of events; None is none."""
    if type(returned) in (list, tuple, range):
        return returned  # type: ignore[return-value]
    if returned is None:
        return ()
    if isinstance(returned, (str, bytes, dict)):
        msg = f"a stage returned {returned!r:.100}; expected is an iterable of events, such as a list"
        raise TypeError(msg)
    return list(returned)


class _Finish:
    """Marks the end in a buffer: the stage stops when what is before it is gone."""

    __slots__ = ("reason",)

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class Emitter(Server):
    """A stage that has consumers. Not for users: see `Producer` and `ProducerConsumer`."""

    buffer_size: int | None = 10_000
    """The most events kept without demand; None is no limit. Set on the class or in `init`."""

    buffer_keep: Keep = "last"
    """What a full buffer keeps: the ``"first"`` events or the ``"last"``."""

    dispatcher: Any = DemandFanOut
    """Makes the fan-out, which splits the events among the consumers: called without arguments."""

    _fan_out: FanOut[Any]
    _buffer: Buffer
    _consumers: set[Subscription]
    _watched: dict[int, tuple[Subscription, Callable[[Subscription, str, Any], None]]]
    _finishing: bool

    # -- callbacks -----------------------------------------------------------------

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Learn of a new subscription; `role` is the other side's, ``"consumer"`` or ``"producer"``.

        A consumer may return ``"manual"`` and then asks by itself.
        """
        return None

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """Learn of the end of a subscription; `cause` is ``("cancel" | "down", reason)``."""

    def format_discarded(self, count: int) -> bool:
        """Called with the number of events dropped from a full buffer. False suppresses the warning."""
        return True

    # -- for the callbacks -----------------------------------------------------------

    def emit(self, events: Iterable[Any]) -> None:
        """Emit events outside of `handle_demand` and `handle_events`, ahead of any reply."""
        ready = as_events(events)
        if ready:
            self._dispatch(ready)

    def complete(self, reason: Any = "normal") -> None:
        """End once the consumers have taken what is in the buffer."""
        if self._finishing:
            return
        self._finishing = True
        if not self._buffer.store_info(_Finish(reason)):
            self.stop(reason)

    # -- the protocol ------------------------------------------------------------------

    def _open_output(self) -> None:
        self._fan_out = self.dispatcher()
        self._buffer = Buffer(self.buffer_size, self.buffer_keep)
        self._consumers = set()
        self._finishing = False

    def _accept(self, subscription: Subscription) -> None:
        if subscription in self._consumers:
            self._refuse(subscription, "duplicated_subscription")
            return
        mode = self.handle_subscribe("consumer", subscription.options, subscription)
        if mode == "manual":
            raise OptionError(
                "handle_subscribe",
                "returned 'manual' for a consumer; only consumers ask",
                where=type(self).__name__,
            )
        options = subscription.options.extra
        try:
            self._fan_out.subscribe(subscription, options, consumer=subscription.consumer)
        except SubscriptionRefusedError as error:
            logger.error("%s refused %r: %s", self._cell.describe(), subscription, error)
            self._refuse(subscription, error.reason)
            return
        self._consumers.add(subscription)
        watch = self.monitor(subscription.consumer)
        subscription.producer_watch = watch
        self._watched[watch.id] = (subscription, self._consumer_ended)
        self._perform()

    def _refuse(self, subscription: Subscription, reason: str) -> None:
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

    def _cancel(self, subscription: Subscription, reason: Any) -> None:
        if subscription not in self._consumers:
            self._refuse(subscription, "unknown_subscription")
            return
        self._consumer_ended(subscription, "cancel", reason)
        subscription.consumer_put((_protocol.cancelled, (subscription, reason)))

    def _consumer_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        self._consumers.discard(subscription)
        watch = subscription.producer_watch
        if watch is not None:
            watch.cancel()
            self._watched.pop(watch.id, None)
        self.handle_cancel((kind, reason), subscription)
        demand = self._fan_out.cancel(subscription, self._buffer.length)
        self._perform()
        if demand:
            self._meet(demand)

    def _on_info(self, message: Any) -> None:
        if type(message) is Down:
            entry = self._watched.pop(message.monitor.id, None)
            if entry is not None:
                subscription, ended = entry
                ended(subscription, "down", message.reason)
                return
        self.handle_info(message)

    # -- events ---------------------------------------------------------------------------

    def _meet(self, demand: int) -> None:
        """Meet new demand: from the buffer, then from the stage's own code."""
        buffer = self._buffer
        while demand and buffer.length:
            events, infos = buffer.take(demand)
            demand -= len(events)
            self._dispatch(events)
            for info in infos:
                self._buffer_info(info)
        if demand and self._cell.ending is None:
            self._demanded(demand)

    def _demanded(self, demand: int) -> None:
        """Demand that the buffer could not meet."""
        raise NotImplementedError

    def _dispatch(self, events: Sequence[Any]) -> Sequence[Any]:
        """Send events on; what nobody asked for is buffered and returned."""
        deliveries, leftovers = self._fan_out.dispatch(events)
        for subscription, chunk in deliveries:
            subscription.consumer_put((_protocol.deliver, (subscription, chunk)))
        if self._fan_out.outbox:
            self._perform()
        if leftovers:
            self._store(leftovers)
        return leftovers

    def _store(self, events: Sequence[Any]) -> None:
        discarded = self._buffer.store(events)
        if discarded:
            self._overflow(discarded)
            for info in self._buffer.released():
                self._buffer_info(info)

    def _overflow(self, discarded: int) -> None:
        if telemetry.STAGE_BUFFER_OVERFLOW.receivers:
            telemetry.emit(
                telemetry.STAGE_BUFFER_OVERFLOW,
                self.ref,
                measurements={"count": discarded},
                metadata={"stage": self._cell.describe(), "size": self._buffer.size},
            )
        if self.format_discarded(discarded):
            logger.warning("%s has discarded %d events from its buffer", self._cell.describe(), discarded)

    def _buffer_info(self, info: Any) -> None:
        if type(info) is _Finish:
            self.stop(info.reason)
        else:
            self.handle_info(info)

    def _perform(self) -> None:
        """Do what the fan-out decided besides its return values."""
        outbox = self._fan_out.outbox
        while outbox:
            decision = outbox.pop(0)
            if isinstance(decision, Deliver):
                subscription: Subscription = decision.key
                subscription.consumer_put((_protocol.deliver, (subscription, decision.events)))
            elif isinstance(decision, DeliverInfo):
                self._buffer_info(decision.message)
            elif isinstance(decision, Reask):
                self.ref.send(_protocol.ask, (decision.key, decision.count))
            elif isinstance(decision, DemandMismatch):
                logger.warning(
                    "%s expects asks of at most %d events, %r asked for %d and gets more than its share",
                    self._cell.describe(), decision.expected, decision.key, decision.asked,
                )  # fmt: skip
            elif isinstance(decision, Discarded):
                self._overflow(decision.count)
