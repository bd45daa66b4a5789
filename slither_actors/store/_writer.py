"""What a write does to a store's published tables. No I/O, no thread, no clock.

One row at a time is changed in place, in constant time. Whatever readers must
see at once is built aside and published in one step: that copies the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import attrs

from slither_actors.errors import StoreError
from slither_actors.store._bounded_rows import Bounded
from slither_actors.store._feed import Copy
from slither_actors.store._kinds import make_rows
from slither_actors.store._pointer import Loaded, Pointer, Publication
from slither_actors.store._rows import SetRows

__all__ = ["TRANSACTIONS", "WRITES", "Change", "Writer", "changed_rows"]

WRITES = frozenset(
    ["put", "put_new", "update", "increment", "delete", "delete_value", "take", "bulk_insert", "clear"],
)
"""The operations that change a table: methods of `Writer`, given the table's index first."""

TRANSACTIONS = frozenset(["transact", "transaction"])
"""The writes to several tables, which are performed in a `Draft`."""

Change = tuple[Any, ...]
"""One of the row changes that the module `_draft` describes."""


def _of_rows(name: str) -> Callable[..., Any]:
    """The operation that the rows of each kind have under this name."""

    def perform(self: Writer, index: int, *arguments: Any) -> Any:
        return getattr(self._rows[index], name)(*arguments)

    return perform


class Writer:
    """Perform the writes of one store.

    Not thread-safe: the store's server is the only caller, and `owner` is its
    claim on the pointer. `wake` is told of a table's index and of the time at
    which `sweep` has something to do there.
    """

    __slots__ = ("_owner", "_pointer", "_rows", "_wake")

    def __init__(
        self, pointer: Pointer, owner: object, wake: Callable[[int, float], object] | None = None
    ) -> None:
        self._pointer = pointer
        self._owner = owner
        self._wake = wake or (lambda *_: None)
        self._rows: tuple[SetRows, ...] = ()

    def build(
        self, loaded: Sequence[dict[Any, Any]], ends: Sequence[dict[Any, float]] = ()
    ) -> tuple[SetRows, ...]:
        """Make the rows of all tables from what a load put into them. Takes the dicts over; any thread.

        `ends` has, per table, the deadlines of the rows that keep one.

        Raises:
            TypeError: keys of an ordered table that cannot be compared.
            TableFullError: too many rows.
        """
        pointer = self._pointer
        return tuple(
            make_rows(kind, data, table=f"{pointer.name}.{name}", ends=kept)
            for kind, data, name, kept in zip(
                pointer.kinds, loaded, pointer.tables, ends or repeat(None, len(loaded)), strict=True
            )
        )

    def install(self, rows: tuple[SetRows, ...], instance: Any, *, at: float, seconds: float) -> None:
        """Publish all tables of a load, and the instance that loaded them, in one step.

        The versions go on from those of the tables that are replaced, also
        where a server that died published them.
        """
        before = self._pointer.now
        for index, fresh in enumerate(rows):
            fresh.version += 1 + (before.rows[index].version if self._pointer.is_published else 0)
        loaded = Loaded(before.loaded.count + 1, at, seconds)
        self._publish(Publication(self._pointer.shown(rows), instance, loaded), rows)
        for index, fresh in enumerate(rows):
            if isinstance(fresh, Bounded):
                fresh.bounds.tell(partial(self._wake, index))

    def operation(self, name: str) -> Callable[[tuple[Any, ...]], Any]:
        """What performs ``(name, index, *arguments)``: a write, or one of `QUERIES`."""
        usual = _USUAL.get(name)
        if usual is not None:
            return partial(usual, self)
        perform = getattr(self, name) if name in WRITES else partial(self.query, name)
        return lambda request: perform(*request[1:])

    # -- one row, in place ---------------------------------------------------

    def put(self, index: int, key: Hashable, value: Any, *ttl: float) -> None:
        """Set one row, or add one to a bag."""
        if ttl:
            self._rows[index].put(key, value, *ttl)
        else:
            self._rows[index].put(key, value)

    put_new = _of_rows("put_new")
    delete = _of_rows("delete")
    delete_value = _of_rows("delete_value")
    take = _of_rows("take")

    def increment(self, index: int, key: Hashable, by: Any, default: Any) -> Any:
        """Add to one value; return the sum."""
        return self._rows[index].increment(key, by, default)

    def update(self, index: int, key: Hashable, function: Callable[[Any], Any], default: Any) -> Any:
        """Replace one value by ``function(value)``; return the new one."""
        # The function is the user's and may take long: a server that was
        # killed in it is replaced, and must not write any more.
        return self._rows[index].update(key, function, default, self._check_update)

    def sweep(self, index: int, forget: Callable[[list[Any]], object] | None = None) -> float:
        """Remove rows of a table that are over. Returns when to come again; infinity is never.

        `forget` is told of the keys before that; where it raises, the rows stay.
        """
        rows = self._rows[index]
        return rows.sweep(forget) if isinstance(rows, Bounded) else math.inf

    # -- all at once, aside --------------------------------------------------

    def bulk_insert(self, index: int, rows: Any) -> int:
        """Set many rows in one step; takes the dict, or a bag's pairs, over. Returns how many."""
        if not rows:
            return 0
        fresh, count = self._rows[index].bulk_insert(rows)
        self._replace(index, fresh)
        return count

    def clear(self, index: int) -> int:
        """Remove all rows in one step; return how many there were."""
        fresh, count = self._rows[index].cleared()
        if len(self._rows[index]):
            self._replace(index, fresh)
        return count

    # -- reads that must not be disturbed ------------------------------------

    def query(self, name: str, index: int, *arguments: Any) -> Any:
        """One of `QUERIES`, for a reader that the writes left no time for it."""
        return getattr(self._rows[index], name)(*arguments)

    # -- for the workers ------------------------------------------------------

    def replicated(self) -> Copy:
        """A copy of the replicated tables, and a place in what is told of them."""
        feed = self._pointer.feed
        assert feed is not None
        return feed.copied({index: self._rows[index].cells() for index in feed.tables})

    # -- what a draft has collected ------------------------------------------

    @property
    def rows(self) -> Sequence[SetRows]:
        """The rows that it writes to, for a draft that is laid over them."""
        return self._rows

    def apply(self, changes: Sequence[Change]) -> None:
        """Do the changes of a draft to the published tables, for readers all at once.

        One row is changed in place. More are changed in copies of their tables
        (about 15 ns a row of each), which are published in one step.
        """
        if len(changes) == 1 and changes[0][0] != "clear":
            operation, index, *rest = changes[0]
            (self._rows[index].set_row if operation == "put" else self._rows[index].remove)(*rest)
        elif changes:
            rows = changed_rows(self._rows, changes)
            self._publish(attrs.evolve(self._pointer.now, rows=self._pointer.shown(rows)), rows)

    def _check_update(self) -> None:
        # As `_check_owner`, with half of the calls: this is done for each update.
        pointer = self._pointer
        if pointer.owner is not self._owner or not pointer.server.is_alive():
            self._check_owner("an update")

    def _check_owner(self, during: str) -> None:
        if not self._pointer.is_owned_by(self._owner):
            msg = f"store {self._pointer.name}: the server was killed or replaced during {during}"
            raise StoreError(msg)

    def _replace(self, index: int, fresh: SetRows) -> None:
        rows = (*self._rows[:index], fresh, *self._rows[index + 1 :])
        self._publish(attrs.evolve(self._pointer.now, rows=self._pointer.shown(rows)), rows)

    def _publish(self, publication: Publication, rows: tuple[SetRows, ...]) -> None:
        self._pointer.publish(self._owner, publication)
        self._rows = rows


