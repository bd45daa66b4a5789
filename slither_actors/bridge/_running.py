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
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from slither_actors.bridge._view import View
from slither_actors.errors import ViewError

if TYPE_CHECKING:
    from slither_actors.actors import Ref
    from slither_actors.pool._news import Following, SealedBytes

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

    def reply(self, value: Any) -> None:
        """Answer with a value. Any thread."""

    def fail(self, error: BaseException) -> None:
        """Answer with an exception. Any thread."""

    def follow(self, following: Following, snapshot: SealedBytes) -> None:
        """Answer with a snapshot, and tell the worker of what follows. Any thread."""


@attrs.frozen
class Arm:
    """Asks the registry for a sweep at `deadline`, in monotonic seconds."""

    deadline: float


@attrs.frozen(eq=False)
class RunningCall:
    """One view call of a worker."""

    number: int
    request: CallRequest
    view: View
    deadline: float


class RunningCalls:
    """All view calls that are not answered yet. Any thread; `serve` and `sweep` by the registry."""

    def __init__(self) -> None:
        self._calls: dict[int, RunningCall] = {}
        self._number = itertools.count(1).__next__
        self._next_sweep = math.inf
        self._server: Ref | None = None
        self.timed_out = 0
        """Calls that took longer than their view allows."""

    @property
    def count(self) -> int:
        """Calls that are not answered yet."""
        return len(self._calls)

    def begin(self, request: CallRequest, view: View, now: float) -> RunningCall:
        """Add a call; `now` is in monotonic seconds."""
        call = RunningCall(self._number(), request, view, now + view.options.timeout)
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
            elif self.take(call):
                self.timed_out += 1
                seconds = call.view.options.timeout
                call.request.fail(ViewError(call.view.name, f"took longer than {seconds:g} s"))
        if earliest == math.inf:
            return None
        self._next_sweep = min(self._next_sweep, earliest)
        return earliest


RUNNING = RunningCalls()
"""The calls of this process."""
