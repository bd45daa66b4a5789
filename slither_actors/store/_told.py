"""What the server of a store with replicated tables tells the workers' feed about its writes.

Writes that are drafted come with their changes. Those that are done in place
do not, so they are performed with a look at what they have left behind: one
key and its cell, and the rows that had to make room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.store._bounded_rows import Bounded
from slither_actors.store._feed import Feed
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING, SetRows
from slither_actors.store._writer import Change, Writer

__all__ = ["Told"]

Operation = Callable[[tuple[Any, ...]], Any]
"""Performs ``(name, index, *arguments)``, as `Writer.operation` gives it."""


class Told:
    """The writes of one server, for a feed. In the server's turn only."""

    __slots__ = ("_feed", "_owner", "_writer")

    def __init__(self, pointer: Pointer, owner: object, writer: Writer) -> None:
        assert pointer.feed is not None
        self._feed: Feed = pointer.feed
        self._owner = owner
        self._writer = writer

    def installed(self) -> None:
        """Tables of a load were published."""
        self._feed.reset(self._owner)

    def note(self, changes: Sequence[Change]) -> None:
        """These are what one write has changed."""
        if self._feed.is_on:
            self._feed.note(self._owner, changes, self._rows())

    def nudge(self) -> None:
        """Rows that were over are gone: workers are to look at theirs."""
        self._feed.nudge(self._owner)

    def around(self, writes: dict[str, Operation]) -> dict[str, Operation]:
        """The same writes, which are told of if anybody follows once they are done."""
        many = {"bulk_insert": self._bulk, "clear": self._clear}
        return {name: many.get(name, self._single)(perform) for name, perform in writes.items()}

    def _single(self, perform: Operation) -> Operation:
        feed, owner = self._feed, self._owner

        def told(request: tuple[Any, ...]) -> Any:
            index, key = request[1], request[2]
            rows = self._writer.rows[index]
            before = rows.version
            gone = self._watched(rows)
            try:
                return perform(request)
            finally:
                if gone is not None:
                    rows.watch(None)
                if rows.version != before:
                    for each in gone or ():  # each a change of its own, ahead of the write that needed room
                        if each is not key:
                            feed.note_one(owner, _cell(rows.live, index, each))
                    feed.note_one(owner, _cell(rows.live, index, key))

        return told

    def _bulk(self, perform: Operation) -> Operation:
        def told(request: tuple[Any, ...]) -> Any:
            index, given = request[1], request[2]
            before = self._writer.rows[index].live
            reply = perform(request)
            if not self._feed.is_on or index not in self._feed.tables:
                return reply
            if self._feed.is_large(len(given), self._rows()):
                self._feed.reset(self._owner)
                return reply
            live = self._writer.rows[index].live
            keys = [*given] if isinstance(given, dict) else [*{key: None for key, _ in given}]
            if isinstance(self._writer.rows[index], Bounded):
                keys += [key for key in before if key not in live]
            self.note([_cell(live, index, key) for key in keys])
            return reply

        return told

    def _clear(self, perform: Operation) -> Operation:
        def told(request: tuple[Any, ...]) -> Any:
            index = request[1]
            before = self._writer.rows[index]
            reply = perform(request)
            if self._writer.rows[index] is not before:
                self.note([("clear", index)])
            return reply

        return told

    def _watched(self, rows: SetRows) -> list[Any] | None:
        """A list for the keys that make room for others, where there may be any."""
        if not isinstance(rows, Bounded) or rows.bounds.max_rows is None:
            return None
        gone: list[Any] = []
        rows.watch(gone)
        return gone

    def _rows(self) -> int:
        rows = self._writer.rows
        return sum(len(rows[index]) for index in self._feed.tables)


def _cell(live: dict[Any, Any], index: int, key: Any) -> Change:
    cell = live.get(key, MISSING)
    return ("delete", index, key) if cell is MISSING else ("put", index, key, cell)
