"""A handle: which table of which store it is, and how one asks it.

What is asked, the operations of a table, is `_table`. Here is how each of them
reaches the rows of one moment or the store's server, and how a handle gets to
a worker.
"""

from __future__ import annotations

from typing import Any, Self

from slither_actors.actors._ref import _SECONDS as CALL_SECONDS
from slither_actors.store._arguments import WRONG, name_error
from slither_actors.store._by_value import arrived, can_be_imported
from slither_actors.store._kinds import TableOptions
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING

__all__ = ["UNBOUND", "TableHandle"]


class TableHandle:
    """A table by the place that it has in its store; without one, what a class body declares."""

    __slots__ = ("_index", "_pointer", "_store", "_write_timeout", "name", "options")

    kind = "set"
    """What the table is called in errors."""

    options: TableOptions
    name: str
    """The attribute's name in the store."""

    _index: int
    _write_timeout: float | None
    _pointer: Pointer
    _store: type

    @classmethod
    def unbound(cls, options: TableOptions) -> Self:
        """A handle of no table yet."""
        self = object.__new__(cls)
        self.options = options
        self.name = ""
        self._index = -1
        self._write_timeout = None
        self._pointer = UNBOUND
        self._store = object
        return self

    def bound(self, store: type, name: str, pointer: Pointer, *, write_timeout: float | None) -> Self:
        """The handle of the table `name` of `store`; called when the store's class is made."""
        handle = self.unbound(self.options)
        handle.name = name
        handle._pointer = pointer
        handle._store = store
        handle._index = pointer.tables.index(name)
        # The very object that a call looks for first: it need not check that one.
        handle._write_timeout = CALL_SECONDS if write_timeout == CALL_SECONDS else write_timeout
        return handle

    def __repr__(self) -> str:
        return f"<Table {self._pointer.name}.{self.name}>" if self.name else "<Table, in no store>"

    def __reduce__(self) -> tuple[Any, ...]:
        # By reference, as its class: a worker gets its own handle of the same table.
        if not self.name or can_be_imported(self._store):
            return (getattr, (self._store, self.name))
        # The class goes by value, and has none yet when this one arrives as a part of it.
        return (
            arrived,
            (type(self), self.options, self._store, self.name, self._pointer, self._write_timeout),
        )

    def __deepcopy__(self, _: object) -> Self:
        return self

    def _find(self, operation: str, key: Any) -> Any:
        """The value under a key, or `MISSING`."""
        try:
            return self._pointer.now.rows[self._index].get(key, MISSING)
        except WRONG as error:
            name_error(error, self._where(operation))
            raise

    def _query(self, name: str, *arguments: Any, operation: str = "") -> Any:
        """Ask the rows of one moment; the server, where they do not say it themselves."""
        try:
            answer = self._pointer.now.rows[self._index].query(name, *arguments)
        except WRONG as error:
            name_error(error, self._where(operation or name))
            raise
        return self._ask(name, *arguments) if answer is None else answer

    def _ask(self, operation: str, *arguments: Any) -> Any:
        """Call the store's server."""
        try:
            return self._pointer.write((operation, self._index, *arguments), self._write_timeout)
        except WRONG as error:
            name_error(error, self._where(operation))
            raise

    def _where(self, operation: str) -> str:
        return f"{self._pointer.name}.{self.name}.{operation}"


def _never(_: Pointer) -> bool:
    msg = "a Table is used through the Store class that declares it"
    raise TypeError(msg)


UNBOUND = Pointer(key="", name="", tables=(), attach=_never)
"""The store of tables that are in none."""
