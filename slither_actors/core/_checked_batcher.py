"""What a batcher of a user's own does, checked call by call.

The library's batchers are trusted and run as they are. Any other is wrapped, so
that items that it loses, doubles or makes up end the run at that call, with an
error that names the strategy, instead of being missed in the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import isfinite
from typing import Any, Generic, NoReturn, TypeVar

from slither_actors.core._batching import Batcher, BatchingError, FixedBatcher, WeightedBatcher
from slither_actors.core._key_batcher import KeyBatcher
from slither_actors.core._timed_batcher import TimedBatcher, WaitingBatcher
from slither_actors.errors import StrategyError, safe_text

__all__ = ["CheckedBatcher", "CheckedWaitingBatcher", "checked_batcher", "missing_in_batcher"]

T = TypeVar("T")

_TRUSTED = (FixedBatcher, WeightedBatcher, KeyBatcher, TimedBatcher)
_METHODS = ("add", "flush", "wanted")


def missing_in_batcher(candidate: object) -> str:
    """Say what `candidate` lacks of a batcher, such as ``method 'flush'``; nothing if it is one."""
    for name in _METHODS:
        if isinstance(candidate, type) or not callable(getattr(candidate, name, None)):
            return f"method {name!r}"
    return "" if hasattr(candidate, "pending") else "property 'pending'"


def checked_batcher(batcher: Batcher[T], strategy: str) -> Batcher[T]:
    """Return one of the library's as it is, any other in a `CheckedBatcher`. `strategy` is for errors."""
    known: type = type(batcher)
    if known in _TRUSTED:  # by the class itself: a subclass is the user's
        return batcher
    kind = CheckedWaitingBatcher if isinstance(batcher, WaitingBatcher) else CheckedBatcher
    return kind(batcher, strategy)


class CheckedBatcher(Generic[T]):
    """See `Batcher` for the contract. A `StrategyError` says how it was broken."""

    def __init__(self, batcher: Batcher[T], strategy: str) -> None:
        self.batcher = batcher
        """The user's."""
        self._strategy = strategy
        self._held: dict[int, list[T]] = {}
        """What it was given and has not given back, by identity."""
        self._count = 0

    @property
    def pending(self) -> int:
        """What it really holds, whatever it says."""
        return self._count

    def add(self, items: Sequence[T]) -> list[list[T]]:
        """Have it add, and check what comes of that."""
        for item in items:
            self._held.setdefault(id(item), []).append(item)
        self._count += len(items)
        try:
            batches = self.batcher.add(items)
        except BatchingError as error:
            self._account(
                "add", [*map(list, error.batches), [error.item], *([list(error.rest)] if error.rest else [])]
            )
            error.batches = [copy(batch) for batch in error.batches]
            raise
        return self._checked("add", batches)

    def flush(self) -> list[list[T]]:
        """Have it give back all; nothing may be left."""
        batches = self._checked("flush", self.batcher.flush())
        if self._held:
            some = safe_text(next(iter(self._held.values()))[0], repr)
            self._fail(f"flush() kept {self._count} items back, such as {some:.100}")
        return batches

    def wanted(self, room: int) -> int:
        """Have it say how many items it wants."""
        wanted = self.batcher.wanted(room)
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 0:
            self._fail(f"wanted({room}) returned {wanted!r:.100}; an integer of at least 0 is due")
        if room > 0 and wanted == 0:
            self._fail(f"wanted({room}) returned 0, with which the run would stand still; at least 1 is due")
        return wanted

    def _checked(self, method: str, batches: Any) -> list[list[T]]:
        if not isinstance(batches, list):
            self._fail(f"{method}() returned {safe_text(batches, repr):.100}; a list of batches is due")
        for batch in batches:
            if not isinstance(batch, list) or not batch:
                self._fail(
                    f"{method}() returned the batch {safe_text(batch, repr):.100}; a batch is a list of items"
                )
        self._account(method, batches)
        # Copies: the user's may use its lists again, and change batches that wait here.
        return [copy(batch) for batch in batches]

    def _account(self, method: str, batches: list[list[T]]) -> None:
        for batch in batches:
            for item in batch:
                same = self._held.get(id(item))
                if same is None:
                    shown = safe_text(item, repr)
                    self._fail(f"{method}() gave out {shown:.100}, which it was not given, or twice")
                same.pop()
                if not same:
                    del self._held[id(item)]
                self._count -= 1
        said = self.batcher.pending
        if said != self._count:
            self._fail(
                f"pending is {said!r:.100} after {method}(), but {self._count} items have not come back"
            )

    def _fail(self, problem: str) -> NoReturn:
        raise StrategyError(self._strategy, problem)


class CheckedWaitingBatcher(CheckedBatcher[T]):
    """The same for one whose unfinished batches go after some time."""

    batcher: Any

    @property
    def due(self) -> float | None:
        """When it wants to be told the time."""
        due = self.batcher.due
        if due is not None and (
            isinstance(due, bool) or not isinstance(due, (int, float)) or not isfinite(due)
        ):
            self._fail(f"due is {due!r:.100}; a time or None is due")
        return None if due is None else float(due)

    def tick(self, now: float, room: int) -> list[list[T]]:
        """Tell it the time, and check what comes of that."""
        batches = self._checked("tick", self.batcher.tick(now, room))
        if room > 0 and not batches:
            due = self.due
            if due is not None and due <= now:
                self._fail(f"tick({now}, {room}) returned no batch, but due is {due}: the run would spin")
        return batches
