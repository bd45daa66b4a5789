"""What an actor waits for: asked by the scheduler when it runs out of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from queue import SimpleQueue

    from slither_actors.actors._cell import Cell

__all__ = ["Arrival", "Awaited", "EndOf"]


class Awaited(Protocol):
    """A `Request`, a `Future`, an `EndOf` an actor, and what else actors wait for in other actors."""

    @property
    def answered(self) -> bool:
        """Whether the wait is over, or about to be."""

    @property
    def cell(self) -> Cell | None:
        """Who has to run for that, if it is known."""


class EndOf:
    """The end of an actor, waited for."""

    __slots__ = ("cell",)

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    @property
    def answered(self) -> bool:
        return self.cell.dead


class Arrival:
    """The next entry of a queue, put by an actor that ends."""

    __slots__ = ("_queue", "cell")

    def __init__(self, queue: SimpleQueue[Any], cell: Cell | None) -> None:
        self._queue = queue
        self.cell = cell

    @property
    def answered(self) -> bool:
        return not self._queue.empty()
