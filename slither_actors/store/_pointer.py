"""The one reference through which a store is read: `Pointer.now`.

Readers follow ``pointer.now.rows[index]`` and nothing else. Everything that
must appear at once is a new `Publication`, put there by one assignment: all
tables of a reload together, and with them the `Store` instance whose ``load``
filled them.

The pointer belongs to the store class and outlives its servers. It is the
inheritance between them: a server that is restarted finds the tables that the
last one published, and readers keep them until the new server has loaded.

A server that was killed may still have a thread inside the user's ``load``.
`claim` therefore hands the pointer to one server at a time, and `publish`
refuses any other, and a dead one.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs

from slither_actors.actors import NOPROC
from slither_actors.actors._interrupts import waits
from slither_actors.errors import ActorExitError, NotRunningError, StoreError
from slither_actors.store._counted_rows import CountedRows, ReadCounter
from slither_actors.store._feed import Feed
from slither_actors.store._kinds import TableOptions
from slither_actors.store._rows import Rows, SetRows

__all__ = ["Loaded", "Pointer", "Publication", "WriteTarget"]

RESTART_SECONDS = 5.0
"""The longest that a write waits for the successor of a dead server."""


class WriteTarget(Protocol):
    """Where writes are sent: the server's `Ref` or, in a worker, a line to the driver."""

    def call(self, request: Any, timeout: float | None = ...) -> Any:
        """Perform one write and return its reply."""

    def is_alive(self) -> bool:
        """Whether it takes writes."""


@attrs.frozen
class Loaded:
    """When and how a store was loaded last."""

    count: int = 0
    """Loads that were published: the first, reloads, and those of restarted servers."""

    at: float = 0.0
    """Unix time of the last one; 0 before the first."""

    seconds: float = 0.0
    """How long it took."""


@attrs.frozen(eq=False)
class Publication:
    """What readers see of a store at one moment."""

    rows: Sequence[Rows]
    """One per table, in the order of the class body."""

    instance: Any
    """The `Store` instance whose ``load`` filled the tables; its views run on it."""

    loaded: Loaded = Loaded()


_by_key: weakref.WeakValueDictionary[str, Pointer] = weakref.WeakValueDictionary()
"""The last one of each key, for classes that arrive by value."""


