"""What becomes of a batch once it is answered: the failure half of a runner.

A batch's outcome is decided when its answer arrives (`_settle`: again, or a
policy) and performed in its turn (`_apply`). `DispatchRunner` adds the input
and the batches.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slither_actors import telemetry
from slither_actors.actors import SHUTDOWN, Timer
from slither_actors.actors._async_kill import HandlerBrokenOff
from slither_actors.core import InsightTally, Ordering, SerialQueue, Window, join, may_retry, retry_delay
from slither_actors.dispatch._batch import Batch, BatchOrigin
from slither_actors.dispatch._batch_telling import BatchTelling
from slither_actors.dispatch._circuit import circuit_of
from slither_actors.dispatch._dead_letters import DeadLetterOffice
from slither_actors.dispatch._failures import Failures
from slither_actors.dispatch._insights import note_time
from slither_actors.dispatch._routed import name_cause, routed_by
from slither_actors.dispatch._statistics import Halted
from slither_actors.errors import (
    CircuitOpenError,
    TargetError,
    WorkerCrashError,
)
from slither_actors.item import Item
from slither_actors.policy import Halt, Policy, Retry, Route, Skipping, last_policy
from slither_actors.stages import ProducerConsumer

if TYPE_CHECKING:
    from slither_actors.context import Context
    from slither_actors.dispatch._link import SideOutput
    from slither_actors.dispatch._options import DispatchOptions
    from slither_actors.dispatch._session import RunSession
    from slither_actors.dispatch._wind_up import WindUp
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
    _origin: BatchOrigin
    _running: dict[int, Batch]
    """Batches whose answer is awaited, also while they wait for another attempt."""

    _serial: SerialQueue[Any] | None
    _session: RunSession
    _side: SideOutput | None
    _tally: InsightTally | None
    _winding_up: WindUp | None
    _window: Window[BatchResult]

    def _init_outcomes(self) -> None:
        """Start counting. The executor is open."""
        self._emitted = self._skipped = self._routed = self._failed = 0
        self._batches = 0
        self._failures = Failures(self._options.poison_after)
        self._batch_telling = BatchTelling(self.ref, self._context, self._executor.name)
        self._busy = 0.0
        self._routes: Counter[str] = Counter()
        self._barred: deque[Batch] = deque()
        """Batches that wait for the circuit to let them pass."""
        self._trial: Timer | None = None
        self._made: list[Sequence[Item]] = []
        """What is to be emitted with the next pump, as one."""
        self._pump_is_due = False
        """Whether the mailbox has a message that pumps."""
        self._circuit = circuit_of(self._executor, self._options.breaker)
        receiver = self._options.dead_letters
        self._dead_letters = None if receiver is None else DeadLetterOffice(receiver, self._origin.label)

    def _end_outcomes(self) -> None:
        if hasattr(self, "_circuit"):
            self._circuit.forget(self.ref)
            self._session.leave()

    def _failure_figures(self) -> dict[str, Any]:
        office = self._dead_letters
        return {
            **self._failures.figures(),
            "dead_letters": 0 if office is None else office.sent,
            "dead_letters_lost": 0 if office is None else office.lost,
        }

    # -- what the runner does ---------------------------------------------------------

    def _pump(self) -> None:
        raise NotImplementedError

    def _submit(self, batch: Batch) -> None:
        """Hand a batch to the executor, if its circuit lets it pass."""
        raise NotImplementedError

    def _send(self, batch: Batch) -> None:
        """Hand a batch to the executor."""
        raise NotImplementedError

    def _take_back(self, after: int, *, kill: bool = False) -> list[Batch]:
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
            if self._winding_up is not None:
                self._winding_up.answered(batch)
            return
        if batch.timer is not None:
            batch.timer.cancel()
        took = batch.took
        self._busy += time.monotonic() - batch.started_at if took is None else took
        if self._tally is not None:
            note_time(self._tally, batch, self._executor)
        if batch.error is not None or type(batch.results) is not list or len(batch.results) != batch.size:
            batch.check(self._executor)
        self._settle(batch, batch.error)
        if not self._cell.inbox:
            self._pump()
        elif not self._pump_is_due:
            # Answers come in groups: what has to be done after each is done once, behind the last one.
            self._pump_is_due = True
            self.ref.send(BatchOutcomes._pump_late)

    def _pump_late(self, _: None) -> None:
        self._pump_is_due = False
        self._pump()

    def _settle(self, batch: Batch, error: BaseException | None, *, may_retry_it: bool = True) -> None:
        """Decide what the answer means, and do it if it is the batch's turn."""
        if telemetry.DISPATCH_BATCH_STOP.receivers or telemetry.DISPATCH_BATCH_EXCEPTION.receivers:
            self._batch_telling.ended(batch, error)
        policy: Policy | None = None
        if error is not None:
            error = batch.error = self._judged(batch, error)
            policy = self._policy_for(batch, error, may_retry_it=may_retry_it)
            if isinstance(policy, Retry):
                return
            if isinstance(policy, Halt):
                self._halt_after(batch)
        else:
            if not self._circuit.is_calm:
                self._circuit.ended(None)
            if self._failures.unsettled:
                self._failures.forget(batch)
        del self._running[batch.ref]
        if self._serial is not None:
            self._serial.finish(batch.items)
        for _, (released, its_policy) in self._window.finish(batch.ref, (batch, policy)):
            self._apply(released, its_policy)
            if self._end_reason is not None:
                return

    def _judged(self, batch: Batch, error: BaseException) -> BaseException:
        if isinstance(error, CircuitOpenError):
            return error
        self._circuit.ended(error)
        return self._failures.judge(batch, error)

    def _policy_for(self, batch: Batch, error: BaseException, *, may_retry_it: bool) -> Policy:
        """What the failure means: a `Retry` that has been arranged, or what is to be done in its turn."""
        # A function that no worker can import is a mistake in the program, not in an item.
        policy = Halt() if isinstance(error, TargetError) else self._options.on_error
        if isinstance(policy, Retry):
            if may_retry_it and self._may_retry(batch, policy, error):
                return policy
            policy = last_policy(policy)
        self._failures.forget(batch)
        return policy

    def _may_retry(self, batch: Batch, policy: Retry, error: BaseException) -> bool:
        """Arrange another attempt, if there is to be one."""
        if isinstance(error, CircuitOpenError):
            self._failures.barred(batch)
            if self._is_too_late(batch, policy):
                return False
            self._wait_for_circuit(batch)
            return True
        began_at = self._failures.began_at(batch)
        elapsed = 0.0 if began_at is None else time.monotonic() - began_at
        if self._options.poison_after == 1 and isinstance(error, WorkerCrashError):
            return False
        delay = retry_delay(policy, batch.attempt, random.random())
        if not may_retry(policy, batch.attempt, error, elapsed + delay):
            return False
        self._failures.retries += 1
        again = self._running[batch.ref] = batch.next_attempt()
        self.run_after(delay, _resubmit, again)
        return True

    def _halt_after(self, batch: Batch) -> None:
        """Start nothing new. What precedes the failed batch goes on, if there is an order."""
        self._halting = True
        if self._window.ordering is Ordering.PRESERVE:
            self._take_back(batch.ref)

    # -- the circuit ------------------------------------------------------------------

    def _bar(self, batch: Batch) -> bool:
        """Whether the circuit does not let the batch pass; then it is answered."""
        if self._circuit.allows():
            return False
        self._turn_away(batch)
        return True

    def _turn_away(self, batch: Batch) -> None:
        self._failures.refused += 1
        # As a message, like the answer of an executor: who called us goes on.
        batch.fail(self._circuit.refusal(batch.name))

    def _wait_for_circuit(self, batch: Batch) -> None:
        """Hold the batch until the circuit lets it pass. That costs no attempt."""
        again = self._running[batch.ref] = batch.same_attempt()
        self._barred.append(again)
        self._await_trial()

    def _await_trial(self) -> None:
        self._circuit.wake(self.ref, _on_circuit)
        if self._trial is None:
            self._trial = self.run_after(self._circuit.next_trial(), _on_trial)

    def _try_barred(self) -> None:
        """Submit what the circuit lets pass now."""
        barred = self._barred
        while barred:
            if not self.waits_for(barred[0]):
                barred.popleft()
            elif self._circuit.is_calm or self._circuit.allows():
                batch = barred.popleft()
                self._batch_telling.started(batch)
                self._send(batch)
            else:
                self._refuse_late()
                self._await_trial()
                return

    def _refuse_late(self) -> None:
        """Answer what waits for the circuit and may not wait until it is tried again."""
        policy, waiting = self._options.on_error, list(self._barred)
        self._barred.clear()
        for batch in waiting:
            if self.waits_for(batch) and isinstance(policy, Retry) and self._is_too_late(batch, policy):
                self._batch_telling.started(batch)
                self._turn_away(batch)
            else:
                self._barred.append(batch)

    def _is_too_late(self, batch: Batch, policy: Retry) -> bool:
        """Whether the circuit opens too late for the batch."""
        if policy.max_time is None:
            return False
        opens_at = time.monotonic() + self._circuit.next_trial()
        began_at = self._failures.began_at(batch)
        return began_at is not None and opens_at - began_at >= policy.max_time

    # -- outcomes -------------------------------------------------------------------

    def _apply(self, batch: Batch, policy: Policy | None) -> None:
        """Perform the final outcome of a batch, in its turn."""
        if batch.error is not None:
            self._failures.note(batch, batch.error)
            if self._dead_letters is not None and not isinstance(policy, Route):
                self._dead_letters.take(batch, batch.error)
        if policy is None:
            self._batches += 1
            self._emitted += batch.size
            self._emit_soon(batch.outcomes)
        elif isinstance(policy, Skipping):
            self._skipped += batch.size
            if self._keep_skipped:
                mark = {"error": batch.error, "skipped": True}
                self._emit_soon([item.put_meta(mark) for item in batch.items])
        elif isinstance(policy, Route):
            self._route(batch, policy)
        else:
            self._halt(batch, batch.error)

    def _emit_soon(self, items: Sequence[Item]) -> None:
        """Emit with the next pump, which is due: what several answers have brought goes as one."""
        self._made.append(items)

    def _emit_outcomes(self) -> None:
        """Emit what the batches have become since the last time."""
        made = self._made
        if made:
            self._made = []
            self._dispatch(join(made))

    def _route(self, batch: Batch, policy: Route) -> None:
        stay: list[Item] = []
        leave: list[Item] = []
        for item in batch.items:
            before = item.route
            try:
                routed = routed_by(policy, item, batch.error)  # type: ignore[arg-type]
            except HandlerBrokenOff:
                raise
            except BaseException as error:  # noqa: BLE001 - the user's function; there is no policy for it
                name_cause(error, batch.error)
                if self._dead_letters is not None:
                    self._dead_letters.take(batch, error)
                self._halt(batch, error)
                return
            (stay if self._side is None or routed.route == before else leave).append(routed)
        self._routed += batch.size
        self._routes.update(item.route for item in (*stay, *leave))
        if stay:
            self._emit_soon(stay)
        if leave and self._side is not None:
            self._side.send(leave)

    def _halt(self, batch: Batch, error: BaseException | None) -> None:
        """End the stage, once what it has emitted and routed is taken."""
        self._halting = True
        self._take_back(-1)
        self._forget_input()
        self._failed = self._items_in - self._emitted - self._skipped - self._routed
        error = error if error is not None else RuntimeError("unknown")  # the user's may be false
        halted = Halted(error=error, batch=batch.description, stage=self._context.stage or "")
        self._end_reason = (SHUTDOWN, halted)


def _resubmit(runner: BatchOutcomes, batch: Batch) -> None:
    if runner.waits_for(batch):
        runner._submit(batch)


def _on_circuit(runner: BatchOutcomes, _: None) -> None:
    runner._try_barred()


def _on_trial(runner: BatchOutcomes, _: None) -> None:
    runner._trial = None
    runner._try_barred()
