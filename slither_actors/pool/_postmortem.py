"""The explanation of a worker's death: one sentence, no more certain than the evidence."""

from __future__ import annotations

import itertools
import re
import signal
from typing import Final

from slither_actors.pool._obstacles import GUARD

__all__ = ["explain_exit", "leaves_stack", "last_lines", "python_stack"]

_LINES: Final = 40
_LONGEST: Final = 8192
_MIB: Final = 2**20

_SIGNAL_CAUSES: Final = {
    "SIGSEGV": "a crash in native code",
    "SIGABRT": "native code aborted",
    "SIGFPE": "an arithmetic fault in native code",
    "SIGILL": "an illegal instruction in native code",
    "SIGTERM": "somebody asked it to end",
    "SIGXCPU": "its limit of CPU time was reached",
}

_MUCH_MEMORY: Final = 512 * _MIB
"""Below this the size of a worker is no evidence for a lack of memory."""

_FULL: Final = _MIB
"""A shared-memory mount with less room than this is full."""

_FAULTS: Final = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_FAULT: Final = "Fatal Python error:"
_STACK_HEAD: Final = re.compile(r"^(Current thread|Stack \(most recent call first\)).*$", re.MULTILINE)


def explain_exit(
    exitcode: int | None,
    *,
    stack: str = "",
    stderr_tail: str = "",
    peak_memory: int = 0,
    started: bool = True,
    oom_kills: int | None = None,
    oom_scope: str = "control group",
    shared_memory: tuple[int, int] | None = None,
) -> str:
    """Say what probably ended the worker.

    Args:
        exitcode: minus the signal, or the exit status; None where somebody else reaped the process.
        stack: the faulthandler's, from `python_stack`.
        stderr_tail: its last lines.
        peak_memory: the largest resident memory that is known of, in bytes; 0 is unknown.
        started: whether the worker had said that it was ready.
        oom_kills: processes that the kernel killed for lack of memory in the last seconds; None is unknown.
        oom_scope: among which processes those were counted.
        shared_memory: free and total bytes of the shared-memory mount.
    """
    if exitcode == -signal.SIGKILL:
        text = _signal_text(-exitcode) + _kill_text(oom_kills, oom_scope, peak_memory)
    elif exitcode == -signal.SIGBUS:
        text = _signal_text(-exitcode) + _bus_text(shared_memory)
    else:
        text = _exit_text(exitcode, started=started)
    if not started and "_fixup_main_from" in stderr_tail:
        # multiprocessing imports the program's main module in each worker.
        text += f" while it imported the program's main module, as every worker does: {GUARD}"
    where = _innermost_frame(stack or python_stack(stderr_tail)) if leaves_stack(exitcode) else ""
    return f"{text} in {where}" if where else text


def leaves_stack(exitcode: int | None) -> bool:
    """Whether a fault may have been the end. Else a faulthandler's dump is that of somebody else's end.

    A program that the batch had started writes to the same standard error.
    """
    return exitcode is None or -exitcode in _FAULTS


def _exit_text(exitcode: int | None, *, started: bool) -> str:
    if exitcode is None:
        return "it ended, and something else in this program took its exit status"
    if exitcode < 0:
        return _signal_text(-exitcode)
    if exitcode == 0 and started:
        return "it ended itself with status 0: the code called os._exit(0), or a library called exit()"
    if exitcode == 255:  # also what multiprocessing reports when its fork server is gone
        others = "" if started else "its interpreter cannot be run, or "
        return f"it ended with exit status 255, or {others}the fork server that had started it was killed"
    return f"it ended itself with exit status {exitcode}"


def _signal_text(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"killed by signal {number}"
    cause = _SIGNAL_CAUSES.get(name)
    return f"killed by signal {number} ({name})" + (f", {cause}" if cause else "")


def _kill_text(oom_kills: int | None, scope: str, peak_memory: int) -> str:
    """Whose kill it was; only the kernel's own count tells it from anybody else's."""
    memory = ""
    if peak_memory >= _MUCH_MEMORY:
        memory = f"; its memory had reached {peak_memory / _MIB:,.0f} MiB"
    if oom_kills is None:
        return f", possibly by the kernel for lack of memory{memory}"
    if oom_kills == 0:
        return (
            ", possibly for lack of memory, though not by the kernel itself: "
            f"it counted no such kill of this {scope}{memory}"
        )
    processes = "1 process" if oom_kills == 1 else f"{oom_kills} processes"
    how = "most likely" if scope == "control group" else "probably"
    return (
        f", {how} by the kernel for lack of memory: "
        f"it has just killed {processes} of this {scope} for that{memory}"
    )


def _bus_text(shared_memory: tuple[int, int] | None) -> str:
    if shared_memory is None:
        return ", a crash in native code, or a full shared-memory mount"
    free, total = (size / _MIB for size in shared_memory)
    if shared_memory[0] < _FULL:
        return (
            ", a bus error: the shared-memory mount /dev/shm is full "
            f"({free:,.1f} of {total:,.0f} MiB free); give it more room, in Docker with --shm-size"
        )
    return (
        ", a bus error: a mapped file that was cut short, or a fault in native code "
        f"(/dev/shm is not full: {free:,.0f} of {total:,.0f} MiB free)"
    )


# -- what was on standard error --------------------------------------------------------


def last_lines(stderr: bytes) -> str:
    """The last lines on standard error as text: 40 at most, 8192 characters at most.

    A faulthandler's dump may be much longer than that. Of that it is the beginning, and what came before it.
    """
    text = stderr.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    stack = python_stack(text).split("\n")
    if stack == [""]:
        lines = text.rstrip("\n").split("\n")[-_LINES:]
    else:
        before = text[: text.rfind(_FAULT)].rstrip("\n").split("\n")
        lines = [*(before if before != [""] else [])[-_LINES // 2 :], *stack[: _LINES // 2]]
    return "\n".join(lines)[-_LONGEST:]


def python_stack(stderr: bytes | str) -> str:
    """The faulthandler's stack of the thread that died, after the line that names the fault."""
    text = stderr.decode("utf-8", "backslashreplace") if isinstance(stderr, bytes) else stderr
    start = text.rfind(_FAULT)
    if start < 0:
        return ""
    head, _, rest = text[start:].partition("\n")
    found = _STACK_HEAD.search(rest)
    if found is None:
        return head
    frames = itertools.takewhile(lambda line: line.startswith("  "), rest[found.end() + 1 :].split("\n"))
    return "\n".join([head, found.group(), *frames])[:_LONGEST]


def _innermost_frame(stack: str) -> str:
    """Name the innermost frame of a faulthandler's stack, such as ``analyze (model.py:12)``."""
    lines = iter(stack.splitlines())
    for line in lines:
        if _STACK_HEAD.match(line):
            frame = next(lines, "").strip()
            if frame.startswith('File "') and " in " in frame:
                place, _, function = frame.rpartition(" in ")
                path, _, line_number = place.removeprefix('File "').partition('", line ')
                return f"{function} ({path.rpartition('/')[2]}:{line_number})"
    return ""
