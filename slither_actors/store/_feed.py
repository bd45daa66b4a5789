"""Replicas: how the tables of `Table(replicate=True)` get into the workers and stay true there.

What is promised. A batch sees every write that was acknowledged before the
batch was sent, and a worker sees its own writes once they are acknowledged.
A transaction, a bulk insert, a clear and a reload are seen whole or not at all.

What goes over the wire, per store and not per table, so that a transaction
over two replicated tables of a store is whole in a worker as well:

    worker                        driver
    first read  ──── call ──────▶ copy of the tables at position p, without a
                                  lock, or in the server's turn where writes
                                  are always in the way; pickled in a task, once
                ◀─── snapshot p ─ through sealed memory that all workers map
                ◀─── changes ──── p+1 … q, what was written meanwhile
                ◀─── ready ────── the worker publishes all of it in one step
    next batch  ◀─── changes ──── q+1 … r, ahead of the batch
    own write   ──── call ──────▶ performed and acknowledged
                ◀─── changes ──── r+1 … s, ahead of the answer
    far behind  ◀─── stale ────── ahead of a batch; the next read is a first one

* The *position* of a store's feed counts what readers can see change: each
  write, each transaction, each publication of a load. It only ever grows.
* A worker is subscribed by its first read of a replicated table, not by its
  start: a worker that never reads one has no copy of it, and a pool that runs
  other things pays nothing. The unit is the store.
* The changes of single rows (those that `_draft` describes, with the cells as
  the table's dict has them) are logged, from the first subscription to the
  end of the last, and not otherwise. The log is pickled once, however many
  workers there are, by whoever comes first: a batch that needs it, or the
  writer, for every `_TAIL` changes.
* The log is bounded by the size of the last snapshot (`_LEAST_LOG` bytes at
  least): who is farther behind than that is told to fetch a snapshot, since
  that is then the shorter way. So is everybody after a load, and after a write
  of so many rows that it is no longer small beside the table.
* A snapshot is kept for `KEEP_SECONDS` after it was made, for workers that
  come at the same time, and then let go of. A worker unpickles it into rows of
  its own, and then needs it no more.
* A server that dies says nothing, so workers read on, as the driver's readers
  do, what was published last. Its successor's first publication makes them
  stale. A worker that dies takes its subscription along.

A write is logged before it is acknowledged, and just after the driver's own
readers can see it. A value that cannot be pickled makes the workers stale, and
their next read raises the reason.
"""

from __future__ import annotations

import logging
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import attrs

from slither_actors.errors import PayloadError
from slither_actors.pool._news import SealedBytes, dumps_for_workers
from slither_actors.store._statistics import ReplicaStatistics

__all__ = ["CHANGES", "READY", "SNAPSHOT", "STALE", "Copy", "Feed", "Following", "opened", "pieces_of"]

logger = logging.getLogger("slither_actors.store")

SNAPSHOT, CHANGES, READY, STALE = b"s", b"c", b"r", b"x"
"""What news begins with; the store's key and what there is to tell follow."""

KEEP_SECONDS: Final = 10.0
_TAIL: Final = 256
"""Changes that are pickled together at the latest."""
_LEAST_LOG: Final = 1 << 20
_LARGE: Final = 10_000
"""Changed rows that are told of in any case, where the table is smaller than eight times that."""
_PIECE: Final = 1 << 20
"""Bytes of a snapshot that are pickled in one go: other threads have to wait for so long."""
_MOST_ROWS: Final = 10_000

_HEAD: Final = struct.Struct("<H")
_LENGTH: Final = struct.Struct("<Q")

Change = tuple[Any, ...]


@attrs.frozen(eq=False)
class Copy:
    """The replicated tables at one position, and a place in the feed from there on."""

    following: Following
    cells: Mapping[int, dict[Any, Any]]
    """By the tables' indices."""


@attrs.frozen(eq=False)
class _Chunk:
    """Changes between two positions, as workers get them."""

    begin: int
    body: bytes


class Following:
    """What one worker has been told. Its lane is the only caller, but for `position`."""

    __slots__ = ("__weakref__", "is_over", "is_ready", "position", "subject")

    def __init__(self, feed: Feed, position: int) -> None:
        self.subject = feed
        self.position = position
        self.is_over = False
        self.is_ready = False

    @property
    def is_behind(self) -> bool:
        """Whether there is something to tell."""
        return self.position != self.subject.position or not self.is_ready

    def take(self) -> Sequence[bytes]:
        """What there is to tell."""
        return self.subject.news(self)


