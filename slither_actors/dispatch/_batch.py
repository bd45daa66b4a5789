"""One batch of a dispatch run, between its runner and its executor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.context import Context
from slither_actors.core import Affinity, BatchTiming
from slither_actors.dispatch._lazy_items import LazyItems
from slither_actors.errors import BatchError, ResultError
from slither_actors.item import Item, take_ids

if TYPE_CHECKING:
    from slither_actors.actors import Ref, Timer
    from slither_actors.dispatch.executor import Executor

__all__ = ["NOT_RESULTS", "Batch", "BatchOrigin", "checked_results"]

NOT_RESULTS = (str, bytes, bytearray, memoryview, set, frozenset, dict)
"""Iterable, and no list of results: as in the workers."""


@attrs.frozen(kw_only=True)
class BatchOrigin:
    """What all batches of one runner have in common."""

    context: Context
    timeout: float | None
    label: str
    """The stage in words."""

    affinity: Affinity | None = None
    """Whether the batches belong to the worker of the run's session; None is a hint."""

    reply_to: Ref
    on_done: Callable[[Any, Batch], object]
    timed: bool = False
    """Whether an executor that can is to say where the time of a batch went, in `Batch.timing`."""
    variables: Variables | None = None
    """The context variables of whoever made the run."""


class Batch:
    """Items sent together. An executor answers it once, with `succeed` or `fail`, from any thread.

    A second answer is dropped, so a late one can do no harm. It may hold bare
    payloads, whose items are made when somebody wants them; their ids are taken
    now, so they count in input order all the same.
    """

    __slots__ = (
        "_claim",
        "_ids",
        "_items",
        "_metas",
        "_payloads",
        "attempt",
        "error",
        "handle",
        "origin",
        "ref",
        "results",
        "size",
        "started_at",
        "timer",
        "timing",
        "took",
    )

    def __init__(
        self, ref: int, content: Sequence[Any], origin: BatchOrigin, *, bare: bool = False, attempt: int = 1
    ) -> None:
        self.ref = ref
        """Counts up from zero in input order."""
        self.size = len(content)
        """How many items."""
        self.attempt = attempt
        """Counts up from one."""
        self.results: list[Any] | None = None
        self.error: BaseException | None = None
        self.handle: Any = None
        """For the executor's own use."""
        self.started_at = 0.0
        self.took: float | None = None
        """Seconds that it ran, where the executor knows better than from when to when it had the batch."""
        self.timing: BatchTiming | None = None
        """What the executor has measured, if it was asked to."""
        self.timer: Timer | None = None
        """The runner's, where the executor does not keep the timeout by itself."""
        self.origin = origin
        """What it has in common with all batches of its runner."""
        self._items: list[Item] | None = None
        self._payloads: list[Any] | None = None
        self._ids: Sequence[int] = ()
        self._metas: list[Mapping[str, Any]] | None = None
        if type(content) is LazyItems:
            self._ids, self._payloads, self._metas = content.ids, content.payloads, content.metas
        elif not bare:
            self._items = content if isinstance(content, list) else list(content)
        else:
            for kind in set(map(type, content)):
                if issubclass(kind, Item):
                    self._items = Item.wrap_many(content)
                    break
            else:
                self._payloads = content if isinstance(content, list) else list(content)
                self._ids = take_ids(self.size)
        self._claim = threading.Lock().acquire

    def __str__(self) -> str:
        return self.name

    @property
    def items(self) -> list[Item]:
        """The items, in input order."""
        if self._items is None:
            self._items = list(LazyItems(self._ids, self._payloads or [], self._metas))
        return self._items

    @property
    def payloads(self) -> list[Any]:
        """The items' payloads, as a new list."""
        if self._payloads is not None:
            return self._payloads[:]
        return [item.payload for item in self.items]

    @property
    def sent(self) -> list[Any]:
        """As `payloads`, for somebody who does not change the list, and does not pass it on."""
        return self._payloads if self._payloads is not None else [item.payload for item in self.items]

    @property
    def context(self) -> Context:
        """The run's context."""
        return self.origin.context

    @property
    def variables(self) -> Variables:
        """A copy of the context variables of whoever made the run, for the batch to run in."""
        variables = self.origin.variables
        return copy_context() if variables is None else variables.copy()

    @property
    def timeout(self) -> float | None:
        """Seconds that one attempt may take; None is no limit."""
        return self.origin.timeout

    @property
    def timed(self) -> bool:
        """Whether somebody wants to know where its time goes."""
        return self.origin.timed

    @property
    def affinity(self) -> Affinity | None:
        """How strictly it belongs to the worker of its session; None is a hint. For executors with pools."""
        return self.origin.affinity

    @property
    def name(self) -> str:
        """How errors call it, such as ``batch 37 of ScorePipe.predict``."""
        return f"batch {self.ref} of {self.origin.label}"

    @property
    def description(self) -> str:
        """The name, and which attempt it is unless it is the first."""
        return self.name if self.attempt == 1 else f"{self.name}, attempt {self.attempt}"

    @property
    def runner(self) -> Ref:
        """The runner that waits for the batch."""
        return self.origin.reply_to

    @property
    def outcomes(self) -> Sequence[Item]:
        """The items with the results as their payloads."""
        results = self.results or []
        if self._items is None:
            return LazyItems(self._ids, results, self._metas)
        return [Item(i.id, r, i.meta, i.route) for i, r in zip(self._items, results, strict=True)]

    def succeed(self, results: list[Any]) -> None:
        """Answer with one result per item, in their order. The list may be used again."""
        if self._claim(False):
            self.results = results[:] if type(results) is list else results
            self.origin.reply_to.send(self.origin.on_done, self)

    def fail(self, error: BaseException) -> None:
        """Answer with the reason for which there are no results."""
        if self._claim(False):
            self.error = error
            self.origin.reply_to.send(self.origin.on_done, self)

    def settle(self, runner: Any, results: list[Any] | None, error: BaseException | None) -> None:
        """As `succeed` or `fail`, for an executor whose answer arrives in the runner's own actor."""
        if self._claim(False):
            self.results = results
            self.error = error
            self.origin.on_done(runner, self)

    def check(self, executor: Executor) -> None:
        """Make what an executor answered an error if it is neither results for all items nor an error."""
        if self.error is not None and not isinstance(self.error, BaseException):
            self.error = BatchError(f"{self.description}: {self.error!r:.200}")
        elif self.error is None and (type(self.results) is not list or len(self.results) != self.size):
            try:
                self.results = checked_results(self.results, self.size, executor.name)
            except Exception as error:  # noqa: BLE001 - the results may be an iterable of the user's
                self.results, self.error = None, error

    def next_attempt(self) -> Batch:
        """Return the batch as it is run again, under the same reference and with the same items."""
        return Batch(self.ref, self.items, self.origin, attempt=self.attempt + 1)

    def same_attempt(self) -> Batch:
        """Return the batch as it is submitted again where nothing has run."""
        return Batch(self.ref, self.items, self.origin, attempt=self.attempt)


def checked_results(results: Any, expected: int, name: str) -> list[Any]:
    """Take what a batch function returned as a list of `expected` results.

    Raises:
        ResultError: it is no sequence of results, or has another length.
    """
    if isinstance(results, NOT_RESULTS) or not hasattr(results, "__iter__"):
        kind = "None" if results is None else f"a {type(results).__qualname__}"
        msg = (
            f"{name} returned {kind} for {expected} payloads; one result per payload, in a list, is wanted: "
            "it gets a list of payloads, and not one"
        )
        raise ResultError(msg)
    made = results if type(results) is list else list(results)  # a subclass may be iterated otherwise
    if len(made) != expected:
        msg = f"{name} returned {len(made)} results for {expected} payloads"
        raise ResultError(msg)
    return made
