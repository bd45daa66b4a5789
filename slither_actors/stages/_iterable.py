"""A producer over any iterable, pulled no further than it is asked."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Any

from slither_actors.actors import Ref
from slither_actors.config import flag
from slither_actors.core import DemandFanOut
from slither_actors.errors import OptionError
from slither_actors.stages._producer import Mode, Producer
from slither_actors.stages._subscription import Subscription

__all__ = ["IterableProducer", "from_iterable"]


class IterableProducer(Producer):
    """Emits the elements of an iterable and ends normally after the last one was taken."""

    def init(
        self,
        iterable: Iterable[Any],
        *,
        dispatcher: Any = DemandFanOut,
        on_cancel: str = "continue",
        demand: Mode = "forward",
    ) -> None:
        """Take the iterable; nothing is read before the first demand."""
        if on_cancel not in ("continue", "stop"):
            raise OptionError("on_cancel", f"is {on_cancel!r}; allowed are 'continue', 'stop'")
        self.dispatcher = dispatcher
        self.on_cancel = on_cancel
        self.demand = demand
        self._count = 0
        self._iterator: Iterator[Any] = iter(iterable)

    def handle_demand(self, demand: int) -> None:
        """Read exactly `demand` elements, or what is left."""
        events: list[Any] = []
        try:
            # Unlike `list`, `extend` keeps what it has when the iterable raises.
            events.extend(islice(self._iterator, demand))
        except Exception as error:
            at = self._count + len(events)
            error.add_note(f"{self._cell.describe()}: its iterable raised this for element {at} (from 0)")
            raise
        finally:
            self._count += len(events)
            self.emit(events)
        if len(events) < demand:
            self.complete()

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """End with the last consumer, if told so."""
        was_accepted = source.producer_watch is not None
        if self.on_cancel == "stop" and was_accepted and not self._consumers:
            self.stop()

    def terminate(self, reason: Any) -> None:
        """Close a generator that was not read to its end. A file is its owner's to close."""
        if isinstance(self._iterator, Generator):
            self._iterator.close()


def from_iterable(
    iterable: Iterable[Any],
    *,
    name: object = None,
    dispatcher: Any = DemandFanOut,
    on_cancel: str = "continue",
    demand: Mode = "forward",
    link: bool = True,
) -> Ref:
    """Start a producer that emits the elements of `iterable` and then ends.

    An endless or slow iterable is fine: it is read in the producer, exactly as
    many elements as are asked for, and they are emitted together. If it raises,
    what was read before is still delivered, and the producer ends with the
    exception as its reason; a note on it has the position. An empty iterable ends the producer at the first
    demand. Source: ``GenStage.from_enumerable/2``.

    Args:
        iterable: read once; a generator is closed at the end.
        name: see `Server.start`.
        dispatcher: see `Producer.dispatcher`.
        on_cancel: ``"stop"`` ends the producer when its last consumer leaves.
        demand: see `Producer.demand`; with ``"accumulate"`` nothing is read before `stages.demand`.
        link: whether it is linked to the actor that calls this, if one does: see `Server.start_link`.
    """
    flag.check("link", link, "from_iterable")
    start = IterableProducer.start_link if link else IterableProducer.start
    return start(iterable, name=name, dispatcher=dispatcher, on_cancel=on_cancel, demand=demand)