# As the methods of the same names, for what there may be millions of: without another tuple, and another
# call, for each of them. That is a tenth of what a write takes.


def _put(writer: Writer, request: tuple[Any, ...]) -> None:
    if len(request) == 4:  # no time to live
        writer._rows[request[1]].put(request[2], request[3])
    else:
        writer._rows[request[1]].put(*request[2:])


def _update(writer: Writer, request: tuple[Any, ...]) -> Any:
    _, index, key, function, default = request
    return writer._rows[index].update(key, function, default, writer._check_update)


def _increment(writer: Writer, request: tuple[Any, ...]) -> Any:
    return writer._rows[request[1]].increment(request[2], request[3], request[4])


_USUAL: dict[str, Callable[[Writer, tuple[Any, ...]], Any]] = {
    "put": _put,
    "update": _update,
    "increment": _increment,
}


def changed_rows(
    tables: Sequence[SetRows], changes: Sequence[Change], *, mine: bool = False
) -> tuple[SetRows, ...]:
    """The tables after the changes: others, or the same where none is to it, or where all are `mine`.

    `mine` says that no reader sees them yet.
    """
    return tuple(_changed(rows, index, changes, mine) for index, rows in enumerate(tables))


def _changed(rows: SetRows, index: int, changes: Sequence[Change], mine: bool) -> SetRows:
    """The table `index` after the changes: another one, or the same where none is to it."""
    for operation, at, *rest in changes:
        if at != index:
            continue
        if operation == "clear":
            rows, mine = rows.cleared()[0], True
            continue
        if not mine:
            rows, mine = rows.copy(), True
        (rows.set_row if operation == "put" else rows.remove)(*rest)
    return rows
