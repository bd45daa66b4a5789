"""What a worker does to its own process before it is ready: niceness, processors, imports."""

from __future__ import annotations

import importlib
import os

from slither_actors.errors import TargetError, safe_text
from slither_actors.pool._settings import WorkerSettings

__all__ = ["ResidentMemory", "settle_in"]


def settle_in(settings: WorkerSettings) -> None:
    """Apply the settings.

    Raises:
        OSError: the system does not allow it; the message names the option.
        TargetError: a module of ``preload`` cannot be imported.
    """
    if settings.nice:
        try:
            os.nice(settings.nice)
        except OSError as error:
            raise OSError(error.errno, f"option 'nice' ({settings.nice}): {error.strerror}") from error
    if settings.cpus:
        try:
            os.sched_setaffinity(0, settings.cpus)
        except OSError as error:
            cpus = sorted(settings.cpus)
            raise OSError(error.errno, f"option 'pin' (processors {cpus}): {error.strerror}") from error
    for name in settings.preload:
        try:
            importlib.import_module(name)
        except BaseException as error:
            reason = f"{type(error).__qualname__}: {safe_text(error)}"
            raise TargetError(f"option 'preload': a worker cannot import {name}: {reason}") from error


class ResidentMemory:
    """The resident memory of this process at the moment, read without a search through ``/proc``."""

    __slots__ = ("_fd", "_page")

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._page = os.sysconf("SC_PAGESIZE")

    def read(self) -> int:
        """Return it in bytes."""
        return int(os.pread(self._fd, 128, 0).split()[1]) * self._page
