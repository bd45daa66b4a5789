"""The reference to an actor with Pykka's contract."""

from __future__ import annotations

from typing import Any

import pykka
from pykka._envelope import Envelope

from slither_actors.actors import _runtime
from slither_actors.actors._cell import zombie_cells
from slither_actors.actors._handlers import _on_envelope, _on_info
from slither_actors.actors._reasons import NORMAL
from slither_actors.actors._ref import Ref
from slither_actors.config import any_seconds_or_none

__all__ = ["ActorRef"]


class ActorRef(Ref):
    """The reference to an `Actor`: Pykka's own, on our mailbox."""

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """As in Pykka: the actor's UUID as a URN."""
        return self._cell.actor.actor_urn

    def is_alive(self) -> bool:
        """As in Pykka: False from the moment on which the actor begins to stop."""
        stopped: bool = self._cell.actor.actor_stopped.is_set()
        return not stopped

    def tell(self, message: Any) -> None:
        """As in Pykka: send a message; `pykka.ActorDeadError` if the actor is dead."""
        cell = self._cell
        if cell.actor.actor_stopped.now:
            msg = f"{self} not found"
            raise pykka.ActorDeadError(msg)
        if zombie_cells and _runtime.is_fenced():
            return
        # Without an envelope, which would double the time to send: nobody waits for an answer.
        cell.put((_on_info, message))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """As in Pykka; see `pykka.ActorRef.ask`."""
        cell = self._cell
        if cell.actor.actor_stopped.now:
            return pykka.ActorRef.ask(self, message, block=block, timeout=timeout)
        if zombie_cells:
            _runtime.refuse_zombie()
        future = self.actor_class._create_future()
        future.cell = cell
        cell.put((_on_envelope, Envelope(message, reply_to=future)))
        return future.get(timeout=timeout) if block else future

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:  # type: ignore[override]
        """As in Pykka; see `pykka.ActorRef.stop`."""
        if zombie_cells:
            _runtime.refuse_zombie()
        if timeout is not None:
            any_seconds_or_none.check("timeout", timeout, self)
        if block and self._cell.end_here(NORMAL):
            return True
        return pykka.ActorRef.stop(self, block=block, timeout=timeout)

    @property
    def actor_stopped(self) -> Any:  # type: ignore[override]
        """As in Pykka: the event that says that the actor stops."""
        return self._cell.actor.actor_stopped

    def __str__(self) -> str:
        return f"{self.actor_class.__name__} ({self.actor_urn})"

    def __repr__(self) -> str:
        return f"<ActorRef for {self}>"
