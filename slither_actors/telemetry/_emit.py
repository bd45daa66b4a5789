"""Telling an event to its receivers, with the emitter out of harm's way.

Every receiver is called, whatever those before it did. One that raises is
logged and detached. Contained is everything but a `KeyboardInterrupt` or
`SystemExit` in the main thread: there they are the user's (a Ctrl-C that
happened to strike inside a receiver, a signal handler that ends the program);
in any other thread they would only take down the actor that emitted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from slither_actors.telemetry._attach import Handle
from slither_actors.telemetry._events import Signal
from slither_actors.telemetry._log import GuardedLog

__all__ = ["emit"]

_log = GuardedLog("slither_actors.telemetry")


def emit(
    signal: Signal, sender: Any, *, measurements: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    """Call the receivers of `signal`.

    Call sites guard it, so that building the arguments costs nothing either:
    ``if signal.receivers: emit(signal, …)``. A function connected through
    blinker is called ``fn(sender, event=…, measurements=…, metadata=…)``. Any
    thread may emit.
    """
    if signal.is_muted:
        return
    for receiver in signal.receivers_for(sender):
        try:
            # Copies: a receiver may keep or change what it gets, the emitter may use it again.
            receiver(sender, event=signal.name, measurements=dict(measurements), metadata=dict(metadata))
        except (KeyboardInterrupt, SystemExit) as error:
            if threading.current_thread() is threading.main_thread():
                raise
            _drop(signal, receiver, error)
        except BaseException as error:  # noqa: BLE001 - contained, see above
            _drop(signal, receiver, error)


def _drop(signal: Signal, receiver: Callable[..., Any], error: BaseException) -> None:
    fn = receiver.fn if isinstance(receiver, Handle) else receiver
    try:
        _log.error("receiver %s raised on %s and is detached", _name_of(fn), signal.name, exc_info=error)
    finally:
        if isinstance(receiver, Handle):
            receiver.detach()
        else:
            signal.disconnect(receiver)


def _name_of(fn: Callable[..., Any]) -> str:
    named = fn if hasattr(fn, "__qualname__") else type(fn)
    return f"{named.__module__}.{named.__qualname__}"
