"""The actor of a function, class or router stage: items in, outcomes out, failures to the policy.

An item that is routed leaves the run at once, past the stages that follow,
through a side output with demand of its own; while that is blocked the stage
takes nothing new. So is it while an item waits for its next attempt: the
items behind it wait, and order is kept.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.actors import SHUTDOWN, is_abnormal
from slither_actors.context import Context
from slither_actors.core import may_retry, retry_delay
from slither_actors.dispatch import Halted
from slither_actors.dispatch._link import RunLink, SideOutput
from slither_actors.dispatch._reader import Reader
from slither_actors.errors import ItemError, ResultError
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.outcome import Fail, Many, Ok, RouteTo, Skip
from slither_actors.pipe._definition import StageDefinition
from slither_actors.pipe.stage import PER_ITEM, Stage
from slither_actors.policy import Policy, Retry, Route, Skipping
from slither_actors.stages import ProducerConsumer, Subscription

__all__ = ["StageRunner", "StageStatistics"]

_OUTCOMES = frozenset({Ok, Skip, Fail, RouteTo, Many, Item})


@attrs.frozen(kw_only=True)
class StageStatistics:
    """What a function, class or router stage had done at one moment."""

    items_in: int
    """Items taken from upstream."""

    emitted: int
    """Items passed on to the next stage."""

    routed: int
    """Items sent to an output, by the stage or by a `Route` policy."""

    skipped: int
    """Items dropped: on purpose, or because they failed under ``"skip"``."""

    failed: int
    """Items that had no result when the run halted."""

    retries: int
    """Attempts beyond the first."""


class StageRunner(ProducerConsumer):
    """Runs one stage of one run."""

    def init(
        self,
        definition: StageDefinition,
        *,
        context: Context,
        outputs: Sequence[str],
        link: RunLink,
        subscribe_to: Sequence[Any] = (),
    ) -> None:
        """Set up the stage.

        Args:
            definition: the stage.
            context: the run's context.
            outputs: the pipe's outputs.
            link: shared with the run's other stages.
            subscribe_to: the stage before.
        """
        self.subscribe_to = subscribe_to
        self._definition = definition
        self._policy: Policy = definition.on_error
        self._context = context.with_stage(definition.name)
        self._outputs = frozenset(outputs)
        self._link = link
        self._side = SideOutput(link, self.ref, Reader.take)
        self._left: list[Item] = []
        """Items behind one that waits for its next attempt, itself included."""
        self._attempt = 1
        self._ended_with: Any = None
        self._items_in = self._emitted = self._skipped = self._failed = self._retries = self._routed = 0
        self._began = time.monotonic()
        self._stage: Stage = definition.declaration.make()  # type: ignore[attr-defined]
        self._handle_item = self._stage.handle_item
        self._batches = type(self._stage).handle_batch is not Stage.handle_batch
        self._tell(telemetry.PIPE_STAGE_START, {"system_time": time.time()})

    def terminate(self, reason: Any) -> None:
        """Shut the stage down and leave its statistics with the run."""
        statistics = self.snapshot()
        self._link.finished[self._definition.name] = statistics
        try:
            self._stage.shutdown()
        finally:
            measured = {"duration": time.monotonic() - self._began, **attrs.asdict(statistics)}
            if is_abnormal(reason) or self._failed:
                self._tell(telemetry.PIPE_STAGE_EXCEPTION, measured, reason=reason)
            else:
                self._tell(telemetry.PIPE_STAGE_STOP, measured)

    def snapshot(self, _: None = None) -> StageStatistics:
        """Return the statistics; from outside through ``ref.run(StageRunner.snapshot)``."""
        return StageStatistics(
            items_in=self._items_in,
            emitted=self._emitted,
            routed=self._routed,
            skipped=self._skipped,
            failed=self._failed,
            retries=self._retries,
        )

    def _tell(self, signal: telemetry.Signal, measurements: Mapping[str, Any], **more: Any) -> None:
        if signal.receivers:
            about = {
                "pipe": self._context.pipe,
                "stage": self._definition.name,
                "type": self._definition.kind,
            }
            telemetry.emit(signal, self.ref, measurements=measurements, metadata={**about, **more})

    # -- taking ----------------------------------------------------------------------

    def _is_held(self) -> bool:
        return bool(self._left) or self._side.blocked

    def granted(self, count: int) -> None:
        """The caller has consumed routed items."""
        self._side.granted(count)
        self._unblock()

    def _unblock(self) -> None:
        if self._is_held():
            return
        if self._ended_with is not None:
            self.complete(self._ended_with)
        else:
            self._go_on()

    # -- handling --------------------------------------------------------------------

    def handle_events(self, events: Sequence[Item], source: Subscription) -> list[Item]:
        """Handle what arrived together."""
        self._items_in += len(events)
        if self._ended_with is not None:
            self._failed += len(events)
            return []
        if self._left:
            self._left.extend(events)
            return []
        return self._handle_all(events)

    def _handle_all(self, items: Sequence[Item]) -> list[Item]:
        out: list[Item] = []
        leaving: list[Item] = []
        if not (self._batches and self._handle_together(items, out, leaving)):
            self._handle_each(items, out, leaving)
        self._emitted += len(out)
        if leaving:
            self._side.send(leaving)
        return out

    def _handle_each(self, items: Sequence[Item], out: list[Item], leaving: list[Item]) -> None:
        handle, context = self._handle_item, self._context
        for at, item in enumerate(items):
            try:
                result = handle(item, context)
                if type(result) not in _OUTCOMES:
                    out.append(Item(item.id, result, item.meta, item.route))
                    continue
                failure = self._take_outcome(item, result, out, leaving)
            except Exception as error:  # noqa: BLE001 - the user's code; the policy decides
                failure = error
            if failure is not None and not self._settle(item, failure, items[at:], out, leaving):
                return

    def _take_outcome(
        self, item: Item, result: Any, out: list[Item], leaving: list[Item]
    ) -> BaseException | None:
        """Turn an outcome record into items; return the failure if it is one."""
        if isinstance(result, Item):
            (out if result.route == item.route else leaving).append(result)
            self._routed += result.route != item.route
        elif isinstance(result, Ok):
            out.append(item.update_payload(result.payload))
        elif isinstance(result, Skip):
            self._skipped += 1
        elif isinstance(result, Many):
            made = [item.spawn(payload) for payload in result.payloads]
            out.extend(made)
            self._skipped += not made
        elif isinstance(result, RouteTo):
            if result.output not in self._outputs:
                known = ", ".join(repr(name) for name in sorted(self._outputs))
                return self._item_error(item, f"was routed to {result.output!r}; the outputs are {known}")
            leaving.append(Item(item.id, result.payload, item.meta, result.output))
            self._routed += 1
        elif isinstance(result, Fail):
            if isinstance(result.reason, BaseException):
                return result.reason
            return self._item_error(item, f"failed: {result.reason}", result.reason)
        return None

    def _item_error(self, item: Item, problem: str, reason: object = None) -> ItemError:
        return ItemError(self._label(item), problem, reason)

    def _label(self, item: Item) -> str:
        return f"item {item.id} of {self._context.pipe}.{self._definition.name}"

    def _handle_together(self, items: Sequence[Item], out: list[Item], leaving: list[Item]) -> bool:
        """Hand the items to ``handle_batch``; False if they are to be handled one by one."""
        try:
            results = self._stage.handle_batch(items, self._context)
            if results is PER_ITEM:
                return False
            if isinstance(results, Mapping):
                routed = [item.put_route(output) for output, group in results.items() for item in group]
                self._take_items(routed, out, leaving)
                return True
            results = list(results)
            if results and all(type(result) is Item for result in results):
                self._take_items(results, out, leaving)
                return True
            if len(results) != len(items):
                msg = f"{self._definition.name} returned {len(results)} results for {len(items)} items"
                raise ResultError(msg)
        except Exception as error:  # noqa: BLE001 - the user's code; the policy decides, for all items
            for at, item in enumerate(items):
                if not self._settle(item, error, items[at:], out, leaving, may_wait=False):
                    break
            return True
        for at, (item, result) in enumerate(zip(items, results, strict=True)):
            if type(result) not in _OUTCOMES:
                out.append(item.update_payload(result))
                continue
            failure = self._take_outcome(item, result, out, leaving)
            if failure is not None and not self._settle(
                item, failure, items[at:], out, leaving, may_wait=False
            ):
                break
        return True

    def _take_items(self, items: Sequence[Item], out: list[Item], leaving: list[Item]) -> None:
        for item in items:
            if item.route == DEFAULT_ROUTE:
                out.append(item)
            elif item.route in self._outputs:
                leaving.append(item)
                self._routed += 1
            else:
                known = ", ".join(repr(name) for name in sorted(self._outputs))
                raise self._item_error(item, f"was routed to {item.route!r}; the outputs are {known}")

    # -- failing ---------------------------------------------------------------------

    def _settle(
        self,
        item: Item,
        error: BaseException,
        rest: Sequence[Item],
        out: list[Item],
        leaving: list[Item],
        *,
        may_wait: bool = True,
    ) -> bool:
        """Perform the policy for a failed item. False if the items behind it must wait or are lost."""
        policy = self._policy
        if isinstance(policy, Retry):
            if may_wait and may_retry(policy, self._attempt, error):
                self._wait_for_retry(policy, rest)
                return False
            policy = policy.then
        self._attempt = 1
        if isinstance(policy, Skipping):
            self._skipped += 1
            return True
        if isinstance(policy, Route):
            try:
                routed = policy.fn(item, error)
                if not isinstance(routed, Item):
                    msg = f"the function of a Route policy returned {routed!r:.100}; expected is an Item"
                    raise TypeError(msg)
                self._take_items([routed], out, leaving)
            except Exception as broken:  # noqa: BLE001 - the user's function; there is no policy for it
                broken.__cause__ = error
                error = broken
            else:
                return True
        self._halt(item, error, len(rest))
        return False

    def _wait_for_retry(self, policy: Retry, rest: Sequence[Item]) -> None:
        self._retries += 1
        self._left = list(rest)
        delay = retry_delay(policy, self._attempt, random.random())
        self._attempt += 1
        self.run_after(delay, _retry)

    def _halt(self, item: Item, error: BaseException, lost: int) -> None:
        self._failed += lost + sum(len(events) for _, events, _ in self._waiting)
        self._waiting.clear()
        halted = Halted(error=error, batch=self._label(item), stage=self._definition.name)
        self._ended_with = (SHUTDOWN, halted)
        # Later: this runs inside of the handler, and what precedes the item is not out yet.
        self.ref.send(_finish)

    def _end_with_source(self, reason: Any) -> None:
        if is_abnormal(reason):
            self.stop(reason)
        elif self._ended_with is None:
            self.complete(reason)


def _finish(runner: StageRunner, _: None) -> None:
    runner._unblock()


def _retry(runner: StageRunner, _: None) -> None:
    items, runner._left = runner._left, []
    out = runner._handle_all(items)
    if out:
        runner._dispatch(out)
    runner._unblock()
