"""The first stage of a run: the caller's input, read only when asked.

The input may be slow or endless. What is not a plain container is read by an
actor of its own, which the user's iterator may block for as long as it likes:
the source stays open to demand and to its end. What is read goes into a basket
that the source empties after each stroke, or, when a stroke takes longer than
`_STALL_SECONDS`, after each item. So nobody waits for a thousand items because
a thousand were asked for, and a quick input is passed on in lists.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any

import attrs

from slither_actors.actors import NORMAL, SHUTDOWN, Ref, Server
from slither_actors.actors._child import prepare_to_wait
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._runner import Halted
from slither_actors.dispatch._stream import RunStream
from slither_actors.item import Item
from slither_actors.stages import Producer

__all__ = ["ItemSource", "SourceStatistics"]

logger = logging.getLogger("slither_actors.dispatch")

_STALL_SECONDS = 0.005
"""A stroke that takes longer is passed on item by item."""

_STROKE = 1024
"""The most items of one stroke."""

_CONTAINERS = frozenset({list, tuple, range, deque, dict, set, frozenset})
"""What never blocks and is read in the source itself. Not their subclasses: those may do anything."""

_DRAIN_SECONDS = 0.5
"""How long a source that is to end waits for the item that its input may be giving."""

_CLOSE_SECONDS = 1.0
"""How long the end of a run waits for an input that blocks, or that tidies up."""


@attrs.frozen(kw_only=True)
class SourceStatistics:
    """What a source had done when it ended."""

    items: int
    """Items read from the input."""


class ItemSource(Producer):
    """Emits the elements of an iterable as items and ends normally after the last one."""

    def init(
        self,
        iterable: Callable[[], Iterable[Any]],
        *,
        label: str = "the input",
        link: RunLink | None = None,
        wrap: bool = True,
    ) -> None:
        """Take a function that returns the input; nothing is read before the first demand.

        Args:
            iterable: returns the input.
            label: the input in words, for errors.
            link: shared with the run's other stages.
            wrap: emit items; False emits what was read.
        """
        self._label = label
        self._link = link
        self._wrap = wrap
        self._debt = 0
        self._reading = False
        self._stroke = 0
        """Items of the present stroke that have not been emitted."""
        self._began = 0.0
        self._looking = False
        self._basket = _Basket()
        self._container: Iterator[Any] | None = None
        self._input: Ref | None = None
        items = iterable()
        if type(items) in _CONTAINERS:
            self._container = iter(items)
        else:
            prepare_to_wait(self._cell)  # its end waits for the input's, also while the program exits
            self._input = _Input.start_link(items, self._basket, self.ref)
        self.count = 0
        """Items read."""

    def handle_demand(self, demand: int) -> None:
        """Note the demand and have it read, stroke by stroke."""
        if self._container is not None:
            self._emit_next(self._container, demand)
            return
        self._debt += demand
        if not self._reading:
            self._read()

    def _emit_next(self, container: Iterator[Any], demand: int) -> None:
        try:
            items = list(islice(container, min(demand, sys.maxsize)))
        except RuntimeError as error:  # a set or dict that somebody changed
            self._fail(error)
            return
        self._emit_read(items)
        if len(items) < demand:
            self.complete()

    def _emit_read(self, items: list[Any]) -> None:
        if items:
            self.count += len(items)
            self.emit(Item.wrap_many(items) if self._wrap else items)

    def _fail(self, error: BaseException) -> None:
        self.complete((SHUTDOWN, Halted(error=error, batch=f"{self._label}, after item {self.count}")))

    def _read(self) -> None:
        self._reading = True
        self._stroke = min(self._debt, _STROKE)
        self._began = time.monotonic()
        assert self._input is not None
        self._input.send(_Input.read, self._stroke)
        if not self._looking and not self._basket.urgent:
            self._looking = True
            self.run_after(_STALL_SECONDS, ItemSource._look)

    def _look(self, _: None) -> None:
        """Is the stroke that runs now a slow one?"""
        self._looking = False
        if not self._reading:
            return
        left = self._began + _STALL_SECONDS - time.monotonic()
        if left > 0:
            self._looking = True
            self.run_after(left, ItemSource._look)
        else:
            self._basket.urgent = True  # the reader looks after each item: first this, then what is there
            self.take()

    def take(self, _: None = None) -> None:
        """Emit what has been read."""
        items = self._basket.empty()
        self._debt -= len(items)
        self._stroke -= len(items)
        self._emit_read(items)

    def stroke_done(self, failure: BaseException | None) -> None:
        """The reader has read what it was told to, or all there was, or raised."""
        if self._finishing:
            return  # it comes after the end: see `drain`
        self.take()
        self._reading = False
        if failure is not None:
            self._fail(failure)
        elif self._stroke or self._basket.closed:
            self.complete()
        else:
            if time.monotonic() - self._began < _STALL_SECONDS:
                self._basket.urgent = False
            if self._debt > 0:
                self._read()

    def drain(self, _: None = None) -> None:
        """Read no more, and end normally behind what was read: as if the input had ended here."""
        self._basket.close()
        if self._reading:
            # The reader may just be given an item. One that blocks is not waited for.
            self.run_after(_DRAIN_SECONDS, ItemSource.drained)
        else:
            self.drained()

    def drained(self, _: None = None) -> None:
        """Pass the last items on."""
        if not self._finishing:
            self.take()
            self.complete()

    def terminate(self, reason: Any) -> None:
        """Close an input that was not read to its end, unless it blocks."""
        if self._link is not None:
            self._link.finished["source"] = SourceStatistics(items=self.count)
        if self._input is None:
            return
        self._basket.close()
        self._input.stop(NORMAL, block=False)
        if not self._input.join(_CLOSE_SECONDS):
            logger.warning("%s blocks; it is closed when it returns", self._label)

    def _on_dead(self) -> None:
        # Killed, perhaps: then `terminate` did not run.
        if hasattr(self, "_basket"):
            self._basket.close()
        super()._on_dead()


class _Basket:
    """What was read and not emitted yet. The reader puts, the source empties, without a lock."""

    __slots__ = ("_items", "closed", "put", "urgent")

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self.put = self._items.append
        self.urgent = False
        """Whether the source wants to know of each item, or wants no more."""
        self.closed = False

    def close(self) -> None:
        """Want no more."""
        self.closed = self.urgent = True

    def empty(self) -> list[Any]:
        """Take what is there."""
        take = self._items.popleft
        return [take() for _ in range(len(self._items))]


class _Input(Server):
    """Reads the user's iterable, which may block this actor and nobody else."""

    def init(self, iterable: Iterable[Any], basket: _Basket, source: Ref) -> None:
        """Take the input; nothing is read."""
        self._iterable = iterable
        self._iterator: Iterator[Any] | None = None
        self._basket = basket
        self._source = source

    def read(self, wanted: int) -> None:
        """Read as many items, or what is left."""
        basket, put = self._basket, self._basket.put
        failure: BaseException | None = None
        try:
            if self._iterator is None:
                self._iterator = iter(self._iterable)
            for item in islice(self._iterator, wanted):
                put(item)
                if basket.urgent:
                    if basket.closed:
                        self._source.send(ItemSource.drained)
                        return
                    self._source.send(ItemSource.take)
        except BaseException as error:  # noqa: BLE001 - the user's iterator; its failure halts the run
            failure = error
        self._source.send(ItemSource.stroke_done, failure)

    def terminate(self, reason: Any) -> None:
        """Close a generator or a run that was not read to its end. A file is its owner's to close."""
        if isinstance(self._iterator, (Generator, RunStream)):
            self._iterator.close()
