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
import random
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.actors import SHUTDOWN
from slither_actors.context import Context
from slither_actors.core import BatchingError, Ordering, Window, WindowStatistics, may_retry, retry_delay
from slither_actors.dispatch._batch import Batch, BatchOrigin
from slither_actors.dispatch._link import RunLink, SideOutput
from slither_actors.dispatch._options import DispatchOptions
from slither_actors.dispatch._reader import Reader
from slither_actors.errors import BatchTimeoutError, RemoteError, TargetError, safe_text
from slither_actors.item import Item
from slither_actors.policy import Halt, Policy, Retry, Route, Skipping
from slither_actors.stages import ProducerConsumer, Subscription, ask

logger = logging.getLogger("slither_actors.dispatch")

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
    """Items that wait for their batch to be full or to start."""

    emitted: int
    """Items that came out with a result."""

    skipped: int
    """Items of batches that failed and were skipped."""

    routed: int
    """Items of failed batches that a `Route` policy sent on."""

    failed: int
    """Items without a result because the run halted: all that were taken and did not come out."""

    batches: int
    """Batches that succeeded."""

    retries: int
    """Attempts beyond the first."""

    errors: Mapping[str, int] = attrs.field(factory=dict)
    """Items of failed batches that the policy skipped, routed or halted for, by the exception's type."""

    last_error: str = ""
    """The last of those failures in words, with its batch; empty if there was none."""


_Result = tuple[Batch, Policy | None]
"""A batch whose outcome is final, and the policy that its failure meets."""


