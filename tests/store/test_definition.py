"""What a store's class body may say."""

from __future__ import annotations

import pytest

from slither_actors.bridge import View
from slither_actors.errors import OptionError, StoreError
from slither_actors.store import LoadTables, Store, Table, view, views_of
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


@pytest.mark.parametrize("option", ["ordered", "bag", "replicate"])
def test_kinds_of_table_that_are_not_there_yet(option: str) -> None:
    """The option is known and refused by name; saying False is fine."""
    Table(**{option: False})
    with pytest.raises(OptionError, match=f"option '{option}' is True; only set tables are available"):
        Table(**{option: True})


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


def test_the_key_is_the_same_in_a_worker() -> None:
    """The driver's main module has another name there."""
    there = type("Here", (Store,), {"__module__": "__mp_main__", "__qualname__": "Here"})
    here = type("Here", (Store,), {"__module__": "__main__", "__qualname__": "Here"})
    assert pointer_of(there).key == pointer_of(here).key == "__main__:Here"
