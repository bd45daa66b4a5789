"""A durable queue in an SQLite file, as the input of pipes where there is no server."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from slither_actors.config import build, positive_int, positive_seconds, seconds_or_none
from slither_actors.core import RateLimit
from slither_actors.errors import safe_text
from slither_actors.errors._text import class_name, encodable
from slither_actors.pipe import Ack, AckSource, Delivery

__all__ = ["SqliteQueue", "SqliteQueueStatistics"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS slither_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    payload TEXT NOT NULL,
    free_at REAL NOT NULL,
    holder TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    is_dead INTEGER NOT NULL DEFAULT 0,
    error TEXT
);
CREATE INDEX IF NOT EXISTS slither_queue_order ON slither_queue (queue, is_dead, id, free_at);
"""

_FREE = """
SELECT id, payload FROM slither_queue WHERE queue = ? AND is_dead = 0 AND free_at <= ? ORDER BY id LIMIT ?
"""

_BUSY_SECONDS = 30.0
"""How long a process waits for others that write to the file."""

_UNREAD = RuntimeError("the run ended before it read this element")

_AT_ONCE = 0.0
"""When an element is free that waits for nothing: whatever the clock says, which may be set back."""

_BEATS = 3
"""How often a lease is renewed while it lasts."""


@attrs.frozen(kw_only=True)
class SqliteQueueStatistics:
    """What a queue held at one moment."""

    waiting: int
    """Elements that are to be delivered, also those that wait for another attempt."""

    delivered: int
    """Elements on their way through a pipe."""

    dead: int
    """Elements that failed too often."""


@attrs.frozen(kw_only=True)
class _Options:
    name: str = "default"
    lease_seconds: float = attrs.field(default=30.0, validator=positive_seconds)
    max_failures: int = attrs.field(default=3, validator=positive_int)
    retry_seconds: float = attrs.field(default=1.0, validator=positive_seconds)
    poll_seconds: float = attrs.field(default=0.1, validator=positive_seconds)
    idle_seconds: float | None = attrs.field(default=None, validator=seconds_or_none)
    ack_size: int = attrs.field(default=100, validator=positive_int)
    ack_seconds: float = attrs.field(default=0.2, validator=positive_seconds)
    fetch_size: int = attrs.field(default=100, validator=positive_int)
    rate_limit: RateLimit | None = None
    dumps: Callable[[Any], Any] = json.dumps
    loads: Callable[[Any], Any] = json.loads


