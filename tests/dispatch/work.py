"""Functions that workers run in the tests."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any


def increment(batch: list[int]) -> list[int]:
    return [value + 1 for value in batch]


async def asynchronous(batch: list[int]) -> list[int]:
    return batch


def fail_on_seven(batch: list[int]) -> list[int]:
    if 7 in batch:
        raise ValueError("seven")
    return batch


def leave_on_seven(batch: list[int]) -> list[int]:
    if 7 in batch:
        raise SystemExit(7)
    return batch


def too_few(batch: list[int]) -> list[int]:
    return batch[1:]


def locks(batch: list[int]) -> list[Any]:
    return [{"value": value, "lock": threading.Lock()} for value in batch]


def die_on_seven(batch: list[int]) -> list[int]:
    if 7 in batch:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


def die_once(batch: list[tuple[int, str]]) -> list[int]:
    """Kill the worker where the payload says so, unless its file is there already."""
    for _, mark in batch:
        if mark and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [value for value, _ in batch]


def sleep(batch: list[float]) -> list[float]:
    time.sleep(sum(batch))
    return batch


def wait_for_file(batch: list[str]) -> list[int]:
    """Say that it runs, by a file of that name and ``.begun``, and wait for the file."""
    for name in batch:
        Path(f"{name}.begun").touch()
        while not Path(name).exists():
            time.sleep(0.005)
    return [os.getpid()] * len(batch)


def stages(batch: list[int], ctx: Any) -> list[Any]:
    return [(value, ctx.metadata["key"]) for value in batch]


def square(value: int) -> int:
    """Of one value: for the pools of others."""
    return value * value


def echo(batch: list[Any]) -> list[Any]:
    return batch


def die(batch: list[Any]) -> list[Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return batch


_models: dict[str, list[Any]] = {}


def remember(batch: list[Any], ctx: Any) -> list[Any]:
    """What the session's batches have left in this worker so far, and which worker it is."""
    model = _models.setdefault(ctx.session_id, [])
    model.extend(batch)
    if "die" in batch:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in batch:
        time.sleep(600)
    return [(os.getpid(), len(model))] * len(batch)


def gated(batch: list[str], ctx: Any) -> list[int]:
    """`wait_for_file` for a session."""
    return wait_for_file(batch)


def misbehave(batch: list[str]) -> list[str]:
    """Do what each payload says: be fine, raise, die, or hang."""
    for deed in batch:
        if deed == "raise":
            raise ValueError(deed)
        if deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600 if deed == "hang" else 0.002)
    return [f"did {deed}" for deed in batch]
