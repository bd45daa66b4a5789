"""A pool as a test uses it: submit from the test's thread, wait for what comes back."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slither_actors.actors import Ref, Server
from slither_actors.pool import STATISTICS, Job, Pool, PoolStatistics, Target

__all__ = ["Asker", "asking", "exists", "is_alive", "stand_still", "until"]

PATIENCE = 20.0
"""Seconds that a test waits for what has to happen; far more than it takes."""


class Inbox(Server):
    """Where jobs come back to."""

    def init(self, back: queue.SimpleQueue[Job]) -> None:
        self.back = back

    def on_done(self, job: Job) -> None:
        self.back.put(job)


class Asker:
    """Gives jobs to one pool and gets them back, each exactly once."""

    def __init__(self, pool: Ref) -> None:
        self.pool = pool
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._back: set[Job] = set()
        self._inbox = Inbox.start(self._queue)
        self._targets: dict[Any, Target] = {}

    def submit(self, function: str | Callable[..., Any], payloads: list[Any], **options: Any) -> Job:
        job = self.job(function, payloads, **options)
        self.pool.send(Pool.submit, job)
        return job

    def job(self, function: str | Callable[..., Any], payloads: list[Any], **options: Any) -> Job:
        """Make one, without giving it to the pool."""
        target = self._targets.setdefault(function, Target.of(function))
        return Job(target, payloads, self._inbox, Inbox.on_done, **options)

    def cancel(self, job: Job, *, kill: bool = False) -> None:
        job.kill = kill
        self.pool.send(Pool.cancel, job)

    def wait(self, *jobs: Job) -> None:
        """Wait until each of the jobs has come back."""
        deadline = time.monotonic() + PATIENCE
        while any(job not in self._back for job in jobs):
            try:
                job = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                missing = [job.description for job in jobs if job not in self._back]
                msg = f"did not come back: {missing}; {self.statistics()}"
                raise AssertionError(msg) from None
            assert job not in self._back, f"{job.description} came back twice"
            self._back.add(job)

    def run(self, function: str | Callable[..., Any], payloads: list[Any], **options: Any) -> list[Any]:
        """Run one batch; raise its error."""
        job = self.submit(function, payloads, **options)
        self.wait(job)
        if job.error is not None:
            raise job.error
        assert job.results is not None
        return job.results

    def statistics(self) -> PoolStatistics:
        found: PoolStatistics = self.pool.call(STATISTICS, timeout=PATIENCE)
        return found

    def resize(self, workers: int) -> None:
        self.pool.resize(workers)  # type: ignore[attr-defined]

    def nothing_more(self) -> None:
        """Nothing has come back since the last `wait`."""
        self._inbox.stop()  # after what is in its mailbox
        assert self._queue.empty()

    def close(self) -> None:
        self._inbox.stop()


@contextlib.contextmanager
def asking(workers: int = 1, **options: Any) -> Iterator[Asker]:
    """Start a pool, and stop it at the end."""
    pool = Pool.start("tests", workers=workers, **options)
    asker = Asker(pool)
    try:
        yield asker
    finally:
        pool.stop(timeout=PATIENCE)
        asker.close()


def stand_still(_: Pool, seconds: float) -> None:
    """Have the pool do nothing for a while: ``asker.pool.send(stand_still, 0.5)``."""
    time.sleep(seconds)


def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for something in another process, of which no event tells."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen: {what or condition}"
        pause.wait(0.005)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def exists(pattern: Path) -> list[Path]:
    """The files that begin with this path and a dot."""
    return sorted(pattern.parent.glob(f"{pattern.name}.*"))


def pid_of(path: Path) -> int:
    """The pid at the end of a file's name."""
    return int(path.name.rpartition(".")[2])


assert os.name == "posix"
