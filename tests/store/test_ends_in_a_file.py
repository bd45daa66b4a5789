"""Rows that end, in a store with a file behind it."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from slither_actors.actors import Ref
from slither_actors.errors import StoreBackingError, TableFullError
from slither_actors.store import (
    LoadTables,
    SQLite,
    Store,
    StoreSupervisor,
    Table,
    Transaction,
    _sweeper,
    retire,
)
from slither_actors.store._sqlite import SQLiteFile
from slither_actors.store._store import pointer_of


class Ending(Store):
    sessions: Table[Any, Any] = Table(ttl=math.inf)
    scores: Table[int, Any] = Table(ordered=True, ttl=600)
    recent: Table[Any, Any] = Table(max_rows=3)
    used: Table[Any, Any] = Table(max_rows=3, evict="lru", ttl=600)
    full: Table[Any, Any] = Table(max_rows=2, evict="refuse")


@contextmanager
def running(store: type[Store], path: Path, **options: Any) -> Iterator[Ref]:
    store.backing = SQLite(path, **options)
    supervisor = StoreSupervisor.start([store])
    try:
        yield supervisor
    finally:
        supervisor.stop()
        retire(store)


def in_file(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM rows_{table}").fetchone()[0]
    return count


def deadline(store: type[Store], table: str, key: Any) -> float:
    pointer = pointer_of(store)
    rows: Any = pointer.now.rows[pointer.tables.index(table)]
    at: float = rows.live[key][1]
    return at


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end
        pause.wait(0.005)


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_rows_keep_their_deadlines(tmp_path: Path, serializer: str) -> None:
    """Over a restart; those that never end have none, and an update leaves them alone."""
    path = tmp_path / "rows.db"
    with running(Ending, path, serializer=serializer):
        Ending.sessions.put("ever", 1)
        Ending.sessions.put("long", 2, ttl=1000)
        Ending.sessions.increment("long")
        Ending.scores.put(7, "x", ttl=50)
        Ending.scores.put(8, "y")
        Ending.scores.put(8, "z")
        before = [deadline(Ending, *row) for row in (("sessions", "long"), ("scores", 7), ("scores", 8))]
    with running(Ending, path, serializer=serializer):
        assert Ending.sessions.snapshot() == {"ever": 1, "long": 3}
        assert list(Ending.scores.items()) == [(7, "x"), (8, "z")]
        assert deadline(Ending, "sessions", "ever") == math.inf
        after = [deadline(Ending, *row) for row in (("sessions", "long"), ("scores", 7), ("scores", 8))]
        assert after == pytest.approx(before, abs=0.05)


def test_a_row_that_ends_while_the_program_is_down_is_gone(tmp_path: Path) -> None:
    """From the file, too, and `restore` does not see it."""
    path = tmp_path / "rows.db"
    seen: list[int] = []

    class Kept(Store):
        rows: Table[Any, Any] = Table(ttl=600)

        def restore(self, tables: LoadTables) -> None:
            seen.append(len(tables.rows))

    with running(Kept, path):
        Kept.rows.put("short", 1, ttl=0.3)
        Kept.rows.put("long", 2)
        over = deadline(Kept, "rows", "short")
        assert in_file(path, "rows") == 2
    wait_until(lambda: time.monotonic() > over)
    with running(Kept, path):
        assert Kept.rows.snapshot() == {"long": 2}
        assert in_file(path, "rows") == 1
    assert seen == [1]


def test_a_restarted_server_keeps_the_deadlines(tmp_path: Path) -> None:
    """It reads the file, as a restarted program does."""
    with running(Ending, tmp_path / "rows.db") as supervisor:
        Ending.scores.put(1, "one", ttl=100)
        before, found = deadline(Ending, "scores", 1), pointer_of(Ending).server
        child: Any = supervisor
        child.child(pointer_of(Ending).key).kill()
        wait_until(lambda: pointer_of(Ending).server is not found)
        Ending.scores.put(2, "two")
        assert deadline(Ending, "scores", 1) == pytest.approx(before, abs=0.05)


def test_swept_rows_leave_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after they are over, more than one sweep of them."""
    monkeypatch.setattr(_sweeper, "REST", 0.02)
    path = tmp_path / "rows.db"
    with running(Ending, path):

        def put_all(tx: Transaction) -> None:
            for number in range(2500):
                tx.scores.put(number, number, ttl=0.2)

        Ending.transact(put_all)
        Ending.scores.put(9999, "stays")
        wait_until(lambda: in_file(path, "scores") == 1)
        assert list(Ending.scores) == [9999]


