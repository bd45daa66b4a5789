"""The actor that consumes for the reader of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.actors import Down, Ref
from slither_actors.errors import OptionError
from slither_actors.stages import _protocol
from slither_actors.stages._arrivals import Arrivals, End
from slither_actors.stages._consumer import Consumer
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["StreamConsumer"]


class StreamConsumer(Consumer):
    """Subscribes, and hands what comes to the reader, who asks for more. Not for users: see `stream`."""

    def init(self, arrivals: Arrivals, subscriptions: list[SubscriptionOptions], reader: Ref | None) -> None:
        """Subscribe; the end of the actor `reader`, if it is one, ends this one."""
        self._arrivals = arrivals
        self._wanted = subscriptions
        arrivals.consumer = self.ref
        if reader is not None:
            self.monitor(reader)

    def _open(self) -> None:
        super()._open()
        self._arrivals.subscriptions = self._producers

    def _checked_producers(self) -> list[SubscriptionOptions]:
        return self._wanted

    @classmethod
    def _check_subscribing(cls, options: SubscriptionOptions, where: str) -> None:
        # The reader takes what has come, in its own time: there is no handler whose end could be told.
        if options.max_wait is not None:
            raise OptionError("max_wait", f"is {options.max_wait!r}; a stream takes None", where=where)
        if options.delivery != "at_most_once":
            problem = (
                f"is {options.delivery!r}; a stream takes 'at_most_once': nobody knows when its reader "
                "has done with an event. Hand over to a Consumer instead"
            )
            raise OptionError("delivery", problem, where=where)

    def _take_in(self, subscription: Subscription, events: Sequence[Any]) -> None:
        # The reader counts them against the demand and asks again, when it has had them.
        if events:
            self._arrivals.put((subscription, events))

    _receive = _take_whole = _take_in

    def _leave(self, subscription: Subscription | None, kind: str, reason: Any) -> None:
        if subscription is None or self._draining:
            super()._leave(subscription, kind, reason)
            return
        refused_twice = isinstance(reason, str) and reason == "already_subscribed"
        if not refused_twice and subscription.options.ends_with(reason):
            self._end(End(str(subscription.producer), reason))
        elif not self._producers and not self._waiting:
            self._end(End())

    def _end_with_source(self, reason: Any) -> None:
        self._end(End())  # it is drained

    def _begin_pause(self) -> None:
        super()._begin_pause()
        self._receive = self._receive_or_hold  # type: ignore[method-assign]

    def _count_waiting(self) -> int:
        return super()._count_waiting() + self._arrivals.waiting

    def handle_info(self, message: Any) -> None:
        """Learn of the end of the actor that reads."""
        if type(message) is Down:
            self._end(End(str(message.ref), message.reason))
        else:
            super().handle_info(message)

    def _end(self, end: End) -> None:
        self._arrivals.put(end)
        self.stop()

    def terminate(self, reason: Any) -> None:
        """Tell the producers: they are to make nothing more."""
        for subscription in tuple(self._producers):
            subscription.producer_put((_protocol.cancel, (subscription, "normal")))

    def _ends_silently(self) -> bool:
        return True  # what runs at the end only puts messages into mailboxes, which any thread may do

    def _on_dead(self) -> None:
        # Nothing, to a reader that has been told of the end.
        reason = self._cell.reason
        was_stopped = isinstance(reason, str) and reason == "normal"
        self._arrivals.put(End() if was_stopped else End(self._cell.describe(), reason))
        super()._on_dead()
