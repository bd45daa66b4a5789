"""Batches by key, on a stream that has no end to wait for."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from slither_actors.core._batching import BatchingError, _positive
from slither_actors.core._timed_batcher import check_batch_timeout
from slither_actors.errors import OptionError

__all__ = ["KeyBatcher", "KeyedBatch"]

T = TypeVar("T")


class KeyedBatch(list[T]):
    """A batch whose items are all of one `key`; it starts when the one before it of that key is done."""

    __slots__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        self.key = key
        super().__init__()


class KeyBatcher(Generic[T]):
    """Batches of items of one key, at most `batch_size` each, in input order within a key.

    A group is a batch when it is full. When `max_pending` items are held the
    largest group goes early, of equal ones the one that was begun first; so
    with more keys than `max_pending` batches get small, but memory does not
    grow. With a `batch_timeout` a group also goes when its first item has
    waited that long, see `WaitingBatcher`. If `keyed`, batches are `KeyedBatch`.
    """

    # `_heap` exists while many items are held: entries (-size, begun, key), one for
    # every size that a group has had; the one with its present size is valid.
    # It is built when the bound is reached and dropped when half is free, so
    # that a stream that never comes near the bound does not pay for it.
    # `_times` has an entry for every group that was begun, with the time, if
    # there is a timeout; those of groups that are gone are dropped when met.
    __slots__ = (
        "_begun",
        "_groups",
        "_heap",
        "_now",
        "_pending",
        "_times",
        "batch_size",
        "batch_timeout",
        "key",
        "keyed",
        "max_pending",
    )

    def __init__(
        self,
        key: Callable[[T], Hashable],
        batch_size: int,
        max_pending: int,
        *,
        batch_timeout: float | None = None,
        keyed: bool = False,
    ) -> None:
        self.key = key
        self.batch_size = _positive("batch_size", batch_size)
        self.max_pending = _positive("max_pending", max_pending)
        if max_pending < batch_size:
            raise OptionError(
                "max_pending", f"is {max_pending}; allowed is batch_size = {batch_size} and more"
            )
        self.batch_timeout = None if batch_timeout is None else check_batch_timeout(batch_timeout)
        self.keyed = keyed
        self._groups: OrderedDict[Hashable, tuple[int, list[T]]] = OrderedDict()
        self._heap: list[tuple[int, int, Hashable]] | None = None
        self._begun = 0
        self._pending = 0
        self._now = 0.0
        self._times: deque[tuple[float, int, Hashable]] = deque()

    @property
    def pending(self) -> int:
        """Items held in all groups, less than `max_pending`."""
        return self._pending

    def add(self, items: Sequence[T]) -> list[list[T]]:
        """Take items; return the groups that they fill, and those that had to make room."""
        batches: list[list[T]] = []
        for at, item in enumerate(items):
            try:
                key = self.key(item)
                group = self._groups.get(key)
            except Exception as error:
                problem = f"failed: {type(error).__name__}: {error}"
                raise BatchingError("key function", problem, item, batches, items[at + 1 :]) from error
            if group is None:
                self._begun += 1
                group = self._groups[key] = (self._begun, KeyedBatch(key) if self.keyed else [])
                if self.batch_timeout is not None:
                    self._note_time(key)
            group[1].append(item)
            self._pending += 1
            if len(group[1]) >= self.batch_size:
                batches.append(self._pop(key))
            elif self._heap is not None:
                self._push(key, group)
            if self._pending >= self.max_pending:
                batches.append(self._pop(self._largest()))
        return batches

    @property
    def due(self) -> float | None:
        """When the oldest group has waited long enough; None if there is none, or no timeout."""
        times = self._times
        while times:
            began, begun, key = times[0]
            if self._is_present(begun, key):
                assert self.batch_timeout is not None
                return began + self.batch_timeout
            times.popleft()
        return None

    def tick(self, now: float, room: int) -> list[list[T]]:
        """Take note of the time; return the groups that have waited long enough, the oldest first."""
        self._now = now
        batches: list[list[T]] = []
        while len(batches) < room and (due := self.due) is not None and now >= due:
            batches.append(self._pop(self._times.popleft()[2]))
        return batches

    def flush(self) -> list[list[T]]:
        """Return every group, in the order in which they were begun."""
        batches = [group for _, group in self._groups.values()]
        self._groups.clear()
        self._times.clear()
        self._heap = None
        self._pending = 0
        return batches

    def wanted(self, room: int) -> int:
        """What `room` batches lack if all that is held is of the right keys, but no less than a batch.

        Never more than the bound lets in before a group has to go.
        """
        if room <= 0:
            return 0
        lacking = max(self.batch_size, room * self.batch_size - self._pending)
        return min(lacking, self.max_pending - self._pending)

    def _note_time(self, key: Hashable) -> None:
        times = self._times
        if len(times) > 2 * self.max_pending:  # of groups that went since
            self._times = times = deque(entry for entry in times if self._is_present(entry[1], entry[2]))
        times.append((self._now, self._begun, key))

    def _is_present(self, begun: int, key: Hashable) -> bool:
        group = self._groups.get(key)
        return group is not None and group[0] == begun

    def _pop(self, key: Hashable) -> list[T]:
        _, group = self._groups.pop(key)
        self._pending -= len(group)
        if 2 * self._pending < self.max_pending:
            self._heap = None
        return group

    def _push(self, key: Hashable, group: tuple[int, list[T]]) -> None:
        heap = self._heap
        if heap is None or len(heap) > 2 * self.max_pending:
            self._build_heap()
        else:
            heapq.heappush(heap, (-len(group[1]), group[0], key))

    def _build_heap(self) -> None:
        self._heap = [(-len(group), begun, key) for key, (begun, group) in self._groups.items()]
        heapq.heapify(self._heap)

    def _largest(self) -> Hashable:
        if self._heap is None:
            self._build_heap()
        heap = self._heap
        assert heap is not None
        while True:
            size, begun, key = heap[0]
            group = self._groups.get(key)
            if group is not None and group[0] == begun and len(group[1]) == -size:
                return key
            heapq.heappop(heap)
