"""Tables against plain dicts: transactions, reloads, crashes and restarts, in memory and with a file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.errors import ActorExitError, StoreLoadError
from slither_actors.store import LoadTables, SQLite, Store, StoreSupervisor, Table, Transaction, retire
from slither_actors.store._store import pointer_of

KEYS = st.sampled_from(["a", "b", 1, 1.0, True, None, ("a", 1)])
VALUES = st.integers(-5, 5)
TABLES = st.sampled_from(["left", "right"])
ROWS = st.dictionaries(KEYS, VALUES, max_size=3)

WRITES = st.one_of(
    st.tuples(st.just("put"), TABLES, KEYS, VALUES),
    st.tuples(st.just("put_new"), TABLES, KEYS, VALUES),
    st.tuples(st.just("increment"), TABLES, KEYS, VALUES),
    st.tuples(st.just("delete"), TABLES, KEYS),
    st.tuples(st.just("take"), TABLES, KEYS, VALUES),
    st.tuples(st.just("bulk_insert"), TABLES, ROWS),
    st.tuples(st.just("clear"), TABLES),
)

Model = dict[str, dict[Any, Any]]


class Modelled(Store):
    left: Table[Any, Any] = Table()
    right: Table[Any, Any] = Table()
    source: ClassVar[Model] = {}
    fails: ClassVar[bool] = False
    written: ClassVar[list[tuple[Any, ...]]] = []
    """Writes that come while `load` runs."""

    def load(self, tables: LoadTables) -> None:
        for name, rows in self.source.items():
            tables[name].insert(rows)
        for write in self.written:
            perform(type(self), write)
        if self.fails:
            msg = "asked to"
            raise ValueError(msg)


def perform(tables: Any, write: tuple[Any, ...]) -> Any:
    """The write, to a store or to the tables of a transaction."""
    operation, table, *arguments = write
    return getattr(getattr(tables, table), operation)(*arguments)


def expect(model: Model, write: tuple[Any, ...]) -> Any:
    """The same to the model; its result."""
    operation, table, *rest = write
    rows = model[table]
    if operation == "bulk_insert":
        rows.update(rest[0])
        return len(rest[0])
    if operation == "clear":
        size = len(rows)
        rows.clear()
        return size
    key, *arguments = rest
    if operation == "put":
        rows[key] = arguments[0]
        return None
    if operation == "put_new":
        return key not in rows and rows.setdefault(key, arguments[0]) is arguments[0]
    if operation == "increment":
        rows[key] = rows.get(key, 0) + arguments[0]
        return rows[key]
    if operation == "delete":
        return rows.pop(key, None) is not None
    return rows.pop(key, arguments[0])


def copied(model: Model) -> Model:
    return {name: dict(rows) for name, rows in model.items()}


class Transactions(RuleBasedStateMachine):
    """Each rule does the same to the store and to the model, and compares what comes back."""

    store: type[Modelled]
    has_file = False

    @initialize(rows=ROWS)
    def begin(self, rows: dict[Any, Any]) -> None:
        self.directory = Path(tempfile.mkdtemp())
        options: dict[str, Any] = {"during_reload": "merge"}
        if self.has_file:
            options["backing"] = SQLite(self.directory / "modelled.db")
        self.store = type("Here", (Modelled,), options)
        Modelled.source, Modelled.fails, Modelled.written = {"left": rows, "right": {}}, False, []
        self.start()
        self.model = copied(Modelled.source)

    def start(self) -> None:
        # Deaths are part of the game: no restart limit.
        self.supervisor: Any = StoreSupervisor.start([self.store], max_restarts=10**6)

    def stop(self) -> None:
        self.supervisor.stop()
        retire(self.store)

    def teardown(self) -> None:
        if hasattr(self, "supervisor"):
            self.stop()
            shutil.rmtree(self.directory)

    @rule(write=WRITES)
    def one(self, write: tuple[Any, ...]) -> None:
        assert perform(self.store, write) == expect(self.model, write)

    @rule(writes=st.lists(WRITES, max_size=6))
    def function(self, writes: list[tuple[Any, ...]]) -> None:
        def run(tx: Transaction) -> list[Any]:
            results = []
            for write in writes:
                results.append((perform(tx, write), expect(self.model, write)))
                for name, rows in self.model.items():
                    assert list(tx[name].items()) == list(rows.items())
                    assert len(tx[name]) == len(rows)
                    assert tx[name].get("a", "no") == rows.get("a", "no")
            return results

        for result, expected in self.store.transact(run):
            assert result == expected

    @rule(writes=st.lists(WRITES, max_size=6))
    def block(self, writes: list[tuple[Any, ...]]) -> None:
        with self.store.transaction() as tx:
            for write in writes:
                perform(tx, write)
        assert tx.results == [expect(self.model, write) for write in writes]

    @rule(writes=st.lists(WRITES, max_size=6))
    def failing(self, writes: list[tuple[Any, ...]]) -> None:
        def run(tx: Transaction) -> None:
            for write in writes:
                perform(tx, write)
            raise LookupError

        with pytest.raises(LookupError):
            self.store.transact(run)

    @rule(writes=st.lists(WRITES, max_size=6))
    def crashing(self, writes: list[tuple[Any, ...]]) -> None:
        def run(tx: Transaction) -> None:
            for write in writes:
                perform(tx, write)
            raise SystemExit

        with pytest.raises(ActorExitError):
            self.store.transact(run)
        self.after_a_death()

    @rule(rows=ROWS, writes=st.lists(WRITES, max_size=4), fails=st.booleans())
    def reload(self, rows: dict[Any, Any], writes: list[tuple[Any, ...]], fails: bool) -> None:
        kept = Modelled.source
        Modelled.source, Modelled.written, Modelled.fails = {"left": rows, "right": {}}, writes, fails
        # What is merged are the rows that were changed, so the model notes the rows and not the writes.
        fresh = copied(Modelled.source)
        for write in writes:
            before = copied(self.model)
            expect(self.model, write)
            merge(fresh, before, self.model, write)
        if fails:
            with pytest.raises(StoreLoadError):
                self.store.reload()
            Modelled.source = kept
        else:
            self.store.reload()
            self.model = fresh
        Modelled.written, Modelled.fails = [], False

    @rule()
    def death(self) -> None:
        server = self.supervisor.child(pointer_of(self.store).key)
        server.kill()
        assert server.join(20)
        self.after_a_death()

    @rule()
    def restart(self) -> None:
        self.stop()
        self.start()
        self.after_a_death()

    def after_a_death(self) -> None:
        self.store.left.put("after", 1)  # waits for the successor
        if not self.has_file:
            self.model = copied(Modelled.source)
        self.model["left"]["after"] = 1

    @invariant()
    def same_rows(self) -> None:
        for name in ("left", "right") if hasattr(self, "model") else ():
            table = getattr(self.store, name)
            assert list(table.items()) == list(self.model[name].items())
            assert len(table) == len(self.model[name])


def merge(fresh: Model, before: Model, after: Model, write: tuple[Any, ...]) -> None:
    """Do to `fresh` what the write did to the rows: those that it named, as they were after it."""
    operation, table, *rest = write
    if operation == "clear":
        if before[table]:
            fresh[table].clear()
        return
    for key in rest[0] if operation == "bulk_insert" else rest[:1]:
        if key in after[table] and (operation != "put_new" or key not in before[table]):
            fresh[table][key] = after[table][key]
        elif key in before[table] and key not in after[table]:
            fresh[table].pop(key, None)


class TransactionsWithAFile(Transactions):
    has_file = True


test_transactions_in_memory = Transactions.TestCase
test_transactions_in_memory.settings = settings(stateful_step_count=30, deadline=None)

test_transactions_with_a_file = TransactionsWithAFile.TestCase
test_transactions_with_a_file.settings = settings(stateful_step_count=30, deadline=None, max_examples=20)
