"""What a store's class body may say."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.application import Application
from slither_actors.application._tree import running_stores
from slither_actors.bridge import View
from slither_actors.errors import OptionError, StoreError
from slither_actors.store import BagTable, LoadTables, OrderedTable, Store, Table, view, views_of
from slither_actors.store._store import pointer_of
from tests.store.conftest import Start


class Base(Store):
    common: Table[str, int] = Table()

    def load(self, tables: LoadTables) -> None:
        tables.common.put("who", 1)

    @view
    def who(self) -> object:
        return self.common.get("who")


class Derived(Base):
    own: Table[str, int] = Table()

    def load(self, tables: LoadTables) -> None:
        super().load(tables)
        tables.common.put("who", 2)

    @view(batch=True, timeout=1.5)
    def many(self, keys: list[str]) -> list[object]:
        return [self.common.get(key) for key in keys]


def test_class_and_instance_give_the_same_handle() -> None:
    """So the line is the same inside a view and outside."""
    assert Base.common is Base().common


def test_a_subclass_has_tables_of_its_own(start: Start) -> None:
    """Inherited tables and views are declared again, and share no rows with the base."""
    start(Base, Derived)
    assert (Base.common.get("who"), Derived.common.get("who")) == (1, 2)
    assert pointer_of(Derived).tables == ("common", "own")
    assert [(found.name, found.call((), {})) for found in views_of(Base)] == [("who", 1)]
    assert [found.name for found in views_of(Derived)] == ["who", "many"]


def test_a_view_keeps_its_options() -> None:
    """They are checked when the class body is read, and the method stays a method."""
    many: View = views_of(Derived)[1]
    assert (many.options.batch, many.options.scope, many.options.timeout) == (True, "session", 1.5)
    assert many.source.endswith("test_definition:Derived")
    assert many.sender is Derived


def test_a_table_of_any_kind_may_be_replicated() -> None:
    """It changes nothing in the driver; anything but a flag is refused."""
    assert type(Table(replicate=True)) is Table
    assert Table(ordered=True, replicate=True).options.replicate
    assert Table(bag=True, replicate=True).options.replicate
    with pytest.raises(OptionError, match="option 'replicate' is 1"):
        Table(replicate=1)  # type: ignore[call-overload]


def test_the_options_choose_the_class() -> None:
    """Which can be written as well; a handle in a store is of the same class."""
    assert type(Table()) is Table
    assert type(Table(ordered=True)) is type(OrderedTable()) is OrderedTable
    assert type(Table(bag=True)) is type(BagTable()) is BagTable
    store = type("Kinds", (Store,), {"sorted": Table(ordered=True), "bag": Table(bag=True)})
    assert isinstance(store.sorted, OrderedTable)
    assert isinstance(store.bag, BagTable)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ordered": True, "bag": True}, "option 'bag' is True beside ordered=True"),
        ({"ordered": 1}, "option 'ordered' is 1; allowed are True, False"),
        ({"bag": True, "ttl": 1}, "option 'ttl' is for set and ordered tables"),
        ({"bag": True, "max_rows": 1}, "option 'max_rows' is for set and ordered tables"),
        ({"ttl": 0}, "option 'ttl' is 0; allowed is a number of seconds above 0"),
        ({"max_rows": 0}, "option 'max_rows' is 0; allowed is an integer of at least 1"),
        (
            {"max_rows": 1, "evict": "newest"},
            "option 'evict' is 'newest'; allowed are 'oldest', 'lru', 'refuse'",
        ),
        ({"evict": "lru"}, "option 'evict' is 'lru' without max_rows"),
    ],
)
def test_wrong_table_options(options: dict[str, Any], message: str) -> None:
    """Each is named with what it allows."""
    with pytest.raises(OptionError, match=message):
        Table(**options)


def test_a_method_of_another_kind_of_table_is_named() -> None:
    """With the option that would give it."""

    class Plain(Store):
        rows: Any = Table()

    with pytest.raises(AttributeError, match=r"<Table Plain.rows> is a set .*'range'.*Table\(ordered=True\)"):
        Plain.rows.range(1, 2)
    with pytest.raises(AttributeError, match=r"'delete_value'; declare it as Table\(bag=True\)"):
        Plain.rows.delete_value(1, 2)
    with pytest.raises(AttributeError, match="'Table' object has no attribute 'rang'"):
        Plain.rows.rang()


def test_an_unknown_table_option_is_named() -> None:
    """With the nearest known one."""
    with pytest.raises(OptionError, match="option 'orderd' is unknown; did you mean 'ordered'"):
        Table(orderd=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scope": "pipe"}, "option 'scope' is 'pipe'; allowed are 'session', 'global'"),
        ({"timeout": 0}, "option 'timeout' is 0"),
        ({"batch": "yes"}, "option 'batch' is 'yes'"),
        ({"time": 1.0}, "option 'time' is unknown"),
    ],
)
def test_wrong_view_options(options: dict[str, object], message: str) -> None:
    """Each is named with what it allows."""
    with pytest.raises(OptionError, match=message):
        view(**options)  # type: ignore[call-overload]


def test_a_batch_view_needs_a_parameter_for_its_keys() -> None:
    """Said where the view is declared."""
    with pytest.raises(OptionError, match="'batch' needs a parameter for the keys"):

        @view(batch=True)
        def no_keys(self: object) -> list[object]:
            return []


def test_a_table_cannot_have_the_name_of_a_store_method() -> None:
    """It would hide the method."""
    with pytest.raises(StoreError, match="store Wrong: 'reload' is the name of a Store method"):
        type("Wrong", (Store,), {"reload": Table()})


def test_a_write_timeout_is_checked_where_the_class_is_made() -> None:
    """And not by the first write."""
    for wrong in ("5", -1, float("nan")):
        with pytest.raises(OptionError, match=r"store Wrong: option 'write_timeout'"):
            type("Wrong", (Store,), {"write_timeout": wrong})
    with pytest.raises(StoreError, match="'_pointer' is the name of a Store method"):
        type("Wrong", (Store,), {"_pointer": Table()})


def test_a_class_that_was_refused_stands_in_nobodys_way() -> None:
    """It is there for as long as its error is, and applications start all the same."""

    class Right(Store):
        rows: Table[Any, Any] = Table()

    with pytest.raises(OptionError) as refused:
        type("Wrong", (Store,), {"during_reload": "never"})
    with pytest.raises(OptionError) as inherited:
        type("Wronger", (Right,), {"during_reload": "never"})
    with Application(stores=[Right], pools={}):
        assert running_stores() == [Right]
    assert refused.value is not inherited.value


def test_the_key_is_the_same_in_a_worker() -> None:
    """The driver's main module has another name there."""
    there = type("Here", (Store,), {"__module__": "__mp_main__", "__qualname__": "Here"})
    here = type("Here", (Store,), {"__module__": "__main__", "__qualname__": "Here"})
    assert pointer_of(there).key == pointer_of(here).key == "__main__:Here"
