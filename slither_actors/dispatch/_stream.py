"""The caller's end of a run: an iterator that drives it, and closes it however it is left."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from slither_actors.actors import NORMAL, SHUTDOWN, Crash, Ref
from slither_actors.dispatch._default import pipes
from slither_actors.dispatch._reader import Arrival, Ended
from slither_actors.dispatch._runner import Halted
from slither_actors.dispatch._topology import RunPlan, RunSupervisor
from slither_actors.errors import ActorExitError, NotRunningError, SlitherError
from slither_actors.item import Item

__all__ = ["RunStream", "collect", "halted_by"]

_END_SECONDS = 10.0
"""How long the end of a run may take to tidy up before the caller goes on."""


def halted_by(reason: Any) -> Halted | None:
    """Say why a run ended early, from the exit reason of its last stage; None if it did not."""
    if reason == NORMAL:
        return None
    if isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[1], Halted):
        return reason[1]
    if isinstance(reason, Crash):
        return Halted(error=reason.exception)
    return Halted(error=NotRunningError(f"the run was ended from outside ({reason})"))


def start_run(plan: RunPlan) -> Ref:
    """Start a run under the `PipeSupervisor`.

    Raises:
        NotRunningError: the application stops.
        NameTakenError: another run has the plan's name.
    """
    spec = RunSupervisor.child_spec(
        plan, id=plan.label, name=plan.name, restart="temporary", shutdown=_END_SECONDS
    )
    try:
        return pipes().start_child(spec)
    except ActorExitError as error:
        msg = "the application stops and takes no more runs"
        raise NotRunningError(msg) from error


def _end_run(run: Ref) -> None:
    # Not by an exit signal: a supervisor traps those and heeds only its parent's.
    run.stop(SHUTDOWN, block=False)


class RunStream(Iterator[Item]):
    """The items of a run, as they come. The run starts at the first one asked for.

    Not thread-safe: one thread reads. Leaving the ``with`` block, `close`, or
    dropping the last reference ends the run, its input and its batches.
    """

    def __init__(self, plan: RunPlan, fail: Callable[[Halted, list[Item]], SlitherError]) -> None:
        self._plan = plan
        self._fail = fail
        self._run: Ref | None = None
        self._chunk: Iterator[Item] = iter(())
        self._arrival: Arrival | None = None
        self._closed = False
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        while True:
            for item in self._chunk:
                return item
            self._next_chunk()

    def _next_chunk(self) -> None:
        if self._closed:
            raise StopIteration
        if self._run is None:
            self._run = start_run(self._plan)
            self._finalizer = weakref.finalize(self, _end_run, self._run)
            self._finalizer.atexit = False
        elif self._arrival is not None:
            self._arrival.consumed(len(self._arrival.items))
            self._arrival = None
        try:
            arrived = self._plan.outlet.get()
        except BaseException:
            self.close()
            raise
        if isinstance(arrived, Ended):
            self._end(arrived.reason)
        else:
            self._arrival = arrived
            self._chunk = iter(arrived.items)

    def _end(self, reason: Any) -> None:
        self.close()
        halted = halted_by(reason)
        if halted is not None:
            raise self._fail(halted, [])
        raise StopIteration

    def close(self) -> None:
        """End the run. What is on its way is dropped; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._chunk = iter(())
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._run is not None:
            _end_run(self._run)
            self._run.join(_END_SECONDS)

    def statistics(self) -> dict[str, Any]:
        """Return the statistics of each stage of the run that has some, by stage name.

        Raises:
            NotRunningError: the run has not started or has ended.
        """
        if self._run is None or self._closed:
            msg = "the run is not running: read from it first, and before it ends"
            raise NotRunningError(msg)
        children: list[tuple[str, Ref]] = self._run.run(stages_of)
        found = {}
        for name, ref in children:
            snapshot = getattr(ref.actor_class, "snapshot", None)
            if snapshot is not None:
                found[name] = ref.run(snapshot)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def collect(plan: RunPlan) -> tuple[list[Item], Halted | None]:
    """Run to the end; return the items in the order in which they came out, and why it ended early."""
    run = start_run(plan)
    items: list[Item] = []
    try:
        while True:
            arrived = plan.outlet.get()
            if isinstance(arrived, Ended):
                run.join(_END_SECONDS)
                return items, halted_by(arrived.reason)
            items += arrived.items
    except BaseException:
        _end_run(run)
        run.join(_END_SECONDS)
        raise


def stages_of(run: RunSupervisor, _: None) -> list[tuple[str, Ref]]:
    """The running stages of a run, the source first."""
    infos = reversed(run._do_which_children())
    return [(str(info.id), info.ref) for info in infos if info.ref is not None]
