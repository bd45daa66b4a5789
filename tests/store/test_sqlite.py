"""A store with a file behind it: what comes back, and what goes wrong."""

from __future__ import annotations

import http
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slither_actors.actors import Ref
from slither_actors.errors import (
    ActorExitError,
    OptionError,
    RowNotFoundError,
    StartError,
    StoreBackingError,
    StoreError,
    StoreLoadError,
    StoreReloadingError,
)
from slither_actors.store import LoadTables, SQLite, Store, StoreServer, StoreSupervisor, Table, retire
from slither_actors.store import _backing as backing_module
from slither_actors.store import _server as server_module
from slither_actors.store._store import pointer_of
from tests.store.conftest import Start


class Kept(Store):
    """A store whose file the test decides."""

    rows: Table[Any, Any] = Table()
    other: Table[Any, Any] = Table()
    loads: ClassVar[int] = 0
    restore_with: ClassVar[Callable[[LoadTables], object] | None] = None

    def load(self, tables: LoadTables) -> None:
        type(self).loads += 1
        tables.rows.insert({"loaded": type(self).loads})

    def restore(self, tables: LoadTables) -> None:
        if self.restore_with is not None:
            type(self).restore_with(tables)  # type: ignore[misc]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Kept.backing, Kept.loads, Kept.restore_with = SQLite(tmp_path / "kept.db"), 0, None
    return tmp_path / "kept.db"


def restart(store: type[Store] = Kept) -> Ref:
    """Start a store that has been stopped."""
    return StoreSupervisor.start([store])


def stop(supervisor: Ref, store: type[Store] = Kept) -> None:
    supervisor.stop()
    retire(store)


def cause_of(store: type[Store]) -> BaseException:
    with pytest.raises(StartError) as caught:
        StoreServer.start(store)
    assert caught.value.__cause__ is not None
    return caught.value.__cause__


@contextmanager
def restarted(store: type[Store] = Kept) -> Iterator[None]:
    """As after a restart of the application."""
    supervisor = restart(store)
    try:
        yield
    finally:
        stop(supervisor, store)


# -- what comes back ---------------------------------------------------------------


def test_a_restarted_application_has_its_rows(path: Path) -> None:
    """Every kind of write, and the order of the rows; `load` runs for a new file only."""
    odd: dict[Any, Any] = {1: "one", ("a", 1): {"deep": [1, 2]}, None: b"bytes", "x" * 5000: 2**100}
    supervisor = restart()
    Kept.rows.bulk_insert(odd)
    Kept.rows.put(1.0, "equal to one")
    Kept.rows.put("gone", 1)
    Kept.rows.delete("gone")
    Kept.rows.increment("count", 5)
    Kept.rows.update("count", lambda value: value * 2)
    Kept.rows.take(None)
    Kept.rows.put(None, "again, and last")
    Kept.transact(lambda tx: (tx.other.put("a", 1), tx.rows.put("a", 1)))
    Kept.other.put("b", 2)
    Kept.other.clear()
    Kept.other.put("c", 3)
    expected = list(Kept.rows.items()), list(Kept.other.items())
    stop(supervisor)
    assert expected[1] == [("c", 3)]

    with restarted():
        assert (list(Kept.rows.items()), list(Kept.other.items())) == expected
        assert Kept.rows.get(True) == "equal to one"
        Kept.rows.put(1, "still one row")
        assert list(Kept.rows)[1] == 1

    assert Kept.loads == 1


def test_a_restarted_server_has_its_rows(start: Start, path: Path) -> None:
    """A crash of the server loses no acknowledged write, as it does in memory."""
    supervisor: Any = start(Kept)
    Kept.rows.put("mine", 1)
    victim = supervisor.child(pointer_of(Kept).key)
    victim.kill()
    assert victim.join(20)
    Kept.rows.put("other", 2)
    assert Kept.rows.snapshot() == {"loaded": 1, "mine": 1, "other": 2}


def test_a_reload_replaces_what_is_in_the_file(path: Path) -> None:
    """In one step: the rows of before are gone, also after a restart."""
    supervisor = restart()
    Kept.rows.put("mine", 1)
    Kept.reload()
    Kept.rows.put("after", 1)
    stop(supervisor)
    with restarted():
        assert Kept.rows.snapshot() == {"loaded": 2, "after": 1}


