"""The example while somebody kills its workers at random, every 200 ms: every document is accounted for."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import attrs
import pytest

from tests.cli.command import Cli, until
from tests.cli.test_stopping import workers_of
from tests.examples.test_text_analysis import SENT, cpu_seconds, numbers

INTERVAL = 0.2
PATIENCE = 45.0
"""Seconds that a run may take on a machine that has much else to do; alone it takes a few, kills included."""

LONG = ("some good and some bad words " * 300 + "\n\n----\n\n") * 2500
"""2,500 documents with words, and as many without; a batch of the former takes a tenth of a second."""

LOST = re.compile(r"  batch (\d+) \((\d+) documents\): worker (\d+) .*died.*SIGKILL")
BOOK = re.compile(r"^(\d+) +([\d,]+) +([\d,]+) +[\d,]+$", re.MULTILINE)


@attrs.frozen
class Disturbed:
    """A run that has ended."""

    out: str
    err: str
    killed: list[int]


def disturb(process: subprocess.Popen[bytes], seed: int) -> Disturbed:
    """Kill a worker, chosen at random, every `INTERVAL` seconds until the run has ended."""
    busy(process)  # before that there is nothing to lose
    chance = random.Random(seed)
    killed = []
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            process.wait(INTERVAL)
            break
        except subprocess.TimeoutExpired:
            assert time.monotonic() < deadline, f"still running after {len(killed)} kills"
        if workers := workers_of(process.pid):
            victim = chance.choice(workers)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
    out, err = (text.decode() for text in process.communicate(timeout=5))
    assert process.returncode == 0, out + err
    return Disturbed(out, err, killed)


def check_the_books(run: Disturbed) -> tuple[int, int]:
    """Every document is counted or lost, and every loss is a kill of ours; return how many of each."""
    sent, counted, wordless, lost = numbers(run.out, SENT)
    assert sent == counted + wordless + lost
    assert "the books agree" in run.out
    losses = LOST.findall(run.out)
    assert sum(int(documents) for _, documents, _ in losses) == lost
    assert len({ref for ref, _, _ in losses}) == len(losses), "a batch was lost twice"
    blamed = [int(pid) for _, _, pid in losses]
    assert len(set(blamed)) == len(blamed), "a kill cost more than one batch"
    assert set(blamed) <= set(run.killed), "a batch was lost without a kill"
    assert sum(int(each.replace(",", "")) for _, each, _ in BOOK.findall(run.out)) == counted
    assert "Traceback" not in run.err
    return counted, lost


def test_every_document_of_the_standard_library_is_accounted_for(cli: Cli) -> None:
    """The example as it is: small batches, most kills hit a worker that waits or starts."""
    process = cli.start("example", "text_analysis", "--no-baseline", "--workers", "3")
    run = disturb(process, seed=5)
    assert len(run.killed) >= 3
    counted, _ = check_the_books(run)
    assert counted >= 5000


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_every_document_of_long_batches_is_accounted_for(cli: Cli, seed: int) -> None:
    """Batches that take a tenth of a second: most kills hit one, which is named with its worker."""
    cli.write("in.txt", LONG)
    process = cli.start("example", "text_analysis", "--no-baseline", "--workers", "3", "--input", "in.txt")
    run = disturb(process, seed)
    counted, lost = check_the_books(run)
    assert counted + lost == 2500
    assert numbers(run.out, SENT)[2] == 2500
    assert lost > 0
    assert counted > 0


def test_a_fork_server_that_is_killed_costs_what_its_workers_ran(cli: Cli) -> None:
    """Another one is started; the batches of the workers that went with it are named."""
    cli.write("in.txt", LONG)
    process = cli.start("example", "text_analysis", "--no-baseline", "--workers", "2", "--input", "in.txt")
    (server,) = {parent_of(worker) for worker in busy(process)}
    os.kill(server, signal.SIGKILL)
    run = disturb(process, seed=3)
    sent, counted, wordless, lost = numbers(run.out, SENT)
    assert sent == counted + wordless + lost
    assert counted > 0
    assert "the books agree" in run.out


def parent_of(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def busy(process: subprocess.Popen[bytes]) -> list[int]:
    """The workers, once one of them is at it."""

    def look() -> list[int]:
        workers = workers_of(process.pid)
        with contextlib.suppress(FileNotFoundError):
            if any(cpu_seconds(worker) > 0.05 for worker in workers):
                return workers
        return []

    found: list[int] = until(look, "a worker that is at it")
    return found