def test_a_file_that_takes_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """The rows are hidden all the same; they are tried again, and the store goes on."""
    monkeypatch.setattr(_sweeper, "REST", 0.02)
    monkeypatch.setattr("slither_actors.store._commits._AGAIN", 0.02)
    commit, failures = SQLiteFile.commit, [1, 2]

    def fail(self: SQLiteFile, changes: Any) -> None:
        changes = list(changes)
        if failures and changes[0][0] == "delete":
            failures.pop()
            raise StoreBackingError("Ending", "rows.db", "disk is full")
        commit(self, changes)

    monkeypatch.setattr(SQLiteFile, "commit", fail)
    path = tmp_path / "rows.db"
    with running(Ending, path):
        Ending.sessions.put("short", 1, ttl=0.05)
        wait_until(lambda: in_file(path, "sessions") == 0)
        assert not failures
        assert Ending.sessions.size() == 0
    assert "rows that are over stay in the file for now" in caplog.text


def test_rows_go_in_the_order_of_their_writes(tmp_path: Path) -> None:
    """Also after a restart, and a row that was written again goes later; the file has no more than fit."""
    path = tmp_path / "rows.db"
    for _ in range(2):
        with running(Ending, path):
            for key in "abc":
                Ending.recent.put(key, key)
                Ending.used.put(key, key)
            Ending.recent.put("a", "again")
            Ending.used.get("b")
            Ending.used.put("a", "again")
        with running(Ending, path):
            for table in (Ending.recent, Ending.used):
                assert sorted(table) == ["a", "b", "c"]
            Ending.recent.put("d", "d")
            Ending.used.put("d", "d")
            assert sorted(Ending.recent) == ["a", "c", "d"]
            assert sorted(Ending.used) == ["a", "c", "d"]
            assert (in_file(path, "recent"), in_file(path, "used")) == (3, 3)
            Ending.recent.clear()
            Ending.used.clear()


def test_a_used_row_stays(tmp_path: Path) -> None:
    """Reads between two writes count while the program runs, in single writes and in a transaction."""
    path = tmp_path / "rows.db"
    with running(Ending, path):
        for key in "abc":
            Ending.used.put(key, key)
        assert Ending.used.get("a") == "a"
        Ending.used.put("d", "d")
        assert sorted(Ending.used) == ["a", "c", "d"]

        def change(tx: Transaction) -> None:
            assert tx.used.get("c") == "c"
            tx.used.put("e", "e")
            tx.used.put("f", "f")

        Ending.transact(change)
        assert sorted(Ending.used) == ["c", "e", "f"]
    with running(Ending, path):
        assert sorted(Ending.used) == ["c", "e", "f"]


def test_a_full_table_refuses(tmp_path: Path) -> None:
    """A write, a bulk insert and a transaction; nothing of it is in the file."""
    path = tmp_path / "rows.db"
    with running(Ending, path):
        Ending.full.bulk_insert({1: 1, 2: 2})
        for write in (
            lambda: Ending.full.put(3, 3),
            lambda: Ending.full.bulk_insert({1: 0, 3: 3}),
            lambda: Ending.transact(lambda tx: [tx.full.put(1, 0), tx.full.put(3, 3)]),
        ):
            with pytest.raises(TableFullError):
                write()
        Ending.full.delete(1)
        Ending.full.put(3, 3)
    with running(Ending, path):
        assert Ending.full.snapshot() == {2: 2, 3: 3}


def test_rows_that_are_over_make_room(tmp_path: Path) -> None:
    """In place of others, before they are swept."""

    class Small(Store):
        rows: Table[Any, Any] = Table(max_rows=3, ttl=600)

    with running(Small, tmp_path / "rows.db"):
        Small.rows.put("stays", 1)
        Small.rows.put("also", 2)
        Small.rows.put("short", 3, ttl=0.02)
        over = deadline(Small, "rows", "short")
        wait_until(lambda: time.monotonic() > over)
        Small.rows.put("new", 4)
        assert Small.rows.snapshot() == {"stays": 1, "also": 2, "new": 4}
        assert in_file(tmp_path / "rows.db", "rows") == 3


