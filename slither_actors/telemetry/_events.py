"""The events: their names, their signals and the keys that they carry.

Each signal's docstring lists the keys of `measurements` and `metadata`. A
``start`` carries ``system_time`` (seconds since the epoch), a ``stop`` or
``exception`` carries ``duration`` (seconds), an ``exception`` adds ``kind``
(``"error"`` for an `Exception`, ``"exit"`` for any other) and ``reason`` (the
exception) to the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import blinker

__all__ = ["EVENTS", "Signal"]

Signal = blinker.NamedSignal
"""The class of every event's signal; `name` is the event, `receivers` is empty while nobody listens."""

_namespace = blinker.Namespace()


def _event(name: str, measurements: str, metadata: str) -> Signal:
    return _namespace.signal(name, f"{name}: measurements {measurements}; metadata {metadata}.")


_BATCH = "batch_ref, batch_size, attempt, executor, pipe, stage"
DISPATCH_BATCH_START = _event("slither.dispatch.batch.start", "system_time", _BATCH)
DISPATCH_BATCH_STOP = _event("slither.dispatch.batch.stop", "duration", _BATCH)
DISPATCH_BATCH_EXCEPTION = _event("slither.dispatch.batch.exception", "duration", f"{_BATCH}, kind, reason")

_BREAKER = "pool, executor, reason"
DISPATCH_BREAKER_OPEN = _event("slither.dispatch.breaker.open", "system_time, failures", _BREAKER)
DISPATCH_BREAKER_HALF_OPEN = _event("slither.dispatch.breaker.half_open", "system_time", _BREAKER)
DISPATCH_BREAKER_CLOSE = _event("slither.dispatch.breaker.close", "system_time, duration", _BREAKER)

_RUN = "pipe, session_id, input_count"
PIPE_RUN_START = _event("slither.pipe.run.start", "system_time", _RUN)
PIPE_RUN_STOP = _event("slither.pipe.run.stop", "duration", _RUN)
PIPE_RUN_EXCEPTION = _event("slither.pipe.run.exception", "duration", f"{_RUN}, kind, reason")

_STAGE = "pipe, stage, type"
_COUNTS = "duration, busy, items_in, emitted, routed, skipped, failed, retries"
PIPE_STAGE_START = _event("slither.pipe.stage.start", "system_time", _STAGE)
PIPE_STAGE_STOP = _event("slither.pipe.stage.stop", _COUNTS, _STAGE)
PIPE_STAGE_EXCEPTION = _event("slither.pipe.stage.exception", _COUNTS, f"{_STAGE}, kind, reason")

PIPE_LOST = _event("slither.pipe.lost", "count", "pipe, name, reason, exact")

STORE_WRITE = _event("slither.store.write", "count", "store, table")
STORE_RELOAD_START = _event("slither.store.reload.start", "system_time", "store")
STORE_RELOAD_STOP = _event("slither.store.reload.stop", "duration", "store")
STORE_RELOAD_EXCEPTION = _event("slither.store.reload.exception", "duration", "store, kind, reason")

_VIEW = "view, session_id"
BRIDGE_VIEW_START = _event("slither.bridge.view.start", "system_time", _VIEW)
BRIDGE_VIEW_STOP = _event("slither.bridge.view.stop", "duration", _VIEW)
BRIDGE_VIEW_EXCEPTION = _event("slither.bridge.view.exception", "duration", f"{_VIEW}, kind, reason")

_CHILD = "supervisor, child, ref"
SUPERVISOR_CHILD_START = _event("slither.supervisor.child.start", "system_time", _CHILD)
SUPERVISOR_CHILD_EXIT = _event("slither.supervisor.child.exit", "system_time", f"{_CHILD}, reason")
SUPERVISOR_CHILD_RESTART = _event("slither.supervisor.child.restart", "system_time", f"{_CHILD}, reason")
SUPERVISOR_GAVE_UP = _event("slither.supervisor.gave_up", "system_time", f"{_CHILD}, reason")

ACTOR_CRASH = _event(
    "slither.actor.crash", "system_time", "actor, name, ref, reason, last_message, ancestors, state"
)

ACTOR_ZOMBIE = _event("slither.actor.zombie", "system_time, age", "actor, name, ref, stack")

_WORKER = "pool, slot, pid"
POOL_WORKER_START = _event("slither.pool.worker.start", "duration", _WORKER)
POOL_WORKER_EXIT = _event("slither.pool.worker.exit", "duration", f"{_WORKER}, exitcode, cause, postmortem")
POOL_WORKER_RECYCLE = _event("slither.pool.worker.recycle", "duration", f"{_WORKER}, reason")

STAGE_BUFFER_OVERFLOW = _event(
    "slither.stage.buffer.overflow", "count", "stage, size, keep, partition, reason"
)
STAGE_REDELIVERY = _event("slither.stage.redelivery", "count", "stage, consumer, reason, redelivered")
STAGE_UNDELIVERABLE = _event(
    "slither.stage.undeliverable", "count", "stage, consumer, reason, max_deliveries, events"
)

_STALL = "kind, stage, sentence, advice"
STAGE_STALL_START = _event("slither.stage.stall.start", "system_time", _STALL)
STAGE_STALL_STOP = _event("slither.stage.stall.stop", "duration", _STALL)

EVENTS: Mapping[str, Signal] = MappingProxyType(_namespace)
"""Every event's signal by name."""
