"""What the server of a store with replicated tables tells the workers' feed about its writes.

Writes that are drafted come with their changes. Those that are done in place
do not, so they are performed with a look at what they have left behind: one
key and its cell. That is not enough where a write may remove other rows as
well, so the tables of a store that replicates one with ``max_rows`` are written
through drafts while somebody follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.store._feed import Feed
from slither_actors.store._pointer import Pointer
from slither_actors.store._rows import MISSING
from slither_actors.store._writer import Change, Writer

__all__ = ["Told"]


class Told:
    """The writes of one server, for a feed. In the server's turn only."""

    __slots__ = ("_evicts", "_feed", "_owner", "_writer")

    def __init__(self, pointer: Pointer, owner: object, writer: Writer) -> None:
        assert pointer.feed is not None
        self._feed: Feed = pointer.feed
        self._owner = owner
        self._writer = writer
        self._evicts = any(pointer.kinds[index].max_rows is not None for index in self._feed.tables)

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

    def around(self, writes: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
        """The same writes, which are told of if anybody follows."""
        if not self._feed.is_on:
            return writes
        if self._evicts:
            return {}
        many = {"bulk_insert": self._bulk, "clear": self._clear}
        return {name: many.get(name, self._single)(perform) for name, perform in writes.items()}

    def _single(self, perform: Callable[..., Any]) -> Callable[..., Any]:
        def told(index: int, key: Any, *rest: Any) -> Any:
            before = self._writer.rows[index].version
            try:
                return perform(index, key, *rest)
            finally:
                rows = self._writer.rows[index]
                if rows.version != before:
                    self.note([_cell(rows.live, index, key)])

        return told

    def _bulk(self, perform: Callable[..., Any]) -> Callable[..., Any]:
        def told(index: int, given: Any) -> Any:
            reply = perform(index, given)
            if not self._feed.is_on or index not in self._feed.tables:
                return reply
            if self._feed.is_large(len(given), self._rows()):
                self._feed.reset(self._owner)
            else:
                live = self._writer.rows[index].live
                keys = given if isinstance(given, dict) else {key: None for key, _ in given}
                self.note([_cell(live, index, key) for key in keys])
            return reply

        return told

    def _clear(self, perform: Callable[..., Any]) -> Callable[..., Any]:
        def told(index: int) -> Any:
            reply = perform(index)
            if reply:
                self.note([("clear", index)])
            return reply

        return told

    def _rows(self) -> int:
        rows = self._writer.rows
        return sum(len(rows[index]) for index in self._feed.tables)


def _cell(live: dict[Any, Any], index: int, key: Any) -> Change:
    cell = live.get(key, MISSING)
    return ("delete", index, key) if cell is MISSING else ("put", index, key, cell)
