"""One batch on its way through a pool, from the asker and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.actors import Ref
from slither_actors.context import Context
from slither_actors.core import Affinity, BatchTiming
from slither_actors.errors import PoolStoppedError, SlitherError
from slither_actors.pool._segments import Segment
from slither_actors.pool._target import Target

__all__ = ["Job"]


@attrs.define(eq=False)
class Job:
    """A batch for a pool: ``pool_ref.send(Pool.submit, job)``.

    It comes back exactly once, through ``job.reply_to.send(job.on_done, job)``,
    with `results` or `error` set; also if the pool is stopped, killed or dead.
    The pool owns it in between. To try again, submit a new job.
    """

    target: Target
    payloads: list[Any]
    reply_to: Ref
    on_done: Callable[[Any, Job], object]

    context: Context | None = None
    """Given to a function that asks for it; its session is that of calls back."""

    timeout: float | None = None
    """Seconds that the batch may run, counted from when its worker began it."""

    about: object = attrs.field(default="a batch", alias="description")
    """What errors call it, as text or as something whose text that is: few batches have an error."""

    attempt: int = 1
    """Which attempt this is; for errors only."""

    affinity: Affinity | None = None
    """How strictly it belongs to the slot of its context's session, which was entered; None is a hint."""

    pool: str = ""
    """Name of the pool; set by the pool."""

    kill: bool = False
    """Whether `Pool.cancel` also ends it when it runs, with its worker."""

    tag: Any = None
    """The asker's own; the pool does not look at it."""

    results: list[Any] | None = None
    """One result per payload."""

    error: SlitherError | None = None
    """Why there are no results."""

    started: bool = False
    """Whether a worker has begun it. An error before that means that nothing ran."""

    took: float = 0.0
    """Seconds from its turn in its worker to its answer, or to the worker's end; 0 if none has begun it."""

    timing: BatchTiming | None = None
    """Where its time went, if the target has a stopwatch and a worker has answered."""

    cancelled: bool = False
    worker_pid: int = 0
    slot: int = -1

    returned: bool = attrs.field(default=False, init=False)
    """Whether the outcome was sent."""

    segment: Segment | None = attrs.field(default=None, init=False)
    """The shared memory that it has while a worker has it; the lane's."""

    ref: int = attrs.field(default=0, init=False)
    """The reference on the wire, 0 while it is queued; the pool's."""

    @property
    def description(self) -> str:
        """How errors call it, such as ``batch 37 of ScorePipe.predict``."""
        return str(self.about)

    def succeed(self, results: list[Any]) -> None:
        """Send the results, unless the outcome is known already."""
        if not self.returned:
            self.results = results
            self.returned = True
            self.reply_to.send(self.on_done, self)

    def fail(self, error: SlitherError) -> None:
        """Send the error, unless the outcome is known already."""
        if not self.returned:
            self.error = error
            self.returned = True
            self.reply_to.send(self.on_done, self)

    def reject(self, _: object) -> None:
        """The pool is dead; called by the runtime for what is in its mailbox."""
        self.fail(PoolStoppedError(self.pool))
