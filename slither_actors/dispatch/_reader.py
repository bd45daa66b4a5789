"""The last stage of a run, and the queue by which its items reach the caller's thread."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import attrs

from slither_actors.actors import KILLED, NORMAL, Ref, blocking, interruptible
from slither_actors.actors._interrupts import waits
from slither_actors.actors._runtime import current_cell
from slither_actors.dispatch._link import SIDE_CREDIT, RunLink, enclosing_run
from slither_actors.dispatch._progress import ProgressTeller
from slither_actors.errors import NotRunningError
from slither_actors.item import Item
from slither_actors.stages import Consumer, Subscription, _protocol

__all__ = ["Arrival", "Credit", "Ended", "Outlet", "Reader"]


_GROUPS = 2
"""Items are handed over as soon as nothing else is to be done, or when there are so many that this is their
part of the caller's demand: to wake the caller's thread costs as much as all else for a small batch."""


@attrs.frozen
class Ended:
    """The run has ended; nothing comes after this."""

    reason: Any


class Credit:
    """What the caller has consumed of one source of items; told in large lots, a message each.

    Used by the thread that reads and by no other.
    """

    __slots__ = ("_consumed", "_lot", "_pay")

    def __init__(self, lot: int, pay: Callable[[int], object]) -> None:
        self._lot = max(1, lot)
        self._pay = pay
        self._consumed = 0

    def consumed(self, count: int) -> None:
        """The caller is done with `count` items."""
        self._consumed += count
        if self._consumed >= self._lot:
            count, self._consumed = self._consumed, 0
            self._pay(count)


class Arrival:
    """Items that have reached the caller, who says to `credit` when it has consumed them."""

    __slots__ = ("_chunks", "_count", "credit")

    def __init__(self, chunks: list[Sequence[Item]], count: int, credit: Credit | None) -> None:
        self._chunks = chunks
        self._count = count
        self.credit = credit

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return chain.from_iterable(self._chunks)


@attrs.frozen
class _Interrupt:
    """The run whose actor reads is to end."""

    run: RunLink | None
    """None if it is the actor alone that is to end."""


class Outlet:
    """A queue from a run to the one thread that reads it.

    `put` and `finish` are called by the reader's actor, `get` by the caller.
    What it holds is bounded by the demand that the caller has granted.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Arrival | Ended | _Interrupt] = queue.SimpleQueue()
        self._finished = False
        self.put: Callable[[Arrival], None] = self._queue.put
        """Pass items on."""

    def finish(self, reason: Any) -> None:
        """Say that the run has ended; only the first reason counts."""
        if not self._finished:
            self._finished = True
            self._queue.put(Ended(reason))

    def interrupt(self, run: RunLink) -> None:
        """End a wait of one of `run`'s actors."""
        self._queue.put(_Interrupt(run))

    @waits
    def get(self) -> Arrival | Ended:
        """Wait in this thread, which may be an actor's, for the next items or the end.

        Raises:
            NotRunningError: the calling actor is part of another run, and that one is to end.
            ExitPendingError: the calling actor is to end itself.
        """
        if current_cell() is None:  # nobody ends a plain thread's wait but its own run
            while True:
                if self._queue.empty():
                    blocking()
                got = self._queue.get()
                if not isinstance(got, _Interrupt):
                    return got
        return self._get_in_actor()

    @waits
    def _get_in_actor(self) -> Arrival | Ended:
        run = enclosing_run()
        if run is not None:
            run.waits.add(self)
        try:
            with interruptible(partial(self._queue.put, _Interrupt(None))) as refuse:
                while True:
                    if run is not None and run.closing:
                        msg = "the run that reads this one ends"
                        raise NotRunningError(msg)
                    if self._queue.empty():
                        blocking()
                    got = self._queue.get()
                    if not isinstance(got, _Interrupt):
                        return got
                    if got.run is None:
                        refuse()
        finally:
            if run is not None:
                run.waits.discard(self)


