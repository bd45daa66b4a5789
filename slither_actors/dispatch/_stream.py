"""The caller's end of a run: an iterator that drives it, and closes it however it is left."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import chain
from types import TracebackType
from typing import Any, Self

from slither_actors.actors import NORMAL, SHUTDOWN, Crash, Ref
from slither_actors.core import Insights
from slither_actors.dispatch._default import pipes
from slither_actors.dispatch._insights import insights_of
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._reader import Arrival, Ended
from slither_actors.dispatch._runner import Halted
from slither_actors.dispatch._topology import RunPlan, RunSupervisor
from slither_actors.errors import ActorExitError, ForkedRuntimeError, NotRunningError, SlitherError
from slither_actors.item import Item

__all__ = ["RunStream", "close_run", "collect", "end_run", "halted_by", "start_run", "statistics_of"]

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


def end_run(link: RunLink) -> None:
    """Have a run end, whether it has started, is about to, or has ended."""
    link.close()
    if link.run is not None:
        with contextlib.suppress(ForkedRuntimeError):  # it is the parent's
            if link.on_close != "abandon":
                link.run.send(RunSupervisor.wind_up)
                return
            # Not by an exit signal: a supervisor traps those and heeds only its parent's.
            link.run.stop(SHUTDOWN, block=False)


def close_run(link: RunLink) -> None:
    """End a run and wait until nothing of it is left."""
    end_run(link)
    if link.run is not None:
        link.run.join(link.close_timeout + _END_SECONDS)


class RunStream(Iterator[Item]):
    """The items of a run, as they come. The run starts at the first one asked for.

    One thread reads at a time; a second one gets a `RuntimeError`. Leaving the ``with`` block, `close`, or
    dropping the last reference ends the run, its input and its batches.
    """

    def __init__(self, plan: RunPlan, fail: Callable[[Halted, list[Item]], SlitherError]) -> None:
        self._plan = plan
        self._fail = fail
        self._started = False
        self._chunk: Iterator[Item] = iter(())
        self._arrival: Arrival | None = None
        self._closed = False
        self._turn = threading.Lock()
        """Held by the thread that waits for the next items."""
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def __iter__(self) -> Iterator[Item]:
        """As repeated `next`, and faster: a loop runs through each list that has come by itself."""
        return chain.from_iterable(self._chunks())

    def _chunks(self) -> Iterator[Iterator[Item]]:
        while True:
            yield self._chunk
            try:
                self._next_chunk()
            except StopIteration:
                return

    def __next__(self) -> Item:
        while True:
            for item in self._chunk:
                return item
            self._next_chunk()

    def _next_chunk(self) -> None:
        if self._closed:
            raise StopIteration
        if not self._turn.acquire(blocking=False):
            msg = (
                "the stream is being read by another thread, which waits for the next items. A stream is for "
                "one reader: have one thread read and put the items into a `queue.Queue` for the others"
            )
            raise RuntimeError(msg)
        try:
            if not self._started:
                self._start()
            elif self._arrival is not None:
                self._pay(self._arrival)
            arrived = self._plan.outlet.get()
        except BaseException:
            self.close()
            raise
        finally:
            self._turn.release()
        if self._closed:
            raise StopIteration  # another thread has closed it
        if isinstance(arrived, Ended):
            self._end(arrived.reason)
        else:
            self._arrival = arrived
            self._chunk = iter(arrived)

    def _pay(self, arrival: Arrival) -> None:
        self._arrival = None
        if arrival.credit is not None:
            arrival.credit.consumed(len(arrival))

    def _start(self) -> None:
        self._started = True
        self._finalizer = weakref.finalize(self, end_run, self._plan.link)
        self._finalizer.atexit = False
        start_run(self._plan)

    def _end(self, reason: Any) -> None:
        self.close()
        halted = halted_by(reason)
        if halted is not None:
            raise self._fail(halted, []) from halted.error
        raise StopIteration

    def close(self) -> None:
        """End the run. What is on its way is dropped; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._chunk = iter(())
        self._arrival = None
        if self._started:
            close_run(self._plan.link)
        else:
            self._plan.link.close()  # another thread may be about to start it
        if self._finalizer is not None:
            self._finalizer.detach()

    def statistics(self) -> dict[str, Any]:
        """Return the statistics of each stage that has some, by stage name; the last ones after the end.

        Raises:
            NotRunningError: the run has not started.
        """
        return statistics_of(self._plan.link)

    def insights(self) -> Insights:
        """Return where the time went so far, or in all after the end; with the option ``insights=True``.

        Raises:
            OptionError: the option is off.
            NotRunningError: the run has not started.
        """
        return insights_of(self._plan.link, self._plan.insights)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def statistics_of(link: RunLink) -> dict[str, Any]:
    """See `RunStream.statistics`."""
    run = link.run
    if run is None:
        msg = "the run has not started: read from it first"
        raise NotRunningError(msg)
    found = dict(link.finished)
    try:
        for name, ref in run.run(stages_of):
            snapshot = getattr(ref.actor_class, "snapshot", None)
            if snapshot is not None:
                found[name] = ref.run(snapshot)
    except ActorExitError:
        found |= link.finished  # it has ended, just now or before
    return found


def collect(plan: RunPlan) -> tuple[list[Item], Halted | None]:
    """Run to the end; return the items in the order in which they came out, and why it ended early."""
    items: list[Item] = []
    try:
        run = start_run(plan)
        while True:
            arrived = plan.outlet.get()
            if isinstance(arrived, Ended):
                run.join(_END_SECONDS)
                return items, halted_by(arrived.reason)
            items += arrived
    except BaseException:
        close_run(plan.link)
        raise


def stages_of(run: RunSupervisor, _: None) -> list[tuple[str, Ref]]:
    """The running stages of a run, the source first."""
    infos = reversed(run._do_which_children())
    return [(str(info.id), info.ref) for info in infos if info.ref is not None]
