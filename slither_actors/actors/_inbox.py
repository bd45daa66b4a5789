"""The mailbox as Pykka's code sees it."""

from __future__ import annotations

from typing import Any

from pykka._envelope import Envelope

from slither_actors.actors import _runtime
from slither_actors.actors._cell import Cell, zombie_cells
from slither_actors.actors._handlers import _on_envelope

__all__ = ["Inbox"]


class Inbox:
    """Takes envelopes from any thread, and puts what they are into the actor's mailbox."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add an envelope to the mailbox."""
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.put((_on_envelope, envelope))

    def get(self) -> Envelope[Any]:
        """Take the first envelope; for a mailbox whose actor does not run."""
        argument = self._cell.inbox.popleft()[1]
        return argument if isinstance(argument, Envelope) else Envelope(argument)

    def empty(self) -> bool:
        """Whether no message waits."""
        return not self._cell.inbox
