"""What can be seen of a worker from outside while it lives, and of the machine when it has died.

A process that the kernel kills leaves no last words. So the pool looks at each
worker once a second while there is work: when it is gone its size is gone with it. The kernel's
count of kills for lack of memory tells a kill by the kernel from one by
somebody else. On systems without ``/proc`` there is none of this.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["SAMPLE_SECONDS", "Vitals", "oom_scope", "shared_memory_free"]

SAMPLE_SECONDS: Final = 1.0
_LATELY: Final = 5.0
"""Seconds after which the count of kills does not tell any more whose they were."""

SHARED_MEMORY: Final = "/dev/shm"

_PAGE: Final = os.sysconf("SC_PAGESIZE")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_KEY: Final = "oom_kill"


class Vitals:
    """The memory of one worker, and the kernel's kills around it. Its pool is the only caller."""

    __slots__ = ("_kills", "_older_kills", "_seen", "_statm", "peak", "rss")

    def __init__(self, pid: int) -> None:
        self.rss = self.peak = 0
        self._statm = f"/proc/{pid}/statm"
        self._kills = self._older_kills = _oom_kills()
        self._seen = time.monotonic()

    def sample(self) -> None:
        """Look at the worker; cheap."""
        # Two readings back: one that is taken between a kill and our noticing it must not hide the kill.
        now, kills = time.monotonic(), _oom_kills()
        self._older_kills = self._kills if now - self._seen < _LATELY else kills
        self._kills, self._seen = kills, now
        try:
            with open(self._statm, "rb") as file:  # noqa: PTH123 - once a second and worker
                size = int(file.read().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return
        if size:  # the dead have none
            self.rss = size
            self.peak = max(self.peak, size)

    def oom_kills(self) -> int | None:
        """Processes that the kernel has killed for lack of memory in the last seconds; None is unknown."""
        now = _oom_kills()
        if now is None or self._older_kills is None:
            return None
        kills = max(0, now - self._older_kills)
        return None if kills and time.monotonic() - self._seen > _LATELY else kills


def shared_memory_free() -> tuple[int, int] | None:
    """Return the free and the total bytes of the shared-memory mount."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def oom_scope() -> str:
    """Whose kills are counted: ``"control group"`` or ``"machine"``."""
    path = _oom_file()
    return "machine" if path is not None and path.parts[1] == "proc" else "control group"


def _oom_kills() -> int | None:
    path = _oom_file()
    return None if path is None else _read_count(path)


@functools.cache
def _oom_file() -> Path | None:
    """The most specific file in which the kernel counts such kills."""
    return next((path for path in _candidates() if _read_count(path) is not None), None)


def _candidates() -> Iterator[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # In a container the path may be the host's, and ours is mounted at the top.
        if "memory" in controllers.split(","):
            top = _CGROUPS / "memory"
            yield top / path.lstrip("/") / "memory.oom_control"
            yield top / "memory.oom_control"
        elif not controllers:
            yield _CGROUPS / path.lstrip("/") / "memory.events"
            yield _CGROUPS / "memory.events"
    yield Path("/proc/vmstat")


def _read_count(path: Path) -> int | None:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == _KEY:
                return int(value)
    except (OSError, ValueError):
        return None
    return None
