"""The producer: the stage that makes events when it is asked for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slither_actors.stages._emitter import Emitter, as_events

__all__ = ["Producer"]


class Producer(Emitter):
    """A stage with consumers only. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_demand`; `init` sets up the state. Other callbacks of
    `Server` may emit with `emit`.
    """

    def handle_demand(self, demand: int) -> Iterable[Any] | None:
        """Return up to `demand` events, or more, which are buffered.

        Fewer are a debt: the consumers go on waiting for them, and the stage
        has to `emit` them when it has them. It is not asked for them again.
        """
        msg = f"{type(self).__name__} has no handle_demand"
        raise NotImplementedError(msg)

    def _demanded(self, demand: int) -> None:
        events = as_events(self.handle_demand(demand))
        if events:
            self._dispatch(events)
