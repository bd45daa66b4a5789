"""The first stage of a run: the caller's input, wrapped into items, read only when asked.

The input may be slow or endless. It is read in short strokes that grow while
they are quick, and what a stroke has read is emitted at once: nobody waits for
a thousand items because a thousand were asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import attrs

from slither_actors.actors import SHUTDOWN
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._runner import Halted
from slither_actors.item import Item
from slither_actors.stages import Producer

__all__ = ["ItemSource", "SourceStatistics"]

_STROKE_SECONDS = 0.002
_MAX_STROKE = 1024


@attrs.frozen(kw_only=True)
class SourceStatistics:
    """What a source had done when it ended."""

    items: int
    """Items read from the input."""


class ItemSource(Producer):
    """Emits the elements of an iterable as items and ends normally after the last one."""

    def init(
        self, iterable: Callable[[], Iterable[Any]], *, label: str = "the input", link: RunLink | None = None
    ) -> None:
        """Take a function that returns the input; nothing is read before the first demand."""
        self._label = label
        self._link = link
        self._iterator: Iterator[Any] = iter(iterable())
        self._debt = 0
        self._reading = False
        self._stroke = 1
        self.count = 0
        """Items read."""

    def handle_demand(self, demand: int) -> None:
        """Note the demand and read on, one stroke per message."""
        self._debt += demand
        if not self._reading:
            self._reading = True
            self._read()

    def _read(self) -> None:
        wanted = min(self._debt, self._stroke)
        items: list[Any] = []
        began = time.monotonic()
        ended = failure = None
        try:
            # `extend` keeps what it has when the input raises in the middle; `list` would lose it.
            items.extend(islice(self._iterator, wanted))
            ended = len(items) < wanted
        except Exception as error:  # noqa: BLE001 - the user's iterator; its failure halts the run
            failure = error
        quick = time.monotonic() - began < _STROKE_SECONDS
        self._stroke = min(_MAX_STROKE, self._stroke * 2) if quick else max(1, self._stroke // 4)
        self._debt -= len(items)
        self.count += len(items)
        if items:
            self.emit(Item.wrap_many(items))
        if failure is not None:
            self.complete((SHUTDOWN, Halted(error=failure, batch=f"{self._label}, after item {self.count}")))
        elif ended:
            self.complete()
        elif self._debt > 0:
            self.ref.send(_read_on)
        else:
            self._reading = False

    def terminate(self, reason: Any) -> None:
        """Close an input that was not read to its end."""
        if self._link is not None:
            self._link.finished["source"] = SourceStatistics(items=self.count)
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


def _read_on(source: ItemSource, _: None) -> None:
    source._read()
