"""Batches that wait to start, of which those of one key run one after the other."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["SerialQueue"]

E = TypeVar("E")


class SerialQueue(Generic[E]):
    """A queue that passes over entries whose key is at work, and keeps the order within a key.

    It is used as the ``deque`` that it stands for, with two differences: it is
    true while an entry may start, not while there is one; and `finish` is to be
    called when an entry that `popleft` gave out is done. `key` returns the key of
    an entry as a tuple of one, or None for an entry that may start at any time.
    Not thread-safe: the owning actor is the only caller.
    """

    __slots__ = ("_blocked", "_busy", "_free", "_key")

    def __init__(self, key: Callable[[E], tuple[Hashable] | None]) -> None:
        self._key = key
        self._free: deque[tuple[tuple[Hashable] | None, E]] = deque()
        """May start, in the order in which they came or became free; each key at most once."""
        self._blocked: OrderedDict[tuple[Hashable], deque[E]] = OrderedDict()
        """Behind another one of their key."""
        self._busy: set[tuple[Hashable]] = set()
        """Keys of entries that are free or at work."""

    def __len__(self) -> int:
        return len(self._free) + sum(map(len, self._blocked.values()))

    def __bool__(self) -> bool:
        return bool(self._free)

    def __iter__(self) -> Iterator[E]:
        yield from (entry for _, entry in self._free)
        for entries in self._blocked.values():
            yield from entries

    def append(self, entry: E) -> None:
        """Add an entry."""
        key = self._key(entry)
        if key is None:
            self._free.append((None, entry))
        elif key in self._busy:
            self._blocked.setdefault(key, deque()).append(entry)
        else:
            self._busy.add(key)
            self._free.append((key, entry))

    def extend(self, entries: Iterable[E]) -> None:
        """Add entries."""
        for entry in entries:
            self.append(entry)

    def popleft(self) -> E:
        """Take the entry that may start first; its key is at work from now on."""
        return self._free.popleft()[1]

    def finish(self, entry: E) -> None:
        """The entry is done: the next one of its key may start."""
        key = self._key(entry)
        if key is None:
            return
        waiting = self._blocked.get(key)
        if waiting is None:
            self._busy.discard(key)
            return
        self._free.append((key, waiting.popleft()))
        if not waiting:
            del self._blocked[key]

    def clear(self) -> None:
        """Drop what waits; what is at work is not forgotten."""
        for key, _ in self._free:
            if key is not None:
                self._busy.discard(key)
        self._free.clear()
        self._blocked.clear()
