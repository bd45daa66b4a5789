"""Room on the stack of the thread that asks."""

from __future__ import annotations

import sys

__all__ = ["refuse_without_room"]

_ROOM = 120
"""Frames that a start needs at the most, if it fails and is logged: a tenth of what Python allows."""


def refuse_without_room() -> None:
    """Raise unless there is room for a start, with all that has to be done if it fails.

    `init` runs in the starter's thread, so that actors that start others in it nest on one stack. Where
    the interpreter's limit is hit instead, it may be in the middle of the runtime's own work.

    Raises:
        RecursionError: there is not.
    """
    limit = sys.getrecursionlimit()
    try:
        sys._getframe(limit - _ROOM if limit > 2 * _ROOM else limit // 2)
    except ValueError:
        return
    msg = (
        f"fewer than {min(_ROOM, limit // 2)} of the {limit} frames that Python allows are left on the "
        "stack: actors that start others in init nest too deeply; let some start them in handle_continue, "
        "or raise sys.setrecursionlimit"
    )
    raise RecursionError(msg)
