"""The input side of a stage: subscriptions, chunks, and when to ask again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slither_actors.actors import Ref
from slither_actors.config import build
from slither_actors.errors import OptionError
from slither_actors.stages import _protocol
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._stage import BaseStage
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["Receiver", "subscription_options"]

logger = logging.getLogger("slither_actors.stages")

_Entry = tuple[Subscription, Sequence[Any], tuple[str, Any] | None]
"""Events that wait, or how a producer ended that had sent those in front."""

_KNOWN = ("to", "max_demand", "min_demand", "cancel")


def subscription_options(given: Mapping[str, Any], *, where: str = "") -> SubscriptionOptions:
    """Check subscription options; unknown ones go to the producer's fan-out."""
    own = {name: value for name, value in given.items() if name in _KNOWN}
    extra = {name: value for name, value in given.items() if name not in _KNOWN}
    options = build(SubscriptionOptions, {**own, "extra": extra}, where=where)
    if not issubclass(options.to.actor_class, Emitter):
        raise OptionError("to", f"is {options.to}, which is no producer", where=where)
    return options


class Receiver(BaseStage):
    """A stage that has producers. Not for users: see `Consumer` and `ProducerConsumer`."""

    subscribe_to: Iterable[Any] = ()
    """Producers to subscribe to at the start, in this order: refs, names, or mappings of
    subscription options. Set on the class or in `init`."""

    _producers: set[Subscription]

    _waiting: deque[_Entry]

    _may_hold = False
    """Whether events may have to wait: a stage that sets it is asked by `_is_held` for each list."""

    # -- callbacks -----------------------------------------------------------------

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
        """Handle at most ``max_demand - min_demand`` events, in order; all that came, if asked by hand."""
        msg = f"{type(self).__name__} has no handle_events"
        raise NotImplementedError(msg)

    # -- the protocol ------------------------------------------------------------------

    def _open(self) -> None:
        self._producers = set()
        self._waiting = deque()
        for options in self._checked_producers():
            self._subscribe(options)
        super()._open()

    def _checked_producers(self) -> list[SubscriptionOptions]:
        entries = self.subscribe_to
        where = f"{type(self).__name__}.subscribe_to"
        if isinstance(entries, (str, Mapping)) or not isinstance(entries, Iterable):
            raise OptionError("subscribe_to", f"is {entries!r:.200}; allowed is a list of producers")
        mappings = [entry if isinstance(entry, Mapping) else {"to": entry} for entry in entries]
        return [subscription_options(mapping, where=where) for mapping in mappings]

    def _subscribe(self, options: SubscriptionOptions) -> Subscription:
        subscription = Subscription(self.ref, options)
        self._producers.add(subscription)
        producer: Ref = options.to
        subscription.watch = self._watch_end(subscription, producer, self._source_ended)
        # Before the callback: it may ask.
        producer.send(_protocol.subscribe, subscription)
        subscription.manual = self._welcome("producer", subscription, "automatic", "manual") == "manual"
        if not subscription.manual and self._cell.ending is None:
            producer.send(_protocol.ask, (subscription, subscription.demand.max_demand))
        return subscription

    # -- events that wait ------------------------------------------------------------------

    def _is_held(self) -> bool:
        """Whether no event may be handled now; a stage that says so calls `_go_on` later."""
        return False

    def _is_wanted(self) -> bool:
        """Whether there is demand for what events become."""
        return True

    def _go_on(self) -> None:
        """Handle what waits, as far as it is wanted."""
        waiting = self._waiting
        while waiting and not self._is_over() and not self._is_held():
            subscription, events, cause = waiting[0]
            if cause is None and not self._is_wanted():
                return
            waiting.popleft()
            if cause is None:
                self._take_in(subscription, events)
            else:
                self._leave(subscription, *cause)

    # -- events that came -------------------------------------------------------------------

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if self._may_hold and (self._waiting or self._is_held()):
            self._waiting.append((subscription, events, None))
        else:
            self._take_in(subscription, events)

    def _take_in(self, subscription: Subscription, events: Sequence[Any]) -> None:
        """Handle a list, chunk by chunk, and ask for more after each."""
        if subscription.manual:
            self._handle(events, subscription)
            return
        ask = subscription.demand.take(len(events))
        if ask is None:
            self._take_many(subscription, events)
            return
        self._handle(events, subscription)
        if ask and not subscription.closed:
            subscription.producer_put((_protocol.ask, (subscription, ask)))

    def _take_many(self, subscription: Subscription, events: Sequence[Any]) -> None:
        demand = subscription.demand
        chunks = demand.split(events)
        if demand.excess:
            logger.error("%s received %d events in excess", self._cell.describe(), demand.excess)
        for chunk, ask in chunks:
            self._handle(chunk, subscription)
            if self._is_over():
                return
            if ask and not subscription.closed:
                subscription.producer_put((_protocol.ask, (subscription, ask)))

    def _handle(self, events: Sequence[Any], subscription: Subscription) -> None:
        returned = self.handle_events(events, subscription)
        if returned is not None:
            logger.error("%s is a consumer and returned events; they are dropped", self._cell.describe())

    def _source_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        """Nothing more comes: the producer has cancelled or is down. The first news counts."""
        if subscription.closed:
            return
        subscription.closed = True
        self._unwatch_end(subscription.watch)
        self._producers.discard(subscription)
        self._source_left(subscription, kind, reason)

    def _source_left(self, subscription: Subscription, kind: str, reason: Any) -> None:
        """The end of a producer waits behind the events that it has sent."""
        if self._waiting or self._is_held():
            self._waiting.append((subscription, (), (kind, reason)))
        else:
            self._leave(subscription, kind, reason)

    def _leave(self, subscription: Subscription, kind: str, reason: Any) -> None:
        self.handle_cancel((kind, reason), subscription)
        if reason != "already_subscribed" and subscription.options.ends_with(reason):
            self._end_with_source(reason)

    def _end_with_source(self, reason: Any) -> None:
        self.stop(reason)
