"""A program that writes to a store in a file until it is killed, and says what was acknowledged."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from slither_actors.store import LoadTables, SQLite, Store, StoreSupervisor, Table, Transaction

ACCOUNTS = 5
EACH = 100
WIDTH = 20
WRITERS = 3
BAG = 64
KINDS = ("move", "put", "bulk", "count", "both", "order", "drop", "session")


class Ledger(Store):
    """Money that is moved around, and a note of each write."""

    accounts: Table[int, int] = Table()
    moves: Table[Any, int] = Table()
    notes: Table[Any, Any] = Table()
    scores: Table[Any, int] = Table(ordered=True)
    tags: Table[Any, int] = Table(bag=True)
    sessions: Table[Any, int] = Table(ttl=3600, max_rows=1_000_000)
    write_timeout = 30.0

    def load(self, tables: LoadTables) -> None:
        tables.accounts.insert(dict.fromkeys(range(ACCOUNTS), EACH))


def move(tx: Transaction, writer: int, number: int) -> None:
    """Take from one account, give to another, and note that; all of it or nothing."""
    source = (writer + number) % ACCOUNTS
    tx.accounts.increment(source, -number % 7)
    tx.accounts.increment((source + 1) % ACCOUNTS, -(-number % 7))
    tx.moves.put((writer, number), number)


def score(tx: Transaction, writer: int, number: int) -> None:
    """A row of the ordered table, and one of the bag; all of it or nothing."""
    tx.scores.put((writer, number), number)
    tx.tags.put((writer, number // BAG), number)


def write(writer: int, start: int) -> None:
    """Write for ever; a line for each acknowledged write: its kind, the writer, and a number."""
    number = start
    while True:
        kind = KINDS[number % len(KINDS)]
        if kind == "move":
            Ledger.transact(move, writer, number)
        elif kind == "put":
            Ledger.notes.put((writer, number), "x" * (number % 300))
        elif kind == "bulk":
            Ledger.notes.bulk_insert({(writer, number, part): part for part in range(WIDTH)})
        elif kind == "both":
            Ledger.transact(score, writer, number)
        elif kind == "order":
            Ledger.scores.put((writer, number, "for now"), number)
        elif kind == "drop":
            Ledger.scores.delete((writer, number - 1, "for now"))
        elif kind == "session":
            Ledger.sessions.put((writer, number), number)
        else:
            Ledger.notes.increment(("count", writer))
        os.write(1, f"{kind} {writer} {number}\n".encode())
        number += 1


def main() -> None:
    """Arguments: the file, and the number to begin with."""
    Ledger.backing = SQLite(Path(sys.argv[1]))
    StoreSupervisor.start([Ledger])
    for writer in range(WRITERS):
        threading.Thread(target=write, args=(writer, int(sys.argv[2])), daemon=True).start()
    threading.Event().wait(60)  # the test kills it long before


if __name__ == "__main__":
    main()