class Pointer:
    """A store's published tables, the server that may replace them, and where writes go.

    Read from any thread without a lock; `claim`, `publish` and `retire` are for
    the store's server and the application.
    """

    __slots__ = (
        "__weakref__",
        "_absent",
        "_attach",
        "_changed",
        "_nobody",
        "feed",
        "key",
        "kinds",
        "name",
        "now",
        "owner",
        "reads",
        "server",
        "tables",
    )

    def __init__(
        self,
        *,
        key: str,
        name: str,
        tables: tuple[str, ...],
        attach: Callable[[Pointer], bool],
        kinds: tuple[TableOptions, ...] = (),
    ) -> None:
        self.key = key
        """``module:qualified name``, the same in the driver and in its workers."""
        self.name = name
        """The class's name, for messages and telemetry."""
        self.tables = tables
        """The tables' names; a table's index is its place here."""
        self.kinds = kinds
        """What each table is, in the same order."""
        self.reads = tuple(ReadCounter() if kind.count_reads else None for kind in kinds)
        """Counters of the tables that have their reads counted."""
        replicated = {index: tables[index] for index, kind in enumerate(kinds) if kind.replicate}
        self.feed: Feed | None = Feed(key, name, replicated) if replicated else None
        """What workers are told of the replicated tables; None where there is none."""
        self._attach = attach
        self._changed = threading.Condition()  # between writers; readers never take it
        self.owner: object | None = None
        """Who claimed last; None where nobody has, or the tables are another process's."""
        self._absent = Publication(_Absent(self), None)
        self.now = self._absent
        self._nobody = _Nobody(self)
        self.server: WriteTarget = self._nobody
        """The server that claimed last, alive or not."""
        if tables:
            _by_key[key] = self

    def __reduce__(self) -> tuple[Any, ...]:
        # With a class that goes by value, from an interactive session. What is published stays here.
        return (_arrived, (self.key, self.name, self.tables, self.kinds, self._attach))

    @property
    def is_published(self) -> bool:
        """Whether there are tables to read, be it those of a server that died."""
        return self.now is not self._absent

    @property
    def is_attached(self) -> bool:
        """Whether the tables are in another process: this one is a worker of it."""
        return self.is_published and self.owner is None

    def shown(self, rows: tuple[SetRows, ...]) -> Sequence[Rows]:
        """What readers get to see of the rows of all tables: the same, unless their reads are counted."""
        if not any(self.reads):
            return rows
        pairs = zip(rows, self.reads, strict=True)
        return [each if reads is None else CountedRows(each, reads) for each, reads in pairs]

    def claim(self, owner: object, server: WriteTarget) -> None:
        """Make `owner` the only one that may publish. The published tables stay."""
        with self._changed:
            self.owner = owner
            self.server = server
            self._changed.notify_all()

    def is_owned_by(self, owner: object) -> bool:
        """Whether `owner` claimed last and lives: one that was abandoned in a handler writes no more."""
        return self.owner is owner and self.server.is_alive()

    def publish(self, owner: object, publication: Publication) -> None:
        """Let all readers see `publication` from now on.

        Raises:
            StoreError: the owner is dead, or another server has claimed the store since.
        """
        with self._changed:
            if not self.is_owned_by(owner):
                msg = f"store {self.name}: a server that was killed or replaced tried to publish its tables"
                raise StoreError(msg)
            self.now = publication

    def retire(self, owner: object | None = None) -> bool:
        """Forget tables and server: reads raise `NotRunningError` from now on.

        With an `owner` only if that one still owns the store. Returns whether
        it was done.
        """
        with self._changed:
            if owner is not None and self.owner is not owner:
                return False
            self.owner = None
            self.server = self._nobody
            self.now = self._absent
            self._changed.notify_all()
        if self.feed is not None:
            self.feed.reset(None)
        return True

    def adopt(self, rows: Sequence[Rows], server: WriteTarget) -> None:
        """Read and write through the driver: this process is one of its workers."""
        with self._changed:
            if self.now is self._absent:
                self.now = Publication(rows, None)
                self.server = server

    def attach_or_fail(self) -> None:
        """In a worker reach for the driver's tables.

        Raises:
            NotRunningError: this is the driver, and the store was not started.
        """
        if not self._attach(self):
            msg = f"store {self.name} is not running; start it with Application(stores=[{self.name}])"
            raise NotRunningError(msg)

    def write(self, request: tuple[Any, ...], timeout: float | None) -> Any:
        """Have the server perform ``(operation, index, *arguments)`` and return its reply.

        A server that was dead before it was asked is waited out: its supervisor
        is about to start another. One that dies while it works is the caller's
        to judge, for the write may have happened.
        """
        server = self.server
        try:
            return server.call(request, timeout)
        except ActorExitError as error:
            if error.reason != NOPROC or server.is_alive() or not self._wait_for_another(server, timeout):
                raise
        return self.server.call(request, timeout)

    @waits
    def _wait_for_another(self, server: WriteTarget, timeout: float | None) -> bool:
        limit = RESTART_SECONDS if timeout is None else min(timeout, RESTART_SECONDS)
        with self._changed:
            return self._changed.wait_for(lambda: self.server is not server, limit)


def _arrived(
    key: str,
    name: str,
    tables: tuple[str, ...],
    kinds: tuple[TableOptions, ...],
    attach: Callable[[Pointer], bool],
) -> Pointer:
    """That of a class that came by value: the same each time, and in the driver its own."""
    known = _by_key.get(key)
    if known is None or (known.tables, known.kinds) != (tables, kinds):
        known = Pointer(key=key, name=name, tables=tables, kinds=kinds, attach=attach)
    return known


class _Absent(Sequence[Rows]):
    """The rows of a store that is not here: a worker asks the driver, all others get an error.

    An object in the place of the rows, so that a read of a running store pays
    for no check.
    """

    def __init__(self, pointer: Pointer) -> None:
        self._pointer = pointer

    def __getitem__(self, index: Any) -> Any:
        self._pointer.attach_or_fail()
        return self._pointer.now.rows[index]

    def __len__(self) -> int:
        return len(self._pointer.tables)


class _Nobody:
    """Takes the writes of a store that is not here, as `_Absent` does its reads."""

    def __init__(self, pointer: Pointer) -> None:
        self._pointer = pointer

    def call(self, request: Any, timeout: float | None = None) -> Any:
        self._pointer.attach_or_fail()
        return self._pointer.server.call(request, timeout)

    def is_alive(self) -> bool:
        return False
