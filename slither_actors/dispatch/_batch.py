"""One batch of a dispatch run, between its runner and its executor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.context import Context
from slither_actors.item import Item

if TYPE_CHECKING:
    from slither_actors.actors import Ref

__all__ = ["Batch"]


class Batch:
    """Items sent together. An executor answers it once, with `succeed` or `fail`, from any thread.

    A second answer is dropped, so a late one can do no harm.
    """

    __slots__ = (
        "_claim",
        "_on_done",
        "_reply_to",
        "attempt",
        "context",
        "description",
        "error",
        "handle",
        "items",
        "ref",
        "results",
        "started_at",
        "timeout",
    )

    def __init__(
        self,
        ref: int,
        items: list[Item],
        *,
        context: Context,
        timeout: float | None,
        description: str,
        reply_to: Ref,
        on_done: Callable[[Any, Batch], object],
    ) -> None:
        self.ref = ref
        """Counts up from zero in input order."""
        self.items = items
        self.context = context
        self.timeout = timeout
        self.description = description
        """How errors call it, such as ``batch 37 of ScorePipe.predict``."""
        self.attempt = 1
        self.results: list[Any] | None = None
        self.error: BaseException | None = None
        self.handle: Any = None
        """For the executor's own use."""
        self.started_at = 0.0
        self._reply_to = reply_to
        self._on_done = on_done
        self._claim = threading.Lock().acquire

    @property
    def payloads(self) -> list[Any]:
        """The items' payloads, as a new list."""
        return [item.payload for item in self.items]

    def succeed(self, results: list[Any]) -> None:
        """Answer with one result per item, in their order."""
        if self._claim(False):
            self.results = results
            self._reply_to.send(self._on_done, self)

    def fail(self, error: BaseException) -> None:
        """Answer with the reason for which there are no results."""
        if self._claim(False):
            self.error = error
            self._reply_to.send(self._on_done, self)

    def settle(self, runner: Any, results: list[Any] | None, error: BaseException | None) -> None:
        """As `succeed` or `fail`, for an executor whose answer arrives in the runner's own actor."""
        if self._claim(False):
            self.results = results
            self.error = error
            self._on_done(runner, self)

    @property
    def runner(self) -> Ref:
        """The runner that waits for the batch."""
        return self._reply_to

    def next_attempt(self) -> Batch:
        """Return the batch as it is run again, under the same reference."""
        again = Batch(
            self.ref,
            self.items,
            context=self.context,
            timeout=self.timeout,
            description=self.description,
            reply_to=self._reply_to,
            on_done=self._on_done,
        )
        again.attempt = self.attempt + 1
        return again
