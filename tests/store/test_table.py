"""Reading and writing a set table of a running store."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from slither_actors.errors import NotRunningError, RowNotFoundError
from slither_actors.store import LoadTables, Store, Table
from tests.store.conftest import Start


class Stock(Store):
    fruit: Table[Any, Any] = Table()
    other: Table[Any, Any] = Table()

    def load(self, tables: LoadTables) -> None:
        tables.fruit.insert([("apple", 3), ("pear", None)])


@pytest.fixture
def fruit(start: Start) -> Table[Any, Any]:
    start(Stock)
    return Stock.fruit


def test_get_returns_the_value_or_the_default(fruit: Table[Any, Any]) -> None:
    """A row that holds None is a row: the default is for keys without one."""
    assert fruit.get("apple") == 3
    assert fruit.get("plum") is None
    assert fruit.get("plum", 7) == 7
    assert fruit.get("pear", 7) is None


def test_fetch_raises_for_a_missing_row(fruit: Table[Any, Any]) -> None:
    """The error names store, table and key, and is a KeyError as well."""
    assert fruit.fetch("pear") is None
    with pytest.raises(RowNotFoundError, match=r"Stock\.fruit has no row 'plum'") as caught:
        fruit.fetch("plum")
    assert caught.value.key == "plum"
    assert isinstance(caught.value, KeyError)


def test_get_many_keeps_the_order_of_the_keys(fruit: Table[Any, Any]) -> None:
    """Also where keys repeat or have no row; the keys may come from a generator."""
    assert fruit.get_many(["plum", "apple", "apple"], 0) == [0, 3, 3]
    assert fruit.get_many(key for key in ("apple", "plum")) == [3, None]


def test_size_and_membership(fruit: Table[Any, Any]) -> None:
    """`size`, `len` and `in` agree; an empty table is no false value."""
    assert fruit.size() == len(fruit) == 2
    assert "apple" in fruit
    assert "plum" not in fruit
    assert Stock.other.size() == 0
    assert Stock.other


def test_iteration_is_over_one_moment(fruit: Table[Any, Any]) -> None:
    """Rows written, removed and replaced during an iteration do not disturb it."""
    seen = []
    for key, value in fruit.items():
        seen.append((key, value))
        fruit.put(f"new-{key}", 1)
        fruit.delete("pear")
        fruit.bulk_insert({"bulk": 1})
    assert seen == [("apple", 3), ("pear", None)]
    assert sorted(fruit) == sorted(fruit.keys()) == ["apple", "bulk", "new-apple", "new-pear"]
    assert list(fruit.values()).count(1) == 3


def test_a_snapshot_is_private(fruit: Table[Any, Any]) -> None:
    """Changing a snapshot changes no table."""
    rows = fruit.snapshot()
    rows["apple"] = 0
    assert fruit.get("apple") == 3


def test_select_and_fold(fruit: Table[Any, Any]) -> None:
    """A predicate and a reducer get key and value."""
    fruit.put("pear", 4)
    assert fruit.select(lambda key, value: key.startswith("p") and value > 3) == [("pear", 4)]
    assert fruit.fold(lambda total, _key, value: total + value, 10) == 17


def test_put_and_put_new(fruit: Table[Any, Any]) -> None:
    """`put` replaces, `put_new` does not and says so."""
    fruit.put("apple", 4)
    assert fruit.put_new("apple", 5) is False
    assert fruit.put_new("plum", 5) is True
    assert fruit.get_many(["apple", "plum"]) == [4, 5]


def test_update_returns_the_new_value(fruit: Table[Any, Any]) -> None:
    """The function gets the present value, or the default where there is no row."""
    assert fruit.update("apple", lambda value: value + 1) == 4
    assert fruit.update("plum", lambda value: value + 1, default=10) == 11
    assert fruit.update("quince", lambda value: value) is None
    assert fruit.get_many(["apple", "plum", "quince"]) == [4, 11, None]


def test_an_update_that_raises_changes_nothing(fruit: Table[Any, Any]) -> None:
    """The caller gets the error and the server goes on."""
    with pytest.raises(ZeroDivisionError):
        fruit.update("apple", lambda value: value // 0)
    assert fruit.get("apple") == 3
    fruit.put("apple", 1)
    assert fruit.get("apple") == 1


def test_increment_counts_from_the_default(fruit: Table[Any, Any]) -> None:
    """By one where nothing else is said; by anything that can be added."""
    assert fruit.increment("plum") == 1
    assert fruit.increment("plum", 4) == 5
    assert fruit.increment("name", "b", default="a") == "ab"


def test_delete_and_take(fruit: Table[Any, Any]) -> None:
    """`delete` says whether there was a row, `take` returns what was in it."""
    assert fruit.delete("apple") is True
    assert fruit.delete("apple") is False
    assert fruit.take("pear", 9) is None
    assert fruit.take("pear", 9) == 9
    assert fruit.size() == 0


def test_bulk_insert_takes_a_mapping_or_pairs(fruit: Table[Any, Any]) -> None:
    """It returns the number of keys; a broken row in the input leaves the table alone."""
    assert fruit.bulk_insert({"apple": 1, "plum": 2}) == 2
    assert fruit.bulk_insert((key, 0) for key in "abc") == 3
    assert fruit.size() == 6
    with pytest.raises(TypeError):
        fruit.bulk_insert([("quince", 1), 5])  # type: ignore[list-item]
    assert "quince" not in fruit


def test_the_inserted_mapping_stays_the_callers(fruit: Table[Any, Any]) -> None:
    """A table never takes over a dict that somebody else may change."""
    rows = {"x": 1}
    fruit.clear()
    fruit.bulk_insert(rows)
    rows["x"] = 2
    assert fruit.get("x") == 1


def test_clear_returns_how_many_rows_there_were(fruit: Table[Any, Any]) -> None:
    """And leaves the other tables of the store alone."""
    Stock.other.put(1, 1)
    assert fruit.clear() == 2
    assert fruit.clear() == 0
    assert (fruit.size(), Stock.other.size()) == (0, 1)


def test_a_key_must_be_hashable(fruit: Table[Any, Any]) -> None:
    """Reads and writes say so to the caller; the server survives it."""
    for wrong in (lambda: fruit.get([]), lambda: fruit.put([], 1), lambda: fruit.bulk_insert([([], 1)])):
        with pytest.raises(TypeError, match="unhashable"):
            wrong()
    assert Stock.statistics().running


def test_a_store_that_is_not_started_says_so() -> None:
    """Each read and write names the store and what starts it."""
    message = r"store Stock is not running; start it with Application\(stores=\[Stock\]\)"
    for use in (
        lambda: Stock.fruit.get("apple"),
        lambda: Stock.fruit.put("apple", 1),
        Stock.fruit.size,
        lambda: list(Stock.fruit),
        Stock.reload,
    ):
        with pytest.raises(NotRunningError, match=message):
            use()


def test_a_table_in_no_store_says_so() -> None:
    """A table is used through its class."""
    with pytest.raises(TypeError, match="through the Store class"):
        Table[str, int]().get("x")


def test_a_handle_crosses_by_reference() -> None:
    """Pickled or copied, it is the same table of the same class."""
    assert pickle.loads(pickle.dumps(Stock.fruit)) is Stock.fruit
    assert copy.deepcopy(Stock.fruit) is Stock.fruit
