"""Functions and hooks for the tests of how workers come, change and go."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from slither_actors.pool import Worker, current_worker

LEAK: list[bytes] = []


def folder() -> Path:
    """Where the hooks leave notes; the test says so in the environment."""
    return Path(os.environ["SLITHER_TEST_NOTES"])


def note(kind: str) -> None:
    (folder() / f"{kind}.{os.getpid()}").touch()


# -- hooks ------------------------------------------------------------------------


def make_state(worker: Worker) -> dict[str, Any]:
    return {"pool": worker.pool, "slot": worker.slot, "batches": 0}


def set_attributes(worker: Worker) -> None:
    worker.state.greeting = "hello"


def leave_note() -> None:
    note("exit")


def leave_state(worker: Worker) -> None:
    (folder() / f"state.{os.getpid()}").write_text(repr(worker.state))


def fail_at_exit() -> None:
    msg = "cannot close the model"
    raise RuntimeError(msg)


def exit_at_exit() -> None:
    sys.exit(3)


def die_at_exit() -> None:
    os._exit(7)


def hang_at_exit() -> None:
    note("hangs")
    time.sleep(600)


def shout_at_exit() -> None:
    """More than a pipe holds."""
    os.write(2, b"x" * 99 + b"\n")
    for _ in range(50):
        os.write(2, (b"y" * 99 + b"\n") * 100)
    note("shouted")


def slow_start() -> None:
    note("start")
    time.sleep(0.3)


def wait_for_leave_to_start() -> None:
    """Note that we are here, and be ready once there is a file named go."""
    note("starting")
    while not (folder() / "go").exists():
        time.sleep(0.005)


def die_if_told() -> None:
    note("born")
    if (folder() / "die").exists():
        os._exit(14)


# -- batches -----------------------------------------------------------------------


def count_in_state(batch: list[Any]) -> list[Any]:
    state = current_worker().state
    state["batches"] += 1
    return [dict(state)] * len(batch)


def greet(batch: list[str]) -> list[str]:
    return [f"{current_worker().state.greeting} {name}" for name in batch]


def has_plain_state(batch: list[Any]) -> list[bool]:
    return [vars(current_worker().state) == {} for _ in batch]


def leak(batch: list[int]) -> list[int]:
    """Each payload is a number of bytes that stay."""
    LEAK.extend(b"x" * size for size in batch)
    return [os.getpid()] * len(batch)


def borrow(batch: list[int]) -> list[int]:
    """Each payload is a number of bytes, given back at once."""
    for size in batch:
        assert len(b"x" * size) == size
    return [os.getpid()] * len(batch)


def niceness(batch: list[Any]) -> list[int]:
    return [os.nice(0)] * len(batch)


def cpus(batch: list[Any]) -> list[tuple[int, ...]]:
    return [(current_worker().slot, *sorted(os.sched_getaffinity(0)))] * len(batch)


def loaded(batch: list[str]) -> list[Any]:
    """Whether the module is there, and the process that imported it."""
    return [getattr(sys.modules.get(name), "PID", None) for name in batch]


def whoami(batch: list[Any]) -> list[tuple[int, int]]:
    return [(os.getpid(), os.getppid())] * len(batch)
