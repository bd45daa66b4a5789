"""Waiting for a change that another thread makes, in a thread that may be an actor's or get a signal."""

from __future__ import annotations

import threading
from functools import partial

from slither_actors.actors import blocking, interruptible
from slither_actors.actors._interrupts import waits

__all__ = ["wait_for_change"]


@waits
def wait_for_change(changed: threading.Condition, timeout: float | None) -> None:
    """Wait until `changed`, which the caller holds, is told of, or `timeout` seconds are over.

    Raises:
        ExitPendingError: the calling actor is to end.
    """
    with interruptible(partial(_wake, changed)) as refuse:
        blocking()
        changed.wait(timeout)
        refuse()


def _wake(changed: threading.Condition) -> None:
    with changed:
        changed.notify_all()
