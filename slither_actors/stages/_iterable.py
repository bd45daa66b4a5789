"""A producer over any iterable, pulled no further than it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from slither_actors.actors import Ref
from slither_actors.stages._producer import Producer

__all__ = ["IterableProducer", "from_iterable"]


class IterableProducer(Producer):
    """Emits the elements of an iterable and ends normally after the last one was taken."""

    def init(self, iterable: Iterable[Any]) -> None:
        """Take the iterable; nothing is read before the first demand."""
        self._iterator: Iterator[Any] = iter(iterable)

    def handle_demand(self, demand: int) -> list[Any]:
        """Read exactly `demand` elements, or what is left."""
        events = list(islice(self._iterator, demand))
        if len(events) < demand:
            self.complete()
        return events

    def terminate(self, reason: Any) -> None:
        """Close a generator that was not read to its end."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


def from_iterable(iterable: Iterable[Any], *, name: object = None) -> Ref:
    """Start a producer that emits the elements of `iterable`.

    An endless or slow iterable is fine: it is read in the producer, `demand`
    elements at a time. Source: ``GenStage.from_enumerable/2``.
    """
    return IterableProducer.start(iterable, name=name)