@pytest.mark.parametrize("mode", ["refuse", "merge"])
def test_a_reload_beside_the_server_is_kept(path: Path, mode: str) -> None:
    """The file has what the readers have, the merged writes too."""

    class Other(Kept):
        backing = SQLite(path)
        during_reload = mode  # type: ignore[assignment]

        def load(self, tables: LoadTables) -> None:
            super().load(tables)
            if Other.loads == 2 and mode == "merge":
                Other.rows.put("merged", 1)

    supervisor = restart(Other)
    Other.reload()
    now = Other.rows.snapshot()
    assert now == {"loaded": 2, **({"merged": 1} if mode == "merge" else {})}
    stop(supervisor, Other)
    with restarted(Other):
        assert Other.rows.snapshot() == now


def test_a_first_load_that_fails_is_tried_again(path: Path) -> None:
    """The file is there, but nothing was loaded into it."""

    class Failing(Kept):
        backing = SQLite(path)

        def load(self, tables: LoadTables) -> None:
            super().load(tables)
            if self.loads == 1:
                msg = "not yet"
                raise ValueError(msg)

    assert isinstance(cause_of(Failing), StoreLoadError)
    with restarted(Failing):
        assert Failing.rows.snapshot() == {"loaded": 2}


def test_restore_sees_the_rows_and_may_change_them(path: Path) -> None:
    """What it changes is in the file; if it raises, the start fails and the file stays as it is."""
    stop(restart())

    def fail(_: LoadTables) -> None:
        msg = "cannot read these"
        raise ValueError(msg)

    Kept.restore_with = fail
    assert str(cause_of(Kept)) == "store Kept did not load: ValueError: cannot read these"
    Kept.restore_with = lambda tables: tables.rows.put("seen", tables.rows.get("loaded"))
    with restarted():
        pass
    Kept.restore_with = None
    with restarted():
        assert Kept.rows.snapshot() == {"loaded": 1, "seen": 1}


def test_a_table_that_is_no_longer_declared_keeps_its_rows(tmp_path: Path) -> None:
    """And a new one is empty."""
    file = SQLite(tmp_path / "file.db")
    old = type("Changing", (Store,), {"a": Table(), "backing": file})
    new = type("Changing", (Store,), {"b": Table(), "backing": file})
    supervisor = restart(old)
    old.a.put(1, 1)
    stop(supervisor, old)
    with restarted(new):
        assert len(new.b) == 0
        new.b.put(2, 2)
    with restarted(old):
        assert old.a.get(1) == 1


def test_json_is_text_that_others_can_read(tmp_path: Path) -> None:
    """What JSON would change is refused when it is written, and nothing is."""

    class Text(Store):
        backing = SQLite(tmp_path / "text.db", serializer="json")
        rows: Table[Any, Any] = Table()

    supervisor = restart(Text)
    Text.rows.put("user", {"tier": "gold", "odd": "\ud800"})
    with pytest.raises(
        StoreBackingError, match=r"cannot hold row rows\['pair'\]: ValueError: JSON would give"
    ):
        Text.rows.put("pair", (1, 2))
    with pytest.raises(StoreBackingError, match="cannot hold row"):
        Text.rows.put(("a", "b"), 1)
    for changed in (http.HTTPStatus.OK, [http.HTTPStatus.OK], {"a": OrderedDict(b=1)}, {"a": {1: 2}}):
        with pytest.raises(StoreBackingError, match="JSON would give"):
            Text.rows.put("changed", changed)
    assert list(Text.rows) == ["user"]
    with sqlite3.connect(tmp_path / "text.db") as reader:
        assert reader.execute("SELECT key FROM rows_rows").fetchall() == [('"user"',)]
    reader.close()
    stop(supervisor, Text)
    with restarted(Text):
        assert Text.rows.get("user") is not None


# -- writes that fail ---------------------------------------------------------------


def test_a_row_that_cannot_be_pickled_is_refused(start: Start, path: Path) -> None:
    """With its name; the table is unchanged, also where other rows of the same write could be."""
    start(Kept)
    with pytest.raises(StoreBackingError, match=r"cannot hold row rows\['lock'\]: TypeError"):
        Kept.rows.put("lock", threading.Lock())
    with pytest.raises(StoreBackingError, match="cannot hold row"):
        Kept.rows.bulk_insert({"fine": 1, "lock": threading.Lock()})
    with pytest.raises(StoreBackingError, match="cannot hold row"):
        Kept.transact(lambda tx: (tx.rows.put("fine", 1), tx.other.put("lock", threading.Lock())))
    assert Kept.rows.snapshot() == {"loaded": 1}
    Kept.rows.put("on", "it goes")


