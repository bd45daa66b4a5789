"""How the items of a stream become batches: the strategies a user chooses from.

A strategy is a value; each run makes its own batcher of it. All of them work
on a stream and hold a bounded number of items.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, runtime_checkable

import attrs

from slither_actors.config import positive_int
from slither_actors.core import Batcher, FixedBatcher, KeyBatcher, WeightedBatcher
from slither_actors.errors import OptionError
from slither_actors.item import Item

__all__ = ["FixedBatch", "KeyPartition", "Strategy", "WeightedBatch"]


@runtime_checkable
class Strategy(Protocol):
    """Makes the batcher of one run. Implement `slither_actors.core.Batcher` for one's own."""

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        ...


@attrs.frozen
class FixedBatch:
    """Batches of `batch_size` items; the last one may be smaller. The default."""

    batch_size: int = attrs.field(default=64, validator=positive_int)

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        return FixedBatcher(self.batch_size)


@attrs.frozen(kw_only=True)
class WeightedBatch:
    """Batches whose weights add up to at most `max_weight`; a heavier item goes alone."""

    max_weight: float
    """A hard ceiling for batches of more than one item."""

    weight: Callable[[Item], float]
    """Weight of one item, at least 0: tokens, bytes, pixels."""

    max_items: int = attrs.field(default=10_000, validator=positive_int)
    """The most items of a batch, however little they weigh."""

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        return WeightedBatcher(self.max_weight, self.weight, max_items=self.max_items)


@attrs.frozen(kw_only=True)
class KeyPartition:
    """Items of one key together in a batch.

    On an endless input that cannot always hold, so there are two bounds. A key's
    items go as a batch when there are `batch_size` of them, and when
    `max_pending` items are held in all, those of the key that has most go early.
    At the end of the input every key's rest goes. So a key may have several
    batches; in each, and from batch to batch, its items are in input order.
    """

    key: Callable[[Item], Hashable]
    """Key of one item."""

    batch_size: int = attrs.field(default=10_000, validator=positive_int)
    """The most items of one batch."""

    max_pending: int = attrs.field(default=100_000, validator=positive_int)
    """The most items held in unfinished batches."""

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        return KeyBatcher(self.key, self.batch_size, self.max_pending)


def strategy_of(value: object, batch_size: int) -> Strategy:
    """Take what a user gave as ``strategy``; None is `FixedBatch` of `batch_size`."""
    if value is None:
        return FixedBatch(batch_size)
    if isinstance(value, type) or not isinstance(value, Strategy):
        raise OptionError(
            "strategy",
            f"is {value!r:.200}; allowed are FixedBatch(...), WeightedBatch(...), KeyPartition(...)",
        )
    return value
