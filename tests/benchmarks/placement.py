"""On which cores the threads of a benchmark run.

A message to a thread on the same core costs a few microseconds, to one that
sleeps on another core often ten times as much, and the kernel changes its mind
about which it is. Left alone, a comparison of actors is a comparison of where
their threads happened to be. So there are two placements, both repeatable.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

__all__ = ["PLACEMENTS", "placed", "spread"]

PLACEMENTS = {
    "one core": "every thread on the same core",
    "two cores": "the measuring thread on one core, those who answer on another",
}

_apart = False


def _cores() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else []


_CORES = _cores()


@contextlib.contextmanager
def placed(placement: str) -> Iterator[None]:
    """Run a block, whose threads call `spread`, in one of the placements, where the system lets us."""
    global _apart  # noqa: PLW0603
    _apart = placement == "two cores"
    _pin(_CORES if _apart else _CORES[:1], threading.enumerate())
    try:
        yield
    finally:
        _apart = False
        _pin(_CORES, threading.enumerate())


@contextlib.contextmanager
def spread(*, sides: int = 1) -> Iterator[None]:
    """Put the threads where the placement says, for as long as the block is timed.

    Args:
        sides: 1 has all threads but this one on the second core; 2, for actors with threads of their own
            that talk to each other, distributes them over both.
    """
    if not _apart or len(_CORES) < 2:
        yield
        return
    mine = threading.current_thread()
    others = [thread for thread in threading.enumerate() if thread is not mine]
    own = [thread for thread in others if not thread.name.startswith("slither-")]
    _pin(_CORES[:1], [mine])
    _pin(_CORES[1:2], [thread for thread in others if thread not in own])
    for index, thread in enumerate(own):
        _pin(_CORES[1:2] if index % sides == 0 else _CORES[:1], [thread])
    try:
        yield
    finally:
        _pin(_CORES, [mine, *others])


def _pin(cores: list[int], threads: list[threading.Thread]) -> None:
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    for thread in threads:
        if thread.native_id is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.sched_setaffinity(thread.native_id, cores)
