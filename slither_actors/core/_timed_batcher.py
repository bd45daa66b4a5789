"""Batches that do not wait for ever to be full.

Time is an input: the owner says what time it is with `tick`, before it adds,
and whenever `due` is reached. What is added counts from the last tick. A batch
whose time has come is not forced out: an owner that has no room for another
batch says so, and the batch is filled further until there is room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar, runtime_checkable

from slither_actors.core._batching import Batcher, BatchingError
from slither_actors.errors import OptionError

__all__ = ["TimedBatcher", "WaitingBatcher", "check_batch_timeout"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class WaitingBatcher(Protocol[T_co]):
    """What a `Batcher` has besides, if unfinished batches are to go after some time. Times are seconds."""

    @property
    def due(self) -> float | None:
        """When to `tick` at the latest, by the clock of the ticks; None while nothing waits."""
        ...

    def tick(self, now: float, room: int) -> Sequence[Sequence[T_co]]:
        """Take note of the time; return at most `room` unfinished batches that have waited long enough."""
        ...


def check_batch_timeout(value: object) -> float:
    """Return seconds, or raise `OptionError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise OptionError("batch_timeout", f"is {value!r}; allowed is a finite number of seconds above 0")
    return float(value)


class TimedBatcher(Generic[T]):
    """A batcher of one unfinished batch, which may go `batch_timeout` after its first item has come."""

    __slots__ = ("_batcher", "_began", "_now", "batch_timeout")

    def __init__(self, batcher: Batcher[T], batch_timeout: float) -> None:
        self._batcher = batcher
        self.batch_timeout = check_batch_timeout(batch_timeout)
        self._now = 0.0
        self._began: float | None = None
        """When the first item of the unfinished batch came."""

    @property
    def pending(self) -> int:
        """Items held in the unfinished batch."""
        return self._batcher.pending

    @property
    def due(self) -> float | None:
        """When the unfinished batch has waited long enough; None if there is none."""
        return None if self._began is None else self._began + self.batch_timeout

    def tick(self, now: float, room: int) -> Sequence[Sequence[T]]:
        """Take note of the time; return the unfinished batch if it has waited long enough."""
        self._now = now
        due = self.due
        return self.flush() if room > 0 and due is not None and now >= due else []

    def add(self, items: Sequence[T]) -> Sequence[Sequence[T]]:
        """As the batcher's; the items came at the last tick."""
        try:
            batches = self._batcher.add(items)
        except BatchingError as error:
            self._note(bool(error.batches))
            raise
        self._note(bool(batches))
        return batches

    def _note(self, completed: bool) -> None:
        if not self._batcher.pending:
            self._began = None
        elif completed or self._began is None:
            self._began = self._now

    def flush(self) -> Sequence[Sequence[T]]:
        """Return the unfinished batch, if there is one."""
        self._began = None
        return self._batcher.flush()

    def wanted(self, room: int) -> int:
        """As the batcher's."""
        return self._batcher.wanted(room)
