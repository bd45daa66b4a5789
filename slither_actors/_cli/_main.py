"""From the arguments to the exit status."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence

from slither_actors._cli._doctor import doctor_command
from slither_actors._cli._errors import NOT_READ, forget, report, say
from slither_actors._cli._example import baseline_command, example_command
from slither_actors._cli._parser import make_parser
from slither_actors._cli._run import run_command
from slither_actors._cli._signals import Interrupted, Stopper
from slither_actors._cli._stores import stores_command

__all__ = ["entry", "main"]

_SIGNALLED = 128

_COMMANDS = {
    "run": run_command,
    "example": example_command,
    "baseline": baseline_command,
    "doctor": doctor_command,
    "stores": stores_command,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    options = make_parser().parse_args(arguments)
    stopper = Stopper()
    try:
        with stopper.installed(), _log_in_lines(options.traceback):
            status = _COMMANDS[options.command](options, stopper)
        _flush_stdout()
    except Interrupted:
        say(f"stopped: {stopper.reason}")
        status = stopper.status
    except BrokenPipeError:
        status = NOT_READ
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one line
        status = report(error, with_traceback=options.traceback)
    if status == NOT_READ:
        forget(1)
    return status


def entry() -> int:
    """Run the process's command: `main`, and an end that waits for nobody once it was interrupted."""
    status = main()
    if status > _SIGNALLED and status != NOT_READ:
        # The application is stopped. What the interpreter would still wait for is a thread in a
        # stage's handler that does not return.
        with contextlib.suppress(OSError, ValueError):
            _flush_stdout()
        os._exit(status)
    return status


def _flush_stdout() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


class _OneLine(logging.Formatter):
    """A record's first line; the rest is a traceback or a worker's last words."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return f"slither-actors: {record.levelname.lower()}: {record.getMessage()}".partition("\n")[0]


@contextlib.contextmanager
def _log_in_lines(with_traceback: bool) -> Iterator[None]:
    """Have the library's warnings on standard error, a line each, while the block runs."""
    logger = logging.getLogger("slither_actors")
    handler = logging.StreamHandler()
    if not with_traceback:
        handler.setFormatter(_OneLine())
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
