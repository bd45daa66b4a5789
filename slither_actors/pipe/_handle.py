"""The handle by which another thread looks at a run, and cancels it."""

from __future__ import annotations

import threading
from typing import Any

from slither_actors.errors import NotRunningError, OptionError, safe_text
from slither_actors.pipe._link import Cancelled, PipeLink, interrupt_run
from slither_actors.pipe._record import PipeRecord, look

__all__ = ["RunHandle"]


class RunHandle:
    """What `run_pipe` and the others take as ``handle=``: for threads that do not wait for the run.

    One handle is for one run. Every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may cancel while this thread does
        self._run: tuple[Any, PipeLink] | None = None
        self._cancelled: str | None = None

    def cancel(self, reason: object = "") -> None:
        """End the run, which raises `PipeCancelledError` with what has come out, where it is waited for.

        One that has not started ends when it does. One that has ended is left alone.

        Args:
            reason: why, for the error.
        """
        reason = "" if reason is None else safe_text(reason)
        with self._lock:
            if self._cancelled is not None:
                return
            self._cancelled = reason
            run = self._run
        if run is not None:
            interrupt_run(*run, Cancelled(reason))

    @property
    def cancelled(self) -> bool:
        """Whether somebody has called `cancel`."""
        return self._cancelled is not None

    def record(self) -> PipeRecord:
        """Return what the run has done so far, or in all.

        Raises:
            NotRunningError: the run has not started.
        """
        if self._run is None:
            msg = "no run has this handle yet: give it to run_pipe as handle="
            raise NotRunningError(msg)
        return look(self._run[1])

    def _bind(self, outlet: Any, link: PipeLink, where: str) -> None:
        with self._lock:
            if self._run is not None:
                raise OptionError("handle", "was given to a run before; make one for each run", where=where)
            self._run = outlet, link
            cancelled = self._cancelled
        if cancelled is not None:
            interrupt_run(outlet, link, Cancelled(cancelled))
