"""The promise of a moment: what a reader does when the writer is in the way."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.errors import StoreError
from slither_actors.store import Store, Table
from slither_actors.store._access import StoreAccess
from slither_actors.store._pointer import Publication
from slither_actors.store._rows import ATTEMPTS, MISSING, SetRows
from slither_actors.store._store import pointer_of
from tests.store.conftest import Start


class Busy(dict[Any, Any]):
    """A table's dict in which a write happens during each of the first reads."""

    def __init__(self, rows: dict[Any, Any], disturbances: int) -> None:
        super().__init__(rows)
        self.owner: SetRows | None = None
        self.disturbances = disturbances
        self.reads = 0

    def _disturb(self) -> None:
        assert self.owner is not None
        self.reads += 1
        if self.reads <= self.disturbances:
            self.owner.put("count", self.reads)

    def get(self, key: Any, default: Any = None) -> Any:
        if key == "count":
            self._disturb()
        return super().get(key, default)

    def copy(self) -> dict[Any, Any]:
        copied = dict(self)
        self._disturb()
        return copied


def busy(disturbances: int) -> SetRows:
    live = Busy({"count": 0, "fixed": 0}, disturbances)
    rows = SetRows(live)
    live.owner = rows
    return rows


def test_a_disturbed_copy_is_taken_again() -> None:
    """What is returned is of one moment: the last one."""
    assert busy(3).query("snapshot") == {"count": 3, "fixed": 0}
    assert busy(3).query("get_many", ["fixed", "count"], None) == [0, 3]


def test_a_copy_that_breaks_off_is_taken_again() -> None:
    """A dict that changes size under its copy raises; that is one more disturbance."""

    class Breaking(Busy):
        def copy(self) -> dict[Any, Any]:
            self.reads += 1
            if self.reads == 1:
                msg = "dictionary changed size during iteration"
                raise RuntimeError(msg)
            return dict(self)

    assert SetRows(Breaking({1: 1}, 0)).query("snapshot") == {1: 1}


def test_a_reader_gives_up_in_the_end() -> None:
    """It never waits for a writer that does not pause."""
    assert busy(ATTEMPTS).query("snapshot") is None
    assert busy(ATTEMPTS).query("get_many", ["count"], None) is None


class Shared(Store):
    rows: Table[Any, Any] = Table()


def test_a_reader_that_gave_up_asks_the_writer(start: Start) -> None:
    """Between its writes the server has all the time there is."""
    start(Shared)
    Shared.rows.bulk_insert({"count": 1, "fixed": 2})
    pointer = pointer_of(Shared)
    true = pointer.now
    pointer.now = Publication((busy(10**6),), true.instance)
    assert Shared.rows.snapshot() == {"count": 1, "fixed": 2}
    assert Shared.rows.get_many(["fixed", "count", "x"], 0) == [2, 1, 0]
    access = StoreAccess(pointer, write_timeout=5.0)
    assert access.perform("rows", "find_many", (["fixed", "count", "x"],)) == [(2,), (1,), ()]
    assert access.perform("rows", "snapshot", ()) == {"count": 1, "fixed": 2}


def test_a_retired_table_lives_as_long_as_a_reader_holds_it(start: Start) -> None:
    """The grace period of old rows is the reference that a reader has."""
    start(Shared)
    Shared.rows.put("x", 1)
    reader = iter(Shared.rows.items())
    held = pointer_of(Shared).now
    Shared.reload()
    assert held.rows[0].get("x") == 1
    assert list(reader) == [("x", 1)]
    assert Shared.rows.size() == 0


def test_what_a_worker_may_ask_for(start: Start) -> None:
    """Found values are wrapped, so None and missing are told apart without the worker's default."""
    start(Shared)
    access = StoreAccess(pointer_of(Shared), write_timeout=5.0)
    assert access.perform("rows", "put", ("x", None)) is None
    assert access.perform("rows", "find", ("x",)) == (None,)
    assert access.perform("rows", "find", ("y",)) == ()
    assert access.perform("rows", "size", ()) == 1
    assert access.perform("rows", "increment", ("n", 2, 1)) == 3
    assert access.perform("", "reload", ()) is None
    assert access.perform("rows", "size", ()) == 0
    assert [access.is_immediate(name) for name in ("find", "find_many", "size", "snapshot", "put")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    with pytest.raises(StoreError, match="store Shared has no table 'row'; declared: rows"):
        access.perform("row", "find", ("x",))
    with pytest.raises(StoreError, match="a worker asked for 'retire'"):
        access.perform("rows", "retire", ())


def test_missing_is_one_object() -> None:
    """Also after a round trip through pickle."""
    import pickle

    assert pickle.loads(pickle.dumps(MISSING)) is MISSING
    assert not MISSING
    assert repr(MISSING) == "MISSING"
