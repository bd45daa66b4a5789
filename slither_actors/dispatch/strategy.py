"""How the items of a stream become batches: the strategies a user chooses from.

A strategy is a value; each run makes its own batcher of it. All of them work
on a stream and hold a bounded number of items.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Hashable
from typing import Protocol, runtime_checkable

import attrs

from slither_actors.config import a_function, flag, number, positive_int, shown
from slither_actors.core import (
    Batcher,
    FixedBatcher,
    KeyBatcher,
    TimedBatcher,
    WeightedBatcher,
    checked_batcher,
    missing_in_batcher,
)
from slither_actors.errors import OptionError
from slither_actors.item import Item

__all__ = ["FixedBatch", "KeyPartition", "Strategy", "WeightedBatch"]

batch_timeout_or_none = number(
    "a finite number of seconds above 0, or None",
    least=math.ulp(0.0),
    most=sys.float_info.max,
    none=True,
)
"""Rule: how long an unfinished batch waits for more items."""


@runtime_checkable
class Strategy(Protocol):
    """Makes the batcher of one run.

    One's own implements `slither_actors.core.Batcher`, and `slither_actors.core.WaitingBatcher` too if time
    counts. What it does is checked: a run whose items it loses or doubles ends with a `StrategyError`.
    With an attribute ``serial = True``, batches that are a `slither_actors.core.KeyedBatch` wait for the one
    before of their key.
    """

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        ...


@attrs.frozen
class FixedBatch:
    """Batches of `batch_size` items; the last one may be smaller. The default."""

    batch_size: int = attrs.field(default=64, validator=positive_int)

    batch_timeout: float | None = attrs.field(default=None, validator=batch_timeout_or_none, kw_only=True)
    """Seconds after its first item at which a batch goes that is not full, if there is room for it; so what
    comes slowly is not late. None waits until it is full, or the input ends."""

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        return _timed(FixedBatcher(self.batch_size), self.batch_timeout)


@attrs.frozen(kw_only=True)
class WeightedBatch:
    """Batches whose weights add up to at most `max_weight`; a heavier item goes alone.

    With `max_items` and `batch_timeout` it is the combination of all three: a batch goes when it is heavy
    enough, long enough or old enough.
    """

    max_weight: float
    """A hard ceiling for batches of more than one item."""

    weight: Callable[[Item], float] = attrs.field(validator=a_function)
    """Weight of one item, at least 0: tokens, bytes, pixels."""

    max_items: int = attrs.field(default=10_000, validator=positive_int)
    """The most items of a batch, however little they weigh."""

    batch_timeout: float | None = attrs.field(default=None, validator=batch_timeout_or_none)
    """As that of `FixedBatch`."""

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        batcher = WeightedBatcher(self.max_weight, self.weight, max_items=self.max_items)
        return _timed(batcher, self.batch_timeout)


@attrs.frozen(kw_only=True)
class KeyPartition:
    """Items of one key together in a batch.

    On an endless input that cannot always hold, so there are two bounds. A key's
    items go as a batch when there are `batch_size` of them, and when
    `max_pending` items are held in all, those of the key that has most go early.
    At the end of the input every key's rest goes. So a key may have several
    batches. They run one after the other, each when the one before it has its
    final outcome, so what is done with a key is done in input order, and comes
    out in input order also with ``ordering="as_completed"``. A batch that waits
    for its key has its place among those that may start: a stream of few keys
    keeps few workers busy.
    """

    key: Callable[[Item], Hashable] = attrs.field(validator=a_function)
    """Key of one item."""

    batch_size: int = attrs.field(default=10_000, validator=positive_int)
    """The most items of one batch."""

    max_pending: int = attrs.field(default=100_000, validator=positive_int)
    """The most items held in unfinished batches."""

    batch_timeout: float | None = attrs.field(default=None, validator=batch_timeout_or_none)
    """Seconds after its first item at which a key's batch goes, if there is room for it."""

    serial: bool = attrs.field(default=True, validator=flag)
    """Whether a key's batches run one after the other. With False several may run at one time, and with
    ``ordering="as_completed"`` they come out as they are done."""

    def batcher(self) -> Batcher[Item]:
        """Return a fresh batcher."""
        return KeyBatcher(
            self.key,
            self.batch_size,
            self.max_pending,
            batch_timeout=self.batch_timeout,
            keyed=self.serial,
        )


def _timed(batcher: Batcher[Item], batch_timeout: float | None) -> Batcher[Item]:
    return batcher if batch_timeout is None else TimedBatcher(batcher, batch_timeout)


def make_batcher(strategy: Strategy) -> Batcher[Item]:
    """Have a strategy make the batcher of a run; one that is not the library's is checked as it runs.

    Raises:
        OptionError: what it made is no batcher.
    """
    batcher = strategy.batcher()
    missing = missing_in_batcher(batcher)
    if missing:
        name = type(strategy).__name__
        problem = f"is {name}, whose batcher() returned {shown(batcher)}, which has no {missing}"
        raise OptionError("strategy", f"{problem}; allowed is a Batcher")
    return checked_batcher(batcher, type(strategy).__name__)


def strategy_of(value: object, batch_size: int, batch_timeout: float | None = None) -> Strategy:
    """Take what a user gave as ``strategy``; None is `FixedBatch` of `batch_size`."""
    if value is None:
        return FixedBatch(batch_size, batch_timeout=batch_timeout)
    if batch_timeout is not None:
        raise OptionError(
            "batch_timeout", "is for the default strategy; allowed is None with a strategy, which has its own"
        )
    if isinstance(value, type) or not isinstance(value, Strategy):
        raise OptionError(
            "strategy",
            f"is {value!r:.200}; allowed are FixedBatch(...), WeightedBatch(...), KeyPartition(...)",
        )
    return value
