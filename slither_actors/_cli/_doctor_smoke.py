"""The doctor's smoke test: a real pool of two, in a process of its own.

The process may crash, hang or fail to start; the doctor sees which step it had
come to, and kills it at the deadline.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any, Final

import attrs

from slither_actors._cli._doctor_check import Check, bytes_text, failed, fine, warned

__all__ = ["DEADLINE", "smoke_test"]

DEADLINE: Final = 30.0
"""Seconds for the whole of it; it takes less than one on a machine that is well."""

_SLOW: Final = 5.0
_PATIENCE: Final = 3.0
"""Seconds for the output of a process that was killed: what it has started may hold it open."""

_TAIL: Final = 20

_PROGRAM: Final = """
import sys
sys.path[:] = {path!r}
from slither_actors._cli._doctor_pool import main
if __name__ == "__main__":
    sys.exit(main({method!r}))
"""
_STEPS: Final = ("import", "start", "batch", "crash", "stop")


@attrs.frozen
class _Ran:
    status: int | None
    """None if it had to be killed."""

    out: bytes
    err: bytes


def smoke_test(method: str, deadline: float = DEADLINE) -> Check:
    """Run a pool of two with this start method: a batch, a crash that is survived, a stop.

    Args:
        method: the start method.
        deadline: seconds after which it is given up.
    """
    name = f"pool ({method})"
    try:
        ran = _run(_PROGRAM.format(path=sys.path, method=method), deadline)
    except OSError as refused:
        return failed(name, f"no process could be started: {refused.strerror}", "look at the limits above")
    steps, error = _read(ran.out)
    stderr = ran.err.decode(errors="replace").strip().splitlines()[-_TAIL:]
    details = {"steps": steps, "status": ran.status, "stderr": stderr}
    reached = next((step for step in _STEPS if step not in steps), None)
    if ran.status is None:
        at = f'in its step "{reached}"' if reached else "at its end"
        advice = "--json shows where it stood; a machine this slow, or a process that cannot be killed?"
        return failed(name, f"did not end within {deadline:g} s: it hung {at}", advice, **details)
    if ran.status != 0 or reached:
        last = error or next(reversed(stderr), "") or _status(ran.status)
        advice = "see the checks above; --json shows its standard error"
        return failed(name, f'failed in its step "{reached or _STEPS[-1]}": {last}', advice, **details)
    return _passed(name, steps, details)


def _passed(name: str, steps: dict[str, Any], details: dict[str, Any]) -> Check:
    seconds = {step: float(steps[step]["seconds"]) for step in _STEPS}
    text = (
        f"started in {seconds['start']:.2f} s, a batch in {seconds['batch']:.3f} s, a crash survived in"
        f" {seconds['crash']:.2f} s, stopped in {seconds['stop']:.2f} s"
    )
    about = steps["batch"]
    if about.get("memory") is not None:
        text += f"; {bytes_text(about['memory'])} per worker, {about['descriptors']} descriptors here"
    slowest = max(seconds, key=lambda step: seconds[step])
    if seconds[slowest] > _SLOW:
        advice = "it works, but slowly: a busy machine, a slow disk to import from?"
        return warned(name, text, advice, **details)
    return fine(name, text, **details)


def _run(program: str, deadline: float) -> _Ran:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "SLITHER_DOCTOR_DEADLINE": str(deadline)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        try:
            out, err = process.communicate(timeout=deadline)
            return _Ran(process.returncode, out, err)
        except subprocess.TimeoutExpired:
            _kill(process)
        try:
            out, err = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired as left:
            out, err = left.stdout or b"", left.stderr or b""
        return _Ran(None, out, err)
    finally:
        _kill(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group; its workers are its guard's."""
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        return  # the kernel holds it


def _read(out: bytes) -> tuple[dict[str, Any], str]:
    """Return the steps that it has told of, and its error."""
    steps: dict[str, Any] = {}
    error = ""
    for line in out.splitlines():
        try:
            told = json.loads(line)
            steps_or_error = told if isinstance(told, dict) else {}
        except ValueError:  # somebody else printed, or half a line of one that was killed
            continue
        error = steps_or_error.get("error", error)
        if "step" in steps_or_error:
            steps[steps_or_error.pop("step")] = steps_or_error
    return steps, error


def _status(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
