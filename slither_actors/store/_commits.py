"""Writes that are performed in a draft first: those of a store with a file, and all transactions.

With a file a write is drafted, written, committed, shown to the readers and
then acknowledged, in this order, so nobody sees what a crash could take back.
A commit costs the same for one row as for hundreds; the writes that wait in
the server's mailbox therefore share one. The first of them sends the server a
message to itself, which arrives behind all that were waiting, and that commits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors import NO_REPLY, Failure, Request
from slither_actors.errors import StoreBackingError
from slither_actors.store._draft import Draft
from slither_actors.store._pointer import Pointer
from slither_actors.store._writer import WRITES, Change, Writer

if TYPE_CHECKING:
    from slither_actors.store._sqlite import Encoded, SQLiteFile
    from slither_actors.store._table import Table

__all__ = ["Commits"]

logger = logging.getLogger("slither_actors.store")

_OF_ONE_ROW = WRITES - {"bulk_insert", "clear"}
"""Writes whose changes readers may see one by one: a row that goes to make room, and the one that is put."""

_AGAIN = 10.0
"""Seconds until rows that are over are removed from a file that did not take it."""

_GROUP = 1_000
"""The most writes of one commit."""


@attrs.frozen(eq=False)
class _Drafted:
    """A write that waits for its commit."""

    sender: Request
    operation: str
    reply: Any
    changes: Sequence[Change]
    encoded: Sequence[Encoded]


class Commits:
    """Draft, commit and acknowledge writes. For the store's server only.

    `told` gets the changes of each write that readers can see, `later` has
    `flush` called once the messages that wait now have been handled.
    """

    def __init__(
        self,
        pointer: Pointer,
        owner: object,
        writer: Writer,
        handles: Sequence[Table[Any, Any]],
        *,
        told: Callable[[Sequence[Change]], None],
        later: Callable[[], None],
    ) -> None:
        self._pointer = pointer
        self._owner = owner
        self._writer = writer
        self._handles = handles
        self._told = told
        self._later = later
        self.file: SQLiteFile | None = None
        self._waiting: list[_Drafted] = []
        self._group: Draft | None = None
        """What those that wait have written."""

    def perform(self, request: tuple[Any, ...], sender: Request, *, is_last: bool) -> Any:
        """Perform one write; `is_last` says that no other waits. Returns what ``handle_call`` returns."""
        base = self._writer if self._group is None else self._group
        draft = self._draft(base)
        try:
            reply = draft.operate(*request)
            encoded = self.file.encode(draft.changes) if self.file is not None else ()
            if self.file is None or (self._group is None and (is_last or not draft.changes)):
                self._commit(encoded)
                self._show(request[0], draft.changes)
                return reply
        except Exception as error:  # noqa: BLE001 - a user's function, a row that no file takes, a full disk
            return Failure(error)
        if self._group is None:
            self._group = self._draft(self._writer)
            self._later()
        self._group.apply(draft.changes)
        # One that has changed nothing has read what the others wrote, so it waits as they do.
        self._waiting.append(_Drafted(sender, request[0], reply, draft.changes, encoded))
        if is_last or len(self._waiting) >= _GROUP:
            self.flush()
        return NO_REPLY

    def flush(self) -> None:
        """Commit the writes that wait, and answer them."""
        waiting, self._waiting, self._group = self._waiting, [], None
        try:
            self._commit([change for write in waiting for change in write.encoded])
        except Exception as error:  # noqa: BLE001 - the disk's, and each writer's own
            for write in waiting:
                write.sender.fail(error)
            return
        for write in waiting:
            try:
                self._show(write.operation, write.changes)
            except Exception as error:  # noqa: BLE001 - this server was replaced meanwhile
                write.sender.fail(error)
            else:
                write.sender.reply(write.reply)

    def _draft(self, base: Writer) -> Draft:
        return Draft(self._pointer, self._owner, base.rows, self._handles)

    def _commit(self, encoded: Sequence[Encoded]) -> None:
        if encoded:
            assert self.file is not None
            self.file.commit(encoded)

    def _show(self, operation: str, changes: Sequence[Change]) -> None:
        if not changes:
            return
        if operation in _OF_ONE_ROW:
            for change in changes:
                self._writer.apply([change])
        else:
            self._writer.apply(changes)
        self._told(changes)

    def sweep(self, index: int) -> float:
        """Remove rows of a table that are over, from the file as well. Returns when to come again."""
        self.flush()
        try:
            return self._writer.sweep(index, partial(self._forget, index))
        except StoreBackingError as error:
            # Nobody sees those rows, and they are over when the file is read again.
            logger.warning("rows that are over stay in the file for now: %s", error)
            return time.monotonic() + _AGAIN

    def _forget(self, index: int, keys: list[Any]) -> None:
        if self.file is not None and keys:
            self.file.commit([("delete", index, key) for key in keys])
