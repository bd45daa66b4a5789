"""A start event, and a stop or an exception event with the time between."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from slither_actors.telemetry._emit import emit
from slither_actors.telemetry._events import Signal

__all__ = ["kind_of", "span"]


class span:  # noqa: N801 - reads as a statement: ``with span(…):``
    """Tell `start` now, and `stop` or `exception` when the ``with`` block ends.

    The block gets a dict of its own made from `metadata`; what it adds there
    is part of the closing event. The exception goes on. One thread, one use.
    """

    __slots__ = ("_began", "_exception", "_metadata", "_sender", "_start", "_stop")

    def __init__(
        self, start: Signal, stop: Signal, exception: Signal, sender: Any, metadata: Mapping[str, Any]
    ) -> None:
        self._start = start
        self._stop = stop
        self._exception = exception
        self._sender = sender
        self._metadata = dict(metadata)
        self._began = 0.0

    def __enter__(self) -> dict[str, Any]:
        if self._start.receivers:
            emit(
                self._start, self._sender, measurements={"system_time": time.time()}, metadata=self._metadata
            )
        self._began = time.monotonic()
        return self._metadata

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal = self._stop if error is None else self._exception
        if not signal.receivers:
            return
        duration = time.monotonic() - self._began
        metadata = self._metadata
        if error is not None:
            # A new dict: the block's own must not keep the exception's frames alive.
            metadata = {**metadata, "kind": kind_of(error), "reason": error}
        emit(signal, self._sender, measurements={"duration": duration}, metadata=metadata)


def kind_of(error: BaseException) -> str:
    """Return what an ``exception`` event calls the kind of an exception."""
    return "error" if isinstance(error, Exception) else "exit"