class Feed:
    """The changes of one store's replicated tables, for the workers that follow them.

    Any thread. It belongs to the store's pointer and outlives its servers.
    """

    def __init__(self, key: str, name: str, tables: Mapping[int, str]) -> None:
        self._key = key
        self._name = name
        self.tables = tables
        """The names of the replicated tables by their indices."""
        self.position = 0
        self.is_on = False
        """Whether changes are logged."""
        self._lock = threading.RLock()  # pickling runs the user's code, which may write
        self._making = threading.Lock()
        self._owner: object | None = None
        self._begin = 0
        """From this position on the log is complete."""
        self._chunks: deque[_Chunk] = deque()
        self._bytes = 0
        self._tail: list[Sequence[Change]] = []
        self._tail_changes = 0
        self._followings: weakref.WeakSet[Following] = weakref.WeakSet()
        self._snapshot: SealedBytes | None = None
        self._snapshot_position = 0
        self._snapshot_bytes = 0
        self._snapshots = 0

    # -- the store's server ----------------------------------------------------

    def reset(self, owner: object | None) -> None:
        """Other tables were published: by `owner`, who is heard from now on."""
        with self._lock:
            self._owner = owner
            self._forget()
            if owner is None:
                self.is_on = False
                self._snapshots = self._snapshot_bytes = 0

    def note(self, owner: object, changes: Sequence[Change], rows: int) -> None:
        """Readers can see `changes`, all at once, since a moment ago. The tables have `rows` rows."""
        if not self.is_on:
            return
        changes = [change for change in changes if change[1] in self.tables]
        if not changes:
            return
        if not self.is_large(len(changes), rows):
            self._log(owner, changes)
            return
        with self._lock:
            if owner is self._owner:
                self._forget()

    def note_one(self, owner: object, change: Change) -> None:
        """As `note`, for one change."""
        if self.is_on and change[1] in self.tables:
            self._log(owner, (change,))

    def _log(self, owner: object, changes: Sequence[Change]) -> None:
        with self._lock:
            if owner is not self._owner or not self.is_on:
                return  # a server that was replaced
            self.position += 1
            self._tail.append(changes)
            self._tail_changes += len(changes)
            if self._tail_changes >= _TAIL:
                if self._followings or self._snapshot is not None:
                    self._seal()
                else:
                    self.is_on = False
                    self._forget()

    def nudge(self, owner: object) -> None:
        """Rows that are over were removed, as workers may do with theirs."""
        with self._lock:
            if self.is_on and owner is self._owner:
                self.position += 1
                self._tail.append(())

    @staticmethod
    def is_large(changes: int, rows: int) -> bool:
        """Whether tables with so many rows are better fetched anew than told of so many changes."""
        return changes > max(_LARGE, rows // 8)

    def copied(self, cells: Mapping[int, dict[Any, Any]]) -> Copy:
        """A subscription that begins with `cells`, a copy of the tables as they are. In the server's turn."""
        with self._lock:
            self.switch_on()
            self._seal()
            return Copy(self._follow(self.position), cells)

    # -- the tasks that answer workers -------------------------------------------

    def switch_on(self) -> None:
        """Log what readers see change from now on; what they saw before is in a copy made after this."""
        with self._lock:
            if not self.is_on:
                self.is_on = True
                self._forget()

    def copied_at(self, position: int, cells: Mapping[int, dict[Any, Any]]) -> Copy | None:
        """As `copied`, for a copy that was begun at `position`; None if something has happened since.

        It may have the write that is being performed. To be told of that one as well does no harm:
        a change says what a cell is, not what is done to it.
        """
        with self._lock:
            self._seal()
            if position != self.position or not self.is_on:
                return None
            return Copy(self._follow(position), cells)

    def subscribe(self, copy: Callable[[], Copy], *, fresh: bool) -> tuple[Following, SealedBytes]:
        """A following for one worker, and the snapshot that it begins with.

        One is made if there is none, or if it is to be `fresh`.

        Raises:
            PayloadError: a row cannot be pickled.
            OSError: there is no memory for a snapshot.
        """
        with self._making:  # once, also if all workers ask at the same time
            known = None if fresh else self._join()
            if known is not None:
                return known
            made = copy()
            snapshot = SealedBytes(self._pieces(made.cells))
            with self._lock:
                self._snapshots += 1
                self._snapshot_bytes = snapshot.size
                if made.following.position >= self._begin:
                    self._snapshot, self._snapshot_position = snapshot, made.following.position
            return made.following, snapshot

    def forget_snapshot(self) -> None:
        """Let go of the snapshot: nobody has asked for a while."""
        with self._lock:
            self._snapshot = None
            self._trim()

    def _join(self) -> tuple[Following, SealedBytes] | None:
        with self._lock:
            if self._snapshot is None or self._snapshot_position < self._begin:
                return None
            return self._follow(self._snapshot_position), self._snapshot

    def _pieces(self, cells: Mapping[int, dict[Any, Any]]) -> Iterator[bytes]:
        yield self._head(SNAPSHOT)
        for index, table in cells.items():
            rows, count = iter(table.items()), 64
            name = f"rows of {self._name}.{self.tables[index]} for a worker"
            while True:
                piece = list(islice(rows, count))
                data = dumps_for_workers((index, piece), name)
                yield _LENGTH.pack(len(data))
                yield data
                if len(piece) < count:
                    break
                # Pickling holds the interpreter's lock, so it is done in pieces of a bounded size.
                count = max(1, min(_MOST_ROWS, count * 4, count * _PIECE // len(data)))

    # -- the lanes of workers ------------------------------------------------------

    def news(self, following: Following) -> list[bytes]:
        """What the worker of `following` has not been told."""
        with self._lock:
            if following.position >= self._begin:
                self._seal()
            if following.position < self._begin:  # also if that has just failed
                following.is_over = True
                self._followings.discard(following)
                return [self._head(STALE)]
            bodies = [chunk.body for chunk in self._chunks if chunk.begin >= following.position]
            following.position = self.position
            self._trim()
        if not following.is_ready:
            following.is_ready = True
            bodies.append(self._head(READY))
        return bodies

    # -- under the lock --------------------------------------------------------------

    def _follow(self, position: int) -> Following:
        following = Following(self, position)
        self._followings.add(following)
        return following

    def _forget(self) -> None:
        """Everybody is too far behind, from here on."""
        self.position += 1
        self._begin = self.position
        self._chunks.clear()
        self._bytes = 0
        self._tail, self._tail_changes = [], 0
        self._snapshot = None

    def _seal(self) -> None:
        """Pickle what is not pickled yet."""
        if not self._tail:
            return
        groups, begin = self._tail, self.position - len(self._tail)
        self._tail, self._tail_changes = [], 0
        try:
            body = self._head(CHANGES) + dumps_for_workers(groups, f"a row of {self._name} for a worker")
        except PayloadError as error:
            logger.error("store %s: workers cannot be told of a write: %s", self._name, error)
            self._forget()
            return
        self._chunks.append(_Chunk(begin, body))
        self._bytes += len(body)
        if self._bytes <= max(_LEAST_LOG, self._snapshot_bytes):
            return
        while self._bytes > max(_LEAST_LOG, self._snapshot_bytes):
            self._drop_first()
        if self._snapshot is None and all(each.position < self._begin for each in self._followings):
            self.is_on = False  # all are to fetch a snapshot in any case
            self._forget()

    def _drop_first(self) -> None:
        self._bytes -= len(self._chunks.popleft().body)
        self._begin = self._chunks[0].begin if self._chunks else self.position - len(self._tail)
        if self._snapshot_position < self._begin:
            self._snapshot = None

    def _trim(self) -> None:
        """Let go of what everybody has been told."""
        floor = min((each.position for each in self._followings), default=self.position)
        if self._snapshot is not None:
            floor = min(floor, self._snapshot_position)
        while self._chunks and self._chunks[0].begin < floor:
            self._drop_first()

    def _head(self, kind: bytes) -> bytes:
        key = self._key.encode()
        return kind + _HEAD.pack(len(key)) + key

    def statistics(self) -> ReplicaStatistics:
        """What the replicas are and cost at the moment."""
        with self._lock:
            return ReplicaStatistics(
                workers=len(self._followings),
                snapshots=self._snapshots,
                snapshot_bytes=self._snapshot_bytes,
                shared_bytes=0 if self._snapshot is None else self._snapshot.size,
                log_bytes=self._bytes,
                position=self.position,
            )


# -- in the worker ---------------------------------------------------------------------


def opened(news: memoryview) -> tuple[bytes, str, memoryview]:
    """Its kind, the store's key, and the rest."""
    (length,) = _HEAD.unpack_from(news, 1)
    at = 1 + _HEAD.size
    return bytes(news[:1]), str(news[at : at + length], "utf-8"), news[at + length :]


def pieces_of(snapshot: memoryview) -> Iterator[memoryview]:
    """The pickles of a snapshot."""
    at = 0
    while at < len(snapshot):
        (length,) = _LENGTH.unpack_from(snapshot, at)
        at += _LENGTH.size
        yield snapshot[at : at + length]
        at += length
