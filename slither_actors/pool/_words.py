"""What a worker says about itself and no batch: that it is ready, too large, or failed to end well."""

from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING, Final

from slither_actors.core._slot import SlotState
from slither_actors.pool import _wire as wire
from slither_actors.pool._payloads import ErrorRecord
from slither_actors.pool._staff import MEMORY
from slither_actors.pool._worker_line import OutOfStepError

if TYPE_CHECKING:
    from slither_actors.pool._lane import Lane
    from slither_actors.pool._pool import Pool

__all__ = ["Words"]

logger = logging.getLogger("slither_actors.pool")

_START_STEPS: Final = ("it could not be set up", "its init hook failed", "its adapter failed")
_END_STEPS: Final = ("the exit hook", "the end of the adapter")


class Words:
    """What the workers of one pool say about themselves. The pool is the only caller, in its actor."""

    __slots__ = ("_pool", "commands")

    def __init__(self, pool: Pool) -> None:
        self.commands: dict[str, float | None] | None = None
        """Those of the adapter, with their timeouts; None without one, and until a worker is ready."""
        self._pool = pool

    def hear(self, lane: Lane, kind: int, ref: int, body: bytes | bytearray) -> None:
        """Take a frame that is about the worker and no batch.

        Raises:
            OutOfStepError: the worker cannot mean it.
        """
        options = self._pool.options
        if kind == wire.READY:
            self._ready(lane, body)
        elif kind == wire.START_FAILED and lane.slot.state is SlotState.STARTING:
            what = _START_STEPS[min(ref, len(_START_STEPS) - 1)]
            lane.problem = f"{what}: {ErrorRecord.loads(body).to_error()}"
        elif kind == wire.LOST_SEGMENT:
            self._pool.segments.lose(ref, lane.line)
        elif kind == wire.OVERGROWN and options.max_rss_per_worker is not None:
            if lane.slot.is_live:
                lane.slot.retire()
            self._pool.staff.recycle(lane, MEMORY)
        elif kind == wire.EXIT_FAILED and lane.told:
            logger.error(
                "pool %s: %s of worker %d (slot %d) failed: %s",
                self._pool.pool, _END_STEPS[min(ref, 1)], lane.pid, lane.slot.number,
                ErrorRecord.loads(body).to_error(),
            )  # fmt: skip
        else:
            msg = f"it sent a {wire.KIND_NAMES.get(kind, kind)} frame, which is not its turn"
            raise OutOfStepError(msg)

    def _ready(self, lane: Lane, body: bytes | bytearray) -> None:
        if lane.slot.state is not SlotState.STARTING:
            raise OutOfStepError("it said a second time that it was ready")
        if self._pool.options.adapter is not None:
            try:
                self.commands = pickle.loads(body)  # from our own worker
            except Exception as error:
                msg = f"it sent something else than its adapter's commands: {error}"
                raise OutOfStepError(msg) from error
        self._pool.staff.ready(lane)
