"""A descriptor among the arguments of a worker process.

In a file of its own: a worker imports it to unpickle its arguments, and would
import the driver's side, logging included, with anything else.
"""

from __future__ import annotations

from multiprocessing import reduction
from typing import Any

__all__ = ["Inherited"]


class Inherited:
    """A descriptor among the arguments of a process; in the child it is the number there."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> tuple[Any, ...]:
        return _detach, (reduction.DupFd(self.fd),)


def _detach(inherited: Any) -> int:
    fd: int = inherited.detach()
    return fd
