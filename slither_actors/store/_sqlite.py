"""The file behind a store: SQLite from the standard library.

One SQLite table per table of the store: ``id``, ``key``, ``value``, ``crc32``,
and where rows end ``ends`` (Unix time; infinity is never) and ``written`` (a
number that grows with each write: the order in which rows make room).
The id is the row's identity and its place in the order of the table; which key
has which id is known in memory, for only Python can tell which keys are equal
(``1`` and ``1.0`` are, and two equal tuples may have different pickles).

The journal is a write-ahead log, so an acknowledged write is in the log when
its process dies, and readers of other programs are not kept out. Other
*owners* are, by a lock on ``<file>.lock`` that the system frees when the
process ends; the lock file stays, as removing it would be a race.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from slither_actors.errors import StoreBackingError, class_name, safe_text
from slither_actors.store._backing import SQLite, identity_of
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import SetRows
from slither_actors.store._serializers import SERIALIZERS, checksum
from slither_actors.store._writer import Change

__all__ = ["Encoded", "FileTable", "SQLiteFile"]


@attrs.frozen
class FileTable:
    """What was found of one table."""

    rows: dict[Any, Any]
    ends: dict[Any, float]
    """When they end, on the clock of the rows, where that is known; in the order of their last writes."""


Encoded = tuple[Any, ...]
"""A change with its row as bytes: ``("put", index, [(key, key data, value data, ends)])``, ``("delete",
index, key)`` or ``("clear", index)``."""

_Undo = list[tuple[Any, ...]]
"""How the ids were: ``(ids, key, number or None)`` or ``(index, ids)``, the last first."""

FORMAT = 2
"""The version of the layout above, in the file's ``user_version``: 1 where no rows end."""

_MARK = 0x736C6974
"""``slit``, the file's ``application_id``."""

_DAMAGED = (
    "it was left as it is; restore a copy, or move it away to start with an empty one "
    "(together with its -wal file, which belongs to it)"
)


_GONE = (
    "was moved, deleted or replaced while it was open, so nothing was written; put it back, or restart the "
    "application to begin with what is there"
)


