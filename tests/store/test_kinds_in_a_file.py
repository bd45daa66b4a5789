"""Ordered tables and bags with a file behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slither_actors.store import LoadTables, SQLite, Store, StoreSupervisor, Table, Transaction, retire


class Kinds(Store):
    """A table of each kind that can be kept."""

    scores: Table[int, str] = Table(ordered=True)
    tags: Table[str, Any] = Table(bag=True)

    def load(self, tables: LoadTables) -> None:
        tables.scores.insert({5: "five", 1: "one"})
        tables.tags.insert([("a", 1), ("a", 2), ("b", 1)])

    def restore(self, tables: LoadTables) -> None:
        if "seen" not in tables.tags:
            tables.tags.put("seen", 1)
            tables.tags.put("a", 9)


def change(tx: Transaction) -> list[Any]:
    tx.scores.put(3, "three")
    tx.scores.delete(5)
    tx.tags.put("a", 3)
    tx.tags.put("a", 1)
    tx.tags.delete("b")
    return [list(tx.scores), tx.tags.get("a")]


def test_all_kinds_come_back(tmp_path: Path) -> None:
    """Sorted as they were, with all values of a key; after single writes, bulk inserts and transactions."""
    Kinds.backing = SQLite(tmp_path / "kinds.db")
    supervisor = StoreSupervisor.start([Kinds])
    assert Kinds.transact(change) == [[1, 3], (1, 2, 3)]
    Kinds.scores.bulk_insert({9: "nine", 2: "two"})
    assert Kinds.tags.bulk_insert([("c", 1), ("c", 1), ("a", 1)]) == 1
    supervisor.stop()
    retire(Kinds)

    for _ in range(2):
        supervisor = StoreSupervisor.start([Kinds])
        assert list(Kinds.scores.items()) == [(1, "one"), (2, "two"), (3, "three"), (9, "nine")]
        assert Kinds.tags.get("a") == (1, 2, 3, 9)
        assert (Kinds.tags.get("c"), Kinds.tags.get("seen"), Kinds.tags.get("b")) == ((1,), (1,), ())
        supervisor.stop()
        retire(Kinds)
