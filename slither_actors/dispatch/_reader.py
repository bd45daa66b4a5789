"""The last stage of a run, and the queue by which its items reach the caller's thread."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from slither_actors.actors import KILLED, NORMAL, Ref, blocking
from slither_actors.dispatch._link import RunLink, enclosing_run
from slither_actors.errors import NotRunningError
from slither_actors.item import Item
from slither_actors.stages import Consumer, Subscription, ask

__all__ = ["Arrival", "Ended", "Outlet", "Reader"]


Granted = Callable[[int], None]
"""Tells where items came from that so many of them were consumed."""


@attrs.frozen
class Ended:
    """The run has ended; nothing comes after this."""

    reason: Any


@attrs.frozen
class Arrival:
    """Items that have reached the caller."""

    items: Sequence[Item]

    consumed: Granted
    """To be called with their number when the caller is done with them."""


@attrs.frozen
class _Interrupt:
    """The run whose actor reads is to end."""

    run: RunLink


class Outlet:
    """A queue from a run to the one thread that reads it.

    `put` and `finish` are called by the reader's actor, `get` by the caller.
    What it holds is bounded by the demand that the caller has granted.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Arrival | Ended | _Interrupt] = queue.SimpleQueue()
        self._finished = False

    def put(self, arrival: Arrival) -> None:
        """Pass items on."""
        self._queue.put(arrival)

    def finish(self, reason: Any) -> None:
        """Say that the run has ended; only the first reason counts."""
        if not self._finished:
            self._finished = True
            self._queue.put(Ended(reason))

    def interrupt(self, run: RunLink) -> None:
        """End a wait of one of `run`'s actors."""
        self._queue.put(_Interrupt(run))

    def get(self) -> Arrival | Ended:
        """Wait in this thread, which may be an actor's, for the next items or the end.

        Raises:
            NotRunningError: the calling actor is part of another run, and that one is to end.
        """
        run = enclosing_run()
        if run is not None:
            run.waits.add(self)
        try:
            while True:
                if run is not None and run.closing:
                    msg = "the run that reads this one ends"
                    raise NotRunningError(msg)
                if self._queue.empty():
                    blocking()
                got = self._queue.get()
                if not isinstance(got, _Interrupt):
                    return got
        finally:
            if run is not None:
                run.waits.discard(self)


class Reader(Consumer):
    """Takes the items that leave a run.

    While it collects it asks for more by itself; otherwise the caller grants
    demand as it consumes, so a slow caller slows the whole run.
    """

    def init(
        self, outlet: Outlet, *, link: RunLink, demand: int, collect: bool, subscribe_to: Sequence[Any]
    ) -> None:
        """Subscribe to the last stage.

        Args:
            outlet: the way to the caller.
            link: shared with the run's other stages.
            demand: items of the last stage on their way at one time.
            collect: keep the items until the end.
            subscribe_to: the last stage.
        """
        self.subscribe_to = subscribe_to
        self._outlet = outlet
        self._collect = collect
        self._collected: list[Item] = []
        self._demand = demand
        self._consumed = 0
        self._link = link
        link.reader = self.ref

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Ask by hand: for a first share now, for more when the caller has consumed it."""
        self.ref.send(Reader._ask, (source, self._demand))
        return "manual"

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        """Take what the last stage emitted."""
        if self._collect:
            self._collected.extend(events)
            self._ask((source, len(events)))
        else:
            self._outlet.put(Arrival(events, partial(_ask_more, self.ref, source)))

    def take(self, argument: tuple[Ref, Sequence[Item]]) -> None:
        """Take what left the run at an earlier stage."""
        stage, items = argument
        if self._collect:
            self._collected.extend(items)
            stage.send(_grant, len(items))
        else:
            self._outlet.put(Arrival(items, partial(stage.send, _grant)))

    def _ask(self, consumed: tuple[Subscription, int]) -> None:
        """Ask for as many more as were consumed, but not for each list by itself."""
        source, count = consumed
        self._consumed += count
        if 2 * self._consumed >= self._demand and not source.closed:
            count, self._consumed = self._consumed, 0
            ask(source, count)

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """The last stage has ended: so has the run."""
        self.abort(cause[1])

    def abort(self, reason: Any) -> None:
        """Pass on what is collected, and the reason for which the run ends."""
        self._link.ended = reason
        self._finish(reason)
        self.stop(NORMAL)

    def _finish(self, reason: Any) -> None:
        if self._collected:
            self._outlet.put(Arrival(self._collected, _nobody))
            self._collected = []
        self._outlet.finish(reason)

    def _on_dead(self) -> None:
        # However it ends, the caller must not wait for ever, and has a right to what is here.
        self._finish(self._cell.reason if self._cell.reason != NORMAL else KILLED)
        super()._on_dead()


def _ask_more(reader: Ref, source: Subscription, count: int) -> None:
    reader.send(Reader._ask, (source, count))


def _grant(stage: Any, count: int) -> None:
    stage.granted(count)


def _nobody(_: int) -> None:
    """Collected items were paid for when they came."""
