"""One partition of a `PartitionFanOut`, and how much room the fullest of them has."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable
from sys import maxsize
from typing import Any, Generic, Literal, TypeVar

from slither_actors.core._buffer import Buffer
from slither_actors.core._demand_fan_out import DemandFanOut
from slither_actors.errors import BufferFullError, OptionError

__all__ = ["LeastRoom", "Partition", "PartitionHash", "QueueKeep", "QueuedInfo", "hash_of", "partition_names"]

K = TypeVar("K", bound=Hashable)

PartitionHash = Callable[[Any], "tuple[Any, Hashable] | None"]
"""``hash(event)`` returns ``(event, partition)``, the event changed or not, or None to drop it."""

QueueKeep = Literal["block", "first", "last", "error"]


class Partition(Generic[K]):
    """A partition: either demand or queued events, never both."""

    __slots__ = ("consumers", "demand", "name", "queue", "serial", "sharing")

    def __init__(self, name: Hashable, size: int | None, keep: QueueKeep) -> None:
        self.name = name
        self.sharing: DemandFanOut[K] = DemandFanOut(max_demand=maxsize)
        """Who of its consumers gets which events. Its own idea of what is owed is not used."""
        self.consumers = 0
        self.demand = 0
        """Of its consumers together."""
        # Where events are not asked for that there is no room for, none are dropped either.
        self.queue = Buffer(None) if keep == "block" else Buffer(size, keep)
        self.serial = 0
        """The number of its entry in `LeastRoom`."""

    def store(self, events: Any) -> int:
        """Queue events; return how many were dropped, of these or of older ones."""
        try:
            return self.queue.store(events)
        except BufferFullError as error:
            raise BufferFullError(f"the queue of partition {self.name!r}", error.size, error.over) from None


class QueuedInfo:
    """An info in the queues of several partitions; due when the last of them has let it go."""

    __slots__ = ("message", "queues")

    def __init__(self, message: Any, queues: int) -> None:
        self.message = message
        self.queues = queues


class LeastRoom(Generic[K]):
    """How many events may come, whatever partition they belong to: the room of the fullest.

    A partition has room for what its consumers have asked for and for what its
    queue may keep beyond what is in it. The cost of a change does not grow with
    the number of partitions.
    """

    # Entries are lower bounds, brought up to date when they reach the top; only less room is pushed.
    __slots__ = ("_heap", "_partitions", "_serial", "_size")

    def __init__(self, partitions: Iterable[Partition[K]], size: int) -> None:
        self._size = size
        self._partitions = list(partitions)
        self._serial = 0
        self._heap: list[tuple[int, int, Partition[K]]] = []
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = []
        for partition in self._partitions:
            self._serial += 1
            partition.serial = self._serial
            self._heap.append((self._room(partition), self._serial, partition))
        heapq.heapify(self._heap)

    def _room(self, partition: Partition[K]) -> int:
        return self._size - partition.queue.length + partition.demand

    def shrunk(self, partition: Partition[K]) -> None:
        """Take note of less room in this one. More is seen without a word."""
        self._serial += 1
        partition.serial = self._serial
        heapq.heappush(self._heap, (self._room(partition), self._serial, partition))
        if len(self._heap) > 2 * len(self._partitions) + 32:
            self._rebuild()

    def now(self) -> int:
        """Return the least room; below 0 where more was queued than the size says."""
        heap = self._heap
        while True:
            room, serial, partition = heap[0]
            actual = self._room(partition)
            if serial != partition.serial:
                heapq.heappop(heap)
            elif room < actual:
                heapq.heapreplace(heap, (actual, serial, partition))
            else:
                return room


def partition_names(partitions: Any) -> list[Hashable]:
    """Return the names of the partitions, which are given by number or by name."""
    if isinstance(partitions, int) and not isinstance(partitions, bool):
        names: list[Hashable] = list(range(partitions))
    elif isinstance(partitions, Iterable) and not isinstance(partitions, (str, bytes)):
        names = list(partitions)
    else:
        names = []
    if not names or len(set(names)) < len(names) or None in names:
        raise OptionError(
            "partitions",
            f"is {partitions!r}; allowed are a number of at least 1 and a list of different names",
        )
    return names


def hash_of(count: int) -> PartitionHash:
    """Return the hash function for partitions that are numbered from 0."""

    def choose(event: Any) -> tuple[Any, Hashable]:
        return event, hash(event) % count

    return choose
