"""Transactions, files and reloads over tables of every kind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slither_actors.errors import TableFullError
from slither_actors.store import BagTable, LoadTables, OrderedTable, SQLite, Store, Table, Transaction, retire
from tests.store.conftest import Start


class Mixed(Store):
    plain: Table[Any, Any] = Table()
    ordered: OrderedTable[int, Any] = Table(ordered=True)
    bag: BagTable[str, int] = Table(bag=True)
    recent: Table[Any, Any] = Table(ttl=600, max_rows=2)
    full: OrderedTable[int, Any] = Table(ordered=True, max_rows=2, evict="refuse")

    def load(self, tables: LoadTables) -> None:
        tables.ordered.insert((number, number) for number in range(0, 10, 2))
        tables.bag.insert([("x", 1), ("x", 2)])


def state() -> tuple[Any, ...]:
    tables = (Mixed.plain, Mixed.ordered, Mixed.bag, Mixed.recent, Mixed.full)
    return tuple((list(table.items()), table.size()) for table in tables)


def change(tx: Transaction) -> tuple[Any, ...]:
    tx.plain.put("a", 1)
    tx.ordered.put(3, "new")
    tx.ordered.delete(4)
    tx.bag.put("x", 3)
    tx.bag.put("x", 3)
    tx.bag.delete_value("x", 1)
    tx.bag.bulk_insert([("y", 1), ("y", 1), ("y", 2)])
    for number in range(3):
        tx.recent.put(number, number)
    tx.full.bulk_insert({2: 2, 1: 1})
    return (
        tx.ordered.range(2, 7),
        tx.ordered.next(3),
        tx.ordered.first(),
        tx.bag.get("x"),
        tx.bag.size(),
        tx.bag.match("y"),
        sorted(tx.recent),
        tx.full.last(),
    )


AFTER = (
    [(2, 2), (3, "new"), (6, 6)], (6, 6), (0, 0), (2, 3), 4, [("y", 1), ("y", 2)], [1, 2], (2, 2),
)  # fmt: skip


def test_a_transaction_reads_its_own_writes_in_every_kind(start: Start) -> None:
    """And what it read is what everybody reads when it is done."""
    start(Mixed)
    assert Mixed.transact(change) == AFTER
    assert Mixed.ordered.range(2, 7) == AFTER[0]
    assert (Mixed.bag.get("x"), Mixed.bag.size(), Mixed.bag.match("y")) == AFTER[3:6]
    assert sorted(Mixed.recent) == [1, 2]
    assert Mixed.full.range() == [(1, 1), (2, 2)]
    Mixed.recent.put(9, 9)
    assert sorted(Mixed.recent) == [2, 9]  # it goes on to count


def test_a_transaction_that_fails_changes_no_kind(start: Start) -> None:
    """Nor the books of a table about what ends next."""
    start(Mixed)
    Mixed.recent.bulk_insert({"a": 1, "b": 2})
    before = state()

    def fail(tx: Transaction) -> None:
        change(tx)
        tx.full.put(3, 3)

    with pytest.raises(TableFullError):
        Mixed.transact(fail)
    assert state() == before
    Mixed.recent.put("c", 3)
    assert sorted(Mixed.recent) == ["b", "c"]


def test_a_bulk_insert_that_fails_in_a_transaction_leaves_nothing(start: Start) -> None:
    """Where the function goes on, it goes on without any of the rows."""
    start(Mixed)

    def go_on(tx: Transaction) -> None:
        with pytest.raises(TypeError):
            tx.ordered.bulk_insert({11: 1, "text": 2})
        with pytest.raises(TableFullError):
            tx.full.bulk_insert({1: 1, 2: 2, 3: 3})
        tx.plain.put("done", 1)

    Mixed.transact(go_on)
    assert Mixed.ordered.last() == (8, 8)
    assert Mixed.full.size() == 0
    assert Mixed.plain.get("done") == 1


def test_a_clear_in_a_transaction(start: Start) -> None:
    """Returns how many rows there were, and what is put after it stays."""
    start(Mixed)

    def clear(tx: Transaction) -> tuple[int, int, Any]:
        counts = tx.ordered.clear(), tx.bag.clear()
        tx.ordered.put(1, 1)
        tx.bag.put("z", 1)
        return (*counts, tx.ordered.first())

    assert Mixed.transact(clear) == (5, 2, (1, 1))
    assert Mixed.ordered.range() == [(1, 1)]
    assert list(Mixed.bag.items()) == [("z", 1)]


def test_collected_writes_take_every_kind(start: Start) -> None:
    """Their results are those of the writes."""
    start(Mixed)
    with Mixed.transaction() as tx:
        tx.bag.delete_value("x", 2)
        tx.ordered.put(5, 5)
        tx.recent.put("a", 1, ttl=5)
    assert tx.results == [True, None, None]
    assert Mixed.ordered.get(5) == Mixed.recent.get("a") + 4 == 5


def test_ordered_tables_and_bags_are_back_from_a_file(start: Start, tmp_path: Path) -> None:
    """Sorted again, with the values of a key in their order."""

    class Kept(Store):
        backing: ClassVar[Any] = SQLite(str(tmp_path / "kept.sqlite"))
        ordered: OrderedTable[int, Any] = Table(ordered=True)
        bag: BagTable[str, int] = Table(bag=True)

        def restore(self, tables: LoadTables) -> None:
            tables.bag.put("x", 9)

    first = start(Kept)
    for number in (5, 1, 3):
        Kept.ordered.put(number, number)
        Kept.bag.put("x", number)
    Kept.bag.delete_value("x", 1)
    Kept.ordered.delete(1)
    first.stop()
    retire(Kept)
    start(Kept)
    assert Kept.ordered.range() == [(3, 3), (5, 5)]
    assert Kept.bag.get("x") == (5, 3, 9)


def test_writes_to_every_kind_are_merged_into_a_reload(start: Start) -> None:
    """The rows that they changed are as they left them."""
    loading, go_on = threading.Event(), threading.Event()

    class Merged(Mixed):
        during_reload = "merge"
        is_first: ClassVar[bool] = True

        def load(self, tables: LoadTables) -> None:
            super().load(tables)
            tables.recent.put("old", 0)
            if not Merged.is_first:
                loading.set()
                assert go_on.wait(20)
            Merged.is_first = False

    start(Merged)
    reload = threading.Thread(target=Merged.reload)
    reload.start()
    assert loading.wait(20)
    Merged.ordered.put(3, "new")
    Merged.bag.put("x", 3)
    Merged.recent.put("new", 1)
    Merged.full.bulk_insert({1: 1, 2: 2})
    go_on.set()
    reload.join(20)
    assert Merged.ordered.range(2, 5) == [(2, 2), (3, "new"), (4, 4)]
    assert Merged.bag.get("x") == (1, 2, 3)
    assert Merged.recent.snapshot() == {"old": 0, "new": 1}
    assert Merged.full.size() == 2
