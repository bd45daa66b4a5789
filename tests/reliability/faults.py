"""What the programs of the fault tests have in common: a census, a pool that has settled, and faults.

A program takes a `Baseline` when all that is started once has been started, and ends with its `check`:
no process, zombie, descriptor, thread, shared-memory file or temporary file may be left two seconds later.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slither_actors import Application, dispatch
from slither_actors.actors import whereis
from slither_actors.pool import STATISTICS, PoolStatistics, in_worker
from tests import leaks
from tests.pool.work import DEEDS

__all__ = [
    "EXIT_STATUS",
    "Baseline",
    "Fault",
    "idle_pids",
    "pool_of",
    "soon",
    "squared",
    "statistics",
    "suffer",
]

EXIT_STATUS = {"SIGKILL": -9, "segfault": -11, "abort": -6, "_exit(0)": 0, "_exit(42)": 42, "libc exit(0)": 0}
"""The deeds that end a worker, and how."""

FOLDERS = (Path("/dev/shm"), Path(tempfile.gettempdir()))


def files() -> set[Path]:
    """Return what lies in the places for shared memory and temporary files."""
    return {path for folder in FOLDERS if folder.exists() for path in folder.iterdir()}


def in_use_elsewhere() -> set[int]:
    """Return the inodes of shared memory that processes which are not ours have mapped.

    Not the paths: a semaphore is mapped under the name that it had while it was made.
    """
    ours = {os.getpid(), *(process.pid for process in leaks.processes())}
    found = set()
    for path in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            if int(path.parent.name) not in ours:
                lines = path.read_text().splitlines()
                found |= {int(line.split()[4]) for line in lines if "/dev/shm/" in line}
    return found


def inode(path: Path) -> int:
    """Return that of a file, 0 if it is gone."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


class Baseline:
    """What exists now, after one run over a pool of the start method."""

    def __init__(self, method: str) -> None:
        with Application(pools=pool_of(1, method)):
            dispatch.run([(0, None)], executor=suffer)
        soon(lambda: not [each for each in leaks.threads() if not each.is_infrastructure][1:], "threads end")
        self.files, self.seen = files(), leaks.census()

    def check(self) -> None:
        """Everything is as before, two seconds from now at the latest."""
        left: list[Any] = leaks.settle(self.seen)
        if new := {path for path in files() - self.files if path.exists()}:
            foreign = in_use_elsewhere()
            left += [path for path in new if inode(path) not in {0, *foreign}]
        assert not left, "\n".join(map(str, left))


def pool_of(workers: int, method: str, **options: Any) -> dict[str, Any]:
    """Return an application's ``pools``."""
    return {"default": {"workers": workers, "start_method": method, **options}}


def statistics() -> PoolStatistics:
    """Return those of the default pool."""
    found: PoolStatistics = whereis(("slither.pool", "default")).call(STATISTICS)  # type: ignore[union-attr]
    return found


def soon(condition: Callable[[], Any], what: str, seconds: float = 2.0) -> Any:
    """Wait for something, of which no event tells, for as long as the promise allows."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.002)
    return found


def idle_pids(seconds: float = 5.0) -> set[int]:
    """Wait until all workers of the pool are idle, and return them."""

    def look() -> set[int]:
        slots = statistics().slots
        return {slot.pid for slot in slots if slot.pid} if all(s.state == "idle" for s in slots) else set()

    found: set[int] = soon(look, "all workers are idle", seconds)
    return found


class Fault:
    """Does its deed in a worker at one point: while it is unpickled, run, pickled, or freed."""

    def __init__(self, point: str, deed: str) -> None:
        self.point, self.deed = point, deed

    def strike(self, point: str) -> None:
        """Do it if this is the point."""
        if self.point == point and in_worker():
            DEEDS[self.deed]()

    def __reduce__(self) -> Any:
        self.strike("pickling")
        return _arrived, (self.point, self.deed)

    def __del__(self) -> None:
        self.strike("freeing")


def _arrived(point: str, deed: str) -> Fault:
    fault = Fault(point, deed)
    fault.strike("unpickling")
    return fault


def suffer(batch: list[tuple[int, Fault | None]]) -> list[Any]:
    """Return the numbers, unless a fault strikes; one that is to strike later goes into the results."""
    results: list[Any] = []
    for number, fault in batch:
        if fault is not None:
            fault.strike("running")
        results.append(fault if fault is not None and fault.point == "pickling" else number)
    return results


def squared(batch: list[Any]) -> list[Any]:
    """Return the products of matrices with themselves, by threads of native code."""
    return [matrix @ matrix for matrix in batch]


assert os.name == "posix"
