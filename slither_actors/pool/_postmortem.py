"""The explanation of a worker's death: one sentence, no more certain than the evidence."""

from __future__ import annotations

import signal
from typing import Final

__all__ = ["explain_exit"]

_SIGNAL_CAUSES: Final = {
    "SIGKILL": "possibly by the kernel for lack of memory",
    "SIGSEGV": "a crash in native code",
    "SIGABRT": "native code aborted",
    "SIGBUS": "a crash in native code, or a full shared-memory mount",
    "SIGFPE": "an arithmetic fault in native code",
    "SIGILL": "an illegal instruction in native code",
    "SIGTERM": "somebody asked it to end",
    "SIGXCPU": "its limit of CPU time was reached",
}

_MUCH_MEMORY: Final = 512 * 2**20
"""Below this the size of a worker is no evidence for a lack of memory."""


def explain_exit(
    exitcode: int | None, *, stderr_tail: str = "", peak_memory: int = 0, started: bool = True
) -> str:
    """Say what probably ended the worker.

    Args:
        exitcode: minus the signal, or the exit status; None where somebody else reaped the process.
        stderr_tail: its last lines; a faulthandler stack or a fatal error in it is evidence.
        peak_memory: the largest resident memory that is known of, in bytes; 0 is unknown.
        started: whether the worker had said that it was ready.
    """
    text = _exit_text(exitcode, started=started)
    if not started and "_fixup_main_from" in stderr_tail:
        # multiprocessing imports the program's main module in each worker.
        text += (
            " while it imported the program's main module, as every worker does: "
            "what starts a pool has to be under \"if __name__ == '__main__':\""
        )
    where = _python_frame(stderr_tail)
    if where and (exitcode is None or exitcode < 0):
        text += f" in {where}"
    if peak_memory >= _MUCH_MEMORY and exitcode == -signal.SIGKILL:
        text += f"; its memory had reached {peak_memory / 2**20:,.0f} MiB"
    return text


def _exit_text(exitcode: int | None, *, started: bool) -> str:
    if exitcode is None:
        return "it ended, and something else in this program took its exit status"
    if exitcode < 0:
        return _signal_text(-exitcode)
    if exitcode == 0 and started:
        return "it ended itself with status 0: the code called os._exit(0), or a library called exit()"
    if exitcode == 255:  # also what multiprocessing reports when its fork server is gone
        return "it ended with exit status 255, or the fork server that had started it was killed"
    return f"it ended itself with exit status {exitcode}"


def _signal_text(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"killed by signal {number}"
    cause = _SIGNAL_CAUSES.get(name)
    return f"killed by signal {number} ({name})" + (f", {cause}" if cause else "")


def _python_frame(stderr_tail: str) -> str:
    """The innermost frame of a faulthandler dump, such as ``analyze (model.py:12)``."""
    lines = iter(stderr_tail.splitlines())
    for line in lines:
        if line.startswith(("Current thread", "Thread 0x")) and "most recent call first" in line:
            frame = next(lines, "").strip()
            if frame.startswith('File "') and " in " in frame:
                place, _, function = frame.rpartition(" in ")
                path, _, line_number = place.removeprefix('File "').partition('", line ')
                return f"{function} ({path.rpartition('/')[2]}:{line_number})"
    return ""
