"""The actor of a worker stage: a dispatch runner that knows the ways of the pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors.actors import NORMAL, is_abnormal
from slither_actors.context import Context
from slither_actors.dispatch import DispatchOptions, DispatchRunner
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._link import RunLink, SideOutput
from slither_actors.dispatch._statistics import DispatchStatistics
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._definition import StageDefinition
from slither_actors.pipe._outgoing import Outgoing
from slither_actors.pipe._results import Results
from slither_actors.pipe._tally import tell_skipped
from slither_actors.pipe._telling import StageTelling
from slither_actors.policy import Halt, Policy, Retry, Route, Skipping, last_policy
from slither_actors.stages import Subscription, _protocol

__all__ = ["WorkerRunner"]


class WorkerRunner(DispatchRunner):
    """Runs a worker stage of one run."""

    def init(  # type: ignore[override]
        self,
        options: DispatchOptions,
        *,
        definition: StageDefinition,
        context: Context,
        link: RunLink,
        telling: StageTelling,
        subscribe_to: Sequence[Any] = (),
    ) -> None:
        """Set up the stage; takes what `StageRunner.init` does."""
        label = f"{context.pipe}.{context.stage}"
        self._telling = telling
        outgoing = Outgoing(definition)
        self._by_route = outgoing.by_route
        fan_out = outgoing.fan_out()
        if fan_out is not None:
            self.dispatcher = fan_out
        self._open_inputs = len(subscribe_to)
        """Stages before it that have not ended."""
        self._asked_of: Counter[Subscription] = Counter()
        """What each of them has been asked for and has not sent."""
        super().init(
            attrs.evolve(
                options, on_error=_checked(options.on_error, outgoing.results(label, link.acks), link.acks)
            ),
            context=context,
            label=label,
            keep_skipped=False,
            link=link,
            subscribe_to=subscribe_to,
        )
        if self._side is not None and outgoing.onward:
            self._side = _Fork(self._side, frozenset(outgoing.onward.values()), self._emit_soon)  # type: ignore[assignment]
        telling.started()

    def terminate(self, reason: Any) -> None:
        """Leave the statistics with the run."""
        super().terminate(reason)
        statistics = self._final_statistics()
        if self._link is not None:
            self._link.finished[self._context.stage or self._label] = statistics
        if isinstance(last_policy(self._options.on_error), Skipping):
            tell_skipped(self._label, statistics.errors, statistics.last_error)
        early = is_abnormal(reason) or self._halting
        self._telling.ended(statistics, reason if early else None)

    def _routes_taken(self) -> dict[str, int]:
        return self._by_route(self._routes)

    def _final_statistics(self) -> DispatchStatistics:
        """The statistics, with what it still held as failed: also where it is others that end the run."""
        found = self.statistics()
        done = found.emitted + found.skipped + found.routed
        return attrs.evolve(found, failed=found.items_in - done, pending=0)

    def _tell_discarded(self, count: int, of: Any = None) -> None:
        """Say nothing: a stage behind this one is gone only when the run is to end."""

    def _apply(self, batch: Batch, policy: Policy | None) -> None:
        super()._apply(batch, policy)
        if isinstance(policy, (Skipping, Halt)) and self._link is not None and self._link.acks is not None:
            self._link.acks.ended(batch.items, batch.error)

    # -- several stages before it ----------------------------------------------------

    def _ask(self) -> None:
        # Each is asked for all that there is room for: nobody knows which of them has something.
        room = self._window.room - len(self._ready)
        wanted = self._batcher.wanted(room) if room > 0 else 0
        for source in self._producers:
            missing = wanted - self._asked_of[source]
            if missing > 0:
                self._asked_of[source] += missing
                source.producer_put((_protocol.ask, (source, missing)))

    def _receive(self, subscription: Subscription, events: Sequence[Any]) -> None:
        self._asked_of[subscription] -= len(events)
        super()._receive(subscription, events)

    def _end_with_source(self, reason: Any) -> None:
        self._open_inputs -= 1
        if self._input_ended:
            return  # a stage before it has halted, and that is why this one ends, however the others do
        if self._open_inputs <= 0 or reason != NORMAL:
            super()._end_with_source(reason)


class _Fork:
    """The side output of a stage whose `Route` policy may also lead to other stages."""

    def __init__(
        self, side: SideOutput, marks: frozenset[str], emit: Callable[[Sequence[Item]], object]
    ) -> None:
        self._side = side
        self._marks = marks
        self._emit = emit
        self.granted = side.granted

    @property
    def blocked(self) -> bool:
        """Whether items wait for the reader."""
        return self._side.blocked

    def send(self, items: Sequence[Item]) -> None:
        """Send each item where its route leads."""
        onward = [item for item in items if item.route in self._marks]
        leave = [item for item in items if item.route not in self._marks]
        if onward:
            self._emit(onward)
        if leave:
            self._side.send(leave)


def _checked(policy: Policy, results: Results, acks: AckKeeper | None) -> Policy:
    """The policy, with an error where its function routes to what the stage cannot route to."""
    if isinstance(policy, Retry):
        return attrs.evolve(policy, then=_checked(policy.then, results, acks))
    if isinstance(policy, Route):
        return Route(_within(policy.fn, results, acks))
    return policy


def _within(
    route: Callable[[Item, BaseException], Item], results: Results, acks: AckKeeper | None
) -> Callable[[Item, BaseException], Item]:
    def checked(item: Item, error: BaseException) -> Item:
        routed = route(item, error)
        if isinstance(routed, Item) and routed.route != DEFAULT_ROUTE:
            stay, leave = results.by_route([routed])
            routed = (stay or leave)[0]
        if acks is not None and isinstance(routed, Item):
            acks.became((item,), (routed,))
        return routed

    return checked
