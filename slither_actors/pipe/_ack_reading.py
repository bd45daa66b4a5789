"""What the readers of a stream are at, for a source that wants to know when they are done with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper

__all__ = ["FollowedItems", "OutputAcks"]


class FollowedItems(Iterator[Item]):
    """Items that came together, for the one reader of a stream."""

    __slots__ = ("_acks", "_given", "_items")

    def __init__(self, items: Iterable[Item], acks: AckKeeper) -> None:
        self._items = iter(items)
        self._acks = acks
        self._given: Item | None = None

    def __next__(self) -> Item:
        if self._given is not None:
            self._acks.ended((self._given,))
            self._given = None
        self._given = next(self._items)
        return self._given

    def hand_over(self) -> tuple[Item | None, Iterator[Item]]:
        """Give nothing more; return the item that the reader is at, and those behind it."""
        found = self._given, self._items
        self._given, self._items = None, iter(())
        return found


class OutputAcks:
    """The items that the readers of single outputs are at: one for each thread, or task, and output."""

    def __init__(
        self, acks: AckKeeper, first: Item | None, reader: Callable[[], Any] = threading.current_thread
    ) -> None:
        """Begin.

        Args:
            acks: is told.
            first: what was read of the whole stream last; done with when anything is asked for.
            reader: returns the thread or task that reads: itself, as its number is another's later.
        """
        self._acks = acks
        self._reader = reader
        self._given: dict[tuple[str, Any] | None, Item] = {}
        if first is not None:
            self._given[None] = first

    def gave(self, output: str, item: Item) -> None:
        """Whoever reads now gets an item of an output."""
        self._given[output, self._reader()] = item

    def asked(self, output: str) -> None:
        """Whoever reads now wants the next one of an output."""
        for key in ((output, self._reader()), None):
            item = self._given.pop(key, None)
            if item is not None:
                self._acks.ended((item,))

    def dropped(self, items: Iterable[Any]) -> None:
        """Nobody wants these."""
        self._acks.ended(items)

    @property
    def all_done(self) -> bool:
        """Whether nobody is at an item."""
        return not self._given