class Reader(Consumer):
    """Takes the items that leave a run.

    While it collects it asks for more by itself; otherwise the caller grants
    demand as it consumes, so a slow caller slows the whole run.
    """

    def init(
        self,
        outlet: Outlet,
        *,
        link: RunLink,
        demand: int,
        collect: bool,
        subscribe_to: Sequence[Any],
        progress: ProgressTeller | None = None,
    ) -> None:
        """Subscribe to the last stage.

        Args:
            outlet: the way to the caller.
            link: shared with the run's other stages.
            demand: items of the last stage on their way at one time.
            collect: keep the items until the end.
            subscribe_to: the last stage.
            progress: told of what comes.
        """
        self.subscribe_to = subscribe_to
        self._outlet = outlet
        self._collect = collect
        self._collected: list[Sequence[Item]] = []
        self._collected_count = 0
        self._demand = demand
        self._credits: dict[Any, Credit] = {}
        self._group = demand // _GROUPS
        """Items to hand over at one time where they come quickly."""
        self._kept: list[Sequence[Item]] = []
        self._kept_count = 0
        self._kept_credit: Credit | None = None
        self._lingers = False
        """Whether what is kept is handed over when nothing else is to be done."""
        self._link = link
        self._progress = progress
        if progress is not None:
            progress.begin()
        link.reader = self.ref

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Ask by hand: for a first share now, for more when the caller has consumed it."""
        self.ref.send(Reader._ask, (source, self._demand))
        return "manual"

    def _receive(self, source: Subscription, events: Sequence[Any]) -> None:
        """Take what the last stage emitted."""
        credit = self._credits.get(source)
        if credit is None:
            pay = partial(_ask, source) if self._collect else partial(_ask_more, self.ref, source)
            credit = self._credits[source] = Credit(self._demand // 4, pay)
        self._take(events, credit)

    def take(self, argument: tuple[Ref, Sequence[Item]]) -> None:
        """Take what left the run at an earlier stage."""
        stage, items = argument
        credit = self._credits.get(stage)
        if credit is None:
            credit = self._credits[stage] = Credit(SIDE_CREDIT // 2, partial(stage.send, _grant))
        self._take(items, credit)

    def _take(self, items: Sequence[Item], credit: Credit) -> None:
        if self._progress is not None:
            self._progress.add(len(items))
        if self._collect:
            self._collected.append(items)
            self._collected_count += len(items)
            credit.consumed(len(items))
            return
        if self._kept_credit is not credit:
            self._pass_on()
            self._kept_credit = credit
        self._kept.append(items)
        self._kept_count += len(items)
        if self._kept_count >= self._group:
            self._pass_on()
        elif not self._lingers:
            self._lingers = True
            self._cell.scheduler.when_idle(self._cell, (Reader._pass_on_late, None))

    def _pass_on(self) -> None:
        """Hand over what is kept, if there is something: that wakes the caller."""
        if self._kept:
            self._outlet.put(Arrival(self._kept, self._kept_count, self._kept_credit))
            self._kept, self._kept_count = [], 0

    def _pass_on_late(self, _: None) -> None:
        self._lingers = False
        self._pass_on()

    def _ask(self, wanted: tuple[Subscription, int]) -> None:
        source, count = wanted
        if not source.closed:
            source.producer_put((_protocol.ask, (source, count)))

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """The last stage has ended: so has the run."""
        self.abort(cause[1])

    def abort(self, reason: Any) -> None:
        """Pass on what is collected, and the reason for which the run ends."""
        self._link.ended = reason
        self._finish(reason)
        self.stop(NORMAL)

    def _finish(self, reason: Any) -> None:
        if self._progress is not None:
            self._progress.end()
        if hasattr(self, "_kept"):
            self._pass_on()
        if self._collected:
            self._outlet.put(Arrival(self._collected, self._collected_count, None))
            self._collected = []
        self._outlet.finish(reason)

    def _on_dead(self) -> None:
        # However it ends, the caller must not wait for ever, and has a right to what is here.
        reason = self._cell.reason if self._cell.reason != NORMAL else KILLED
        if self._link.ended is None and not self._link.closing:
            self._link.ended = reason  # killed, perhaps
        self._finish(reason)
        super()._on_dead()


def _ask(source: Subscription, count: int) -> None:
    source.producer_put((_protocol.ask, (source, count)))


def _ask_more(reader: Ref, source: Subscription, count: int) -> None:
    reader.send(Reader._ask, (source, count))


def _grant(stage: Any, count: int) -> None:
    stage.granted(count)
