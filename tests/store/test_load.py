"""The tables that a load fills."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.store import LoadTables, _load

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