def declared(**options: Any) -> type[Store]:
    """The same store, as its program declares it after a change."""

    class Changing(Store):
        rows: Table[Any, Any] = Table(**options)

    return Changing


def test_a_table_that_gets_a_ttl(tmp_path: Path) -> None:
    """Its rows have the time of the table from then on, and not anew at each start."""
    path = tmp_path / "rows.db"
    before, after = declared(), declared(ttl=600)
    with running(before, path):
        before.rows.bulk_insert({1: 1, 2: 2})  # type: ignore[attr-defined]
    with running(after, path):
        first = deadline(after, "rows", 1)
        assert first == pytest.approx(time.monotonic() + 600, abs=30)
    with running(after, path):
        assert deadline(after, "rows", 1) == pytest.approx(first, abs=0.01)


def test_a_table_that_has_no_ttl_any_more(tmp_path: Path) -> None:
    """What was over stays away, all else stays for good."""
    path = tmp_path / "rows.db"
    before, after = declared(ttl=600), declared()
    with running(before, path):
        before.rows.put(1, 1, ttl=0.3)  # type: ignore[attr-defined]
        over = deadline(before, "rows", 1)
        before.rows.put(2, 2, ttl=1.0)  # type: ignore[attr-defined]
        last = deadline(before, "rows", 2)
    wait_until(lambda: time.monotonic() > over)
    with running(after, path):
        after.rows.put(3, 3)  # type: ignore[attr-defined]
    wait_until(lambda: time.monotonic() > last)
    with running(after, path):
        assert after.rows.snapshot() == {2: 2, 3: 3}  # type: ignore[attr-defined]


def test_a_limit_that_has_become_smaller(tmp_path: Path) -> None:
    """The rows that were written last stay, in the file as well."""
    path = tmp_path / "rows.db"
    before, after = declared(max_rows=10), declared(max_rows=3)
    with running(before, path):
        for number in range(10):
            before.rows.put(number, number)  # type: ignore[attr-defined]
        before.rows.put(0, "again")  # type: ignore[attr-defined]
    with running(after, path):
        assert sorted(after.rows) == [0, 8, 9]  # type: ignore[attr-defined]
        assert in_file(path, "rows") == 3
    with running(after, path):
        after.rows.put("new", 1)  # type: ignore[attr-defined]
        assert set(after.rows) == {0, 9, "new"}  # type: ignore[attr-defined]


def test_restore_may_change_rows_that_end(tmp_path: Path) -> None:
    """What it puts has the time of the table, what it deletes is gone, the rest keeps its deadline."""
    path = tmp_path / "rows.db"

    class Kept(Store):
        rows: Table[Any, Any] = Table(ttl=600)

        def restore(self, tables: LoadTables) -> None:
            tables.rows.insert({"put": 2})
            tables.rows.delete("deleted")

    with running(Kept, path):
        for key in ("put", "deleted", "left"):
            Kept.rows.put(key, 1, ttl=60)
    with running(Kept, path):
        now = time.monotonic()
        assert Kept.rows.snapshot() == {"put": 2, "left": 1}
        assert deadline(Kept, "rows", "put") - now == pytest.approx(600, abs=20)
        assert deadline(Kept, "rows", "left") - now == pytest.approx(60, abs=20)
        Kept.reload()
        assert Kept.rows.size() == in_file(path, "rows") == 0


def test_one_put_into_a_large_table_copies_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its bounds nor its rows, also where another row has to go."""
    large = declared(max_rows=1000, ttl=600)
    with running(large, tmp_path / "rows.db"):
        large.rows.bulk_insert((number, number) for number in range(1000))  # type: ignore[attr-defined]
        rows = pointer_of(large).now.rows[0]
        for number in range(1000, 1010):
            large.rows.put(number, number)  # type: ignore[attr-defined]
        assert pointer_of(large).now.rows[0] is rows
        assert min(large.rows) == 10  # type: ignore[attr-defined]


def test_reads_count_as_uses_beside_a_file(tmp_path: Path) -> None:
    """Also where another row is written between the read and the put that needs room."""
    with running(Ending, tmp_path / "rows.db"):
        for key in "abc":
            Ending.used.put(key, 1)
        Ending.used.get("a")
        Ending.used.put("c", 2)
        Ending.used.put("d", 1)
        assert set(Ending.used.snapshot()) == {"a", "c", "d"}
