"""What a person is told when a command fails: one line, and a status that scripts can tell apart."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

from slither_actors._cli._named import NotFoundError
from slither_actors._cli._outputs import OutputClosedError
from slither_actors.errors import InputError, OptionError, PipeError, RemoteError

__all__ = ["FAILED", "NOT_READ", "USAGE", "UsageError", "forget", "report", "say", "sentence"]

FAILED: Final = 1
"""The run failed."""

USAGE: Final = 2
"""The command line or the input is wrong."""

NOT_READ: Final = 141
"""Nobody reads what is written: 128 and the number of SIGPIPE."""


class UsageError(Exception):
    """The command line asks for something that there is not."""


def say(text: str) -> None:
    """Print a line on standard error, where there is one."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # there is nobody to tell
        forget(2)
    except ValueError:  # closed
        return


def forget(fd: int) -> None:
    """Keep the interpreter from complaining at its end that nobody reads standard output or error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)


def report(error: BaseException, *, with_traceback: bool) -> int:
    """Say what went wrong and return the exit status."""
    if with_traceback:
        say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, (OutputClosedError, BrokenPipeError)):
        return NOT_READ
    text = sentence(error)
    hint = " (--traceback shows more)" if _has_more(error) and not with_traceback else ""
    say(f"slither-actors: {text}{hint}")
    return USAGE if _is_the_callers(error) else FAILED


def _is_the_callers(error: BaseException) -> bool:
    if isinstance(error, PipeError):
        return isinstance(error.reason, InputError)
    return isinstance(error, (UsageError, InputError, OptionError, NotFoundError))


def _has_more(error: BaseException) -> bool:
    if isinstance(error, NotFoundError):
        return error.import_failed
    return not _is_the_callers(error)


def sentence(error: BaseException) -> str:
    """Say in one line what `error` is about."""
    if isinstance(error, PipeError):
        if isinstance(error.reason, InputError):
            return str(error.reason)
        where = f"{error.pipe}.{error.stage}" if error.stage else error.pipe
        text = f"pipe {where} halted: {sentence(error.reason)}"
        return text if not error.item or error.item in text else f"{text} ({error.item})"
    if isinstance(error, RemoteError):
        return _first_line(f"{error.type_name.removeprefix('builtins.')}: {error.message}")
    text = _first_line(str(error))
    if type(error).__module__.startswith("slither_actors."):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
