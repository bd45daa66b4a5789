"""The runner: the stage that turns items into batches and batches into items.

Its demand upstream is its free window. It asks for as many items as the
batches that may still start can take, and only while somebody downstream
wants results; a batch that is finished but waits for an earlier one keeps its
place. So nothing is read that has no room, however fast the input.

A failed batch under ``"halt"`` ends the run in its turn: what precedes it is
still emitted, nothing new is started, what comes behind it is taken back, and
the stage then completes with the reason ``("shutdown", Halted(...))``, which
the reader of the run raises. An item that cannot be put into a batch is a
failed batch of its own, in its place among the others.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from slither_actors.actors import SHUTDOWN, Ref
from slither_actors.actors._async_kill import HandlerBrokenOff
from slither_actors.context import Context
from slither_actors.core import (
    BatchingError,
    Insights,
    InsightTally,
    KeyedBatch,
    Ordering,
    SerialQueue,
    Window,
)
from slither_actors.dispatch._batch import Batch, BatchOrigin
from slither_actors.dispatch._executor import explained
from slither_actors.dispatch._insights import tell_insights
from slither_actors.dispatch._link import RunLink, SideOutput
from slither_actors.dispatch._options import DispatchOptions
from slither_actors.dispatch._outcomes import BatchOutcomes, BatchResult
from slither_actors.dispatch._reader import Reader
from slither_actors.dispatch._session import session_of
from slither_actors.dispatch._statistics import DispatchStatistics, Halted
from slither_actors.dispatch._wind_up import WindUp
from slither_actors.errors import BatchTimeoutError
from slither_actors.stages import Subscription, _protocol

logger = logging.getLogger("slither_actors.dispatch")

__all__ = ["DispatchRunner", "DispatchStatistics", "Halted"]


_Entry = Sequence[Any] | BatchingError
"""A batch that may start when there is room, or an item that is in none."""


class DispatchRunner(BatchOutcomes):
    """Runs the batches of one dispatch stage."""

    _opened = False
    """Whether the executor has to be closed."""

    def init(
        self,
        options: DispatchOptions,
        *,
        context: Context,
        label: str = "dispatch",
        keep_skipped: bool = True,
        link: RunLink | None = None,
        side_output: bool = True,
        bare: bool = False,
        subscribe_to: Sequence[Any] = (),
    ) -> None:
        """Prepare the executor.

        Args:
            options: how to run.
            context: the run's context.
            label: the stage in words, for errors.
            keep_skipped: whether skipped items go on, marked in their metadata.
            link: the run's.
            side_output: whether an item with a changed route leaves the run at once, by the link,
                rather than with the others.
            bare: what comes in may be payloads; for strategies that do not look at items.
            subscribe_to: see `ProducerConsumer`.
        """
        self.subscribe_to = subscribe_to
        self._options = options
        self._context = context
        self._label = label
        self._keep_skipped = keep_skipped
        self._link = link
        self._bare = bare
        self._side = SideOutput(link, self.ref, Reader.take) if link is not None and side_output else None
        measured = getattr(options, "insights", None) is not None
        self._tally = InsightTally(time.monotonic()) if measured else None
        self._executor = options.make_executor()
        self._init_batches()
        self._end_reason: Any = None
        """What to complete with; None while the stage works."""
        self._input_ended = False
        self._last_reason: Any = None
        self._halting = False
        self._winding_up: WindUp | None = None
        self._open_executor()
        self._init_outcomes()

    def _init_batches(self) -> None:
        """Where items become batches, where those wait, and how many run."""
        options = self._options
        self._batcher = options.make_batcher()
        self._looks = getattr(options, "strategy", None) is not None
        """Whether the batcher may look at the items, and know them by identity."""
        waits = getattr(self._batcher, "batch_timeout", True)
        self._tick = getattr(self._batcher, "tick", None) if waits else None
        """Tells the batcher the time; None if time does not matter to it."""
        self._ticking = False
        """Whether the one timer of unfinished batches is set."""
        serial = getattr(options.make_strategy(), "serial", False)
        self._serial: SerialQueue[_Entry] | None = SerialQueue(_key_of) if serial else None
        self._ready: deque[_Entry] | SerialQueue[_Entry] = deque() if self._serial is None else self._serial
        """Batches that may start when there is room, and items that are in none."""
        self._window: Window[BatchResult] = Window(options.max_in_flight, Ordering(options.ordering))
        self._running: dict[int, Batch] = {}
        """Batches whose answer is awaited, also while they wait for another attempt."""
        self._asked_for = 0
        self._items_in = 0

    def _open_executor(self) -> None:
        """Open the executor, and with it the session that all batches have in common."""
        options, link = self._options, self._link
        self._executor.open()
        self._opened = True
        self._session = session_of(self._executor, options, self._context)
        self._origin = BatchOrigin(
            context=self._context,
            timeout=options.timeout,
            label=self._label,
            affinity=self._session.affinity,
            reply_to=self.ref,
            on_done=DispatchRunner._done,
            timed=self._tally is not None,
            variables=None if link is None else link.contextvars,
        )

    def terminate(self, reason: Any) -> None:
        """Take back what no worker has begun."""
        self._emit_outcomes()
        self._take_back(-1, kill=self._kills)
        self._end_outcomes()
        if self._link is not None:
            self._link.finished[self._context.stage or self._label] = self.statistics()
        if self._tally is not None and self._link is not None:
            tell_insights(self._link, self._tally, self._options)

    def _on_dead(self) -> None:
        # Killed, perhaps: then `terminate` did not run.
        if hasattr(self, "_running"):
            self._take_back(-1, kill=self._kills)
            self._end_outcomes()
            if self._winding_up is not None and self._executor.ends_what_runs:
                for batch in self._winding_up.unanswered:  # it has lasted too long
                    self._withdraw(batch)
        if self._opened:
            try:
                self._executor.close()
            except HandlerBrokenOff:
                raise
            except BaseException:
                logger.exception("%s could not be closed after %s", self._executor.name, self._label)
        super()._on_dead()

    @property
    def _kills(self) -> bool:
        """Whether what runs is killed when nobody wants the run any more."""
        return self._link is not None and self._link.on_close == "kill"

    def _take_back(self, after: int, *, kill: bool = False) -> list[Batch]:
        """Cancel the batches behind `after`; their answers count no more. Return those that may still run.

        The last ones first: else one that waits might begin in the place of one that was cancelled.
        """
        behind = [self._running.pop(ref) for ref in [ref for ref in reversed(self._running) if ref > after]]
        return [batch for batch in behind if not self._withdraw(batch, kill=kill)]

    def _withdraw(self, batch: Batch, *, kill: bool = False) -> bool:
        """Cancel a batch; return whether it surely does not run."""
        if batch.timer is not None:
            batch.timer.cancel()
        if not batch.started_at:
            return True  # it waits for another attempt, and no executor knows of it
        executor = self._executor
        return self._guarded(executor.kill if kill else executor.cancel, batch, "cancelled")

    def _guarded(self, ask: Callable[[Batch], bool | None], batch: Batch, what: str) -> bool:
        try:
            return bool(ask(batch))
        except HandlerBrokenOff:
            raise
        except BaseException:
            logger.exception("%s: %s could not be %s", self._executor.name, batch.description, what)
            return False

    def wind_up(self, supervisor: Ref) -> None:
        """Start nothing more, and tell the supervisor of the run when nothing runs any more."""
        self._halting = True
        self._ready.clear()
        if self._kills or not self._executor.ends_what_runs:
            running = self._take_back(-1, kill=self._kills)
        else:
            running = [batch for batch in self._running.values() if batch.started_at]
            self._running.clear()
            for batch in reversed(running):
                self._guarded(self._executor.take_back, batch, "taken back")
        self._winding_up = WindUp(supervisor, running)

    def statistics(self) -> DispatchStatistics:
        """Return a snapshot; from outside through ``ref.run(DispatchRunner.snapshot)``."""
        waiting = 0
        if not (self._halting and self._end_reason is not None):  # else it has failed
            waiting = self._batcher.pending
            waiting += sum(1 if isinstance(entry, BatchingError) else len(entry) for entry in self._ready)
        return DispatchStatistics(
            window=self._window.statistics(),
            items_in=self._items_in,
            pending=waiting,
            emitted=self._emitted,
            skipped=self._skipped,
            routed=self._routed,
            failed=self._failed,
            batches=self._batches,
            **self._failure_figures(),
            busy=self._busy,
            routes=self._routes_taken(),
        )

    def _routes_taken(self) -> dict[str, int]:
        return dict(self._routes)

    def snapshot(self, _: None) -> DispatchStatistics:
        """As `statistics`, in the form of a request."""
        return self.statistics()

    def insights(self, _: None) -> Insights | None:
        """Where the time went so far, in the form of a request; None if nobody wanted to know."""
        return None if self._tally is None else self._tally.insights(time.monotonic())

    # -- the input ------------------------------------------------------------------

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Ask by hand: for what the window has room for."""
        return "manual" if role == "producer" else None

    def _demanded(self, demand: int) -> None:
        self._wanted += demand
        self._pump()

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        count = len(events)
        self._asked_for -= count
        self._items_in += count
        if self._halting:
            self._failed += count if self._end_reason is not None else 0
            return
        self._add(events)
        self._pump()

    def _add(self, items: Sequence[Any]) -> None:
        """Batch the items; one whose weight or key cannot be found is a failure in its place."""
        if self._tick is not None:
            self._tick(time.monotonic(), 0)
        if self._looks:
            items = list(items)
        while True:
            try:
                self._ready.extend(self._batcher.add(items))
            except BatchingError as error:
                self._ready.extend(error.batches)
                self._ready.append(error)
                items = error.rest
                continue
            return

    def _let_go(self) -> None:
        """Have unfinished batches go that have waited long enough, if there is room: else they go on filling.

        One timer says when to look again. There is none while nothing waits, or there is no room.
        """
        room = self._window.room - len(self._ready)
        if room <= 0 or self._tick is None:
            return
        now = time.monotonic()
        self._ready.extend(self._tick(now, room))
        due = self._batcher.due  # type: ignore[attr-defined]
        if due is not None and not self._ticking:
            self._ticking = True
            self.run_after(max(0.0, due - now), DispatchRunner._time_is_up)

    def _time_is_up(self, _: None) -> None:
        self._ticking = False
        self._pump()

    def _end_with_source(self, reason: Any) -> None:
        if reason != SHUTDOWN and (reason == "normal" or _halted(reason)):
            self._input_ended = True
            self._last_reason = reason
            self._ready.extend(self._batcher.flush())
            self._pump()
        else:
            self.stop(reason)

    # -- batches --------------------------------------------------------------------

    def _pump(self) -> None:
        """Start what may start, ask for what there is room for, end when all is done."""
        if self._made:
            self._emit_outcomes()
        if self._side is not None and self._side.blocked:
            return
        if not self._halting:
            window, ready = self._window, self._ready
            if self._tick is not None:
                self._let_go()
            closing = self._link is not None and self._link.closing
            while ready and window.room > 0 and not self._halting and not closing:
                entry = ready.popleft()
                self._start(entry)
                if self._executor.runs_in_submit and not isinstance(entry, BatchingError):
                    break  # its answer comes next, which pumps, and before it perhaps the end of the run
            if self._made:
                self._emit_outcomes()  # of items that are in no batch: no answer comes for those
            if self._input_ended:
                if not ready and window.is_empty and self._end_reason is None:
                    self._end_reason = self._last_reason
            elif self._wanted > 0:
                self._ask()
        if self._end_reason is not None and not self._finishing:
            self.complete(self._end_reason)

    def _ask(self) -> None:
        room = self._window.room - len(self._ready)
        if room <= 0:
            return
        missing = self._batcher.wanted(room) - self._asked_for
        if missing > 0:
            for source in self._producers:
                self._asked_for += missing
                source.producer_put((_protocol.ask, (source, missing)))
                return

    def granted(self, count: int) -> None:
        """The caller has consumed routed items."""
        if self._side is not None:
            self._side.granted(count)
            self._pump()

    def _start(self, entry: _Entry) -> None:
        """Admit a batch to the window and submit it. Never pumps: the pump calls it."""
        ref = self._window.start()
        if isinstance(entry, BatchingError):
            batch = Batch(ref, [entry.item], self._origin)
            batch.error = entry
            self._running[ref] = batch
            self._batch_telling.started(batch)
            self._settle(batch, entry, may_retry_it=False)
        else:
            batch = Batch(ref, entry, self._origin, bare=self._bare)
            self._running[ref] = batch
            self._submit(batch)

    def _submit(self, batch: Batch) -> None:
        self._batch_telling.started(batch)
        if self._circuit.is_calm or not self._bar(batch):
            self._send(batch)

    def _send(self, batch: Batch) -> None:
        try:
            self._executor.submit(batch)
        except HandlerBrokenOff:
            raise  # this actor is dead
        except BaseException as error:  # noqa: BLE001 - the executor's failure is the batch's
            # As a message: the pump that called us goes on, and it is the answer that calls the pump.
            batch.fail(error if isinstance(error, Exception) else explained(self._executor, error))
        if not self._executor.keeps_time and batch.timeout is not None:
            batch.timer = self.run_after(batch.timeout, DispatchRunner._expire, batch)

    def _expire(self, batch: Batch) -> None:
        if self.waits_for(batch) and batch.timeout is not None:
            batch.fail(BatchTimeoutError(batch=batch.description, timeout=batch.timeout))
            self._withdraw(batch)

    def _forget_input(self) -> None:
        self._ready.clear()


def _key_of(entry: _Entry) -> tuple[Hashable] | None:
    return (entry.key,) if isinstance(entry, KeyedBatch) else None


def _halted(reason: Any) -> bool:
    return isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[1], Halted)
