"""The tables that a load fills."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.errors import StoreLoadError
from slither_actors.store import LoadTables, Store, Table, _load
from tests.store.conftest import Start

COUNT = 2 * _load._PIECE + 1


@pytest.mark.parametrize("kind", [dict, list, iter])
def test_an_insert_in_pieces_has_all_rows_in_their_order(kind: Any) -> None:
    """From a mapping, pairs or an iterator; the last value of a key counts."""
    pairs = [(number, -number) for number in range(COUNT)]
    tables = LoadTables(["rows"])
    tables.rows.insert(kind([*pairs, (0, 7)]))
    assert list(tables.seal()[0].items()) == [(0, 7), *pairs[1:]]


def test_a_mapping_that_changes_while_it_is_read_is_an_error() -> None:
    """Half of it is not taken for all of it."""
    rows = dict.fromkeys(range(COUNT))

    class Live(dict[int, None]):
        def update(self, piece: Any, /) -> None:  # type: ignore[override]
            super().update(piece)
            rows[-len(self)] = None

    table = _load.LoadTable("rows", Live())
    with pytest.raises(RuntimeError, match="changed size"):
        table.insert(rows)


class Returning(Store):
    rows: Table[Any, Any] = Table()
    returns: Any = None

    def load(self, tables: LoadTables) -> Any:
        returns = vars(Returning)["returns"]
        return returns() if callable(returns) else returns


def test_a_load_may_return_its_rows(start: Start) -> None:
    """A list as well as a generator."""
    Returning.returns = [("rows", 1, 2), ("rows", 3, 4)]
    start(Returning)
    assert Returning.rows.snapshot() == {1: 2, 3: 4}
    Returning.returns = lambda: (("rows", number, 0) for number in range(2))
    Returning.reload()
    assert Returning.rows.snapshot() == {0: 0, 1: 0}


async def coroutine() -> None:
    """Would do nothing, without a word."""


@pytest.mark.parametrize(
    ("returns", "problem"),
    [
        (coroutine, "load is an async function"),
        ({"rows": 1}, "load returned {'rows': 1}"),
        (7, "load returned 7"),
    ],
)
def test_a_load_that_returns_something_else_fails(start: Start, returns: Any, problem: str) -> None:
    """It is not taken for one without rows."""
    Returning.returns = None
    start(Returning)
    Returning.returns = returns
    with pytest.raises(StoreLoadError, match=problem):
        Returning.reload()
