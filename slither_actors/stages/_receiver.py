"""The input side of a stage: subscriptions, chunks, and when to ask again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from slither_actors.actors import Down, Ref, Server
from slither_actors.config import build
from slither_actors.stages import _protocol
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["Receiver", "subscription_options"]

logger = logging.getLogger("slither_actors.stages")

_KNOWN = ("to", "max_demand", "min_demand", "cancel")


def subscription_options(given: Mapping[str, Any], *, where: str = "") -> SubscriptionOptions:
    """Check subscription options; unknown ones go to the producer's fan-out."""
    own = {name: value for name, value in given.items() if name in _KNOWN}
    extra = {name: value for name, value in given.items() if name not in _KNOWN}
    return build(SubscriptionOptions, {**own, "extra": extra}, where=where)


class Receiver(Server):
    """A stage that has producers. Not for users: see `Consumer` and `ProducerConsumer`."""

    subscribe_to: Iterable[Any] = ()
    """Producers to subscribe to at the start: refs, names, or mappings of subscription options."""

    _producers: set[Subscription]
    _watched: dict[int, tuple[Subscription, Callable[[Subscription, str, Any], None]]]

    # -- callbacks -----------------------------------------------------------------

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
        """Handle at most ``max_demand - min_demand`` events, in order."""
        msg = f"{type(self).__name__} has no handle_events"
        raise NotImplementedError(msg)

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Learn of a new subscription; return ``"manual"`` to ask by hand."""
        return None

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """Learn of the end of a subscription; `cause` is ``("cancel" | "down", reason)``."""

    # -- the protocol ------------------------------------------------------------------

    def _open_input(self) -> None:
        self._producers = set()
        for entry in self.subscribe_to:
            given = entry if isinstance(entry, Mapping) else {"to": entry}
            self._subscribe(subscription_options(given, where=f"{type(self).__name__}.subscribe_to"))

    def _subscribe(self, options: SubscriptionOptions) -> Subscription:
        subscription = Subscription(self.ref, options)
        subscription.manual = self.handle_subscribe("producer", options, subscription) == "manual"
        self._producers.add(subscription)
        producer: Ref = options.to
        watch = self.monitor(producer)
        subscription.watch = watch
        self._watched[watch.id] = (subscription, self._source_ended)
        producer.send(_protocol.subscribe, subscription)
        if not subscription.manual:
            producer.send(_protocol.ask, (subscription, subscription.demand.max_demand))
        return subscription

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if subscription.closed:
            return
        if subscription.manual:
            self._handle(events, subscription)
            return
        demand = subscription.demand
        for chunk, ask in demand.split(events):
            self._handle(chunk, subscription)
            if ask:
                subscription.producer_put((_protocol.ask, (subscription, ask)))
        if demand.excess:
            logger.error("%s received %d events in excess", self._cell.describe(), demand.excess)

    def _handle(self, events: Sequence[Any], subscription: Subscription) -> None:
        returned = self.handle_events(events, subscription)
        if returned is not None:
            logger.error("%s is a consumer and returned events; they are dropped", self._cell.describe())

    def _source_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        if subscription not in self._producers:
            return
        self._forget(subscription)
        self.handle_cancel((kind, reason), subscription)
        if reason != "already_subscribed" and subscription.options.ends_with(reason):
            self._end_with_source(reason)

    def _forget(self, subscription: Subscription) -> None:
        self._producers.discard(subscription)
        subscription.closed = True
        watch = subscription.watch
        if watch is not None:
            watch.cancel()
            self._watched.pop(watch.id, None)

    def _end_with_source(self, reason: Any) -> None:
        self.stop(reason)

    def _on_info(self, message: Any) -> None:
        if type(message) is Down:
            entry = self._watched.pop(message.monitor.id, None)
            if entry is not None:
                subscription, ended = entry
                ended(subscription, "down", message.reason)
                return
        self.handle_info(message)