def test_a_full_disk_fails_the_write_and_nothing_else(path: Path) -> None:
    """The table is unchanged in memory and in the file; smaller writes go on."""
    supervisor = restart()
    Kept.rows.put("small", 1)
    connection_of(Kept).execute("PRAGMA max_page_count = 20")
    before = Kept.rows.snapshot()
    with pytest.raises(
        StoreBackingError, match=r"kept\.db took no write, and nothing was changed: database or"
    ):
        Kept.rows.put("large", os.urandom(200_000))
    with pytest.raises(StoreBackingError, match="full"):
        Kept.transact(lambda tx: (tx.rows.clear(), tx.other.put("large", os.urandom(200_000))))
    assert Kept.rows.snapshot() == before
    assert "large" not in Kept.other
    Kept.rows.put("small", 2)
    Kept.rows.delete("loaded")
    stop(supervisor)
    with restarted():
        assert Kept.rows.snapshot() == {"small": 2}


def test_a_reload_onto_a_full_disk_keeps_the_old_tables(start: Start, path: Path) -> None:
    """As any load that fails."""

    class Large(Kept):
        backing = SQLite(path)

        def load(self, tables: LoadTables) -> None:
            super().load(tables)
            if self.loads > 1:
                tables.rows.put("large", os.urandom(200_000))

    start(Large)
    Large.rows.put("mine", 1)
    connection_of(Large).execute("PRAGMA max_page_count = 20")
    with pytest.raises(StoreLoadError, match="database or disk is full"):
        Large.reload()
    assert Large.rows.snapshot() == {"loaded": 1, "mine": 1}
    Large.rows.put("mine", 2)


def test_a_load_of_which_one_row_cannot_be_written(path: Path) -> None:
    """It comes after others were written; those are taken back, and the old rows are in the file."""

    class Odd(Kept):
        backing = SQLite(path)

        def load(self, tables: LoadTables) -> None:
            super().load(tables)
            if self.loads > 1:
                tables.rows.put("lock", threading.Lock())

    supervisor = restart(Odd)
    Odd.rows.put("mine", 1)
    with pytest.raises(StoreLoadError, match=r"cannot hold row rows\['lock'\]"):
        Odd.reload()
    Odd.rows.put("mine", 2)
    Odd.rows.put("loaded", 3)
    stop(supervisor, Odd)
    with restarted(Odd):
        assert Odd.rows.snapshot() == {"loaded": 3, "mine": 2}


def connection_of(store: type[Store]) -> sqlite3.Connection:
    found = [file for file in backing_module._open.values() if file.store_key == pointer_of(store).key]
    connection = found[0]._connection
    assert connection is not None
    return connection


def test_readers_see_a_write_once_it_is_in_the_file(start: Start, path: Path) -> None:
    """While it is being written they see the table as it was."""
    start(Kept)
    seen: list[Any] = []

    class Spy:
        def __reduce__(self) -> Any:
            seen.append(Kept.rows.get("spy"))
            return (str, ("spy",))

    Kept.rows.put("spy", Spy())
    assert seen == [None]
    assert isinstance(Kept.rows.get("spy"), Spy)


def test_writes_that_wait_share_one_commit(start: Start, path: Path) -> None:
    """Ten that queue up behind a slow one are two commits, and one of them that fails harms no other."""
    start(Kept)
    commits: list[str] = []
    connection_of(Kept).set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    entered, go_on = threading.Event(), threading.Event()

    def slow(_: object) -> str:
        entered.set()
        assert go_on.wait(20)
        return "slow"

    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            Kept.rows.increment("count", "one" if number == 5 else 1)
        except TypeError as error:
            failed.append(error)

    threads = [threading.Thread(target=Kept.rows.update, args=("slow", slow))]
    threads[0].start()
    assert entered.wait(20)
    for number in range(10):
        threads.append(threading.Thread(target=write, args=(number,)))
        threads[-1].start()
    inbox = pointer_of(Kept).server._cell.inbox  # type: ignore[attr-defined]
    while len(inbox) < 10:
        threads[1].join(0.001)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert Kept.rows.get("count") == 9
    assert len(failed) == 1
    assert len(commits) == 2


