"""What becomes of a batch once it is answered: the failure half of a runner.

A batch's outcome is decided when its answer arrives (`_settle`: again, or a
policy) and performed in its turn (`_apply`). `DispatchRunner` adds the input
and the batches.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from slither_actors import telemetry
from slither_actors.actors import SHUTDOWN
from slither_actors.core import Ordering, Window, may_retry, retry_delay
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._statistics import Halted
from slither_actors.errors import RemoteError, TargetError, safe_text
from slither_actors.item import Item
from slither_actors.policy import Halt, Policy, Retry, Route, Skipping
from slither_actors.stages import ProducerConsumer

if TYPE_CHECKING:
    from slither_actors.context import Context
    from slither_actors.dispatch._link import SideOutput
    from slither_actors.dispatch._options import DispatchOptions
    from slither_actors.dispatch.executor import Executor

__all__ = ["BatchOutcomes", "BatchResult"]

BatchResult = tuple[Batch, Policy | None]
"""A batch whose outcome is final, and the policy that its failure meets."""


class BatchOutcomes(ProducerConsumer):
    """Decides and performs what the answers of executors mean. The base of `DispatchRunner`."""

    _context: Context
    _end_reason: Any
    """What to complete with; None while the stage works."""

    _executor: Executor
    _halting: bool
    _items_in: int
    _keep_skipped: bool
    _options: DispatchOptions
    _running: dict[int, Batch]
    """Batches whose answer is awaited, also while they wait for another attempt."""

    _side: SideOutput | None
    _window: Window[BatchResult]

    def _init_outcomes(self) -> None:
        """Start counting."""
        self._emitted = self._skipped = self._routed = self._failed = 0
        self._batches = self._retries = 0
        self._errors: Counter[str] = Counter()
        self._last_error = ""

    # -- what the runner does ---------------------------------------------------------

    def _pump(self) -> None:
        raise NotImplementedError

    def _submit(self, batch: Batch) -> None:
        raise NotImplementedError

    def _take_back(self, after: int) -> None:
        raise NotImplementedError

    def _forget_input(self) -> None:
        """Drop the batches that have not started."""
        raise NotImplementedError

    def waits_for(self, batch: Batch) -> bool:
        """Whether the outcome of this attempt is still wanted."""
        return self._running.get(batch.ref) is batch

    # -- answers ----------------------------------------------------------------------

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
        self._forget_input()
        self._failed = self._items_in - self._emitted - self._skipped - self._routed
        halted = Halted(
            error=error or RuntimeError("unknown"), batch=batch.description, stage=self._context.stage or ""
        )
        self._end_reason = (SHUTDOWN, halted)


def _resubmit(runner: BatchOutcomes, batch: Batch) -> None:
    if runner.waits_for(batch):
        runner._submit(batch)
