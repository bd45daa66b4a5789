"""The insights of a run, from its runner to whoever asks."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from slither_actors.core import BatchTiming, Insights, InsightTally
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._executor import Executor
from slither_actors.dispatch._link import RunLink
from slither_actors.errors import ActorExitError, NotRunningError, OptionError

__all__ = ["insights_of", "note_time", "tell_insights"]

logger = logging.getLogger("slither_actors.dispatch")


def note_time(tally: InsightTally, batch: Batch, executor: Executor) -> None:
    """Take down where the time of a batch went, which has just been answered. In the runner."""
    timing = batch.timing
    if timing is None and not executor.measures:
        # It ran in this process, as far as we know, all the time until now.
        now = time.monotonic()
        timing = BatchTiming(os.getpid(), -1, batch.started_at, now, now - batch.started_at, 0.0, 0.0)
    if timing is not None:
        tally.add(batch.ref, batch.size, batch.attempt, timing)


def tell_insights(link: RunLink, tally: InsightTally, options: Any) -> None:
    """Leave the last ones with the run, and call the user's function. In the runner, at its end."""
    link.insights = tally.insights(time.monotonic())
    if callable(options.insights):
        try:
            options.insights(link.insights)
        except Exception:
            logger.exception("the function for the insights of a run failed")


def insights_of(link: RunLink, wanted: Any) -> Insights:
    """See `RunStream.insights`."""
    if wanted is None:
        raise OptionError(
            "insights", "is off; allowed is insights=True, to have them", where="dispatch.stream"
        )
    if link.insights is not None:
        return link.insights
    run = link.run
    if run is None:
        raise NotRunningError("the run has not started: read from it first")
    try:
        for _, ref in run.run(_stages):
            ask = getattr(ref.actor_class, "insights", None)
            if ask is not None:
                found: Insights = ref.run(ask)
                return found
    except ActorExitError:
        pass  # it has just ended
    return link.insights or InsightTally(time.monotonic()).insights(time.monotonic())


def _stages(run: Any, _: None) -> list[tuple[str, Any]]:
    return [(str(info.id), info.ref) for info in run._do_which_children() if info.ref is not None]
