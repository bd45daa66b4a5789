"""Stores with a replicated table of every combination of options, and what workers see of them."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

from slither_actors.store import LoadTables, Store, Table
from slither_actors.store._replica import AwaitedRows
from slither_actors.store._store import pointer_of

MOST = 4
"""Rows of the tables with ``max_rows``."""


class Product(Store):
    """Every kind of table that there may be. Started are its subclasses."""

    write_timeout = 20.0

    plain: Table[Any, Any] = Table(replicate=True)
    counted: Table[Any, Any] = Table(replicate=True, count_reads=True)
    ttl: Table[Any, Any] = Table(replicate=True, ttl=600.0)
    oldest: Table[Any, Any] = Table(replicate=True, max_rows=MOST)
    lru: Table[Any, Any] = Table(replicate=True, max_rows=MOST, evict="lru")
    refuse: Table[Any, Any] = Table(replicate=True, max_rows=MOST, evict="refuse")
    ttl_oldest: Table[Any, Any] = Table(replicate=True, max_rows=MOST, ttl=600.0)
    ttl_lru: Table[Any, Any] = Table(replicate=True, max_rows=MOST, ttl=600.0, evict="lru", count_reads=True)
    sorted: Table[Any, Any] = Table(ordered=True, replicate=True, count_reads=True)
    sorted_ttl: Table[Any, Any] = Table(ordered=True, replicate=True, ttl=600.0)
    sorted_oldest: Table[Any, Any] = Table(ordered=True, replicate=True, max_rows=MOST)
    sorted_lru: Table[Any, Any] = Table(ordered=True, replicate=True, max_rows=MOST, ttl=600.0, evict="lru")
    sorted_refuse: Table[Any, Any] = Table(ordered=True, replicate=True, max_rows=MOST, evict="refuse")
    bag: Table[Any, Any] = Table(bag=True, replicate=True)
    counted_bag: Table[Any, Any] = Table(bag=True, replicate=True, count_reads=True)

    base: ClassVar[dict[str, dict[Any, Any]]] = {}
    fails_at: ClassVar[str] = ""
    """The table at which a load fails, after those before it."""
    loading: ClassVar[threading.Event] = threading.Event()
    go_on: ClassVar[threading.Event] = threading.Event()

    def load(self, tables: LoadTables) -> Any:
        Product.loading.set()
        assert Product.go_on.wait(20)
        for name, rows in Product.base.items():
            if name == Product.fails_at:
                msg = "half way"
                raise LookupError(msg)
            for key, value in rows.items():
                yield name, key, value


class Queueing(Product):
    """In memory."""


class Refusing(Product):
    """In memory."""

    during_reload = "refuse"


class Merging(Product):
    """In memory."""

    during_reload = "merge"


class QueueingFile(Product):
    """Gets its file from the test."""


class RefusingFile(Product):
    """Gets its file from the test."""

    during_reload = "refuse"


class MergingFile(Product):
    """Gets its file from the test."""

    during_reload = "merge"


STORES = (Queueing, Refusing, Merging, QueueingFile, RefusingFile, MergingFile)
NAMES = tuple(name for name, value in vars(Product).items() if isinstance(value, Table))

State = dict[str, list[tuple[Any, Any]]]
"""By the tables' names: key and cell of each row, where one that ends has its deadline in the cell."""


def cells(store: type[Product]) -> State:
    """What the tables have in this process."""
    rows = pointer_of(store).now.rows
    return {
        name: list(getattr(each, "rows", each).live.items()) for name, each in zip(NAMES, rows, strict=True)
    }


def seen(store: type[Product]) -> tuple[float, float, State, State] | None:
    """Times before and after, cells, and what readers see. None: they have to ask the driver for it."""
    store.plain.size()  # the first read fetches all
    if any(isinstance(rows, AwaitedRows) for rows in pointer_of(store).now.rows):
        return None
    before = time.monotonic()
    visible = {name: list(getattr(store, name).snapshot().items()) for name in NAMES}
    return before, time.monotonic(), cells(store), visible


def look(stores: list[type[Product]]) -> list[Any]:
    """Look at a store in a worker."""
    return [seen(store) for store in stores]


def write(requests: list[Any]) -> list[Any]:
    """Write from a worker, and look at once."""
    found = []
    for store, name, operation, arguments in requests:
        seen(store)
        try:
            getattr(getattr(store, name), operation)(*arguments)
        except Exception as error:  # noqa: BLE001 - the same as in the driver
            found.append((type(error).__name__, seen(store)))
        else:
            found.append(("", seen(store)))
    return found


def several(tx: Any, writes: list[Any]) -> None:
    """A transaction; a write without a table fails it."""
    for name, operation, arguments in writes:
        getattr(tx[name], operation)(*arguments)
