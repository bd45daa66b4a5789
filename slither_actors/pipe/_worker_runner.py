"""The actor of a worker stage: a dispatch runner that knows the pipe's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors.actors import is_abnormal
from slither_actors.context import Context
from slither_actors.dispatch import DispatchOptions, DispatchRunner
from slither_actors.dispatch._link import RunLink
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.pipe._results import Results
from slither_actors.pipe._tally import tell_skipped
from slither_actors.pipe._telling import StageTelling
from slither_actors.policy import Policy, Retry, Route, Skipping, last_policy

__all__ = ["WorkerRunner"]


class WorkerRunner(DispatchRunner):
    """Runs a worker stage of one run."""

    def init(  # type: ignore[override]
        self,
        options: DispatchOptions,
        *,
        context: Context,
        outputs: Sequence[str],
        link: RunLink,
        telling: StageTelling,
        subscribe_to: Sequence[Any] = (),
    ) -> None:
        """Set up the stage; takes what `StageRunner.init` does."""
        label = f"{context.pipe}.{context.stage}"
        self._telling = telling
        super().init(
            attrs.evolve(options, on_error=_checked(options.on_error, Results(label, outputs))),
            context=context,
            label=label,
            keep_skipped=False,
            link=link,
            subscribe_to=subscribe_to,
        )
        telling.started()

    def terminate(self, reason: Any) -> None:
        """Leave the statistics with the run."""
        super().terminate(reason)
        statistics = self.statistics()
        if isinstance(last_policy(self._options.on_error), Skipping):
            tell_skipped(self._label, statistics.errors, statistics.last_error)
        early = is_abnormal(reason) or self._halting
        self._telling.ended(statistics, reason if early else None)


def _checked(policy: Policy, results: Results) -> Policy:
    """The policy, with an error where its function routes to what is no output of the pipe."""
    if isinstance(policy, Retry):
        return attrs.evolve(policy, then=_checked(policy.then, results))
    if isinstance(policy, Route):
        return Route(_within(policy.fn, results))
    return policy


def _within(
    route: Callable[[Item, BaseException], Item], results: Results
) -> Callable[[Item, BaseException], Item]:
    def checked(item: Item, error: BaseException) -> Item:
        routed = route(item, error)
        if isinstance(routed, Item) and routed.route != DEFAULT_ROUTE:
            results.by_route([routed])
        return routed

    return checked
