"""Each operation on each kind of table, in the driver, a transaction and a worker; and mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, dispatch
from slither_actors.errors import OptionError, RowNotFoundError, StoreError
from slither_actors.store import ANY, LoadTables, Prefix, SQLite, Store, Table, Transaction


class Every(Store):
    plain: Table[Any, Any] = Table()
    ordered: Table[Any, Any] = Table(ordered=True)
    bag: Table[Any, Any] = Table(bag=True)
    ending: Table[Any, Any] = Table(ttl=600, max_rows=50, evict="lru", count_reads=True)
    sorted: Table[Any, Any] = Table(ordered=True, ttl=math.inf)

    def load(self, tables: LoadTables) -> None:
        pass


class Kept(Every):
    pass


KINDS = ("plain", "ordered", "bag", "ending", "sorted")


def doubled(value: Any) -> Any:
    return (*value, 20) if isinstance(value, tuple) else value * 2


def is_large(_: Any, value: Any) -> bool:
    return bool(value >= 10)


def pair_of(key: Any, value: Any) -> Any:
    return [key, value]


def add(total: int, _: Any, value: int) -> int:
    return total + value


def all_operations(table: Any) -> dict[str, Any]:
    """Do all that there is, from no rows to no rows; return what came back."""
    is_bag = table.options.bag
    found = {
        "put": table.put("a", 1),
        "put_new": [table.put_new("b", 2), table.put_new("b", 3)],
        "get": [table.get("a"), table.get("z"), table.get("z", 9)],
        "fetch": table.fetch("a"),
        "in": ["a" in table, "z" in table],
        "update": [table.update("b", doubled), table.update("u", doubled, (10,) if is_bag else 5)],
        "bulk_insert": [table.bulk_insert({"c": 30}), table.bulk_insert([("d", 40), ("e", 50)])],
        "get_many": table.get_many(["a", "c", "z"]),
        "size": [table.size(), len(table), bool(table)],
        "match": [
            sorted(table.match("a")),
            sorted(table.match(value=30)),
            sorted(table.match(prefix="d")),
            sorted(table.match(Prefix("e"), ANY, limit=1)),
        ],
        "select": sorted(table.select(is_large, project=pair_of)),
        "fold": table.fold(add, 0),
        "items": sorted(table.items()),
        "keys": [sorted(table.keys()), sorted(table)],
        "values": sorted(table.values()),
        "snapshot": sorted(table.snapshot()),
    }
    if table.options.ttl is not None:
        found["ttl"] = [table.put("t", 1, ttl=100), table.put_new("t", 2, ttl=100), table.delete("t")]
    if table.options.ordered:
        found |= {
            "range": [table.range("b", "d"), table.range(limit=1, reverse=True)],
            "prefix": table.prefix("c"),
            "ends": [table.first(), table.last(), table.next("a"), table.previous("b"), table.next("z")],
        }
    if is_bag:
        found["delete_value"] = [table.delete_value("c", 30), table.delete_value("c", 30)]
    else:
        found["increment"] = [table.increment("n"), table.increment("n", 2), table.increment("m", 1, 5)]
    found["take"] = [table.take("a"), table.take("a"), table.take("a", 7)]
    found["delete"] = [table.delete("b"), table.delete("b")]
    found["clear"] = [table.clear() > 0, table.clear()]
    try:
        table.fetch("a")
    except RowNotFoundError as error:
        found["missing"] = str(error)
    return found


def expected(kind: str) -> dict[str, Any]:
    is_bag, is_ordered = kind == "bag", kind in ("ordered", "sorted")

    def rows(value: Any) -> Any:
        return (value,) if is_bag else value

    none = () if is_bag else None
    b = [("b", 2), ("b", 20)] if is_bag else [("b", 4)]
    u = [("u", 10), ("u", 20)] if is_bag else [("u", 10)]
    all_rows = [("a", 1), *b, ("c", 30), ("d", 40), ("e", 50), *u]
    count = len(all_rows)
    found: dict[str, Any] = {
        "put": None,
        "put_new": [True, False],
        "get": [rows(1), none, 9],
        "fetch": rows(1),
        "in": [True, False],
        "update": [(2, 20), (10, 20)] if is_bag else [4, 10],
        "bulk_insert": [1, 2],
        "get_many": [rows(1), rows(30), none],
        "size": [count, count, True],
        "match": [[("a", 1)], [("c", 30)], [("d", 40)], [("e", 50)]],
        "select": [[key, value] for key, value in all_rows if value >= 10],
        "fold": sum(value for _, value in all_rows),
        "items": all_rows,
        "keys": [list("abcdeu"), list("abcdeu")],
        "values": sorted(value for _, value in all_rows),
        "snapshot": list("abcdeu"),
        "take": [rows(1), none, 7],
        "delete": [True, False],
        "clear": [True, 0],
    }
    if kind in ("ending", "sorted"):
        found["ttl"] = [None, False, True]
    if is_ordered:
        found |= {
            "range": [[("b", 4), ("c", 30)], [("u", 10)]],
            "prefix": [("c", 30)],
            "ends": [("a", 1), ("u", 10), ("b", 4), ("a", 1), None],
        }
    if is_bag:
        found["delete_value"] = [True, False]
    else:
        found["increment"] = [1, 3, 6]
    return found


def in_worker(jobs: list[tuple[str, str]]) -> list[Any]:
    stores = {"Every": Every, "Kept": Kept}
    return [all_operations(getattr(stores[store], kind)) for store, kind in jobs]


def statistics_in_worker(_: list[Any]) -> list[Any]:
    return [(Every.plain.statistics().name, Every.statistics().running, len(Every.statistics().tables))]


@pytest.fixture(scope="module", autouse=True)
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    path: Path = tmp_path_factory.mktemp("every") / "kept.db"
    Kept.backing = SQLite(path)
    with Application(stores=[Every, Kept], pools={"default": 1}):
        yield


def check(store: type[Store], kind: str, found: dict[str, Any]) -> None:
    missing = found.pop("missing")
    assert "'a'" in missing
    assert f"{store.__name__}.{kind}" in missing
    assert found == expected(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", [Every, Kept])
@pytest.mark.parametrize("place", ["driver", "transaction", "worker"])
def test_each_operation_on_each_kind(store: Any, kind: str, place: str) -> None:
    """The same comes back wherever it is asked."""
    if place == "driver":
        found = all_operations(getattr(store, kind))
    elif place == "transaction":
        found = store.transact(lambda tx: all_operations(tx[kind]))
    else:
        [found] = [item.payload for item in dispatch.run([(store.__name__, kind)], executor=in_worker)]
    check(store, kind, found)
    assert getattr(store, kind).size() == 0


def test_statistics_in_a_worker() -> None:
    """Are those of the driver."""
    [item] = dispatch.run([None], executor=statistics_in_worker)
    assert item.payload == ("plain", True, 5)


MISTAKES: dict[str, Callable[[Any], object]] = {
    "get": lambda table: table.get([1]),
    "fetch": lambda table: table.fetch([1]),
    "put": lambda table: table.put([1], 1),
    "put_new": lambda table: table.put_new([1], 1),
    "update": lambda table: table.update([1], doubled),
    "delete": lambda table: table.delete([1]),
    "take": lambda table: table.take([1]),
    "get_many": lambda table: table.get_many([[1]]),
    "bulk_insert": lambda table: table.bulk_insert([([1], 1)]),
    "match": lambda table: table.match(limit=-1),
    "select": lambda table: table.select(5),
    "fold": lambda table: table.fold(5, 0),
}
OF_ONE_KIND: list[tuple[str, str, Callable[[Any], object]]] = [
    ("plain", "increment", lambda table: table.increment("word", "x")),
    ("plain", "get_many", lambda table: table.get_many(5)),
    ("plain", "bulk_insert", lambda table: table.bulk_insert([1])),
    ("plain", "update", lambda table: table.update(1, 5)),
    ("plain", "match", lambda table: table.match(prefix=5)),
    ("plain", "select", lambda table: table.select(limit="x")),
    ("plain", "put", lambda table: table.put(1, 1, ttl=5)),
    ("ending", "put", lambda table: table.put(1, 1, ttl=-1)),
    ("ordered", "put", lambda table: table.put(5, 1)),
    ("ordered", "put", lambda table: table.put(math.nan, 1)),
    ("ordered", "next", lambda table: table.next(5)),
    ("ordered", "range", lambda table: table.range(5)),
    ("ordered", "range", lambda table: table.range(inclusive=True)),
    ("ordered", "range", lambda table: table.range(limit=-1)),
    ("ordered", "prefix", lambda table: table.prefix(5)),
    ("ordered", "prefix", lambda table: table.prefix((5,))),
    ("bag", "bulk_insert", lambda table: table.bulk_insert([1])),
    ("bag", "delete_value", lambda table: table.delete_value([1], 1)),
    ("bag", "increment", lambda table: table.increment("word")),
]
ALL = [
    *((kind, operation, mistake) for kind in KINDS for operation, mistake in MISTAKES.items()),
    *OF_ONE_KIND,
]


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_mistake_is_told_with_store_table_and_operation(is_empty: bool) -> None:
    """In the driver and in a transaction; nothing of it happens."""
    for kind, operation, mistake in ALL:
        where = f"Every.{kind}.{operation}"
        table = getattr(Every, kind)
        if not is_empty:
            table.put("word", 1)
        elif operation in ("next", "range", "prefix") or (kind, operation) == ("ordered", "put"):
            continue  # there is nothing to compare a key with
        before = table.snapshot()
        for ask in (
            partial(mistake, table),
            lambda kind=kind, mistake=mistake: Every.transact(in_tx, kind, mistake),
        ):
            with pytest.raises((TypeError, ValueError, OptionError, StoreError)) as caught:
                ask()
            assert str(caught.value).count(where) == 1, str(caught.value)
        assert table.snapshot() == before
        table.clear()


def in_tx(tx: Transaction, kind: str, mistake: Callable[[Any], object]) -> object:
    return mistake(tx[kind])


def collect() -> None:
    with Every.transaction() as tx:
        tx.plain.put(1, 1)
        tx.plain.put([1], 1)


def test_a_mistake_among_collected_writes_is_told() -> None:
    """Though it is found at the end of the block."""
    with pytest.raises(TypeError, match=r"Every\.plain\.put: unhashable"):
        collect()
    assert Every.plain.size() == 0


def mistakes_in_worker(_: list[Any]) -> list[Any]:
    said = []
    for mistake in (MISTAKES["get"], MISTAKES["put"], MISTAKES["get_many"], MISTAKES["match"]):
        try:
            mistake(Every.plain)
        except (TypeError, ValueError, OptionError) as error:
            said.append(str(error).partition("\n")[0])
    return [said]


def test_a_mistake_in_a_worker_is_told() -> None:
    """As in the driver."""
    [item] = dispatch.run([None], executor=mistakes_in_worker)
    wheres = [text.partition(": ")[0] for text in item.payload]
    assert wheres == [f"Every.plain.{name}" for name in ("get", "put", "get_many", "match")]


def test_what_a_function_of_the_users_raises_is_left_alone() -> None:
    """Also where it is a TypeError."""
    error = TypeError("mine")

    def fail(_: Any) -> Any:
        raise error

    with pytest.raises(TypeError) as caught:
        Every.plain.update("a", fail)
    assert caught.value is error
