"""What a pattern matches, and what a table finds with it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from slither_actors.errors import OptionError
from slither_actors.store import ANY, LoadTables, OrderedTable, Prefix, Store, Table
from slither_actors.store._pattern import leading, matcher
from tests.store.conftest import Start


def matches(pattern: Any, value: Any) -> bool:
    test = matcher(pattern)
    return test is None or test(value)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (ANY, [None, 1, ()], []),
        (None, [None], [0, False]),
        (1, [1, 1.0], [2, "1"]),
        (("user", ANY), [("user", 1), ("user", None)], ["user", ("user",), ("user", 1, 2), ["user", 1]]),
        ([1, ANY], [[1, 2]], [(1, 2), [2, 1]]),
        (
            {"tier": "gold"},
            [{"tier": "gold"}, {"tier": "gold", "age": 1}],
            [{}, {"tier": "tin"}, "tier", None],
        ),
        ({"tier": ANY}, [{"tier": None}], [{}]),
        ({"at": ("x", ANY)}, [{"at": ("x", 1)}], [{"at": ("y", 1)}]),
        ({}, [{}, {1: 2}], [None, []]),
        (Prefix("us"), ["us", "user"], ["u", b"user", ("us",), 5]),
        (Prefix(b"u"), [b"u"], ["u"]),
        (Prefix((1, 2)), [(1, 2), (1, 2, 3)], [(1,), (2, 1, 2), [1, 2]]),
        ((Prefix("us"), ANY), [("user", 1)], [("u", 1)]),
    ],
)
def test_a_pattern(pattern: Any, yes: list[Any], no: list[Any]) -> None:
    """Matches by equality, but where it has a hole."""
    assert [value for value in yes if not matches(pattern, value)] == []
    assert [value for value in no if matches(pattern, value)] == []


def test_any_is_one_object() -> None:
    """Also after a round trip through pickle, so that it is known in the driver."""
    assert pickle.loads(pickle.dumps(("user", ANY)))[1] is ANY
    assert repr(ANY) == "ANY"


def test_a_prefix_of_something_else_is_refused() -> None:
    """It says what has a beginning."""
    with pytest.raises(OptionError, match="option 'start' is 5; allowed are text, bytes and tuples"):
        Prefix(5)  # type: ignore[arg-type]


def test_what_an_ordered_table_can_look_up() -> None:
    """The constants that a key begins with."""
    assert leading(("user", ANY)) == Prefix(("user",))
    assert leading(("user", 1, ANY, 2)) == Prefix(("user", 1))
    assert leading(Prefix("us")) == Prefix("us")
    assert leading((ANY, 1)) is leading(ANY) is leading({}) is None


class People(Store):
    plain: Table[Any, Any] = Table()
    ordered: OrderedTable[Any, Any] = Table(ordered=True)
    numbers: OrderedTable[int, int] = Table(ordered=True)

    def load(self, tables: LoadTables) -> None:
        for table in (tables.plain, tables.ordered):
            table.insert(
                {("user", number): {"tier": "tin" if number % 2 else "gold"} for number in (3, 1, 2)}
            )
            table.insert({("team", 1): {"tier": "gold"}})
        tables.numbers.insert((number, number) for number in range(5))


@pytest.fixture(params=["plain", "ordered"])
def people(start: Start, request: pytest.FixtureRequest) -> Table[Any, Any]:
    start(People)
    return getattr(People, request.param)  # type: ignore[no-any-return]


def test_match_finds_rows_by_key_and_value(people: Table[Any, Any]) -> None:
    """The same rows in both kinds of table, in an ordered one in order."""
    found = people.match(key=("user", ANY), value={"tier": "tin"})
    assert sorted(key for key, _ in found) == [("user", 1), ("user", 3)]
    assert people.match(("team", 1)) == [(("team", 1), {"tier": "gold"})]
    assert people.match(("team", 1), {"tier": "tin"}) == people.match(("team", 9)) == []
    assert len(people.match()) == 4
    assert len(people.match(prefix=("user",), value={"tier": "gold"})) == 1
    assert len(people.match((ANY, 1), prefix=("user",))) == 1
    assert len(people.match(("user", ANY), limit=2)) == 2


def test_match_finds_nothing_under_keys_of_another_type(start: Start) -> None:
    """Also where an ordered table cannot compare them."""
    start(People)
    assert People.numbers.match(("user", ANY)) == People.numbers.match(prefix="a") == []
    assert People.numbers.match([1], ANY) == []
    assert People.ordered.match(Prefix("user")) == []


def test_an_ordered_table_looks_only_at_keys_that_begin_so(start: Start) -> None:
    """Values of other rows are not compared."""

    class Never:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("looked at")

    start(People)
    People.ordered.put(("zoo", 1), Never())
    assert People.ordered.match(("team", ANY), 5) == []
    with pytest.raises(AssertionError, match="looked at"):
        People.ordered.match((ANY, 1), 5)


def test_an_error_of_a_values_own_reaches_the_caller(start: Start) -> None:
    """Also a RuntimeError, which readers otherwise take for a disturbance."""

    class Broken:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no comparison")

        __hash__ = None  # type: ignore[assignment]

    start(People)
    People.plain.put("x", Broken())
    with pytest.raises(RuntimeError, match="no comparison"):
        People.plain.match(value=5)


def test_select_projects_and_limits(people: Table[Any, Any]) -> None:
    """Without a predicate every row is taken."""
    tiers = people.select(lambda key, _: key[0] == "user", project=lambda key, value: (key[1], value["tier"]))
    assert sorted(tiers) == [(1, "tin"), (2, "gold"), (3, "tin")]
    assert len(people.select(limit=2)) == 2
    assert people.select(lambda _, value: value["tier"] == "lead") == []