class SQLiteFile:
    """One open file. `close` may be called from any thread, the rest is for the store's server.

    Raises from every method: `StoreBackingError`.
    """

    def __init__(self, options: SQLite, path: Path, pointer: Pointer) -> None:
        self.store = pointer.name
        self.store_key = pointer.key
        self._options = options
        self._path = path
        self._names = pointer.tables
        self._busy = threading.Lock()  # between a server that was given up and whoever closes its file
        self._ids: list[dict[Any, int]] = [{} for _ in self._names]
        self._next = self._written = 1
        self._bounded = [kind.is_bounded for kind in pointer.kinds]
        self._dumps, self._loads = SERIALIZERS[options.serializer]
        self._check_names()
        self._lock_file = self._locked()
        try:
            with self._explained("cannot be opened"):
                self._connection: sqlite3.Connection | None = self._connected()
                self._prepare(self._connection)
            self._identity = identity_of(path)
        except BaseException:
            self._shut()
            raise

    # -- opening and closing -------------------------------------------------

    def close(self) -> None:
        """Let go of the file, after a write that is going on. Closing again does nothing."""
        with self._busy:
            self._shut()

    def _shut(self) -> None:
        connection, self._connection = getattr(self, "_connection", None), None
        if connection is not None:
            connection.close()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for name in self._names:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise self._error(f"cannot hold the tables {other!r} and {name!r}: SQLite ignores case")

    def _locked(self) -> int:
        path = f"{self._path}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._error(f"cannot be opened: {error}") from error
        try:
            # Not flock: that would be held on by a child made by os.fork.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            msg = f"is open in another process (pid {holder}); one application at a time can own it"
            raise self._error(msg) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _connected(self) -> sqlite3.Connection:
        # check_same_thread: the server runs in whatever thread the scheduler, or a caller, has for it.
        return sqlite3.connect(
            self._path, timeout=self._options.busy_seconds, isolation_level=None, check_same_thread=False
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._check_kind(connection)
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise self._error(f"is damaged ({found}); {_DAMAGED}")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {self._options.synchronous}")
        missing = {"store", *map(_table, self._names)} - _tables_of(connection)
        unbounded = self._without_ends(connection, missing)
        if missing or unbounded:
            self._make(connection, missing - {"store"}, unbounded)
        self._check_same("serializer", self._options.serializer)
        self._check_same("version", self._options.version)

    def _without_ends(self, connection: sqlite3.Connection, missing: set[str]) -> list[str]:
        """The tables whose rows end, and that have no columns for it."""
        bounded = (_table(name) for name, ends in zip(self._names, self._bounded, strict=True) if ends)
        return [table for table in bounded if table in missing or not _has_ends(connection, table)]

    def _make(self, connection: sqlite3.Connection, tables: Iterable[str], unbounded: Sequence[str]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {_MARK}")
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {FORMAT if unbounded else layout or 1}")
        connection.execute("CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value) WITHOUT ROWID")
        for table in tables:
            columns = "(id INTEGER PRIMARY KEY, key NOT NULL, value NOT NULL, crc32 INTEGER)"
            connection.execute(f'CREATE TABLE "{table}" {columns}')
        for table in unbounded:
            connection.execute(f'ALTER TABLE "{table}" ADD COLUMN ends REAL')
            connection.execute(f'ALTER TABLE "{table}" ADD COLUMN written INTEGER')
        connection.execute("COMMIT")

    def _check_kind(self, connection: sqlite3.Connection) -> None:
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        if mark != _MARK and (mark != 0 or _tables_of(connection)):
            raise self._error("is a database of another program; it was left as it is")
        if layout > FORMAT:
            msg = f"has layout {layout}; this version of slither-actors knows {FORMAT}: install a newer one"
            raise self._error(msg)

    def _check_same(self, name: str, declared: Any) -> None:
        found = self._noted(name)
        if found is not None and found != declared:
            raise self._error(
                f"was written with {name} {found!r}, the store declares {declared!r}; it was left as it is: "
                "declare the old one, or move the file away and load anew"
            )

    def _noted(self, name: str) -> Any:
        assert self._connection is not None
        row = self._connection.execute("SELECT value FROM store WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    # -- reading ---------------------------------------------------------------

    @property
    def is_loaded(self) -> bool:
        """Whether a load was ever written to it."""
        with self._explained("cannot be read"):
            return self._noted("loaded") is not None

    def read(self) -> list[FileTable]:
        """All rows, per table, in the order in which they were put; those that are over are removed."""
        with self._explained("cannot be read"):
            return [self._read(index) for index in range(len(self._names))]

    def _read(self, index: int) -> FileTable:
        assert self._connection is not None
        table = _table(self._names[index])
        ends: dict[int, float] = {}
        if _has_ends(self._connection, table):
            self._connection.execute(f'DELETE FROM "{table}" WHERE ends <= ?', (time.time(),))
            if self._bounded[index]:
                ends = self._ends_of(table)
            else:  # the store used to declare that they end
                self._connection.execute(f'UPDATE "{table}" SET ends = NULL WHERE ends IS NOT NULL')
        rows: dict[Any, Any] = {}
        ids = self._ids[index] = {}
        number = 0
        statement = f'SELECT id, key, value, crc32 FROM "{table}" ORDER BY id'
        for number, key_data, data, crc in self._connection.execute(statement):
            try:
                if crc is not None and crc != checksum(key_data, data):
                    msg = "its checksum is wrong"
                    raise ValueError(msg)
                key = self._loads(key_data)
                rows[key] = self._loads(data)
            except Exception as error:
                where = f"row {number} of table {self._names[index]!r}"
                problem = f"{where}: {class_name(error)}: {safe_text(error)}"
                raise self._error(f"cannot be read ({problem}); {_DAMAGED}") from error
            ids[key] = number
        self._next = max(self._next, number + 1)
        keys = {number: key for key, number in ids.items()} if ends else {}
        return FileTable(rows, {keys[number]: at for number, at in ends.items()})

    def _ends_of(self, table: str) -> dict[int, float]:
        """When the rows with these ids end, on the clock of the rows, in the order of their writes."""
        assert self._connection is not None
        passed = time.monotonic() - time.time()
        statement = f'SELECT id, ends, written FROM "{table}" WHERE ends IS NOT NULL ORDER BY written'
        ends = {}
        for number, at, written in self._connection.execute(statement):
            ends[number] = at + passed
            self._written = max(self._written, written + 1)
        return ends

    # -- writing ---------------------------------------------------------------

    def encode(self, changes: Sequence[Change]) -> list[Encoded]:
        """Serialise the rows of some changes, before anything is written."""
        return [self._encoded(*change) for change in changes]

    def commit(self, changes: Iterable[Encoded]) -> None:
        """Write them all, or nothing."""
        undo: _Undo = []
        with self._writing(undo) as connection:
            for change in changes:
                self._write(connection, change, undo)

    def replace(self, tables: Sequence[SetRows]) -> None:
        """Write the rows of a load in the place of all there are, or nothing."""
        undo: _Undo = []
        with self._writing(undo) as connection:
            for index, rows in enumerate(tables):
                self._write(connection, ("clear", index), undo)
                # Into fresh ids, which the undoing of the clear drops: no list of a million steps.
                encoded = self._encoded_rows(index, rows.live.items())
                self._write(connection, ("put", index, encoded), None, rows.ranks())
            noted = {"loaded": 1, "serializer": self._options.serializer, "version": self._options.version}
            connection.executemany("INSERT OR REPLACE INTO store VALUES (?, ?)", noted.items())

    def _encoded(self, operation: str, index: int, *rest: Any) -> Encoded:
        if operation == "put":
            return ("put", index, list(self._encoded_rows(index, [rest])))
        return (operation, index, *rest)

    def _encoded_rows(self, index: int, rows: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        bounded, passed = self._bounded[index], time.time() - time.monotonic()
        for key, cell in rows:
            value, ends = (cell[0], cell[1] + passed) if bounded else (cell, None)
            try:
                yield key, self._dumps(key), self._dumps(value), ends
            except Exception as error:
                row = f"{self._names[index]}[{safe_text(key, repr):.100}]"
                problem = f"cannot hold row {row}: {class_name(error)}: {safe_text(error)}"
                raise self._error(problem) from error

    def _write(
        self,
        connection: sqlite3.Connection,
        change: Encoded,
        undo: _Undo | None,
        ranks: dict[Any, int] | None = None,
    ) -> None:
        operation, index, *rest = change
        table, ids = f'"{_table(self._names[index])}"', self._ids[index]
        if operation == "put":
            columns = "(id, key, value, crc32) VALUES (?, ?, ?, ?)"
            if self._bounded[index]:
                columns = "(id, key, value, crc32, ends, written) VALUES (?, ?, ?, ?, ?, ?)"
            rows = self._numbered(index, rest[0], undo, ranks)
            connection.executemany(f"INSERT OR REPLACE INTO {table} {columns}", rows)
        elif operation == "delete":
            number = ids.pop(rest[0], None)
            if undo is not None:
                undo.append((ids, rest[0], number))
            connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))
        else:
            if undo is not None:
                undo.append((index, ids))
            self._ids[index] = {}
            connection.execute(f"DELETE FROM {table}")

    def _numbered(
        self,
        index: int,
        rows: Iterable[tuple[Any, ...]],
        undo: _Undo | None,
        ranks: dict[Any, int] | None,
    ) -> Iterator[tuple[Any, ...]]:
        ids, first = self._ids[index], self._written
        for key, key_data, data, ends in rows:
            number = ids.get(key)
            if number is None:
                number = ids[key] = self._next
                self._next += 1
                if undo is not None:
                    undo.append((ids, key, None))
            row: tuple[Any, ...] = (number, key_data, data, checksum(key_data, data))
            if self._bounded[index]:
                written = self._written if ranks is None else first + ranks[key]
                self._written = max(self._written, written) + 1
                row += (ends, written)
            yield row

    @contextmanager
    def _writing(self, undo: _Undo) -> Iterator[sqlite3.Connection]:
        """One transaction of SQLite; when it fails, the ids are what they were before it."""
        with self._busy:
            connection = self._connection
            if connection is None:
                raise self._error("was closed: its server was killed or replaced during the write")
            if identity_of(self._path) != self._identity:  # SQLite would go on, with a file without a name
                raise self._error(_GONE)
            try:
                with self._explained("took no write, and nothing was changed"):
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
                    connection.execute("COMMIT")
            except BaseException:
                self._undo(undo)
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _undo(self, undo: _Undo) -> None:
        for step in reversed(undo):
            if len(step) == 2:
                self._ids[step[0]] = step[1]
            elif step[2] is None:
                step[0].pop(step[1], None)
            else:
                step[0][step[1]] = step[2]

    # -- errors ----------------------------------------------------------------

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._error(f"{what}: {error}") from error
        except sqlite3.Error as error:
            raise self._error(f"is damaged or no SQLite database ({error}); {_DAMAGED}") from error

    def _error(self, problem: str) -> StoreBackingError:
        return StoreBackingError(self.store, str(self._path), problem)


def _table(name: str) -> str:
    return f"rows_{name}"


def _tables_of(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _has_ends(connection: sqlite3.Connection, table: str) -> bool:
    return any(column[1] == "ends" for column in connection.execute(f'PRAGMA table_info("{table}")'))
