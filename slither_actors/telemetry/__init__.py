"""Signals that tell what happens: one blinker signal per event.

Observe with `attach`; every event and its keys is listed in `EVENTS`. Inside
the library an event is told with one attribute check in front, so that nobody
pays who does not listen::

    if telemetry.STORE_WRITE.receivers:
        telemetry.emit(telemetry.STORE_WRITE, store, measurements={"count": 1}, metadata={...})

Events are per batch, run, write or worker, never per item. Times are seconds.
"""

from slither_actors.telemetry._attach import Handle, Receiver, attach
from slither_actors.telemetry._emit import emit
from slither_actors.telemetry._events import (
    ACTOR_CRASH,
    ACTOR_ZOMBIE,
    BRIDGE_VIEW_EXCEPTION,
    BRIDGE_VIEW_START,
    BRIDGE_VIEW_STOP,
    DISPATCH_BATCH_EXCEPTION,
    DISPATCH_BATCH_START,
    DISPATCH_BATCH_STOP,
    DISPATCH_BREAKER_CLOSE,
    DISPATCH_BREAKER_HALF_OPEN,
    DISPATCH_BREAKER_OPEN,
    EVENTS,
    PIPE_LOST,
    PIPE_RUN_EXCEPTION,
    PIPE_RUN_START,
    PIPE_RUN_STOP,
    PIPE_STAGE_EXCEPTION,
    PIPE_STAGE_START,
    PIPE_STAGE_STOP,
    POOL_WORKER_EXIT,
    POOL_WORKER_RECYCLE,
    POOL_WORKER_START,
    STAGE_BUFFER_OVERFLOW,
    STAGE_REDELIVERY,
    STAGE_STALL_START,
    STAGE_STALL_STOP,
    STAGE_UNDELIVERABLE,
    STORE_RELOAD_EXCEPTION,
    STORE_RELOAD_START,
    STORE_RELOAD_STOP,
    STORE_WRITE,
    SUPERVISOR_CHILD_EXIT,
    SUPERVISOR_CHILD_RESTART,
    SUPERVISOR_CHILD_START,
    SUPERVISOR_GAVE_UP,
    Signal,
)
from slither_actors.telemetry._span import span

__all__ = [
    "ACTOR_CRASH",
    "ACTOR_ZOMBIE",
    "BRIDGE_VIEW_EXCEPTION",
    "BRIDGE_VIEW_START",
    "BRIDGE_VIEW_STOP",
    "DISPATCH_BATCH_EXCEPTION",
    "DISPATCH_BATCH_START",
    "DISPATCH_BATCH_STOP",
    "DISPATCH_BREAKER_CLOSE",
    "DISPATCH_BREAKER_HALF_OPEN",
    "DISPATCH_BREAKER_OPEN",
    "EVENTS",
    "PIPE_LOST",
    "PIPE_RUN_EXCEPTION",
    "PIPE_RUN_START",
    "PIPE_RUN_STOP",
    "PIPE_STAGE_EXCEPTION",
    "PIPE_STAGE_START",
    "PIPE_STAGE_STOP",
    "POOL_WORKER_EXIT",
    "POOL_WORKER_RECYCLE",
    "POOL_WORKER_START",
    "STAGE_BUFFER_OVERFLOW",
    "STAGE_REDELIVERY",
    "STAGE_STALL_START",
    "STAGE_STALL_STOP",
    "STAGE_UNDELIVERABLE",
    "STORE_RELOAD_EXCEPTION",
    "STORE_RELOAD_START",
    "STORE_RELOAD_STOP",
    "STORE_WRITE",
    "SUPERVISOR_CHILD_EXIT",
    "SUPERVISOR_CHILD_RESTART",
    "SUPERVISOR_CHILD_START",
    "SUPERVISOR_GAVE_UP",
    "Handle",
    "Receiver",
    "Signal",
    "attach",
    "emit",
    "span",
]
