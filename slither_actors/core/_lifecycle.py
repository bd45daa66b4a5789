"""What follows from the end of an actor: for those linked to it, and for its supervisor.

Source: https://www.erlang.org/doc/system/ref_man_processes and
https://www.erlang.org/doc/apps/stdlib/supervisor
"""

from __future__ import annotations

import enum
from typing import Any, Literal

__all__ = ["KILLED", "NOPROC", "NORMAL", "SHUTDOWN", "OnExit", "comes_back", "is_abnormal", "on_exit"]

NORMAL = "normal"
"""The actor did what it was for. OTP: ``normal``."""

SHUTDOWN = "shutdown"
"""The actor was told to end in an orderly way, by its supervisor as a rule. OTP: ``shutdown``."""

KILLED = "killed"
"""The actor was ended without being asked. OTP: ``killed``."""

NOPROC = "noproc"
"""There was no such actor. OTP: ``noproc``."""


class OnExit(enum.Enum):
    """What an exit signal does to the actor that it reaches."""

    END = "end"
    """The actor ends with the same reason."""

    MESSAGE = "message"
    """The actor gets it as a message."""

    NOTHING = "nothing"


def on_exit(reason: Any, *, traps: bool, from_parent: bool) -> OnExit:
    """Return what an exit signal does.

    Nobody can trap the parent's; a normal one does nothing to who does not trap.
    """
    if traps:
        return OnExit.END if from_parent else OnExit.MESSAGE
    return OnExit.NOTHING if _is(reason, NORMAL) else OnExit.END


def is_abnormal(reason: Any) -> bool:
    """Whether `reason` is anything but ``"normal"``, ``"shutdown"`` or ``("shutdown", term)``.

    A transient child is restarted after such an end. OTP: supervisor, ``restart()``.
    """
    if isinstance(reason, tuple) and len(reason) == 2:
        return not _is(reason[0], SHUTDOWN)
    return not _is(reason, NORMAL, SHUTDOWN)


def _is(reason: Any, *names: str) -> bool:
    # The type first: a term of the user's is compared by code of the user's, which may raise.
    return isinstance(reason, str) and reason in names


def comes_back(restart: Literal["permanent", "transient", "temporary"], reason: Any) -> bool:
    """Whether a supervised child that ended by itself is started again."""
    return restart == "permanent" or (restart == "transient" and is_abnormal(reason))
