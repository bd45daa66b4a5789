"""The actor of a function, class or router stage: items in, outcomes out, failures to the policy.

An item that is routed to an output leaves the run at once, past the stages that
follow, through a side output with demand of its own; while that is blocked the
stage takes nothing new. One that is routed to a stage goes there by the
subscription of that one. So is it while an item or a batch waits for its next
attempt: what is behind it waits, and order is kept. And when an item has
become many, those behind it wait until there is demand for what they become.

A slow stage passes on what it has done every few milliseconds, however many
items had arrived together.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.actors import NORMAL, SHUTDOWN, is_abnormal
from slither_actors.context import Context
from slither_actors.dispatch import Halted
from slither_actors.dispatch._link import RunLink, SideOutput
from slither_actors.dispatch._reader import Reader
from slither_actors.dispatch._routed import name_cause, routed_by
from slither_actors.item import Item
from slither_actors.pipe._attempts import Attempts
from slither_actors.pipe._definition import StageDefinition
from slither_actors.pipe._flow import Flow
from slither_actors.pipe._outgoing import Outgoing
from slither_actors.pipe._results import OUTCOMES
from slither_actors.pipe._router_stage import RouterStage
from slither_actors.pipe._stage import PER_ITEM, Stage
from slither_actors.pipe._tally import StageStatistics, Tally, tell_skipped
from slither_actors.pipe._telling import StageTelling
from slither_actors.policy import Policy, Retry, Route, Skipping, last_policy
from slither_actors.stages import ProducerConsumer, Subscription

__all__ = ["StageRunner"]

logger = logging.getLogger("slither_actors.pipe")

_SLICE_SECONDS = 0.01
"""How long a stage is at it before what it has done goes on."""


_Step = Callable[[Sequence[Any], Flow], None]
_Work = tuple[_Step, Sequence[Any]]
"""A method and what it is to handle."""


class StageRunner(ProducerConsumer):
    """Runs one stage of one run."""

    _may_hold = True

    def init(
        self,
        definition: StageDefinition,
        *,
        context: Context,
        link: RunLink,
        telling: StageTelling,
        subscribe_to: Sequence[Any] = (),
    ) -> None:
        """Set up the stage.

        Args:
            definition: the stage.
            context: the run's, for this stage.
            link: shared with the run's other stages.
            telling: tells of the stage's start and end.
            subscribe_to: the stages before.
        """
        self.subscribe_to = subscribe_to
        self._policy: Policy = definition.on_error
        self._name = definition.name
        self._label = f"{context.pipe}.{definition.name}"
        self._context = context
        outgoing = Outgoing(definition)
        self._results = outgoing.results(self._label, link.acks)
        self._by_route = outgoing.by_route
        self._forks = bool(outgoing.onward)
        """Whether some of its routes lead to stages."""
        fan_out = outgoing.fan_out()
        if fan_out is not None:
            self.dispatcher = fan_out
        self._open_inputs = len(subscribe_to)
        """Stages before it that have not ended, or whose end waits behind their items."""
        self._link = link
        self._telling = telling
        self._side = SideOutput(link, self.ref, Reader.take)
        self._tally = Tally()
        self._left: deque[_Work] = deque()
        """What is not handled yet, while something waits for its next attempt or for demand."""
        self._waits = False
        """Whether something waits for its next attempt."""
        self._enough = False
        """Whether more was made than is wanted, with something left to handle."""
        self._paused = False
        """Whether it goes on in a message of its own, having been at it for `_SLICE_SECONDS`."""
        self._slice_ends = 0.0
        self._attempts = Attempts()
        self._ended_with: Any = None
        self._stage: Stage = definition.declaration.make()  # type: ignore[attr-defined]
        self._handle_item = self._stage.handle_item
        self._first_step = self._step_of(definition.declaration)
        telling.started()

    def _step_of(self, declaration: Any) -> _Step:
        """How the stage handles what arrives together."""
        if isinstance(declaration, RouterStage) and self._link.acks is None:
            self._decide, self._leaving = self._stage.decision(self._results)  # type: ignore[attr-defined]
            return self._route_each
        batches = type(self._stage).handle_batch is not Stage.handle_batch
        return self._handle_together if batches else self._handle_each

    def terminate(self, reason: Any) -> None:
        """Shut the stage down and leave its statistics with the run."""
        waiting = sum(len(events) for _, events, _ in self._waiting)
        self._tally.items_in += waiting
        self._tally.failed += waiting + sum(len(what) for _, what in self._left)
        statistics = self.snapshot()
        self._link.finished[self._name] = statistics
        problem: Any = reason if is_abnormal(reason) or self._ended_with is not None else None
        try:
            self._stage.shutdown()
        except Exception as error:  # the results are out; a clean-up that fails must not take them back
            logger.exception("%s: its shutdown raised", self._label)
            problem = problem or error
        if isinstance(last_policy(self._policy), Skipping):
            tell_skipped(self._label, statistics.errors, statistics.last_error)
        self._telling.ended(statistics, problem)

    def snapshot(self, _: None = None) -> StageStatistics:
        """Return the statistics; from outside through ``ref.run(StageRunner.snapshot)``."""
        return self._tally.statistics(self._by_route)

    # -- taking ----------------------------------------------------------------------

    def _is_held(self) -> bool:
        return bool(self._left) or self._side.blocked

    def granted(self, count: int) -> None:
        """The caller has consumed routed items."""
        self._side.granted(count)
        self._unblock()

    def _demanded(self, demand: int) -> None:
        if self._enough:
            self._wanted += demand
            self._resume()
        else:
            super()._demanded(demand)

    def _resume(self) -> None:
        """Handle what is left, outside of `handle_events`."""
        out = self._work()
        if out:
            self._dispatch(out)
        self._unblock()

    def _unblock(self) -> None:
        if self._side.blocked:
            return
        if self._ended_with is not None:
            self.complete(self._ended_with)
        elif not self._left:
            self._go_on()

    def handle_events(self, events: Sequence[Item], source: Subscription) -> None:
        """Handle what arrived together."""
        self._tally.items_in += len(events)
        self._left.append((self._first_step, events))
        if not (self._waits or self._enough or self._paused):
            out = self._work()
            if out:
                self._dispatch(out)

    def _work(self) -> Sequence[Item]:
        """Handle what is left, up to something that has to wait; return what goes on."""
        flow = Flow()
        left = self._left
        self._enough = False
        began = time.monotonic()
        self._slice_ends = began + _SLICE_SECONDS
        first = True
        while left and not (self._waits or self._enough or self._paused) and self._ended_with is None:
            step, what = left.popleft()
            if first or not what or time.monotonic() <= self._slice_ends:
                step(what, flow)
            else:
                self._pause((step, what))
            first = False
        self._tally.busy += time.monotonic() - began
        staying, leaving = flow.stay.all(), flow.leave.all()
        onward = self._tally.sent(staying) if self._forks else 0
        self._tally.emitted += len(staying) - onward
        if leaving:
            self._tally.left(leaving)
            self._side.send(leaving)
        if self._ended_with is not None and not self._side.blocked:
            self.complete(self._ended_with)
        return staying

    def _end_with_source(self, reason: Any) -> None:
        """One of the stages before has ended: the last one, or one that halted, ends this one."""
        self._open_inputs -= 1
        if self._open_inputs <= 0 or reason != NORMAL:
            super()._end_with_source(reason)

    def _tell_discarded(self, count: int, of: Any = None) -> None:
        """Say nothing: a stage behind this one is gone only when the run is to end."""

    # -- handling --------------------------------------------------------------------

    def _handle_each(self, items: Sequence[Item], flow: Flow) -> None:
        handle, context, append = self._handle_item, self._context, flow.stay.last.append
        now, slice_ends = time.monotonic, self._slice_ends
        for at, item in enumerate(items):
            if at and now() > slice_ends:
                self._pause((self._handle_each, items[at:]))
                return
            try:
                result = handle(item, context)
                if type(result) not in OUTCOMES:
                    append(Item(item.id, result, item.meta))
                    continue
                made = self._results.sort(item, result)
            except BaseException as error:  # noqa: BLE001 - the user's code; the policy decides
                behind = (self._handle_each, items[at + 1 :])
                if not self._settle([item], error, flow, again=self._handle_each, behind=behind):
                    return
            else:
                self._tally.took(made)
                flow.add(made)
                if len(made[0]) > 1 and len(flow.stay) >= self._wanted and at + 1 < len(items):
                    self._enough = True
                    self._left.appendleft((self._handle_each, items[at + 1 :]))
                    return

    def _route_each(self, items: Sequence[Item], flow: Flow) -> None:
        """As `_handle_each`, for a router: it knows where routes lead before it has seen an item."""
        routes: list[str] = []
        failure: BaseException | None = None
        try:
            self._decide(items, routes.append, self._slice_ends)
        except BaseException as error:  # noqa: BLE001 - the user's code; the policy decides
            failure = error
        at = len(routes)
        flow.add_routed(items, routes, self._leaving)
        if failure is None:
            if at < len(items):
                self._pause((self._route_each, items[at:]))
            return
        behind = (self._route_each, items[at + 1 :])
        if self._settle([items[at]], failure, flow, again=self._route_each, behind=behind) and behind[1]:
            self._left.appendleft(behind)

    def _handle_together(self, items: Sequence[Item], flow: Flow) -> None:
        given = list(items)  # the user's code may look more than once, sort it, and take out of it
        items = tuple(given)
        try:
            results = self._stage.handle_batch(given, self._context)
            self._results.refuse_length(items, given)
            if results is not PER_ITEM:
                results = self._results.sort_batch(given, results)
            if isinstance(results, list):
                self._results.refuse_others(items, given)
        except BaseException as error:  # noqa: BLE001 - the user's code; the policy decides, for all items
            self._settle(items, error, flow, again=self._handle_together, behind=(self._handle_together, ()))
            return
        if results is PER_ITEM:
            self._handle_each(items, flow)
        elif isinstance(results, tuple):
            self._tally.took_batch(items, results)
            flow.add(results)
        elif (plain := self._results.plain(given, results)) is not None:
            flow.stay.add(plain)
        else:
            self._take_results(list(zip(given, results, strict=True)), flow)

    def _take_results(self, pairs: Sequence[tuple[Item, Any]], flow: Flow) -> None:
        """Take a batch's results one by one: an item that failed is tried again by itself."""
        for at, (item, result) in enumerate(pairs):
            try:
                made = self._results.sort(item, result)
            except BaseException as error:  # noqa: BLE001 - as above
                behind = (self._take_results, pairs[at + 1 :])
                if not self._settle([item], error, flow, again=self._handle_together, behind=behind):
                    return
            else:
                self._tally.took(made)
                flow.add(made)

    def _pause(self, rest: _Work) -> None:
        """Let what is done go on before the rest is handled: a slow stage must not hold it back.

        Between two messages the stage can also be stopped.
        """
        self._left.appendleft(rest)
        self._paused = True
        self.ref.send(_unpause)

    # -- failing ---------------------------------------------------------------------

    def _settle(
        self,
        items: Sequence[Item],
        error: BaseException,
        flow: Flow,
        *,
        again: _Step,
        behind: _Work,
    ) -> bool:
        """Perform the policy for failed items. False if what is behind them has to wait or is lost.

        Args:
            items: what failed, for one reason.
            error: the reason.
            flow: where routed items go.
            again: handles `items` once more.
            behind: what comes after them.
        """
        policy = self._policy
        if isinstance(policy, Retry):
            delay = self._attempts.delay(items[0], policy, error)
            if delay is not None:
                self._left.extendleft([behind, (again, items)] if behind[1] else [(again, items)])
                self._wait(delay)
                return False
            policy = last_policy(policy)
        self._tally.saw(error, len(items), self._words(items))
        if isinstance(policy, Skipping):
            self._tally.skipped += len(items)
            if self._link.acks is not None:
                self._link.acks.ended(items, error)
            return True
        halted_by, done = error, 0
        if isinstance(policy, Route):
            broken, done = self._route(policy, items, error, flow)
            if broken is None:
                return True
            halted_by = broken
        lost = items[done:]
        self._tally.failed += len(lost)
        if self._link.acks is not None:
            self._link.acks.ended(lost, halted_by)
        self._left.appendleft(behind)
        halted = Halted(error=halted_by, batch=self._words(lost), stage=self._name)
        self._ended_with = (SHUTDOWN, halted)
        return False

    def _wait(self, delay: float) -> None:
        self._tally.retries += 1
        self._waits = True
        self.run_after(delay, _retry)

    def _route(
        self, policy: Route, items: Sequence[Item], error: BaseException, flow: Flow
    ) -> tuple[BaseException | None, int]:
        """Hand failed items to the policy's function; return what broke and how many were done."""
        for done, item in enumerate(items):
            try:
                made = self._results.by_route([routed_by(policy, item, error)])
            except BaseException as broken:  # noqa: BLE001 - the user's function; there is no policy for it
                name_cause(broken, error)
                return broken, done
            if self._link.acks is not None:
                self._link.acks.became((item,), [*made[0], *made[1]])
            flow.add(made)
        return None, len(items)

    def _words(self, items: Sequence[Item]) -> str:
        if len(items) == 1:
            return self._results.label(items[0])
        return f"{len(items)} items of {self._label}, from item {items[0].id} on"


def _retry(runner: StageRunner, _: None) -> None:
    runner._waits = False
    runner._resume()


def _unpause(runner: StageRunner, _: None) -> None:
    runner._paused = False
    runner._resume()
