"""What a table may be: its options, and the rows that follow from them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from slither_actors.config import flag, integer, number, one_of
from slither_actors.errors import OptionError
from slither_actors.store._bag_rows import BagRows
from slither_actors.store._bounded_rows import BoundedOrderedRows, BoundedRows
from slither_actors.store._bounds import Bounds
from slither_actors.store._ordered_rows import OrderedRows
from slither_actors.store._rows import SetRows

__all__ = ["TableOptions", "kind_of", "make_rows", "replica_rows"]


_ttl = number(
    "a number of seconds above 0, math.inf (only rows whose put says so end), or None",
    least=math.ulp(0.0),
    none=True,
)


_NOT_IN_A_BAG = (
    "is for set and ordered tables: the values under one key of a bag are read and written as one tuple, so "
    "none of them has a time or a turn of its own. Use Table(ordered=True) with keys (key, value) and "
    "table.prefix((key,)) for the values of a key, or a set table where the values do not compare"
)


@attrs.frozen(kw_only=True)
class TableOptions:
    """What ``Table(…)`` takes."""

    ordered: bool = attrs.field(default=False, validator=flag)
    """Keep the rows sorted by key; keys have to be comparable."""

    bag: bool = attrs.field(default=False, validator=flag)
    """Allow several values under one key, each once."""

    ttl: float | None = attrs.field(default=None, validator=_ttl)
    """Seconds after which a row is gone; ``math.inf``: only rows whose ``put`` gives a ``ttl``."""

    max_rows: int | None = attrs.field(default=None, validator=integer(1, none=True))
    """The most rows there may be."""

    evict: str = attrs.field(default="oldest", validator=one_of("oldest", "lru", "refuse"))
    """What a put into a full table does: remove the row that was written longest ago (``"oldest"``) or
    neither read nor written for longest (``"lru"``), or raise `TableFullError` (``"refuse"``)."""

    count_reads: bool = attrs.field(default=False, validator=flag)
    """Count reads, for `Table.statistics`. A `get` takes about half as long again then. What a worker reads
    in its own copy is not counted."""

    replicate: bool = attrs.field(default=False, validator=flag)
    """Give every worker that reads the table a copy of its own, which is read without a call."""

    def __attrs_post_init__(self) -> None:
        if self.bag and self.ordered:
            raise OptionError("bag", "is True beside ordered=True; a table is one or the other")
        if self.bag and self.is_bounded:
            option = "ttl" if self.ttl is not None else "max_rows"
            raise OptionError(option, _NOT_IN_A_BAG)
        if self.evict != "oldest" and self.max_rows is None:
            raise OptionError("evict", f"is {self.evict!r} without max_rows, and so would do nothing")

    @property
    def is_bounded(self) -> bool:
        """Whether rows go by themselves, or may be refused."""
        return self.ttl is not None or self.max_rows is not None


def kind_of(options: TableOptions) -> str:
    """What a table is called."""
    return "ordered" if options.ordered else "bag" if options.bag else "set"


def make_rows(
    options: TableOptions,
    data: dict[Any, Any] | Mapping[Any, tuple[Any, ...]],
    *,
    table: str,
    clock: Callable[[], float] = time.monotonic,
    ends: Mapping[Any, float] | None = None,
) -> SetRows:
    """The rows of a table that was loaded with `data`, of version 0. Takes the dict over.

    In a bag's `data` each key has a tuple of its values. `ends` has the deadlines of
    rows that keep theirs, in the order in which they were written.

    Raises:
        TypeError: the keys of an ordered table cannot be compared.
        ValueError: such a key is a NaN.
        TableFullError: more rows than ``max_rows``, which are not to be evicted.
    """
    live: Any = data
    if options.is_bounded:
        ttl = math.inf if options.ttl is None else options.ttl
        bounds = Bounds(clock, table, ttl, options.max_rows, options.evict).fresh()
        empty = (BoundedOrderedRows if options.ordered else BoundedRows)({}, -1, bounds)
        return empty.bulk_insert(live, ends)[0]
    if options.ordered:
        return OrderedRows(live)
    return BagRows(live) if options.bag else SetRows(live)


def replica_rows(options: TableOptions, cells: dict[Any, Any], *, table: str) -> SetRows:
    """The rows of a table whose dict has `cells`, in a worker. Takes the dict over.

    The driver decides what is evicted; a row that is over hides by itself, for all
    processes of a machine read the same monotonic clock.
    """
    if options.is_bounded:
        bounds = Bounds(time.monotonic, table, math.inf if options.ttl is None else options.ttl)
        for key, (_, deadline) in cells.items():
            bounds.add(key, deadline)
        return (BoundedOrderedRows if options.ordered else BoundedRows)(cells, 0, bounds)
    if options.ordered:
        return OrderedRows(cells)
    return BagRows(cells) if options.bag else SetRows(cells)
