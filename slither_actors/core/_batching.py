"""How the items of a stream become batches.

A batcher decides which items go together and how many to ask for; it holds the
items of unfinished batches and nothing else. What it holds is bounded: by one
batch, or for `KeyBatcher` by `max_pending`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from slither_actors.core._joinable import Joinable, join
from slither_actors.errors import OptionError, SlitherError

__all__ = ["Batcher", "BatchingError", "FixedBatcher", "WeightedBatcher"]

T = TypeVar("T")


class BatchingError(SlitherError):
    """The weight or key of an item could not be found. ``__cause__`` is what its function raised, if it did.

    Nothing is lost: `batches` were complete before the item, `rest` are the
    items after it, to be added again, and the batcher goes on without the item.
    """

    def __init__(
        self, what: str, problem: str, item: Any, batches: Sequence[Sequence[Any]], rest: Sequence[Any]
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

    def add(self, items: Sequence[T]) -> Sequence[Sequence[T]]:
        """Take items; return the batches that they complete.

        Raises:
            BatchingError: an item has no weight or key.
        """
        ...

    def flush(self) -> Sequence[Sequence[T]]:
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

    A list of just that length may be handed on as it is. Batches are lists, or slices of what is `Joinable`.
    """

    __slots__ = ("_held", "batch_size")

    def __init__(self, batch_size: int) -> None:
        self.batch_size = _positive("batch_size", batch_size)
        self._held: Sequence[T] = ()

    @property
    def pending(self) -> int:
        """Items held in the unfinished batch."""
        return len(self._held)

    def add(self, items: Sequence[T]) -> list[Sequence[T]]:
        """Take items; return the batches that they complete."""
        # In slices, never item by item: this is the path of every plain dispatch run.
        size = self.batch_size
        held = self._held
        if not isinstance(items, (list, Joinable)):
            items = list(items)
        if not held and len(items) == size:
            return [items]
        start = size - len(held) if held else 0
        if held:
            held = join([held, items[:start]])
            if len(held) < size:
                self._held = held
                return []
        batches: list[Sequence[T]] = [held] if held else []
        end = start + (len(items) - start) // size * size
        batches += [items[at : at + size] for at in range(start, end, size)]
        self._held = items[end:]
        return batches

    def flush(self) -> list[Sequence[T]]:
        """Return the unfinished batch, if there is one."""
        held, self._held = self._held, ()
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
        try:
            self.max_weight = float(max_weight)
        except OverflowError:
            problem = "is larger than any float; allowed is a number above 0, also math.inf"
            raise OptionError("max_weight", problem) from None
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
