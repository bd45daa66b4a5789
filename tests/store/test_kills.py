"""A program that is killed while it writes: whatever it was told was written is in the file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import attrs
import pytest

import slither_actors
from slither_actors.store import SQLite, StoreSupervisor, retire
from tests.store import ledger
from tests.store.ledger import ACCOUNTS, EACH, KINDS, WIDTH, WRITERS, Ledger

ROOT = Path(ledger.__file__).parent.parent.parent


@attrs.define
class Acknowledged:
    """What the programs have said so far."""

    writes: set[tuple[str, int, int]] = attrs.field(factory=set)
    counts: Counter[int] = attrs.field(factory=Counter)
    kills: int = 0
    next: int = 0

    def hear(self, line: bytes) -> None:
        kind, writer, number = line.split()
        self.writes.add((kind.decode(), int(writer), int(number)))
        self.counts[int(writer)] += kind == b"count"
        self.next = max(self.next, int(number) + 1)


def run_and_kill(path: Path, heard: Acknowledged, lines: int) -> None:
    """Kill the program once it has said that many lines; hear those that are still in the pipe, too."""
    package = str(Path(slither_actors.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([package, str(ROOT)])}
    # What was not acknowledged may be there or not: the next program begins above it.
    command = [sys.executable, "-m", "tests.store.ledger", str(path), str(heard.next + 8)]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        for _ in range(lines):
            line = program.stdout.readline()
            assert line, "the program ended by itself"
            heard.hear(line)
        program.send_signal(signal.SIGKILL)
        for line in program.stdout:
            if line.endswith(b"\n"):
                heard.hear(line)
    heard.kills += 1


def check(path: Path, heard: Acknowledged) -> None:
    """Nothing that was acknowledged is missing, and nothing is there by half."""
    Ledger.backing = SQLite(path)
    supervisor = StoreSupervisor.start([Ledger])
    try:
        notes, moves = Ledger.notes.snapshot(), Ledger.moves.snapshot()
        assert sum(Ledger.accounts.values()) == ACCOUNTS * EACH
        balances = dict.fromkeys(range(ACCOUNTS), EACH)
        for writer, number in moves:
            source = (writer + number) % ACCOUNTS
            balances[source] += -number % 7
            balances[(source + 1) % ACCOUNTS] -= -number % 7
        assert Ledger.accounts.snapshot() == balances
        for kind, writer, number in heard.writes:
            if kind == "move":
                assert (writer, number) in moves
            elif kind == "put":
                assert notes[writer, number] == "x" * (number % 300)
            elif kind == "bulk":
                assert (writer, number, 0) in notes
            elif kind == "both":
                assert Ledger.scores.get((writer, number)) == number
            elif kind == "drop":
                assert (writer, number - 1, "for now") not in Ledger.scores
            elif kind == "session":
                assert Ledger.sessions.get((writer, number)) == number
        scored = [key for key in Ledger.scores if len(key) == 2]
        assert scored == sorted(scored)
        assert set(scored) == {(key[0], number) for key, number in Ledger.tags.items()}
        parts = Counter(key[:2] for key in notes if len(key) == 3)
        assert set(parts.values()) <= {WIDTH}
        for writer in range(WRITERS):
            # At most one more per kill: the one that was on its way.
            assert 0 <= notes.get(("count", writer), 0) - heard.counts[writer] <= heard.kills
    finally:
        supervisor.stop()
        retire(Ledger)


def kill(path: Path, times: int) -> None:
    chance = random.Random(times)
    heard = Acknowledged()
    for _ in range(times):
        run_and_kill(path, heard, chance.randrange(1, 400))
        check(path, heard)
    assert heard.kills == times
    assert {kind for kind, *_ in heard.writes} == set(KINDS)


@pytest.mark.stress
def test_no_acknowledged_write_is_lost_in_8_kills(tmp_path: Path) -> None:
    """Single writes, bulk inserts and transactions of three threads, to all kinds of tables, on one file."""
    kill(tmp_path / "ledger.db", 8)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_acknowledged_write_is_lost_in_100_kills(tmp_path: Path) -> None:
    """The same for longer."""
    kill(tmp_path / "ledger.db", 100)
