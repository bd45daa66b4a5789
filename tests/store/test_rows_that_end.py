"""Rows that end in a running store: by time, or because there are too many."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.errors import OptionError, StartError, StoreLoadError, TableFullError
from slither_actors.store import LoadTables, OrderedTable, Store, Table, _sweeper
from slither_actors.store._draft import DraftDict
from slither_actors.store._kinds import TableOptions, make_rows
from slither_actors.store._store import pointer_of
from tests.store.conftest import Start


class Ending(Store):
    sessions: Table[Any, Any] = Table(ttl=math.inf)
    brief: OrderedTable[int, int] = Table(ordered=True, ttl=0.05)
    recent: Table[Any, Any] = Table(max_rows=3, evict="lru")
    full: Table[Any, Any] = Table(max_rows=2, evict="refuse")
    plain: Table[Any, Any] = Table()


def live(name: str) -> dict[Any, Any]:
    rows: Any = pointer_of(Ending).now.rows[pointer_of(Ending).tables.index(name)]
    return rows.live  # type: ignore[no-any-return]


def wait_until(holds: Any) -> None:
    end = time.monotonic() + 20
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end
        pause.wait(0.005)


def test_a_row_is_gone_after_its_time(start: Start) -> None:
    """For every read at once; others stay."""
    start(Ending)
    Ending.sessions.put("short", 1, ttl=0.05)
    Ending.sessions.put("long", 2, ttl=600)
    Ending.sessions.put("ever", 3)
    wait_until(lambda: Ending.sessions.get("short") is None)
    assert "short" not in Ending.sessions
    assert Ending.sessions.size() == 2
    assert Ending.sessions.snapshot() == {"long": 2, "ever": 3}
    assert Ending.sessions.put_new("short", 4)
    assert Ending.sessions.get("short") == 4


def test_rows_that_are_over_are_swept(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a timer that is there only while something is to end, also from a write that ran in its caller."""
    monkeypatch.setattr(_sweeper, "REST", 0.02)
    start(Ending)
    for number in range(3000):
        Ending.brief.put(number, number)
    wait_until(lambda: not live("brief"))
    assert Ending.brief.first() is None
    Ending.brief.put(1, 1)
    wait_until(lambda: not live("brief"))


def test_loaded_rows_end_too(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the time of the table from when they were published."""
    monkeypatch.setattr(_sweeper, "REST", 0.02)

    class Loaded(Store):
        rows: Table[int, int] = Table(ttl=0.05)

        def load(self, tables: LoadTables) -> None:
            tables.rows.put(1, 1)

    start(Loaded)
    rows: Any = pointer_of(Loaded).now.rows[0]
    wait_until(lambda: not rows.live)
    Loaded.reload()
    assert Loaded.rows.get(1) == 1


def test_an_update_keeps_the_deadline(start: Start) -> None:
    """A put sets a new one."""
    start(Ending)
    Ending.sessions.put("x", 1, ttl=0.1)
    Ending.sessions.increment("x")
    assert live("sessions")["x"][1] < math.inf
    Ending.sessions.put("x", 1)
    assert live("sessions")["x"][1] == math.inf


def test_the_least_recently_used_row_makes_room(start: Start) -> None:
    """Reads count as uses."""
    start(Ending)
    for key in "abc":
        Ending.recent.put(key, key)
    assert Ending.recent.get("a") == "a"
    assert Ending.recent.get_many(["b"]) == ["b"]
    Ending.recent.put("d", "d")
    assert sorted(Ending.recent) == ["a", "b", "d"]


def test_a_full_table_refuses(start: Start) -> None:
    """New rows, and inserts that do not fit as a whole; the rows that are there may change."""
    start(Ending)
    Ending.full.bulk_insert({1: 1, 2: 2})
    message = r"Ending\.full is full: max_rows=2 and evict='refuse'; delete rows"
    for write in (
        lambda: Ending.full.put(3, 3),
        lambda: Ending.full.put_new(3, 3),
        lambda: Ending.full.increment(3),
        lambda: Ending.full.bulk_insert({1: 0, 3: 3}),
    ):
        with pytest.raises(TableFullError, match=message):
            write()
    Ending.full.increment(1)
    assert Ending.full.snapshot() == {1: 2, 2: 2}


def test_a_load_that_does_not_fit(start: Start) -> None:
    """Fails where the table refuses, and says so."""

    class Full(Store):
        rows: Table[int, int] = Table(max_rows=1, evict="refuse")

        def load(self, tables: LoadTables) -> None:
            tables.rows.insert({1: 1, 2: 2})

    with pytest.raises(StartError) as caught:
        start(Full)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, StoreLoadError):
        cause = cause.__cause__
    assert "store Full did not load: TableFullError: Full.rows is full" in str(cause)


def test_a_ttl_needs_a_table_that_was_declared_for_it(start: Start) -> None:
    """Tables without one pay nothing for it; the error says how to declare one."""
    start(Ending)
    with pytest.raises(OptionError, match=r"Ending.plain.*'ttl' is for tables whose rows end: declare Table"):
        Ending.plain.put(1, 1, ttl=5)
    with pytest.raises(OptionError, match=r"'ttl' is 0; allowed is a number of seconds above 0"):
        Ending.sessions.put_new(1, 1, ttl=0)


def test_a_transaction_takes_no_use_away(start: Start) -> None:
    """A read before it counts after it, whether it is done or undone."""
    start(Ending)
    for fails in (False, True):
        Ending.recent.clear()
        for key in "abc":
            Ending.recent.put(key, 1)
        Ending.recent.get("a")
        try:
            Ending.transact(lambda tx, divisor: (tx.recent.put("c", 2), 1 // divisor), 0 if fails else 1)
        except ZeroDivisionError:
            assert fails
        Ending.recent.put("d", 1)
        assert "a" in Ending.recent.snapshot()
        assert "b" not in Ending.recent.snapshot()


def test_many_rows_that_make_room_in_a_transaction_are_found_one_after_the_other() -> None:
    """Each search goes on where the one before has ended."""
    rows: Any = make_rows(TableOptions(max_rows=1000), dict.fromkeys(range(1000)), table="Store.rows")
    looked = 0

    class Counting(OrderedDict[Any, None]):
        def __iter__(self) -> Iterator[Any]:
            nonlocal looked
            for key in super().__iter__():
                looked += 1
                yield key

    rows.bounds.order = Counting(rows.bounds.order)
    draft = rows.over(DraftDict(rows.live, 0, []))
    for key in range(2000, 3500):
        draft.put(key, key)
    assert list(draft.live.copy()) == list(range(2500, 3500))
    assert looked < 2000
