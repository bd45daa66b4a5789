"""What a program has at one moment that somebody may forget: threads, processes, descriptors."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any, Final

__all__ = ["census"]

_INFRASTRUCTURE: Final = ("slither-scheduler-", "slither-monitor", "slither-timer", "slither-stages-loop")
"""Threads that the library has once for the whole program."""


def census() -> set[tuple[str, Any, str]]:
    """What there is: threads by identity, descriptors and children by number."""
    found: set[tuple[str, Any, str]] = {
        ("thread", id(thread), thread.name)
        for thread in threading.enumerate()
        if not thread.name.startswith(_INFRASTRUCTURE)
    }
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a name is all that is wanted
            with contextlib.suppress(OSError):
                found.add(("descriptor", name, os.readlink(f"/proc/self/fd/{name}")))  # noqa: PTH115
        for task in Path("/proc/self/task").iterdir():
            children = task / "children"
            with contextlib.suppress(OSError):
                found.update(("process", pid, "") for pid in children.read_text().split())
    return {each for each in found if not str(each[2]).startswith("/proc/")}
