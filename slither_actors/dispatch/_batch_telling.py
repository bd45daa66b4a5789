"""The telemetry of a runner's batches: that one began, and how it ended."""

from __future__ import annotations

import time
from typing import Any

from slither_actors import telemetry
from slither_actors.context import Context
from slither_actors.dispatch._batch import Batch
from slither_actors.telemetry._span import kind_of

__all__ = ["BatchTelling"]


class BatchTelling:
    """Tells of batches, with the runner as the sender. For the runner's actor."""

    def __init__(self, sender: Any, context: Context, executor: str) -> None:
        self._sender = sender
        self._about = {"executor": executor, "pipe": context.pipe, "stage": context.stage}

    def started(self, batch: Batch) -> None:
        """Note when an attempt began, and tell of it."""
        batch.started_at = time.monotonic()
        if telemetry.DISPATCH_BATCH_START.receivers:
            self._tell(telemetry.DISPATCH_BATCH_START, batch, {"system_time": time.time()}, {})

    def ended(self, batch: Batch, error: BaseException | None) -> None:
        """Tell how an attempt ended."""
        duration = {"duration": time.monotonic() - batch.started_at}
        if error is None:
            if telemetry.DISPATCH_BATCH_STOP.receivers:
                self._tell(telemetry.DISPATCH_BATCH_STOP, batch, duration, {})
        elif telemetry.DISPATCH_BATCH_EXCEPTION.receivers:
            why = {"kind": kind_of(error), "reason": error}
            self._tell(telemetry.DISPATCH_BATCH_EXCEPTION, batch, duration, why)

    def _tell(
        self, signal: telemetry.Signal, batch: Batch, measured: dict[str, float], why: dict[str, Any]
    ) -> None:
        which = {"batch_ref": batch.ref, "batch_size": batch.size, "attempt": batch.attempt}
        telemetry.emit(signal, self._sender, measurements=measured, metadata={**which, **self._about, **why})
