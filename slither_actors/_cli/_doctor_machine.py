"""What the doctor reads of the machine: files below a root, which a test may replace, and limits.

Nothing here raises for what is missing: on a broken machine that is the finding.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

import attrs

from slither_actors.pool._process import START_METHODS, default_start_method

__all__ = ["CgroupLimit", "Machine"]

_UNLIMITED: Final = 2**60
"""Version 1 of the cgroups writes "no limit" as a number of this size."""


@attrs.frozen(kw_only=True)
class CgroupLimit:
    """A limit of the control group that this process is in, and how much of it is used."""

    limit: int | None
    """None is no limit, or not known."""

    used: int | None

    @property
    def left(self) -> int | None:
        """What is left of the limit, None without one."""
        return None if self.limit is None else max(0, self.limit - (self.used or 0))


@attrs.frozen(kw_only=True)
class Machine:
    """This machine as the process sees it, from within its container and its limits."""

    root: Path = attrs.field(default=Path("/"))
    """Where ``/proc``, ``/sys``, ``/dev`` and ``/bin`` are."""

    def path(self, path: str) -> Path:
        """Return where a file of the machine is."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str | None:
        """Return the text of a small file, None if it cannot be read."""
        try:
            return self.path(path).read_text(errors="replace").strip()
        except OSError:
            return None

    @property
    def start_methods(self) -> tuple[str, ...]:
        """The start methods of pools that there are on this platform, the default one first."""
        default = default_start_method()
        # `spawn` is everywhere; the other one is the default where it exists.
        return tuple(method for method in START_METHODS if method in (default, "spawn"))

    def rlimit(self, kind: int) -> tuple[int | None, int | None]:
        """Return the soft and the hard limit; None is no limit."""
        soft, hard = resource.getrlimit(kind)
        return (
            None if soft == resource.RLIM_INFINITY else soft,
            None if hard == resource.RLIM_INFINITY else hard,
        )

    def open_descriptors(self) -> int:
        """Return how many descriptors this process has open, about 3 where that cannot be seen."""
        try:
            return sum(1 for _ in self.path("/proc/self/fd").iterdir())
        except OSError:
            return 3

    def processors(self) -> int:
        """Return how many processors this process may use."""
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity is not None else os.cpu_count() or 1

    # -- control groups ---------------------------------------------------------------

    def processor_quota(self) -> float | None:
        """Return how many processors' time the control group allows, None without a limit."""
        found: float | None = None
        for folder in self._folders("cpu"):
            fields = (self.read(f"{folder}/cpu.max") or "").split()
            if not fields:
                quota, period = (
                    self.read(f"{folder}/cpu.cfs_quota_us"),
                    self.read(f"{folder}/cpu.cfs_period_us"),
                )
                fields = [quota or "max", period or ""]
            if len(fields) == 2 and all(field.isdecimal() for field in fields) and int(fields[1]):
                allowed = int(fields[0]) / int(fields[1])
                found = allowed if found is None else min(found, allowed)
        return found

    def memory_limit(self) -> CgroupLimit:
        """Return the limit on memory, in bytes."""
        return self._tightest(
            "memory", ("memory.max", "memory.limit_in_bytes"), ("memory.current", "memory.usage_in_bytes")
        )

    def process_limit(self) -> CgroupLimit:
        """Return the limit on processes and threads."""
        return self._tightest("pids", ("pids.max",), ("pids.current",))

    def _tightest(self, controller: str, limits: tuple[str, ...], uses: tuple[str, ...]) -> CgroupLimit:
        found = CgroupLimit(limit=None, used=None)
        for folder in self._folders(controller):
            limit, used = self._number(folder, limits), self._number(folder, uses)
            if limit is None:
                continue
            candidate = CgroupLimit(limit=limit, used=used)
            if found.left is None or (candidate.left or 0) < found.left:
                found = candidate
        return found

    def _number(self, folder: str, names: tuple[str, ...]) -> int | None:
        for name in names:
            text = self.read(f"{folder}/{name}")
            if text is not None and text.isdecimal() and int(text) < _UNLIMITED:
                return int(text)
        return None

    def _folders(self, controller: str) -> list[str]:
        """Return the folders of the process's group and of all above it: each may have a limit."""
        folders = []
        for line in (self.read("/proc/self/cgroup") or "").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, group = rest.partition(":")
            if number == "0" and not controllers:
                tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            elif controller in controllers.split(","):
                tops = [f"/sys/fs/cgroup/{controllers}", f"/sys/fs/cgroup/{controller}"]
            else:
                continue
            parts = [part for part in group.split("/") if part]
            for top in dict.fromkeys(tops):
                folders += ["/".join([top, *parts[:depth]]) for depth in range(len(parts), -1, -1)]
        return folders
