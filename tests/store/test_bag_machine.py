"""A bag against a dict of lists, with reloads and deaths of the server."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.errors import StoreError
from slither_actors.store import BagTable, LoadTables, Store, StoreSupervisor, Table, retire
from slither_actors.store._store import pointer_of

KEYS = st.sampled_from("abc")
VALUES = st.integers(0, 4)
BULK = st.lists(st.tuples(KEYS, VALUES), max_size=8)


class Bagged(Store):
    table: BagTable[str, int] = Table(bag=True)
    source: ClassVar[list[tuple[str, int]]] = []

    def load(self, tables: LoadTables) -> None:
        for key, value in self.source:
            tables.table.put(key, value)


def grouped(rows: list[tuple[str, int]]) -> dict[str, list[int]]:
    model: dict[str, list[int]] = {}
    add(model, rows)
    return model


def add(model: dict[str, list[int]], rows: list[tuple[str, int]]) -> int:
    new = 0
    for key, value in rows:
        if value not in model.setdefault(key, []):
            model[key].append(value)
            new += 1
    return new


class Bag(RuleBasedStateMachine):
    """Each rule does the same to the table and to the model, and compares what comes back."""

    @initialize(rows=BULK)
    def begin(self, rows: Any) -> None:
        Bagged.source = rows
        self.supervisor: Any = StoreSupervisor.start([Bagged], max_restarts=10**6)
        self.model = grouped(rows)

    def teardown(self) -> None:
        if hasattr(self, "supervisor"):
            self.supervisor.stop()
            retire(Bagged)

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: int) -> None:
        Bagged.table.put(key, value)
        add(self.model, [(key, value)])

    @rule(key=KEYS, value=VALUES)
    def put_new(self, key: str, value: int) -> None:
        assert Bagged.table.put_new(key, value) == (key not in self.model)
        self.model.setdefault(key, [value])

    @rule(key=KEYS, values=st.lists(VALUES, max_size=4))
    def update(self, key: str, values: list[int]) -> None:
        before = tuple(self.model.get(key, ()))
        expected = tuple(dict.fromkeys((*values, *before[1:])))
        assert Bagged.table.update(key, lambda found: (*values, *found[1:])) == expected
        if expected:
            self.model[key] = list(expected)
        else:
            self.model.pop(key, None)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert Bagged.table.delete(key) == (key in self.model)
        self.model.pop(key, None)

    @rule(key=KEYS, value=VALUES)
    def delete_value(self, key: str, value: int) -> None:
        there = value in self.model.get(key, [])
        assert Bagged.table.delete_value(key, value) == there
        if there:
            self.model[key].remove(value)
            if not self.model[key]:
                del self.model[key]

    @rule(key=KEYS)
    def take(self, key: str) -> None:
        assert Bagged.table.take(key) == tuple(self.model.pop(key, ()))

    @rule(key=KEYS)
    def increment(self, key: str) -> None:
        with pytest.raises(StoreError, match="a bag has no increment"):
            Bagged.table.increment(key)

    @rule(rows=BULK)
    def bulk_insert(self, rows: Any) -> None:
        before, held = Bagged.table.snapshot(), pointer_of(Bagged).now.rows[0]
        assert Bagged.table.bulk_insert(rows) == add(self.model, rows)
        assert held.query("snapshot") == before

    @rule()
    def clear(self) -> None:
        assert Bagged.table.clear() == sum(map(len, self.model.values()))
        self.model.clear()

    @rule(rows=BULK)
    def reload(self, rows: Any) -> None:
        Bagged.source = rows
        Bagged.reload()
        self.model = grouped(rows)

    @rule(rows=BULK, gone=BULK, fails=st.booleans())
    def transaction(self, rows: Any, gone: Any, fails: bool) -> None:
        after = {key: list(values) for key, values in self.model.items()}
        add(after, rows)
        for key, value in gone:
            after[key] = [each for each in after.get(key, []) if each != value]
            if not after[key]:
                del after[key]

        def run(tx: Any) -> None:
            for key, value in rows:
                tx.table.put(key, value)
            for key, value in gone:
                tx.table.delete_value(key, value)
            assert tx.table.snapshot() == {key: tuple(values) for key, values in after.items()}
            if fails:
                raise LookupError

        if fails:
            with pytest.raises(LookupError):
                Bagged.transact(run)
        else:
            Bagged.transact(run)
            self.model = after

    @rule()
    def death(self) -> None:
        server = self.supervisor.child(pointer_of(Bagged).key)
        assert server is not None
        server.kill()
        assert server.join(20)
        Bagged.table.put("after", 1)  # waits for the successor
        self.model = {**grouped(Bagged.source), "after": [1]}

    @rule(key=KEYS, value=VALUES)
    def match(self, key: str, value: int) -> None:
        assert Bagged.table.match(key) == [(key, each) for each in self.model.get(key, ())]
        assert Bagged.table.match(value=value) == [
            (key, value) for key, values in self.model.items() if value in values
        ]

    @invariant()
    def same_rows(self) -> None:
        if hasattr(self, "model"):
            rows = [(key, value) for key, values in self.model.items() for value in values]
            assert list(Bagged.table.items()) == rows
            assert list(Bagged.table.values()) == [value for _, value in rows]
            assert Bagged.table.size() == len(Bagged.table) == len(rows)
            assert list(Bagged.table) == list(self.model)
            assert Bagged.table.get_many("abc") == [tuple(self.model.get(key, ())) for key in "abc"]
            assert Bagged.statistics().tables[0].rows == len(rows)


test_a_bag_is_a_dict_of_lists = Bag.TestCase
test_a_bag_is_a_dict_of_lists.settings = settings(stateful_step_count=50, deadline=None)
