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

_Entry = tuple[Subscription, Sequence[Any] | None, tuple[str, Any] | None]


class ProducerConsumer(Emitter, Receiver):
    """A stage with producers and consumers. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_events`, which returns the events to emit. It runs only
    while there is demand downstream; until then what arrives waits, at most
    `max_demand` events of each producer. What one call returns beyond the
    demand waits in the buffer, which has no limit by default, as in GenStage:
    it holds at most what one delivered list was turned into.
    """

    buffer_size = None

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Iterable[Any] | None:
        """Return the events that `events` become."""
        msg = f"{type(self).__name__} has no handle_events"
        raise NotImplementedError(msg)

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._watched = {}
        self._waiting: deque[_Entry] = deque()
        self._wanted = 0
        """Demand of the consumers that is not met."""
        super()._begin(args, kwargs)
        self._open_output()
        self._open_input()

    def _demanded(self, demand: int) -> None:
        self._wanted += demand
        if self._waiting:
            self._go_on()

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if self._waiting or self._wanted <= 0:
            self._waiting.append((subscription, events, None))
        else:
            super()._receive(subscription, events)

    def _handle(self, events: Sequence[Any], subscription: Subscription) -> None:
        made = as_events(self.handle_events(events, subscription))
        if made:
            self._dispatch(made)

    def _dispatch(self, events: Sequence[Any]) -> Sequence[Any]:
        leftovers = super()._dispatch(events)
        self._wanted = max(0, self._wanted - len(events) + len(leftovers))
        return leftovers

    def _meet(self, demand: int) -> None:
        # Demand that the buffer meets is not demand for new events: `_dispatch` takes it off again.
        self._wanted += min(demand, self._buffer.length)
        super()._meet(demand)

    def _go_on(self) -> None:
        waiting = self._waiting
        while waiting and self._wanted > 0 and self._cell.ending is None:
            subscription, events, ended = waiting.popleft()
            if ended is not None:
                super()._source_ended(subscription, *ended)
            elif events is not None:
                super()._receive(subscription, events)

    def _source_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        """The end of a producer waits behind the events that it has sent."""
        if self._waiting:
            self._waiting.append((subscription, None, (kind, reason)))
        else:
            super()._source_ended(subscription, kind, reason)

    def _end_with_source(self, reason: Any) -> None:
        # What the last events became may still wait for demand. GenStage drops it here.
        if is_abnormal(reason):
            self.stop(reason)
        else:
            self.complete(reason)
