"""The stage in the middle: it takes events only while somebody wants what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.actors import is_abnormal
from slither_actors.errors import OptionError
from slither_actors.stages._emitter import SEQUENCES, Emitter, as_events
from slither_actors.stages._kinds import Made
from slither_actors.stages._lazy import Lazy, LazyEmitter
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._subscription import Subscription
from slither_actors.stages._unfinished import Unfinished

__all__ = ["ProducerConsumer"]


class ProducerConsumer(LazyEmitter, Receiver):
    """A stage with producers and consumers. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_events`, which returns the events to emit. It runs only
    while there is demand downstream; until then what arrives waits, at most
    `max_demand` events of each producer. What one call returns beyond the
    demand waits in the buffer, which has no limit by default, as in GenStage:
    it holds at most what one delivered list was turned into, and what a
    consumer that is gone had asked for.
    """

    buffer_size = None

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Made:
        """Return or yield the events that `events` become, at most ``max_demand - min_demand`` of them.

        An iterator is read as far as there is demand, and on at the next demand. May be ``async def``.
        """
        msg = f"{type(self).__name__} has no handle_events"
        raise NotImplementedError(msg)

    def _open(self) -> None:
        self._wanted = 0
        """Events that the consumers have asked for and that are not made yet."""
        if getattr(self, "demand", None) in ("forward", "accumulate"):
            problem = f"is {self.demand!r}, but only a Producer has a mode; take it out"  # type: ignore[attr-defined]
            raise OptionError("demand", problem, where=type(self).__name__)
        super()._open()

    def _demanded(self, demand: int) -> None:
        self._wanted += demand
        if self._lane is not None:
            self._lane.grant(demand)
        if self._waiting or self._lazy is not None:
            self._go_on()

    def _go_on(self) -> None:
        """Read what a generator has left, then handle what waits, as far as it is wanted."""
        LazyEmitter._go_on(self)
        Receiver._go_on(self)

    def _room(self, lazy: Lazy) -> int:
        return self._wanted

    def _is_held(self) -> bool:
        return self._lazy is not None or super()._is_held()

    def _is_wanted(self) -> bool:
        return self._wanted > 0

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if (
            self._waiting
            or self._wanted <= 0
            or self._lazy is not None
            or (self._may_hold and (self._is_held() or self._is_at_its_end()))
        ):
            self._waiting.append((subscription, events, None))
        else:
            self._take_in(subscription, events)

    def _handle_plainly(self, events: Sequence[Any], subscription: Subscription) -> Unfinished | None:
        made = self.handle_events(events, subscription)
        if type(made) is not list and type(made) not in SEQUENCES:
            lazy = None if made is None else self._emit_made("handle_events", made)
            if lazy is not None:
                lazy.size = len(events)
            return lazy
        if made:
            self._dispatch(made)  # type: ignore[arg-type]
        return None

    def _handler_returned(self, returned: Any) -> None:
        made = as_events(returned, self, "handle_events")
        if made:
            self._dispatch(made)

    def _dispatch(self, events: Sequence[Any]) -> None:
        # Events that go to the buffer count too: they are made, and the buffer serves first. GenStage
        # counts only those that a consumer gets, so when the last consumer leaves demand behind, it
        # goes on for ever and buffers everything.
        left = self._wanted - len(events)
        self._wanted = left if left > 0 else 0  # `max` would take three times as long
        Emitter._dispatch(self, events)

    # -- control ---------------------------------------------------------------------------

    def _take_info(self, info: Any) -> None:
        self._flush_collected()
        self._put_behind("info", info)

    def _reached(self, kind: str, what: Any) -> None:
        if kind == "info":
            self._queue_info(what)
        else:
            super()._reached(kind, what)

    def _count_unmet(self) -> int:
        return super()._count_unmet() + self._wanted

    def _end_with_source(self, reason: Any) -> None:
        # What the last events became may still wait for demand. GenStage drops it here.
        if is_abnormal(reason):
            self.stop(reason)
        elif self._draining:
            self.complete(reason)
        else:
            self._complete_from_outside(reason)  # behind the messages that wait for room