class SqliteQueue(AckSource):
    """A queue in a file, which any number of processes may fill and empty.

    An element leaves it when all that came of it has ended. One that fails comes
    again, and after ``max_failures`` is set aside. One whose process died comes
    again when its lease has ended; a process that lives renews it.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Open a queue, which is made if it is not there.

        Args:
            path: the file.
            **options: ``name`` ("default") of the queue in the file; ``lease_seconds`` (30.0);
                ``max_failures`` (3); ``retry_seconds`` (1.0), what a failed element waits; ``poll_seconds``
                (0.1); ``idle_seconds`` (None), after which the input of a run ends if nothing came and
                nothing was acknowledged; ``ack_size`` (100) and ``ack_seconds`` (0.2), see `AckSource`;
                ``fetch_size`` (100), how many elements are read at one time; ``rate_limit``; ``dumps`` and
                ``loads``, to and from what SQLite stores (JSON).

        Raises:
            OptionError: an option is wrong.
        """
        self._path = Path(path)
        self._options = build(_Options, options, where="SqliteQueue")
        self.ack_size, self.ack_seconds = self._options.ack_size, self._options.ack_seconds
        self.rate_limit = self._options.rate_limit
        self.beat_seconds = self._options.lease_seconds / _BEATS
        self._holder = uuid.uuid4().hex
        self._moved = 0.0
        """When something was last delivered or acknowledged."""
        self._turn = threading.Lock()
        self._held: set[int] = set()
        """What is delivered and not acknowledged; `_turn` is held while it is used."""
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)

    def put(self, payloads: Iterable[Any]) -> int:
        """Add elements, all or none; they are on the disk when this returns. Return how many."""
        name, dumps = self._options.name, self._options.dumps
        rows = [(name, dumps(payload), _AT_ONCE) for payload in payloads]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO slither_queue (queue, payload, free_at) VALUES (?, ?, ?)", rows
            )
        return len(rows)

    def statistics(self) -> SqliteQueueStatistics:
        """Return what the queue holds now."""
        count = "SELECT is_dead, holder IS NOT NULL AND free_at > ?, count(*) FROM slither_queue"
        with closing(self._connect()) as connection:
            rows = connection.execute(
                f"{count} WHERE queue = ? GROUP BY 1, 2", (time.time(), self._options.name)
            ).fetchall()
        return SqliteQueueStatistics(
            waiting=sum(found for is_dead, held, found in rows if not is_dead and not held),
            delivered=sum(found for is_dead, held, found in rows if not is_dead and held),
            dead=sum(found for is_dead, _, found in rows if is_dead),
        )

    def dead_letters(self) -> list[tuple[Any, str]]:
        """Return the elements that failed too often, each with its last error."""
        find = "SELECT payload, error FROM slither_queue WHERE queue = ? AND is_dead ORDER BY id"
        with closing(self._connect()) as connection:
            rows = connection.execute(find, (self._options.name,)).fetchall()
        return [(self._options.loads(payload), error) for payload, error in rows]

    def revive(self) -> int:
        """Have the elements that failed too often delivered again. Return how many."""
        again = "UPDATE slither_queue SET is_dead = 0, failures = 0, free_at = ? WHERE queue = ? AND is_dead"
        with self._transaction() as connection:
            return connection.execute(again, (_AT_ONCE, self._options.name)).rowcount

    # -- for a run ---------------------------------------------------------------------

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        """Claim elements and deliver them, the oldest first."""
        options, self._moved = self._options, time.monotonic()
        while not stopping.is_set():
            claimed = self._claim()
            if claimed:
                yield from self._delivered(claimed)
                self._moved = time.monotonic()
            elif options.idle_seconds is not None and time.monotonic() - self._moved >= options.idle_seconds:
                return
            else:
                stopping.wait(options.poll_seconds)

    def _delivered(self, claimed: deque[tuple[int, Any]]) -> Iterator[Delivery]:
        try:
            while claimed:
                number, payload = claimed.popleft()
                try:
                    loaded = self._options.loads(payload)
                except Exception as error:  # noqa: BLE001 - the user's; no other element is to suffer
                    self.acknowledge([Ack(number, error)])
                else:
                    yield Delivery(loaded, number)
        finally:
            if claimed:  # the run ends, and nobody has seen these
                self.acknowledge([Ack(number, _UNREAD, interrupted=True) for number, _ in claimed])

    def acknowledge(self, acks: Sequence[Ack]) -> None:
        """Delete what is done; have the rest delivered again, or set it aside."""
        now = time.time()
        with self._turn:
            self._held.difference_update(ack.token for ack in acks)
        self._moved = time.monotonic()
        done = [(ack.token,) for ack in acks if ack.error is None]
        early = [
            (_AT_ONCE, ack.token, self._holder) for ack in acks if ack.error is not None and ack.interrupted
        ]
        failed = [
            (
                now + self._options.retry_seconds,
                self._options.max_failures,
                encodable(f"{class_name(ack.error)}: {safe_text(ack.error)}"),
                ack.token,
                self._holder,
            )
            for ack in acks
            if ack.error is not None and not ack.interrupted
        ]
        update = "UPDATE slither_queue SET holder = NULL, free_at = ?"
        with self._transaction() as connection:
            connection.executemany("DELETE FROM slither_queue WHERE id = ?", done)
            connection.executemany(f"{update} WHERE id = ? AND holder = ?", early)
            connection.executemany(
                f"{update}, failures = failures + 1, is_dead = failures + 1 >= ?, error = ? "
                "WHERE id = ? AND holder = ?",
                failed,
            )

    def beat(self) -> None:
        """Renew the leases."""
        until = time.time() + self._options.lease_seconds
        with self._turn:
            held = [(until, number, self._holder) for number in self._held]
        if not held:
            return
        with self._transaction() as connection:
            connection.executemany("UPDATE slither_queue SET free_at = ? WHERE id = ? AND holder = ?", held)

    def _claim(self) -> deque[tuple[int, Any]]:
        options, now = self._options, time.time()
        with closing(self._connect()) as connection:  # most of the time there is nothing: do not write then
            if not connection.execute(_FREE, (options.name, now, 1)).fetchone():
                return deque()
        with self._transaction() as connection:
            found = connection.execute(_FREE, (options.name, now, options.fetch_size)).fetchall()
            connection.executemany(
                "UPDATE slither_queue SET holder = ?, free_at = ? WHERE id = ?",
                [(self._holder, now + options.lease_seconds, number) for number, _ in found],
            )
        with self._turn:
            # What we have already was not renewed in time, and is now.
            claimed = deque(row for row in found if row[0] not in self._held)
            self._held.update(number for number, _ in claimed)
        return claimed

    def _connect(self) -> sqlite3.Connection:
        # One for each use: which thread it is differs from call to call.
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection
