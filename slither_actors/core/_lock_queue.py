"""Who holds a lock and who comes next: first come, first served, a queue per key."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

import attrs

__all__ = ["LockQueue"]

C = TypeVar("C")


@attrs.define
class LockQueue(Generic[C]):
    """Order the claims to any number of locks. A claim is made once, for one key.

    Not thread-safe: the owning actor is the only caller.
    """

    _claims: dict[Any, deque[C]] = attrs.field(factory=dict, init=False)
    """The claims of each key; the first one holds the lock."""

    _keys: dict[C, Any] = attrs.field(factory=dict, init=False)

    def acquire(self, key: Any, claim: C) -> bool:
        """Queue a claim; True if it holds the lock at once."""
        self._keys[claim] = key
        queue = self._claims.setdefault(key, deque())
        queue.append(claim)
        return len(queue) == 1

    def release(self, claim: C) -> C | None:
        """Give a lock back, or a place in its queue; return the claim that holds the lock now through this.

        A claim that is not known any more changes nothing.
        """
        if claim not in self._keys:
            return None
        key = self._keys.pop(claim)
        queue = self._claims[key]
        held = queue[0] == claim
        queue.remove(claim)
        if not queue:
            del self._claims[key]
            return None
        return queue[0] if held else None

    def holder(self, key: Any) -> C | None:
        """Return the claim that holds the lock of a key."""
        queue = self._claims.get(key)
        return queue[0] if queue else None

    def claims(self) -> list[C]:
        """Return every claim, held or waiting, the oldest first."""
        return list(self._keys)

    def __len__(self) -> int:
        """How many claims there are, held and waiting."""
        return len(self._keys)