class DispatchRunner(ProducerConsumer):
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
        self._end_reason: Any = None
        """What to complete with; None while the stage works."""
        self._options = options
        self._context = context
        self._label = label
        self._keep_skipped = keep_skipped
        self._link = link
        self._bare = bare
        self._side = SideOutput(link, self.ref, Reader.take) if link is not None and side_output else None
        self._executor = options.make_executor()
        self._batcher = options.make_strategy().batcher()
        self._origin = BatchOrigin(
            context=context,
            timeout=options.timeout,
            label=label,
            reply_to=self.ref,
            on_done=_batch_done,
            variables=None if link is None else link.contextvars,
        )
        self._window: Window[_Result] = Window(options.max_in_flight, Ordering(options.ordering))
        self._ready: deque[list[Any] | BatchingError] = deque()
        """Batches that may start when there is room, and items that are in none."""
        self._running: dict[int, Batch] = {}
        """Batches whose answer is awaited, also while they wait for another attempt."""
        self._asked_for = 0
        self._input_ended = False
        self._last_reason: Any = None
        self._halting = False
        self._items_in = self._emitted = self._skipped = self._routed = self._failed = 0
        self._batches = self._retries = 0
        self._errors: Counter[str] = Counter()
        self._last_error = ""
        self._executor.open()
        self._opened = True

    def terminate(self, reason: Any) -> None:
        """Take back what no worker has begun."""
        self._take_back(-1)
        if self._link is not None:
            self._link.finished[self._context.stage or self._label] = self.statistics()

    def _on_dead(self) -> None:
        # Killed, perhaps: then `terminate` did not run.
        if self._opened:
            self._take_back(-1)
            try:
                self._executor.close()
            except Exception:
                logger.exception("%s could not be closed after %s", self._executor.name, self._label)
        super()._on_dead()

    def _take_back(self, after: int) -> None:
        """Cancel the batches behind `after`; their answers count no more.

        The last ones first: else one that waits might begin in the place of one that was cancelled.
        """
        for ref in [ref for ref in reversed(self._running) if ref > after]:
            self._withdraw(self._running.pop(ref))

    def _withdraw(self, batch: Batch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
        try:
            self._executor.cancel(batch)
        except Exception:
            logger.exception("%s: %s could not be cancelled", self._executor.name, batch.description)

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
            retries=self._retries,
            errors=dict(self._errors),
            last_error=self._last_error,
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
        while True:
            try:
                self._ready.extend(self._batcher.add(items))
            except BatchingError as error:
                self._ready.extend(error.batches)
                self._ready.append(error)
                items = error.rest
                continue
            return

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
        if self._side is not None and self._side.blocked:
            return
        if not self._halting:
            window, ready = self._window, self._ready
            while ready and window.has_room and not self._halting:
                self._start(ready.popleft())
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
                ask(source, missing)
                return

    def granted(self, count: int) -> None:
        """The caller has consumed routed items."""
        if self._side is not None:
            self._side.granted(count)
            self._pump()

    def _start(self, entry: list[Any] | BatchingError) -> None:
        """Admit a batch to the window and submit it. Never pumps: the pump calls it."""
        ref = self._window.start()
        if isinstance(entry, BatchingError):
            batch = Batch(ref, [entry.item], self._origin)
            batch.error = entry
            self._running[ref] = batch
            self._tell_started(batch)
            self._settle(batch, entry, may_retry_it=False)
        else:
            batch = Batch(ref, entry, self._origin, bare=self._bare)
            self._running[ref] = batch
            self._submit(batch)

    def _submit(self, batch: Batch) -> None:
        self._tell_started(batch)
        try:
            self._executor.submit(batch)
        except Exception as error:  # noqa: BLE001 - the executor's failure is the batch's
            # As a message: the pump that called us goes on, and it is the answer that calls the pump.
            batch.fail(error)
        if batch.timeout is not None and not self._executor.keeps_time:
            batch.timer = self.run_after(batch.timeout, DispatchRunner._expire, batch)

    def _expire(self, batch: Batch) -> None:
        if self.waits_for(batch) and batch.timeout is not None:
            batch.fail(BatchTimeoutError(batch=batch.description, timeout=batch.timeout))
            self._withdraw(batch)

    def waits_for(self, batch: Batch) -> bool:
        """Whether the outcome of this attempt is still wanted."""
        return self._running.get(batch.ref) is batch

    def _done(self, batch: Batch) -> None:
        """The executor has answered."""
        if self._running.get(batch.ref) is not batch:
            return
        if batch.timer is not None:
            batch.timer.cancel()
        batch.check(self._executor)
        self._settle(batch, batch.error)
        self._pump()

    def _settle(self, batch: Batch, error: BaseException | None, *, may_retry_it: bool = True) -> None:
        """Decide what the answer means, and do it if it is the batch's turn."""
        self._tell_done(batch, error)
        policy: Policy | None = None
        if error is not None:
            # A function that no worker can import is a mistake in the program, not in an item.
            policy = Halt() if isinstance(error, TargetError) else self._options.on_error
            if isinstance(policy, Retry):
                if may_retry_it and may_retry(policy, batch.attempt, error):
                    self._try_again(batch, policy)
                    return
                policy = policy.then
            if isinstance(policy, Halt):
                self._halt_after(batch)
        del self._running[batch.ref]
        for _, (released, its_policy) in self._window.finish(batch.ref, (batch, policy)):
            self._apply(released, its_policy)
            if self._end_reason is not None:
                return

    def _halt_after(self, batch: Batch) -> None:
        """Start nothing new. What precedes the failed batch goes on, if there is an order."""
        self._halting = True
        if self._window.ordering is Ordering.PRESERVE:
            self._take_back(batch.ref)

    def _try_again(self, batch: Batch, policy: Retry) -> None:
        self._retries += 1
        again = batch.next_attempt()
        self._running[batch.ref] = again
        delay = retry_delay(policy, batch.attempt, random.random())
        self.run_after(delay, _resubmit, again)

    # -- telling --------------------------------------------------------------------

    def _tell_started(self, batch: Batch) -> None:
        if telemetry.DISPATCH_BATCH_START.receivers:
            now = {"system_time": time.time()}
            telemetry.emit(
                telemetry.DISPATCH_BATCH_START, self.ref, measurements=now, metadata=self._about(batch)
            )
        batch.started_at = time.monotonic()

    def _tell_done(self, batch: Batch, error: BaseException | None) -> None:
        signal = telemetry.DISPATCH_BATCH_STOP if error is None else telemetry.DISPATCH_BATCH_EXCEPTION
        if signal.receivers:
            metadata = self._about(batch)
            if error is not None:
                metadata |= {"kind": type(error).__name__, "reason": error}
            duration = {"duration": time.monotonic() - batch.started_at}
            telemetry.emit(signal, self.ref, measurements=duration, metadata=metadata)

    def _about(self, batch: Batch) -> dict[str, Any]:
        return {
            "batch_ref": batch.ref,
            "batch_size": batch.size,
            "executor": self._executor.name,
            "pipe": self._context.pipe,
            "stage": self._context.stage,
            "attempt": batch.attempt,
        }

    # -- outcomes -------------------------------------------------------------------

    def _apply(self, batch: Batch, policy: Policy | None) -> None:
        """Perform the final outcome of a batch, in its turn."""
        if batch.error is not None:
            self._note_failure(batch, batch.error)
        if policy is None:
            self._batches += 1
            self._emitted += batch.size
            self._dispatch(batch.outcomes)
        elif isinstance(policy, Skipping):
            self._skipped += batch.size
            if self._keep_skipped:
                mark = {"error": batch.error, "skipped": True}
                self._dispatch([item.put_meta(mark) for item in batch.items])
        elif isinstance(policy, Route):
            self._route(batch, policy)
        else:
            self._halt(batch, batch.error)

    def _note_failure(self, batch: Batch, error: BaseException) -> None:
        kind, text = type(error).__name__, safe_text(error)
        if isinstance(error, RemoteError):
            kind, text = error.type_name.removeprefix("builtins."), error.message
        self._errors[kind] += batch.size
        # As text: the exception would keep the frames alive that it went through.
        text = f"{kind}: {text}"
        self._last_error = text if batch.description in text else f"{batch.description}: {text}"

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
        self._routed += batch.size
        if stay:
            self._dispatch(stay)
        if leave and self._side is not None:
            self._side.send(leave)

    def _halt(self, batch: Batch, error: BaseException | None) -> None:
        """End the stage, once what it has emitted and routed is taken."""
        self._halting = True
        self._take_back(-1)
        self._ready.clear()
        self._failed = self._items_in - self._emitted - self._skipped - self._routed
        halted = Halted(
            error=error or RuntimeError("unknown"), batch=batch.description, stage=self._context.stage or ""
        )
        self._end_reason = (SHUTDOWN, halted)


def _batch_done(runner: DispatchRunner, batch: Batch) -> None:
    runner._done(batch)


def _resubmit(runner: DispatchRunner, batch: Batch) -> None:
    if runner.waits_for(batch):
        runner._submit(batch)


def _halted(reason: Any) -> bool:
    return isinstance(reason, tuple) and len(reason) == 2 and isinstance(reason[1], Halted)
