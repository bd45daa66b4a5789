"""What concurrent clients of one store were told, explained by an order of their operations or not.

Many short histories with a switch of threads every microsecond; the clients draw their operations.
The checker is `linearizability`, and has tests of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, dispatch
from slither_actors.store import (
    BagTable,
    LoadTables,
    OrderedTable,
    SQLite,
    Store,
    StoreSupervisor,
    Table,
    retire,
)
from slither_actors.store._pointer import Pointer
from slither_actors.store._store import pointer_of
from tests.store.linearizability import Operation, Rows, find_violation
from tests.store.recorded import Client, now, run_together

CLIENTS = 4
OPERATIONS = 40
"""Of each client, on three keys."""

ALL = ["sets", "others", "ordered", "bag"]
LOADED: Rows = {("sets", "a"): 1, ("others", "b"): 2, ("ordered", "c"): 3, ("bag", "a"): (1, 2)}


class Recorded(Store):
    """A table of each kind, and a second set; a load brings `LOADED`."""

    sets: Table[str, int] = Table()
    others: Table[str, int] = Table()
    ordered: OrderedTable[str, int] = Table(ordered=True)
    bag: BagTable[str, int] = Table(bag=True)

    def load(self, tables: LoadTables) -> None:
        for (table, key), value in LOADED.items():
            for each in value if isinstance(value, tuple) else [value]:
                tables[table].put(key, each)


@pytest.fixture
def switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def supervisor() -> Iterator[Any]:
    # Deaths are part of the game: no restart limit.
    supervisor = StoreSupervisor.start([Recorded], max_restarts=10**6)
    yield supervisor
    supervisor.stop()
    retire(Recorded)


def load(history: list[Operation], loading: Callable[[], object]) -> None:
    """Have the store loaded, and record it as the one operation that it is for readers."""
    called = now()
    loading()
    history.append(Operation("load", "", (tuple(LOADED.items()),), None, called, now()))


def die(supervisor: Any, store: type[Store]) -> None:
    """Kill the server; returns when its successor has published."""
    loads = store.statistics().loads
    server = supervisor.child(pointer_of(store).key)
    server.kill()
    assert server.join(20)
    while store.statistics().loads == loads:
        pointer = pointer_of(store)
        if pointer.server is server:
            pointer._wait_for_another(server, 5.0)
        pointer.server.call(("size", 0), 5.0)  # answered after `init`


def record(
    store: type[Store],
    tables: list[str],
    seed: int,
    *besides: Callable[[], object],
    transactions: bool = False,
) -> list[Operation]:
    """One history of `CLIENTS` threads, from the rows of a load on; `besides` happen on the way."""
    store.reload()
    clients = [
        Client(store, tables, CLIENTS * seed + each, OPERATIONS, transactions) for each in range(CLIENTS)
    ]

    def happen() -> None:
        for number, event in enumerate(besides, 1):
            due = CLIENTS * OPERATIONS * number // (len(besides) + 1)
            while sum(len(client.history) for client in clients) < due:
                time.sleep(0)
            event()

    run_together(*(client.run for client in clients), happen)
    return [operation for client in clients for operation in client.history]


def check(history: list[Operation], initial: Rows = LOADED) -> None:
    violation = find_violation(history, initial, bags=["bag"])
    assert violation is None, violation


def rounds(default: int, soak: int) -> pytest.MarkDecorator:
    """A few histories in each run, hundreds in the long one."""
    return pytest.mark.parametrize(
        "seeds",
        [range(default), pytest.param(range(default, soak), marks=pytest.mark.soak)],
        ids=["few", "many"],
    )


@pytest.mark.usefixtures("switch_often", "supervisor")
@pytest.mark.parametrize("table", ["sets", "ordered", "bag"])
@rounds(30, 500)
def test_histories_of_one_table_are_linearizable(table: str, seeds: range) -> None:
    """Every read and every write, of one row or of all, took effect at one instant."""
    for seed in seeds:
        check(record(Recorded, [table], seed))


@pytest.mark.usefixtures("switch_often", "supervisor")
@rounds(30, 500)
def test_histories_with_transactions_are_linearizable(seeds: range) -> None:
    """A transaction over all tables took effect at one instant as well, be it a function or a block."""
    for seed in seeds:
        check(record(Recorded, ALL, seed, transactions=True))


# -- loads, deaths, files ------------------------------------------------------------


@pytest.mark.usefixtures("switch_often", "supervisor")
@rounds(10, 300)
def test_histories_with_reloads_are_linearizable(seeds: range) -> None:
    """A reload is one operation on all tables; no write is done to the tables before it and told of after."""
    for seed in seeds:
        loads: list[Operation] = []

        def reload() -> None:
            load(loads, Recorded.reload)  # noqa: B023

        check(record(Recorded, ALL, seed, *[reload] * 3, transactions=True) + loads)


@pytest.mark.usefixtures("switch_often")
@rounds(10, 300)
def test_histories_with_deaths_are_linearizable(supervisor: Any, seeds: range) -> None:
    """In memory a death of the server is a load. What failed in it happened before it, after it, or never."""
    for seed in seeds:
        loads: list[Operation] = []

        def kill() -> None:
            load(loads, lambda: die(supervisor, Recorded))  # noqa: B023

        check(record(Recorded, ALL, seed, *[kill] * 3, transactions=True) + loads)


@pytest.mark.usefixtures("switch_often")
@rounds(4, 100)
def test_histories_of_a_store_with_a_file_know_of_no_death(tmp_path: Path, seeds: range) -> None:
    """The successor has all that was acknowledged, so nothing but the outcomes of calls is unknown."""
    store: Any = type("Filed", (Recorded,), {"backing": SQLite(tmp_path / "rows.db")})
    supervisor = StoreSupervisor.start([store], max_restarts=10**6)
    try:
        for seed in seeds:
            kills = [lambda: die(supervisor, store)] * 2
            check(record(store, ALL, seed, *kills, transactions=True))
    finally:
        supervisor.stop()
        retire(store)


# -- worker processes ------------------------------------------------------------------


def work(seeds: list[int]) -> list[list[Operation]]:
    """In a worker: be a client."""
    histories = []
    for seed in seeds:
        client = Client(Recorded, ALL, seed, 20, transactions=True)
        client.run()
        histories.append(client.history)
    return histories


@rounds(3, 60)
def test_histories_of_workers_and_threads_are_linearizable(seeds: range) -> None:
    """A worker's operations are in one order with those of the driver's threads."""
    with Application(stores=[Recorded], pools={"default": 2}):
        for seed in seeds:
            Recorded.reload()
            threads = [Client(Recorded, ALL, 1000 + 2 * seed + each, 30, True) for each in range(2)]
            told: list[Operation] = []

            def workers() -> None:
                items = dispatch.run([10 * seed, 10 * seed + 1], executor=work, batch_size=1)  # noqa: B023
                told.extend(operation for item in items for operation in item.payload)  # noqa: B023

            run_together(workers, *(client.run for client in threads))
            check(told + [operation for client in threads for operation in client.history])


# -- tables that are broken on purpose -----------------------------------------------------


def update_outside(self: Any, key: Any, function: Any, default: Any = None) -> Any:
    """Reads before the writer has its turn."""
    if not isinstance(self._pointer, Pointer):  # in a transaction
        return _UPDATE(self, key, function, default)
    value = function(self.get(key, default))
    time.sleep(0)  # the others' turn: so that few histories are enough
    self.put(key, value)
    return value


_UPDATE = Table.update


def get_one_by_one(self: Any, keys: Any, default: Any = None) -> Any:
    """Never looks whether a write came between."""
    found = []
    for key in keys:
        found.append(self.get(key, default))
        time.sleep(0)
    return found


def transact_one_by_one(cls: Any, function: Any, *arguments: Any) -> Any:
    """Each of its operations on its own."""
    time.sleep(0)
    return function(cls, *arguments)


def size_of_a_moment_ago(self: Any) -> int:
    """Counts the rows of the time before the last call."""
    before, _OLD[self.name] = _OLD.get(self.name, 0), len(self.snapshot())
    return before


_OLD: dict[str, int] = {}


@pytest.mark.usefixtures("switch_often", "supervisor")
@pytest.mark.parametrize(
    "broken",
    [
        (Table, "update", update_outside),
        (Table, "get_many", get_one_by_one),
        (Table, "size", size_of_a_moment_ago),
        (Recorded, "transact", classmethod(transact_one_by_one)),
    ],
    ids=lambda broken: broken[2].__name__ if hasattr(broken[2], "__name__") else "transact_one_by_one",
)
def test_a_broken_table_is_found(monkeypatch: pytest.MonkeyPatch, broken: tuple[Any, str, Any]) -> None:
    """An update, a read of many, a size or a transaction that is not atomic, in a few hundred histories."""
    monkeypatch.setattr(*broken)
    histories = (record(Recorded, ["sets", "others"], seed, transactions=True) for seed in range(400))
    assert any(find_violation(history, LOADED) for history in histories)
