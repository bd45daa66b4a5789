"""A set table against a plain dict, with reloads and deaths of the server."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.errors import StoreLoadError
from slither_actors.store import LoadTables, Store, StoreSupervisor, Table, retire
from slither_actors.store._store import pointer_of

KEYS = st.sampled_from(["a", "b", 1, 1.0, True, None, ("a", 1)])
VALUES = st.integers(-5, 5) | st.none()
BULK = st.dictionaries(KEYS, VALUES, max_size=4)


class Modelled(Store):
    table: Table[Any, Any] = Table()
    source: ClassVar[dict[Any, Any]] = {}
    fails: ClassVar[bool] = False

    def load(self, tables: LoadTables) -> None:
        tables.table.insert(self.source)
        if self.fails:
            msg = "asked to"
            raise ValueError(msg)


class SetTable(RuleBasedStateMachine):
    """Each rule does the same to the table and to the model, and compares what comes back."""

    @initialize(rows=BULK)
    def begin(self, rows: dict[Any, Any]) -> None:
        Modelled.source, Modelled.fails = rows, False
        # Deaths are part of the game: no restart limit.
        self.supervisor: Any = StoreSupervisor.start([Modelled], max_restarts=10**6)
        self.model = dict(rows)
        self.version = 0

    def teardown(self) -> None:
        if hasattr(self, "supervisor"):
            self.supervisor.stop()
            retire(Modelled)

    @rule(key=KEYS, value=VALUES)
    def put(self, key: Any, value: Any) -> None:
        Modelled.table.put(key, value)
        self.model[key] = value

    @rule(key=KEYS, value=VALUES)
    def put_new(self, key: Any, value: Any) -> None:
        assert Modelled.table.put_new(key, value) == (key not in self.model)
        self.model.setdefault(key, value)

    @rule(key=KEYS, default=VALUES)
    def update(self, key: Any, default: Any) -> None:
        def step(value: Any) -> Any:
            return 0 if value is None else value + 1

        expected = step(self.model.get(key, default))
        assert Modelled.table.update(key, step, default) == expected
        self.model[key] = expected

    @rule(key=KEYS, by=st.integers(-2, 2))
    def increment(self, key: Any, by: int) -> None:
        if self.model.get(key, 0) is None:
            with pytest.raises(TypeError):
                Modelled.table.increment(key, by)
        else:
            self.model[key] = self.model.get(key, 0) + by
            assert Modelled.table.increment(key, by) == self.model[key]

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        assert Modelled.table.delete(key) == (key in self.model)
        self.model.pop(key, None)

    @rule(key=KEYS, default=VALUES)
    def take(self, key: Any, default: Any) -> None:
        assert Modelled.table.take(key, default) == self.model.pop(key, default)

    @rule(rows=BULK)
    def bulk_insert(self, rows: dict[Any, Any]) -> None:
        before, held = Modelled.table.snapshot(), pointer_of(Modelled).now.rows[0]
        assert Modelled.table.bulk_insert(rows) == len(rows)
        self.model.update(rows)
        assert held.snapshot() == before

    @rule()
    def clear(self) -> None:
        assert Modelled.table.clear() == len(self.model)
        self.model.clear()

    @rule(rows=BULK)
    def reload(self, rows: dict[Any, Any]) -> None:
        Modelled.source = rows
        Modelled.reload()
        self.model = dict(rows)

    @rule(rows=BULK)
    def failing_reload(self, rows: dict[Any, Any]) -> None:
        kept, Modelled.source, Modelled.fails = Modelled.source, rows, True
        with pytest.raises(StoreLoadError):
            Modelled.reload()
        Modelled.source, Modelled.fails = kept, False

    @rule(value=VALUES)
    @precondition(lambda self: hasattr(self, "model"))
    def death(self, value: Any) -> None:
        server = self.supervisor.child(pointer_of(Modelled).key)
        assert server is not None
        server.kill()
        assert server.join(20)
        Modelled.table.put("after", value)  # waits for the successor
        self.model = {**Modelled.source, "after": value}

    @rule(keys=st.lists(KEYS, max_size=5), default=VALUES)
    def read_many(self, keys: list[Any], default: Any) -> None:
        assert Modelled.table.get_many(keys, default) == [self.model.get(key, default) for key in keys]

    @rule()
    def iterate(self) -> None:
        assert list(Modelled.table.items()) == list(self.model.items())

    @invariant()
    def same_rows(self) -> None:
        if hasattr(self, "model"):
            assert Modelled.table.snapshot() == self.model
            assert Modelled.table.size() == len(self.model)
            assert all(Modelled.table.get(key, "no") == value for key, value in self.model.items())

    @invariant()
    def the_version_only_grows(self) -> None:
        if hasattr(self, "model"):
            version = Modelled.statistics().tables[0].version
            assert version >= self.version
            self.version = version


test_a_set_table_is_a_dict = SetTable.TestCase
test_a_set_table_is_a_dict.settings = settings(stateful_step_count=50, deadline=None)
