"""What the smoke test's process does: a pool of two from start to stop, a line of JSON per step."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

__all__ = ["crash_on_seven", "double", "main"]

_BATCHES: Final = 8
_DUMP_BEFORE: Final = 0.5
"""Seconds before the deadline at which the stacks are printed."""


def double(batch: list[int]) -> list[int]:
    """Run by the workers."""
    return [2 * value for value in batch]


def crash_on_seven(batch: list[int]) -> list[int]:
    """Run by the workers: the batch that has the 7 kills its worker."""
    if 7 in batch:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


def main(method: str) -> int:
    """Print each step with its seconds as it is done, or the error; return the exit status."""
    deadline = float(os.environ.get("SLITHER_DOCTOR_DEADLINE", "30"))
    faulthandler.dump_traceback_later(max(_DUMP_BEFORE, deadline - _DUMP_BEFORE), exit=False)
    try:
        _steps(method, deadline)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the doctor has to report
        text = " ".join(str(error).split())
        _tell(error=f"{type(error).__name__}: {text}")
        return 1
    return 0


def _steps(method: str, deadline: float) -> None:
    began = time.monotonic()
    # Here, and not at the top: a process that cannot import them is to say so as a step of the test.
    from slither_actors.application import Application  # noqa: PLC0415
    from slither_actors.dispatch import call_batch, run  # noqa: PLC0415
    from slither_actors.pool import STATISTICS  # noqa: PLC0415

    began = _done("import", began)
    application = Application(
        pools={"doctor": {"workers": 2, "start_method": method, "start_timeout": deadline}}
    )
    before = _descriptors()
    with application:
        began = _done("start", began)
        [doubled] = call_batch([21], executor="slither_actors._cli._doctor_pool:double", pool="doctor")
        if doubled.payload != 42:
            raise RuntimeError(f"a batch came back as {doubled.payload!r}, not 42")
        took = time.monotonic() - began
        pids = [slot.pid for slot in application.pool("doctor").call(STATISTICS).slots]
        after = _descriptors()
        _tell(
            step="batch",
            seconds=took,
            memory=max((_memory(pid) for pid in pids if pid), default=0) or None,
            descriptors=None if before is None or after is None else after - before,
        )
        began = time.monotonic()
        results = run(
            range(_BATCHES),
            executor="slither_actors._cli._doctor_pool:crash_on_seven",
            pool="doctor",
            batch_size=1,
            on_error="skip",
        )
        lost = [item.payload for item in results if item.meta.get("skipped")]
        if lost != [_BATCHES - 1] or len(results) != _BATCHES:
            raise RuntimeError(f"a worker's crash was to cost the batch 7 and cost {lost}")
        run([1, 2], executor="slither_actors._cli._doctor_pool:double", pool="doctor", batch_size=1)
        began = _done("crash", began)
    _done("stop", began)


def _done(step: str, began: float) -> float:
    now = time.monotonic()
    _tell(step=step, seconds=now - began)
    return now


def _tell(**what: Any) -> None:
    # By hand: a process that is killed has told all that it did.
    os.write(1, json.dumps(what).encode() + b"\n")


def _descriptors() -> int | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return None


def _memory(pid: int) -> int:
    """Return the resident memory of a process, 0 where that cannot be seen."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGESIZE")
