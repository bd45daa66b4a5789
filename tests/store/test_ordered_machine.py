"""An ordered table against a sorted dict, with reloads and deaths of the server."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.errors import StoreLoadError
from slither_actors.store import LoadTables, OrderedTable, Store, StoreSupervisor, Table, _key_index, retire
from slither_actors.store._store import pointer_of

KEYS = st.tuples(st.sampled_from("abc"), st.integers(0, 30))
VALUES = st.integers(-5, 5) | st.none()
BULK = st.dictionaries(KEYS, VALUES, max_size=30)
ENDS = st.none() | KEYS | st.tuples(st.sampled_from("abc"))
PREFIXES = st.sampled_from([(), ("a",), ("b",), ("c", 7), ("d",)])


class Sorted(Store):
    table: OrderedTable[Any, Any] = Table(ordered=True)
    source: ClassVar[dict[Any, Any]] = {}

    def load(self, tables: LoadTables) -> None:
        tables.table.insert(self.source)


class SortedTable(RuleBasedStateMachine):
    """Each rule does the same to the table and to the model, and compares what comes back."""

    @initialize(rows=BULK)
    def begin(self, rows: dict[Any, Any]) -> None:
        self.chunk, _key_index.CHUNK = _key_index.CHUNK, 8  # so that a few rows are many chunks
        Sorted.source = rows
        self.supervisor: Any = StoreSupervisor.start([Sorted], max_restarts=10**6)
        self.model = dict(rows)

    def teardown(self) -> None:
        if hasattr(self, "supervisor"):
            self.supervisor.stop()
            retire(Sorted)
            _key_index.CHUNK = self.chunk

    def rows(self) -> list[tuple[Any, Any]]:
        return sorted(self.model.items(), key=lambda row: row[0])

    @rule(key=KEYS, value=VALUES)
    def put(self, key: Any, value: Any) -> None:
        Sorted.table.put(key, value)
        self.model[key] = value

    @rule(start=st.integers(0, 20), count=st.integers(1, 40))
    def put_some(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            Sorted.table.put(("b", number), number)
            self.model["b", number] = number

    @rule(count=st.integers(1, 40))
    def delete_some(self, count: int) -> None:
        for key in sorted(self.model)[:count]:
            assert Sorted.table.delete(key)
            del self.model[key]

    @rule(key=KEYS, value=VALUES)
    def put_new(self, key: Any, value: Any) -> None:
        assert Sorted.table.put_new(key, value) == (key not in self.model)
        self.model.setdefault(key, value)

    @rule(key=KEYS)
    def update(self, key: Any) -> None:
        assert Sorted.table.update(key, str) == str(self.model.get(key))
        self.model[key] = str(self.model.get(key))

    @rule(key=KEYS)
    def take(self, key: Any) -> None:
        assert Sorted.table.take(key, "no") == self.model.pop(key, "no")

    @rule(rows=BULK)
    def bulk_insert(self, rows: dict[Any, Any]) -> None:
        before, held = self.rows(), pointer_of(Sorted).now.rows[0]
        assert Sorted.table.bulk_insert(rows) == len(rows)
        self.model.update(rows)
        assert list(held.query("snapshot").items()) == before

    @rule()
    def clear(self) -> None:
        assert Sorted.table.clear() == len(self.model)
        self.model.clear()

    @rule(key=KEYS, wrong=st.sampled_from([5, "text", ("a", "b")]))
    def a_key_with_no_place_changes_nothing(self, key: Any, wrong: Any) -> None:
        if self.model:
            Sorted.table.put(("a", 0), 0)
            self.model["a", 0] = 0
            with pytest.raises(TypeError):
                Sorted.table.put(wrong, 1)
            with pytest.raises(TypeError):
                Sorted.table.bulk_insert({key: 1, wrong: 1})
            assert wrong not in Sorted.table

    @rule(rows=BULK)
    def reload(self, rows: dict[Any, Any]) -> None:
        Sorted.source = rows
        Sorted.reload()
        self.model = dict(rows)

    @rule(rows=BULK, gone=st.lists(KEYS, max_size=5), fails=st.booleans())
    def transaction(self, rows: dict[Any, Any], gone: list[Any], fails: bool) -> None:
        after = {key: value for key, value in {**self.model, **rows}.items() if key not in gone}

        def run(tx: Any) -> None:
            for key, value in rows.items():
                tx.table.put(key, value)
            for key in gone:
                tx.table.delete(key)
            assert list(tx.table.items()) == sorted(after.items(), key=lambda row: row[0])
            if fails:
                raise LookupError

        if fails:
            with pytest.raises(LookupError):
                Sorted.transact(run)
        else:
            Sorted.transact(run)
            self.model = after

    @rule()
    def failing_reload(self) -> None:
        kept, Sorted.source = Sorted.source, {1: 1, "1": 2}
        with pytest.raises(StoreLoadError, match="TypeError"):
            Sorted.reload()
        Sorted.source = kept

    @rule(value=VALUES)
    def death(self, value: Any) -> None:
        server = self.supervisor.child(pointer_of(Sorted).key)
        assert server is not None
        server.kill()
        assert server.join(20)
        Sorted.table.put(("c", 99), value)  # waits for the successor
        self.model = {**Sorted.source, ("c", 99): value}

    @rule(
        low=ENDS,
        high=ENDS,
        inclusive=st.tuples(st.booleans(), st.booleans()),
        reverse=st.booleans(),
        limit=st.none() | st.integers(0, 5),
    )
    def query_range(self, low: Any, high: Any, inclusive: Any, reverse: bool, limit: int | None) -> None:
        expected = [
            row
            for row in self.rows()
            if (low is None or row[0] > low or (inclusive[0] and row[0] == low))
            and (high is None or row[0] < high or (inclusive[1] and row[0] == high))
        ]
        ends = {name: end for name, end in (("low", low), ("high", high)) if end is not None}
        found = Sorted.table.range(**ends, inclusive=inclusive, reverse=reverse, limit=limit)
        assert found == (expected[::-1] if reverse else expected)[:limit]

    @rule(prefix=PREFIXES, reverse=st.booleans(), limit=st.none() | st.integers(0, 5))
    def query_prefix(self, prefix: Any, reverse: bool, limit: int | None) -> None:
        expected = [row for row in self.rows() if row[0][: len(prefix)] == prefix]
        found = Sorted.table.prefix(prefix, reverse=reverse, limit=limit)
        assert found == (expected[::-1] if reverse else expected)[:limit]
        assert Sorted.table.match(prefix=prefix) == expected

    @rule(key=KEYS)
    def neighbours(self, key: Any) -> None:
        rows = self.rows()
        assert Sorted.table.next(key) == next((row for row in rows if row[0] > key), None)
        assert Sorted.table.previous(key) == next((row for row in rows[::-1] if row[0] < key), None)

    @invariant()
    def same_rows(self) -> None:
        if hasattr(self, "model"):
            rows = self.rows()
            assert list(Sorted.table.items()) == rows
            assert Sorted.table.size() == len(rows)
            assert Sorted.table.first() == (rows[0] if rows else None)
            assert Sorted.table.last() == (rows[-1] if rows else None)
            assert all(len(chunk) <= 8 for chunk in pointer_of(Sorted).now.rows[0].index._chunks)  # type: ignore[attr-defined]


test_an_ordered_table_is_a_sorted_dict = SortedTable.TestCase
test_an_ordered_table_is_a_sorted_dict.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None
)
