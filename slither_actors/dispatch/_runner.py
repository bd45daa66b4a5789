"""The runner: the stage that turns items into batches and batches into items.

Its demand upstream is its free window. It asks for as many items as the
batches that may still start can take, and only while somebody downstream
wants results; a batch that is finished but waits for an earlier one keeps its
place. So nothing is read that has no room, however fast the input.

A failed batch under ``"halt"`` ends the run in its turn: what precedes it is
still emitted, nothing new is started, and the stage then completes with the
reason ``("shutdown", Halted(...))``, which the reader of the run raises.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.actors import SHUTDOWN
from slither_actors.context import Context
from slither_actors.core import BatchingError, Ordering, Window, WindowStatistics, may_retry, retry_delay
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._link import RunLink, SideOutput
from slither_actors.dispatch._options import DispatchOptions
from slither_actors.dispatch._reader import Reader
from slither_actors.item import Item
from slither_actors.policy import Halt, Policy, Retry, Route, Skipping
from slither_actors.stages import ProducerConsumer, Subscription, ask

__all__ = ["DispatchRunner", "DispatchStatistics", "Halted"]


@attrs.frozen(kw_only=True)
class Halted:
    """Why a run was ended by its error policy: the term of the exit reason."""

    error: BaseException
    """What failed."""

    batch: str = ""
    """The batch or item that failed, in words."""

    stage: str = ""
    """The stage that it failed in."""


@attrs.frozen(kw_only=True)
class DispatchStatistics:
    """What a runner held and had done at one moment. Returned by `DispatchRunner.statistics`."""

    window: WindowStatistics
    """Batches in flight, now and at most."""

    items_in: int
    """Items taken from upstream."""

    pending: int
    """Items in unfinished batches and in batches that have not started."""

    emitted: int
    """Items that came out with a result."""

    skipped: int
    """Items of batches that failed and were skipped."""

    routed: int
    """Items of failed batches that a `Route` policy sent on."""

    failed: int
    """Items without a result because the run halted: of the batch that failed and of those not done."""

    batches: int
    """Batches that succeeded."""

    retries: int
    """Attempts beyond the first."""


_Result = tuple[Batch, Policy | None]
"""A batch whose outcome is final, and the policy that its failure meets."""


class DispatchRunner(ProducerConsumer):
    """Runs the batches of one dispatch stage."""

    def init(
        self,
        options: DispatchOptions,
        *,
        context: Context,
        label: str = "dispatch",
        keep_skipped: bool = True,
        link: RunLink | None = None,
        subscribe_to: Sequence[Any] = (),
    ) -> None:
        """Prepare the executor.

        Args:
            options: how to run.
            context: the run's context.
            label: the stage in words, for errors.
            keep_skipped: whether skipped items go on, marked in their metadata.
            link: the run's, where routed items leave it at once; None emits them with the others.
            subscribe_to: see `ProducerConsumer`.
        """
        self.subscribe_to = subscribe_to
        self._last_reason: Any = None
        self._options = options
        self._context = context
        self._label = label
        self._keep_skipped = keep_skipped
        self._link = link
        self._side = None if link is None else SideOutput(link, self.ref, Reader.take)
        self._executor = options.make_executor()
        self._batcher = options.make_strategy().batcher()
        self._window: Window[_Result] = Window(options.max_in_flight, Ordering(options.ordering))
        self._ready: deque[list[Item]] = deque()
        self._running: dict[int, Batch] = {}
        self._asked_for = 0
        self._input_ended = False
        self._halting = False
        self._items_in = self._emitted = self._skipped = self._routed = self._failed = 0
        self._batches = self._retries = 0
        self._executor.open()

    def terminate(self, reason: Any) -> None:
        """Take back what no worker has begun."""
        self._cancel_running()
        if self._link is not None:
            self._link.finished[self._context.stage or self._label] = self.statistics()

    def _cancel_running(self) -> None:
        for batch in self._running.values():
            self._executor.cancel(batch)
        self._running.clear()

    def statistics(self) -> DispatchStatistics:
        """Return a snapshot; from outside through ``ref.run(DispatchRunner.snapshot)``."""
        return DispatchStatistics(
            window=self._window.statistics(),
            items_in=self._items_in,
            pending=self._batcher.pending + sum(len(items) for items in self._ready),
            emitted=self._emitted,
            skipped=self._skipped,
            routed=self._routed,
            failed=self._failed,
            batches=self._batches,
            retries=self._retries,
        )

    def snapshot(self, _: None) -> DispatchStatistics:
        """As `statistics`, in the form of a request."""
        return self.statistics()

    # -- the input ------------------------------------------------------------------

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Ask by hand: for what the window has room for."""
        return "manual" if role == "producer" else None

    def _demanded(self, demand: int) -> None:
        self._wanted += demand
        self._pump()

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if self._halting:
            return
        self._asked_for -= len(events)
        self._items_in += len(events)
        self._add(events)
        self._pump()

    def _add(self, items: Sequence[Item]) -> None:
        """Batch the items; one whose weight or key cannot be found fails by itself."""
        while True:
            try:
                self._ready.extend(self._batcher.add(items))
            except BatchingError as error:
                self._ready.extend(error.batches)
                self._fail_item(error.item, error)
                items = error.rest
                continue
            return

    def _fail_item(self, item: Item, error: BatchingError) -> None:
        policy = self._options.on_error
        if isinstance(policy, Retry):
            policy = policy.then
        batch = self._make_batch(-1, [item], f"item {item.id}")
        batch.error = error
        self._apply(batch, policy)

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
        window = self._window
        if self._halting or self._blocked:
            return
        while self._ready and window.has_room:
            self._start(self._ready.popleft())
        if self._input_ended:
            if not self._ready and window.is_empty:
                self.complete(self._last_reason)
        elif self._wanted > 0 and len(self._ready) < window.room:
            missing = self._batcher.wanted(window.room - len(self._ready)) - self._asked_for
            if missing > 0:
                self._asked_for += missing
                for source in self._producers:
                    ask(source, missing)
                    break

    @property
    def _blocked(self) -> bool:
        return self._side is not None and self._side.blocked

    def granted(self, count: int) -> None:
        """The caller has consumed routed items."""
        if self._side is not None:
            self._side.granted(count)
            self._pump()

    def _make_batch(self, ref: int, items: list[Item], words: str) -> Batch:
        return Batch(
            ref,
            items,
            context=self._context,
            timeout=self._options.timeout,
            description=f"{words} of {self._label}",
            reply_to=self.ref,
            on_done=_batch_done,
        )

    def _start(self, items: list[Item]) -> None:
        ref = self._window.start()
        batch = self._make_batch(ref, items, f"batch {ref}")
        self._running[ref] = batch
        self._submit(batch)

    def _submit(self, batch: Batch) -> None:
        if telemetry.DISPATCH_BATCH_START.receivers:
            now = {"system_time": time.time()}
            telemetry.emit(
                telemetry.DISPATCH_BATCH_START, self.ref, measurements=now, metadata=self._about(batch)
            )
        batch.started_at = time.monotonic()
        try:
            self._executor.submit(batch)
        except Exception as error:  # noqa: BLE001 - the executor's failure is the batch's
            batch.settle(self, None, error)

    def _about(self, batch: Batch) -> dict[str, Any]:
        return {
            "batch_ref": batch.ref,
            "batch_size": len(batch.items),
            "executor": self._executor.name,
            "pipe": self._context.pipe,
            "stage": self._context.stage,
            "attempt": batch.attempt,
        }

    def _done(self, batch: Batch) -> None:
        """The executor has answered."""
        if self._running.get(batch.ref) is not batch:
            return
        error = batch.error
        self._tell_done(batch, error)
        if error is None:
            self._finish(batch, None)
            return
        policy = self._options.on_error
        if isinstance(policy, Retry):
            if may_retry(policy, batch.attempt, error):
                self._try_again(batch, policy)
                return
            policy = policy.then
        if isinstance(policy, Halt):
            # Its turn comes when what precedes it is out; nothing new starts from now on.
            self._halting = True
        self._finish(batch, policy)

    def _tell_done(self, batch: Batch, error: BaseException | None) -> None:
        signal = telemetry.DISPATCH_BATCH_STOP if error is None else telemetry.DISPATCH_BATCH_EXCEPTION
        if signal.receivers:
            metadata = self._about(batch)
            if error is not None:
                metadata |= {"kind": type(error).__name__, "reason": error}
            duration = {"duration": time.monotonic() - batch.started_at}
            telemetry.emit(signal, self.ref, measurements=duration, metadata=metadata)

    def _try_again(self, batch: Batch, policy: Retry) -> None:
        self._retries += 1
        again = batch.next_attempt()
        self._running[batch.ref] = again
        delay = retry_delay(policy, batch.attempt, random.random())
        self.run_after(delay, _resubmit, again)

    def _finish(self, batch: Batch, policy: Policy | None) -> None:
        del self._running[batch.ref]
        for _, (released, its_policy) in self._window.finish(batch.ref, (batch, policy)):
            self._apply(released, its_policy)
        self._pump()

    # -- outcomes -------------------------------------------------------------------

    def _apply(self, batch: Batch, policy: Policy | None) -> None:
        """Perform the final outcome of a batch, in its turn."""
        items = batch.items
        if policy is None:
            self._batches += 1
            self._emitted += len(items)
            results = batch.results or []
            self._dispatch([Item(i.id, r, i.meta, i.route) for i, r in zip(items, results, strict=True)])
        elif isinstance(policy, Skipping):
            self._skipped += len(items)
            if self._keep_skipped:
                mark = {"error": batch.error, "skipped": True}
                self._dispatch([item.put_meta(mark) for item in items])
        elif isinstance(policy, Route):
            self._route(batch, policy)
        else:
            self._halt(batch, batch.error)

    def _route(self, batch: Batch, policy: Route) -> None:
        stay: list[Item] = []
        leave: list[Item] = []
        for item in batch.items:
            try:
                routed = policy.fn(item, batch.error)  # type: ignore[arg-type]
                if not isinstance(routed, Item):
                    msg = f"the function of a Route policy returned {routed!r:.100}; expected is an Item"
                    raise TypeError(msg)
            except Exception as error:  # noqa: BLE001 - the user's function; there is no policy for it
                error.__cause__ = batch.error
                self._halt(batch, error)
                return
            (stay if self._side is None or routed.route == item.route else leave).append(routed)
        self._routed += len(batch.items)
        if stay:
            self._dispatch(stay)
        if leave and self._side is not None:
            self._side.send(leave)

    def _halt(self, batch: Batch, error: BaseException | None) -> None:
        self._halting = True
        waiting = self._batcher.pending + sum(len(items) for items in self._ready)
        self._failed += len(batch.items) + waiting + sum(len(b.items) for b in self._running.values())
        halted = Halted(
            error=error or RuntimeError("unknown"), batch=batch.description, stage=self._context.stage or ""
        )
        self._cancel_running()
        self._ready.clear()
        self.complete((SHUTDOWN, halted))


def _batch_done(runner: DispatchRunner, batch: Batch) -> None:
    runner._done(batch)


def _resubmit(runner: DispatchRunner, batch: Batch) -> None:
    if runner._running.get(batch.ref) is batch:
        runner._submit(batch)


def _halted(reason: Any) -> bool:
    return isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[1], Halted)
