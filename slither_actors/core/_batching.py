"""How the items of a stream become batches.

A batcher decides which items go together and how many to ask for; it holds the
items of unfinished batches and nothing else. What it holds is bounded: by one
batch, or for `KeyBatcher` by `max_pending`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from slither_actors.errors import OptionError, SlitherError

__all__ = ["Batcher", "BatchingError", "FixedBatcher", "KeyBatcher", "WeightedBatcher"]

T = TypeVar("T")


class BatchingError(SlitherError):
    """The weight or key of an item could not be found. ``__cause__`` is what its function raised, if it did.

    Nothing is lost: `batches` were complete before the item, `rest` are the
    items after it, to be added again, and the batcher goes on without the item.
    """

    def __init__(
        self, what: str, problem: str, item: Any, batches: list[list[Any]], rest: Sequence[Any]
    ) -> None:
        self.item = item
        self.batches = batches
        self.rest = rest
        super().__init__(f"{what} {problem}")


class Batcher(Protocol[T]):
    """Turns a stream of items into batches. Not thread-safe: the owning actor is the only caller."""

    @property
    def pending(self) -> int:
        """Items held in unfinished batches."""
        ...

    def add(self, items: Sequence[T]) -> list[list[T]]:
        """Take items; return the batches that they complete.

        Raises:
            BatchingError: an item has no weight or key.
        """
        ...

    def flush(self) -> list[list[T]]:
        """Return what is held as batches: at the end of the input, or when it has waited long enough."""
        ...

    def wanted(self, room: int) -> int:
        """How many items to ask for so that `room` more batches fill up; 0 only for no room.

        Where batches differ in size this is an estimate, and now and then more
        than `room` batches come of it.
        """
        ...


def _positive(option: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(option, f"is {value!r}; allowed is an integer of at least 1")
    return value


class FixedBatcher(Generic[T]):
    """Batches of exactly `batch_size` items, the last one excepted.

    A list of just that length may be handed on as it is.
    """

    __slots__ = ("_held", "batch_size")

    def __init__(self, batch_size: int) -> None:
        self.batch_size = _positive("batch_size", batch_size)
        self._held: list[T] = []

    @property
    def pending(self) -> int:
        """Items held in the unfinished batch."""
        return len(self._held)

    def add(self, items: Sequence[T]) -> list[list[T]]:
        """Take items; return the batches that they complete."""
        # In slices, never item by item: this is the path of every plain dispatch run.
        size = self.batch_size
        held = self._held
        items = items if isinstance(items, list) else list(items)
        if not held and len(items) == size:
            return [items]
        start = size - len(held) if held else 0
        held += items[:start]
        if held and len(held) < size:
            return []
        batches = [held] if held else []
        end = start + (len(items) - start) // size * size
        batches += [items[at : at + size] for at in range(start, end, size)]
        self._held = items[end:]
        return batches

    def flush(self) -> list[list[T]]:
        """Return the unfinished batch, if there is one."""
        held, self._held = self._held, []
        return [held] if held else []

    def wanted(self, room: int) -> int:
        """Exactly what `room` batches lack."""
        return room * self.batch_size - len(self._held) if room > 0 else 0


class WeightedBatcher(Generic[T]):
    """Batches of at most `max_weight` in all. A heavier item goes alone.

    Items may weigh nothing, so a batch is also bounded by `max_items`.
    """

    __slots__ = ("_held", "_mean", "_total", "max_items", "max_weight", "weight")

    def __init__(self, max_weight: float, weight: Callable[[T], float], *, max_items: int = 10_000) -> None:
        if isinstance(max_weight, bool) or not isinstance(max_weight, (int, float)) or not max_weight > 0:
            raise OptionError("max_weight", f"is {max_weight!r}; allowed is a number above 0")
        self.max_weight = max_weight
        self.weight = weight
        self.max_items = _positive("max_items", max_items)
        self._held: list[T] = []
        self._total: float = 0
        # Of the items added lately; None before the first.
        self._mean: float | None = None

    @property
    def pending(self) -> int:
        """Items held in the unfinished batch."""
        return len(self._held)

    def add(self, items: Sequence[T]) -> list[list[T]]:
        """Take items; return the batches that they complete."""
        batches: list[list[T]] = []
        limit = self.max_weight
        seen: float = 0
        for at, item in enumerate(items):
            try:
                given = self.weight(item)
                if not given >= 0:
                    raise ValueError(f"a weight is a number of at least 0, not {given!r}")
                weight = float(given)
            except Exception as error:
                problem = f"failed: {type(error).__name__}: {error}"
                raise BatchingError("weight function", problem, item, batches, items[at + 1 :]) from error
            if self._total + weight > limit and self._held:
                batches += self.flush()
            self._held.append(item)
            self._total += weight
            seen += min(weight, limit)
            if self._total >= limit or len(self._held) >= self.max_items:
                batches += self.flush()
        if items:
            mean = seen / len(items)
            self._mean = mean if self._mean is None else (self._mean + mean) / 2
        return batches

    def flush(self) -> list[list[T]]:
        """Return the unfinished batch, if there is one."""
        held, self._held, self._total = self._held, [], 0
        return [held] if held else []

    def wanted(self, room: int) -> int:
        """As many items of the mean weight as would fit; at first one a batch."""
        if room <= 0:
            return 0
        if self._mean is None:
            return room
        most = room * self.max_items - len(self._held)
        free = room * self.max_weight - self._total
        return max(1, int(min(most, free / self._mean))) if self._mean else most


class KeyBatcher(Generic[T]):
    """Batches of items of one key, at most `batch_size` each, in input order within a key.

    A group is a batch when it is full. When `max_pending` items are held the
    largest group goes early, of equal ones the one that was begun first; so
    with more keys than `max_pending` batches get small, but memory does not
    grow.
    """

    # `_heap` exists while many items are held: entries (-size, begun, key), one for
    # every size that a group has had; the one with its present size is valid.
    # It is built when the bound is reached and dropped when half is free, so
    # that a stream that never comes near the bound does not pay for it.
    __slots__ = ("_begun", "_groups", "_heap", "_pending", "batch_size", "key", "max_pending")

    def __init__(self, key: Callable[[T], Hashable], batch_size: int, max_pending: int) -> None:
        self.key = key
        self.batch_size = _positive("batch_size", batch_size)
        self.max_pending = _positive("max_pending", max_pending)
        if max_pending < batch_size:
            raise OptionError(
                "max_pending", f"is {max_pending}; allowed is batch_size = {batch_size} and more"
            )
        self._groups: dict[Hashable, tuple[int, list[T]]] = {}
        self._heap: list[tuple[int, int, Hashable]] | None = None
        self._begun = 0
        self._pending = 0

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
                group = self._groups[key] = (self._begun, [])
            group[1].append(item)
            self._pending += 1
            if len(group[1]) >= self.batch_size:
                batches.append(self._pop(key))
            elif self._heap is not None:
                self._push(key, group)
            if self._pending >= self.max_pending:
                batches.append(self._pop(self._largest()))
        return batches

    def flush(self) -> list[list[T]]:
        """Return every group, in the order in which they were begun."""
        batches = [group for _, group in self._groups.values()]
        self._groups.clear()
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