def test_writes_that_wait_are_done_before_a_reload_behind_them(start: Start, path: Path) -> None:
    """Those that came before it are gone with the old rows, those after it find the new ones."""
    start(Kept)
    entered, go_on = threading.Event(), threading.Event()
    inbox = pointer_of(Kept).server._cell.inbox  # type: ignore[attr-defined]

    def slow(_: object) -> int:
        entered.set()
        assert go_on.wait(20)
        return 0

    class Caller:
        def reply(self) -> None:
            pass

    server: Any = pointer_of(Kept).server
    calls: list[Callable[[], object]] = [
        lambda: Kept.rows.increment("count", 5),
        lambda: server.send(server_module._reload, Caller()),
        lambda: Kept.rows.increment("count", 2),
    ]
    threads = [threading.Thread(target=Kept.rows.update, args=("slow", slow))]
    threads[0].start()
    assert entered.wait(20)
    for number, call in enumerate(calls, 1):
        threads.append(threading.Thread(target=call))
        threads[-1].start()
        while len(inbox) < number:
            threads[0].join(0.001)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert Kept.rows.snapshot() == {"loaded": 2, "count": 2}


def test_writes_that_wait_when_the_server_is_stopped_are_done(path: Path) -> None:
    """Those that were sent before the stop: they are committed and answered."""
    ref = StoreServer.start(Kept)
    entered, go_on = threading.Event(), threading.Event()

    def slow(_: object) -> int:
        entered.set()
        assert go_on.wait(20)
        return 0

    threads = [threading.Thread(target=Kept.rows.update, args=("slow", slow))]
    threads[0].start()
    assert entered.wait(20)
    threads += [threading.Thread(target=Kept.rows.put, args=(number, 1)) for number in range(3)]
    for thread in threads[1:]:
        thread.start()
    while len(ref._cell.inbox) < 3:
        threads[1].join(0.001)
    ref.stop(block=False)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert ref.join(20)
    with restarted():
        assert len(Kept.rows) == 5


def test_a_write_that_waits_survives_the_crash_of_the_server(start: Start, path: Path) -> None:
    """It came before the one that crashed, so it is committed and answered as the server ends."""
    start(Kept)
    entered, go_on = threading.Event(), threading.Event()
    inbox = pointer_of(Kept).server._cell.inbox  # type: ignore[attr-defined]
    told: list[Any] = []

    def slow(_: object) -> int:
        entered.set()
        assert go_on.wait(20)
        return 0

    def leave(_: object) -> int:
        raise SystemExit

    def crash() -> None:
        try:
            Kept.rows.update("crash", leave)
        except ActorExitError as error:
            told.append(error)

    calls = [
        lambda: Kept.rows.update("slow", slow),
        lambda: told.append(Kept.rows.increment("count", 5)),
        crash,
    ]
    threads = [threading.Thread(target=calls[0])]
    threads[0].start()
    assert entered.wait(20)
    for number in (1, 2):
        threads.append(threading.Thread(target=calls[number]))
        threads[-1].start()
        while len(inbox) < number:
            threads[0].join(0.001)
    go_on.set()
    for thread in threads:
        thread.join(20)
    Kept.rows.put("after", 1)  # waits for the successor
    assert 5 in told
    assert any(isinstance(answer, ActorExitError) for answer in told)
    assert Kept.rows.snapshot() == {"loaded": 1, "slow": 0, "count": 5, "after": 1}


# -- files that cannot be used ---------------------------------------------------------


def damage(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize("where", ["header", "page", "cut", "row"])
def test_a_damaged_file_is_an_error_that_names_it_and_keeps_it(path: Path, where: str) -> None:
    """Byte for byte."""
    supervisor = restart()
    Kept.rows.bulk_insert((number, "value" * 50) for number in range(200))
    stop(supervisor)
    whole = path.read_bytes()
    if where == "header":
        damage(path, 0, b"no database at all")
    elif where == "page":
        damage(path, 4096 * 4, os.urandom(4096))
    elif where == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        damage(path, whole.index(b"valuevalue"), b"VALUE")
    before = path.read_bytes()
    error = cause_of(Kept)
    assert isinstance(error, StoreBackingError)
    assert error.path == str(path)
    assert str(path) in str(error)
    assert "it was left as it is" in str(error)
    assert path.read_bytes() == before
    path.write_bytes(whole)
    with restarted():
        assert len(Kept.rows) == 201


def test_a_file_of_another_program_is_left_alone(path: Path) -> None:
    """No table is made in it."""
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert "is a database of another program" in str(cause_of(Kept))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "options", "message"),
    [
        ("PRAGMA user_version = 99", {}, "has layout 99; this version of slither-actors knows 2"),
        ("SELECT 1", {"version": 2}, "was written with version 1, the store declares 2"),
        (
            "SELECT 1",
            {"serializer": "json"},
            "was written with serializer 'pickle', the store declares 'json'",
        ),
    ],
)
def test_a_file_of_another_version(path: Path, statement: str, options: dict[str, Any], message: str) -> None:
    """It is refused, not converted by guessing."""
    stop(restart())
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()
    Kept.backing = SQLite(path, **options)
    assert message in str(cause_of(Kept))


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """The path is named."""
    store = type("Lost", (Store,), {"backing": SQLite(tmp_path / "no" / "x.db")})
    assert str(tmp_path / "no" / "x.db") in str(cause_of(store))


