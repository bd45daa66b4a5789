"""The stage in the middle: it takes events only while somebody wants what it makes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from slither_actors.actors import is_abnormal
from slither_actors.stages._emitter import Emitter, as_events
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._subscription import Subscription

__all__ = ["ProducerConsumer"]

_Entry = tuple[Subscription, Sequence[Any], tuple[str, Any] | None]
"""Events that wait for demand, or how a producer ended that had sent those in front."""


class ProducerConsumer(Emitter, Receiver):
    """A stage with producers and consumers. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_events`, which returns the events to emit. It runs only
    while there is demand downstream; until then what arrives waits, at most
    `max_demand` events of each producer. What one call returns beyond the
    demand waits in the buffer, which has no limit by default, as in GenStage:
    it holds at most what one delivered list was turned into, and what a
    consumer that is gone had asked for.
    """

    buffer_size = None

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Iterable[Any] | None:
        """Return the events that `events` become, at most ``max_demand - min_demand`` of them."""
        msg = f"{type(self).__name__} has no handle_events"
        raise NotImplementedError(msg)

    def _open(self) -> None:
        self._waiting: deque[_Entry] = deque()
        self._wanted = 0
        """Events that the consumers have asked for and that are not made yet."""
        super()._open()

    def _demanded(self, demand: int) -> None:
        self._wanted += demand
        if self._waiting:
            self._go_on()

    def _is_held(self) -> bool:
        """Whether events must wait although they are wanted; a stage that says so calls `_go_on` later."""
        return False

    def _go_on(self) -> None:
        """Handle what waits, as far as it is wanted."""
        waiting = self._waiting
        while waiting and not self._is_over() and not self._is_held():
            subscription, events, cause = waiting[0]
            if cause is None and self._wanted <= 0:
                return
            waiting.popleft()
            if cause is None:
                Receiver._receive(self, subscription, events)
            else:
                super()._source_left(subscription, *cause)

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if self._waiting or self._wanted <= 0 or self._is_held():
            self._waiting.append((subscription, events, None))
        else:
            Receiver._receive(self, subscription, events)

    def _handle(self, events: Sequence[Any], subscription: Subscription) -> None:
        made = as_events(self.handle_events(events, subscription))
        if made:
            self._dispatch(made)

    def _dispatch(self, events: Sequence[Any]) -> None:
        # Events that go to the buffer count too: they are made, and the buffer serves first. GenStage
        # counts only those that a consumer gets, so when the last consumer leaves demand behind, it
        # goes on for ever and buffers everything.
        self._wanted = max(0, self._wanted - len(events))
        Emitter._dispatch(self, events)

    def _source_left(self, subscription: Subscription, kind: str, reason: Any) -> None:
        """The end of a producer waits behind the events that it has sent."""
        if self._waiting or self._is_held():
            self._waiting.append((subscription, (), (kind, reason)))
        else:
            super()._source_left(subscription, kind, reason)

    def _end_with_source(self, reason: Any) -> None:
        # What the last events became may still wait for demand. GenStage drops it here.
        if is_abnormal(reason):
            self.stop(reason)
        else:
            self.complete(reason)
