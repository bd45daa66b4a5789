"""What a runner tells of itself: its figures, and why it ended a run."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from slither_actors.core import WindowStatistics

__all__ = ["DispatchStatistics", "Halted"]


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

    timeouts: int = 0
    """Attempts that ran longer than they might."""

    crashes: int = 0
    """Attempts whose worker died."""

    poisoned: int = 0
    """Items of batches that killed too many workers."""

    refused: int = 0
    """Attempts that an open circuit refused; those that wait for it under `Retry` included."""

    dead_letters: int = 0
    """Items that the receiver of dead letters took."""

    dead_letters_lost: int = 0
    """Items that it did not take."""

    busy: float = 0.0
    """Seconds that batches ran, added up: two side by side count twice. In a worker from their turn to their
    answer, the way there and back included; on another executor from when it got them."""

    routes: Mapping[str, int] = attrs.field(factory=dict)
    """The routed items by the route that the policy gave them; ``"default"`` for those that just went on."""

    errors: Mapping[str, int] = attrs.field(factory=dict)
    """Items of failed batches that the policy skipped, routed or halted for, by the exception's type."""

    last_error: str = ""
    """The last of those failures in words, with its batch; empty if there was none."""
