"""What a process starts with: it can be stopped before it has imported anything that takes time."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from slither_actors._cli._signals import SIGNALS, leave_on_signal

__all__ = ["entry", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    from slither_actors._cli._main import main as run  # noqa: PLC0415 - takes its time

    return run(arguments)


def entry() -> int:
    """Run the process's command, from the first signal on."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, leave_on_signal)
    from slither_actors._cli._main import entry as run  # noqa: PLC0415 - takes its time

    return run()
