"""Who holds a lock and who comes next: first come, first served, a queue per key."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

import attrs

from slither_actors.core._key_table import KeySlot, KeyTable

__all__ = ["LockQueue"]

C = TypeVar("C")


@attrs.define
class LockQueue(Generic[C]):
    """Order the claims to any number of locks. A claim is made once, for one key.

    Not thread-safe: the owning actor is the only caller. Code of a key runs in `acquire` and
    `holder`, and what it raises has changed nothing; `release` runs none.
    """

    _claims: KeyTable[deque[C]] = attrs.field(factory=KeyTable, init=False)
    """The claims of each key; the first one holds the lock."""

    _slots: dict[C, KeySlot[deque[C]]] = attrs.field(factory=dict, init=False)

    def acquire(self, key: Any, claim: C) -> bool:
        """Queue a claim; True if it holds the lock at once."""
        place = self._claims.find(key)
        slot = self._slots[claim] = place.slot or self._claims.insert(place, deque())
        slot.content.append(claim)
        return len(slot.content) == 1

    def release(self, claim: C) -> C | None:
        """Give a lock back, or a place in its queue; return the claim that holds the lock now through this.

        A claim that is not known any more changes nothing.
        """
        if claim not in self._slots:
            return None
        slot = self._slots.pop(claim)
        queue = slot.content
        held = queue[0] == claim
        queue.remove(claim)
        if not queue:
            self._claims.remove(slot)
            return None
        return queue[0] if held else None

    def holder(self, key: Any) -> C | None:
        """Return the claim that holds the lock of a key."""
        slot = self._claims.get(key)
        return None if slot is None else slot.content[0]

    def claims(self) -> list[C]:
        """Return every claim, held or waiting, the oldest first."""
        return list(self._slots)

    def __len__(self) -> int:
        """How many claims there are, held and waiting."""
        return len(self._slots)
