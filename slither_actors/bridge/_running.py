"""The view calls that run at the moment, and who answers each of them.

A call is answered by whoever takes it out of `RunningCalls`: the task that ran
the view, or the sweep that found it out of time. Taking out is one dict
operation, so a call has exactly one answer.

There is one clock for all calls, not a timer each: the registry is asked for a
sweep at the earliest deadline. Calls that end before it cost two dict
operations, and the next sweep is asked for only when that one is over.
"""

from __future__ import annotations

import itertools
import logging
import math
import sys
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from slither_actors.actors._zombie import bury
from slither_actors.bridge._view import View

if TYPE_CHECKING:
    from slither_actors.actors import Ref
    from slither_actors.actors._cell import Cell
    from slither_actors.pool._news import Following, SealedBytes

logger = logging.getLogger("slither_actors.bridge")

__all__ = ["RUNNING", "Arm", "CallRequest", "RunningCall", "RunningCalls"]


class CallRequest(Protocol):
    """A worker's call to the driver, as the pool hands it over.

    It is answered once; answers of any thread after the first are dropped.
    """

    @property
    def session_id(self) -> str | None:
        """The session of the batch that the worker runs; None for a batch without a context."""

    @property
    def name(self) -> str:
        """What is called: ``"view"`` or ``"table"``."""

    @property
    def args(self) -> tuple[Any, ...]:
        """What it is given."""

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """What it is given by name."""

    def reply(self, value: Any, what: str = "") -> None:
        """Answer with a value. Any thread. `what` it is, in words, if it cannot cross."""

    def fail(self, error: BaseException) -> None:
        """Answer with an exception. Any thread."""

    def follow(self, following: Following, snapshot: SealedBytes) -> None:
        """Answer with a snapshot, and tell the worker of what follows. Any thread."""


@attrs.frozen
class Arm:
    """Asks the registry for a sweep at `deadline`, in monotonic seconds."""

    deadline: float


@attrs.define(eq=False)
class RunningCall:
    """One view call of a worker."""

    number: int
    request: CallRequest
    view: View
    session_id: str | None
    deadline: float
    cell: Cell | None = None
    """The actor that runs the view; None before it begins."""

    def __str__(self) -> str:
        return (
            f"view {self.view.name!r} of {self.view.store}, called by a worker in session {self.session_id}"
        )

    @property
    def stack(self) -> str:
        """Where the view is at the moment."""
        thread = None if self.cell is None else self.cell.scheduler.thread_of(self.cell)
        frame = None if thread is None else sys._current_frames().get(thread)
        return "  it does not run\n" if frame is None else "".join(traceback.format_stack(frame))


class RunningCalls:
    """All view calls that are not answered yet. Any thread; `serve` and `sweep` by the registry."""

    def __init__(self) -> None:
        self._calls: dict[int, RunningCall] = {}
        self._number = itertools.count(1).__next__
        self._next_sweep = math.inf
        self._server: Ref | None = None
        self._overdue: dict[int, RunningCall] = {}
        self.timed_out = 0
        """Calls that took longer than their view allows."""

    @property
    def count(self) -> int:
        """Calls that are not answered yet."""
        return len(self._calls)

    @property
    def overdue(self) -> int:
        """Calls that were failed for their time, and whose views have not returned yet."""
        return len(self._overdue)

    def begin(self, request: CallRequest, view: View, session_id: str | None, now: float) -> RunningCall:
        """Add a call; `now` is in monotonic seconds."""
        call = RunningCall(self._number(), request, view, session_id, now + view.options.timeout)
        self._calls[call.number] = call
        # In this order: a sweep that misses the call has set `_next_sweep` before it looked.
        if call.deadline < self._next_sweep:
            self._next_sweep = call.deadline
            if self._server is not None:
                self._server.info(Arm(call.deadline))
        return call

    def take(self, call: RunningCall) -> bool:
        """Take the call out, to answer it; False if another has."""
        return self._calls.pop(call.number, None) is not None

    def late(self, call: RunningCall) -> None:
        """The view of a call that was failed has returned, or raised: nobody waits for it."""
        if self._overdue.pop(call.number, None) is not None:
            late = time.monotonic() - call.deadline
            logger.warning("%s, has returned after all, %.1f s too late", call, late)

    def end_session(self, session_id: str) -> None:
        """Tell which views still run for a session that is over."""
        for call in self._overdue.copy().values():
            if call.session_id == session_id:
                logger.warning("%s, still runs after the session, at:\n%s", call, call.stack)

    def abandon(self) -> None:
        """The application stops: wait no longer for the views that did not return in time."""
        cells = [call.cell for call in self._overdue.copy().values() if call.cell is not None]
        for cell in cells:
            cell.ref.kill()
        bury(*cells)

    def serve(self, server: Ref) -> None:
        """Ask `server` for the sweeps from now on."""
        self._server = server

    def sweep(self, now: float) -> float | None:
        """Fail the calls that are out of time; return when the next sweep is due, if one is."""
        self._next_sweep = math.inf
        earliest = math.inf
        for call in self._calls.copy().values():
            if call.deadline > now:
                earliest = min(earliest, call.deadline)
            else:
                self._fail(call)
        if earliest == math.inf:
            return None
        self._next_sweep = min(self._next_sweep, earliest)
        return earliest

    def _fail(self, call: RunningCall) -> None:
        self._overdue[call.number] = call  # first: whoever runs it looks there when it has lost
        if not self.take(call):
            self._overdue.pop(call.number, None)
            return
        self.timed_out += 1
        problem = f"took longer than {call.view.options.timeout:g} s"
        call.request.fail(call.view.error(problem))
        logger.warning("%s, %s. The worker was told so; the view runs on, at:\n%s", call, problem, call.stack)


RUNNING = RunningCalls()
"""The calls of this process."""