def test_two_stores_with_one_file(start: Start, path: Path) -> None:
    """The second is refused, and names the first."""
    start(Kept)

    class Second(Kept):
        pass

    assert "is the file of store Kept, which runs in this process" in str(cause_of(Second))
    Kept.rows.put("still", "there")


def test_two_processes_with_one_file(start: Start, path: Path) -> None:
    """The second is refused, and names the first; the file may be opened once that has ended."""
    start(Kept)
    script = (
        "import sys\n"
        "from slither_actors.store import SQLite, Store, StoreServer\n"
        "Other = type('Other', (Store,), {'backing': SQLite(sys.argv[1])})\n"
        "try:\n"
        "    StoreServer.start(Other)\n"
        "except Exception as error:\n"
        "    print(error.__cause__)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    assert (
        f"{path} is open in another process (pid {os.getpid()}); one application at a time can own it" in told
    )
    Kept.rows.put("still", "there")


def test_a_program_that_holds_the_file_locked(start: Start, path: Path) -> None:
    """A write waits for it for a time that can be set, and then fails; the next one works."""
    Kept.backing = SQLite(path, busy_seconds=0.05)
    start(Kept)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBackingError, match="took no write, and nothing was changed: database is locked"):
        Kept.rows.put("x", 1)
    other.execute("ROLLBACK")
    other.close()
    assert "x" not in Kept.rows
    Kept.rows.put("x", 1)


def test_a_file_that_is_gone_takes_no_write(start: Start, path: Path) -> None:
    """It would be acknowledged and lost. Once the file is back it works again."""
    start(Kept)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    for there in (False, True):
        if there:
            path.write_bytes(aside.read_bytes())
        with pytest.raises(StoreBackingError, match=r"was moved, deleted or replaced while it was open"):
            Kept.rows.put("x", 1)
        assert "x" not in Kept.rows
    aside.replace(path)
    Kept.rows.put("x", 1)
    assert "x" in Kept.rows


def test_a_server_that_was_replaced_writes_no_more(start: Start, path: Path) -> None:
    """Its file was taken from it, so its successor's rows are safe from a write that comes late."""
    supervisor: Any = start(Kept)
    old = next(file for file in backing_module._open.values() if file.store_key == pointer_of(Kept).key)
    victim = supervisor.child(pointer_of(Kept).key)
    victim.kill()
    assert victim.join(20)
    Kept.rows.put("x", 1)
    with pytest.raises(StoreBackingError, match="was closed: its server was killed or replaced"):
        old.commit(old.encode([("put", 0, "x", 2)]))
    assert Kept.rows.get("x") == 1


def test_wrong_declarations() -> None:
    """Each says what is allowed, where the class is made."""
    with pytest.raises(OptionError, match="'backing' is 'file.db'; allowed are None and SQLite"):
        type("Wrong", (Store,), {"backing": "file.db"})
    with pytest.raises(OptionError, match="synchronous"):
        SQLite("x.db", synchronous="off")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="path"):
        SQLite(":memory:")
    with pytest.raises(StoreError, match="is the name of a Store method"):
        type("Wrong", (Store,), {"backing": Table()})


def test_tables_that_differ_in_case_only(tmp_path: Path) -> None:
    """SQLite would put them in one."""
    store = type("Case", (Store,), {"a": Table(), "A": Table(), "backing": SQLite(tmp_path / "x.db")})
    assert "cannot hold the tables 'a' and 'A': SQLite ignores case" in str(cause_of(store))


def test_the_errors_cross_to_workers() -> None:
    """With all that they say."""
    errors = [
        StoreBackingError("Kept", "kept.db", "is damaged"),
        StoreReloadingError("Kept"),
        StoreLoadError("Kept", ValueError("no such row")),
        RowNotFoundError("Kept", "rows", ("a", 1)),
    ]
    for error in errors:
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (type(error), str(error))
        assert vars(back).keys() == vars(error).keys()


def test_a_store_in_memory_imports_no_database() -> None:
    """It pays for none of it."""
    script = "import sys, slither_actors.store; assert 'sqlite3' not in sys.modules, 'imported'"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
