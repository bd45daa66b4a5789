"""Why the system does not let a worker start, and what to try."""

from __future__ import annotations

import contextlib
import errno
import resource
from pathlib import Path
from typing import Final

from slither_actors.errors import safe_text

__all__ = ["GUARD", "NO_GUARD", "explain_start"]

GUARD: Final = "what starts a pool has to be under \"if __name__ == '__main__':\""
"""What helps against it."""

NO_GUARD: Final = "would start workers itself"
"""What the last lines of a worker have in them whose program lacks the guard."""

_DOCTOR: Final = "`slither-actors doctor` says what so many workers need"


def explain_start(error: BaseException) -> str:
    """Say in a sentence without a full stop what kept a worker from being started."""
    text = f"{type(error).__name__}: {safe_text(error).strip()}"
    advice = ""
    if isinstance(error, RuntimeError) and "bootstrapping phase" in text:
        text = f"RuntimeError: a worker that imports the program's main module {NO_GUARD}"
        advice = GUARD
    elif isinstance(error, OSError):
        advice = _advice(error)
    return f"{text}; {advice}" if advice else text


def _advice(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"the limit of this process is {limit}: raise it (ulimit -n), or have fewer workers; {_DOCTOR}"
    if error.errno == errno.ENFILE:
        return "the whole system has no more"
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return f"there are no more processes or no more memory for this user: have fewer workers; {_DOCTOR}"
    if isinstance(error, FileNotFoundError) and error.filename is None and _folder_is_gone():
        return "the working folder of this program has been removed: os.chdir to one that there is"
    if error.filename is not None and "pymp-" in str(error.filename):
        return "the fork server has its socket in the temporary folder: set TMPDIR to one that there is"
    return ""


def _folder_is_gone() -> bool:
    with contextlib.suppress(OSError):
        Path.cwd()
        return False
    return True
