"""What a store says of itself."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import attrs
import pytest

from slither_actors.errors import NotRunningError, OptionError
from slither_actors.store import (
    LoadTables,
    ReplicaStatistics,
    Store,
    StoreStatistics,
    Table,
    TableStatistics,
    Transaction,
    statistics_table,
)
from slither_actors.store._counted_rows import ReadCounter
from slither_actors.store._size import estimated_bytes
from tests.store.conftest import Start


class Shop(Store):
    plain: Table[Any, Any] = Table()
    counted: Table[Any, Any] = Table(count_reads=True)
    sorted: Table[Any, Any] = Table(ordered=True, count_reads=True, ttl=600)
    tags: Table[Any, Any] = Table(bag=True, count_reads=True)

    def load(self, tables: LoadTables) -> None:
        tables.plain.insert(dict.fromkeys(range(100), "x" * 1000))
        tables.tags.insert([("a", 1), ("a", 2)])


def test_a_table_says_what_it_holds(start: Start) -> None:
    """Rows, version, writes, and when it was loaded; a reload is no write."""
    start(Shop)
    Shop.plain.put("a", 1)
    Shop.plain.bulk_insert({"b": 1, "c": 2})
    found = Shop.plain.statistics()
    assert (found.name, found.kind, found.rows, found.version, found.writes) == ("plain", "set", 103, 3, 2)
    assert found.reads is None
    assert abs(found.loaded_at - time.time()) < 60
    assert Shop.tags.statistics().rows == 2
    Shop.reload()
    again = Shop.plain.statistics()
    assert (again.rows, again.version, again.writes) == (100, 4, 2)
    assert again.loaded_at > found.loaded_at
    assert [table.name for table in Shop.statistics().tables] == ["plain", "counted", "sorted", "tags"]


def test_reads_are_counted_where_they_are_asked_for(start: Start) -> None:
    """A call that reads is one, whatever it returns; writes and transactions read uncounted."""
    start(Shop)
    for table in (Shop.counted, Shop.sorted, Shop.tags):
        before = table.statistics().reads
        assert before == 0
        table.put(1, 1)
        table.get(1)
        table.fetch(1)
        assert 2 not in table
        table.get_many([1, 2, 3])
        table.match(1)
        table.size()
        list(table)
        table.put(2, 1)
        table.update(2, lambda _: [7])
        table.clear()
        table.get(1)
        assert table.statistics().reads == 7
    Shop.reload()
    Shop.counted.get(1)
    assert Shop.counted.statistics().reads == 8


def test_no_read_is_lost_between_threads() -> None:
    """While others ask for the number."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    counter = ReadCounter()
    values: list[int] = []

    def read() -> None:
        for _ in range(20_000):
            counter.step()

    threads = [threading.Thread(target=read) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            values.append(counter.value)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert counter.value == 80_000
    assert values == sorted(values)


def test_a_table_in_a_transaction_has_the_statistics_of_the_table(start: Start) -> None:
    """As readers see it: before the transaction."""
    start(Shop)

    def change(tx: Transaction) -> TableStatistics:
        tx.counted.put(1, 1)
        return tx.counted.statistics()

    assert Shop.transact(change).rows == 0


def test_statistics_of_a_store_that_does_not_run() -> None:
    """The store says so; a table raises, as its reads do."""

    class Idle(Store):
        rows: Table[Any, Any] = Table()

    assert not Idle.statistics().running
    assert Idle.statistics().tables == ()
    with pytest.raises(NotRunningError, match="store Idle is not running"):
        Idle.rows.statistics()
    with pytest.raises(TypeError, match="through the Store class"):
        Table().statistics()
    with pytest.raises(OptionError, match="count_reads"):
        Table(count_reads=1)  # type: ignore[call-overload]


# -- bytes -----------------------------------------------------------------------


class Holder:
    def __init__(self, data: bytes) -> None:
        self.data = data


class Lying:
    def __sizeof__(self) -> int:
        raise RuntimeError("no size")


@pytest.mark.parametrize("rows", [10, 10_000])
@pytest.mark.parametrize(
    "make",
    [
        lambda number: b"%05d" % number * 200,
        lambda number: {"data": [b"%05d" % number * 200]},
        lambda number: Holder(b"%05d" % number * 200),
    ],
    ids=["bytes", "nested", "object"],
)
def test_bytes_are_about_right(rows: int, make: Any) -> None:
    """A thousand bytes a row are found, wherever they are, and not three times as much."""
    found = estimated_bytes({number: make(number) for number in range(rows)})
    assert 1000 * rows < found < 2000 * rows


def test_what_rows_share_is_counted_once() -> None:
    """A megabyte that all rows refer to is a megabyte."""
    shared = b"x" * 1_000_000
    found = estimated_bytes({number: (number, shared) for number in range(1000)})
    assert 1_000_000 < found < 1_300_000


def test_odd_values_have_a_size() -> None:
    """Cycles, classes and objects that do not tell theirs; a huge row is not looked through."""
    cycle: list[Any] = []
    cycle.append(cycle)
    large = [[number] for number in range(100_000)]
    assert 0 < estimated_bytes({1: cycle, 2: Lying(), 3: Holder, 4: sys, 5: print}) < 5_000
    assert estimated_bytes({1: large, 2: large}) > 800_000
    assert estimated_bytes({}) > 0


# -- as text ---------------------------------------------------------------------


def test_statistics_as_a_table() -> None:
    """A line per table, numbers on the right; a store without tables has a line, too."""
    table = TableStatistics(
        name="rows", kind="set", rows=1234, bytes=3 * 1024**2, version=9, writes=8, reads=None, loaded_at=1000
    )
    other = TableStatistics(
        name="b", kind="ordered", rows=0, bytes=64, version=1, writes=0, reads=70_000, loaded_at=1000
    )
    stores = [
        StoreStatistics(
            store="Shop", running=True, tables=(table, other), loads=1, loaded_at=1000, load_seconds=0.25
        ),
        StoreStatistics(store="Idle", running=False, tables=(), loads=0, loaded_at=0, load_seconds=0),
    ]
    assert statistics_table(stores, now=1150).splitlines() == [
        "store.table  kind          rows    bytes  version   reads  writes                loaded",
        "Shop.rows    set          1,234  3.0 MiB        9       -       8  2 min ago, in 0.25 s",
        "Shop.b       ordered          0     64 B        1  70,000       0  2 min ago, in 0.25 s",
        "Idle         not running",
    ]


def test_replicas_below_the_table() -> None:
    """A line per store that workers have; none where there could be some and are not."""
    table = TableStatistics(
        name="rows", kind="set", rows=1, bytes=64, version=1, writes=0, reads=None, loaded_at=1000
    )
    replicas = ReplicaStatistics(
        workers=4, snapshots=2, snapshot_bytes=3 * 1024**2, shared_bytes=0, log_bytes=512, position=7
    )
    stores = [
        StoreStatistics(
            store=name,
            running=True,
            tables=(table,),
            loads=1,
            loaded_at=1000,
            load_seconds=0.25,
            replicas=attrs.evolve(replicas, workers=workers),
        )
        for name, workers in (("Shop", 4), ("Unread", 0), ("Other", 1))
    ]
    assert statistics_table(stores, now=1150).splitlines()[4:] == [
        "Shop: replicas in 4 workers, the last snapshot of 3.0 MiB (0 B kept), 512 B of changes to tell",
        "Other: replicas in 1 worker, the last snapshot of 3.0 MiB (0 B kept), 512 B of changes to tell",
    ]
